"""Makes a later version of the C client's headers and tables: with more fields in messages that
are sent, in ones that are answered, and in ones that lie in arrays; with a new message, and with a
new option.

  grow.py <source folder> <folder to fill> <protoc>
"""
import pathlib
import shutil
import subprocess
import sys

SOURCE, OUT, PROTOC = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]

# Their numbers fall where they are declared: what decides is what came when.
FIELDS = {
    "CheckRequest": ["bool grown_flag = 201;"],
    "CheckResponse": ["bool grown_flag = 201;", "optional uint32 grown_count = 200;"],
    "StatusChange": ["bool grown_flag = 202;", "string grown_note = 201;", "Grown grown = 200;"],
    "Contact": ["bool grown_flag = 202;", "string grown_note = 201;", "repeated Grown grown = 200;"],
    "StatusEvent": ["repeated Status grown_statuses = 200;"],
    "Rule": ["bool grown_flag = 200;"],
    "WatchRequest": ["repeated uint32 grown_kinds = 200;"],
}


def once(text, old, new):
    if text.count(old) != 1:
        sys.exit(f"grow.py: {old!r} is there {text.count(old)} times")
    return text.replace(old, new)


def grow_proto(path):
    text = path.read_text()
    for message, fields in FIELDS.items():
        text = once(text, f"\nmessage {message} {{\n", f"\nmessage {message} {{\n  " + "\n  ".join(fields) + "\n")
    path.write_text(text + "\nmessage Grown {\n  string text = 1;\n  bool flag = 2;\n}\n")


def main():
    shutil.rmtree(OUT / "include", ignore_errors=True)
    shutil.copytree(SOURCE / "include", OUT / "include")
    shutil.copytree(SOURCE / "proto", OUT / "proto", dirs_exist_ok=True)
    grow_proto(OUT / "proto/dormouse/v1/dormouse.proto")
    client_h = OUT / "include/dormouse/client.h"
    last = "    uint32_t unused;         /* 0 */\n"
    client_h.write_text(once(client_h.read_text(), last, last + "    DORMOUSE_LATER bool grown_option;\n"))
    described = OUT / "described.bin"
    subprocess.run(
        [PROTOC, f"-I{OUT / 'proto'}", "-I/usr/include", "--include_imports", "--include_source_info",
         f"--descriptor_set_out={described}", "dormouse/v1/dormouse.proto"], check=True)
    generator = [sys.executable, "-B", SOURCE / "tools/gen/client.py"]
    layout = OUT / "proto/client_layout.txt"
    subprocess.run([*generator, "header", described, layout, OUT / "include/dormouse/message.h"], check=True)
    subprocess.run([*generator, "tables", described, layout, OUT], check=True)


main()
