"""gRPC by `buf curl`, which learns every type from the server's reflection."""

import json
import os
import re
import subprocess
import sys

import lines

# usage and unexpected errors come below it, a code times eight above
FIRST_CODE = 8
# one process a call: no time for its garbage collector
ENVIRONMENT = {**os.environ, "GOMAXPROCS": "1", "GOGC": "off"}


def command(buf, target, line):
    url = f"http://{target}/{line['method']}"
    found = [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", "@-"]
    # an odd call by the newer reflection, an even one by the older
    found += ["--reflect-protocol", "grpc-v1" if line["id"] % 2 else "grpc-v1alpha"]
    if line["timeout_ms"]:
        found += ["--timeout", f"{line['timeout_ms']}ms"]
    return [*found, url]


def documents(stream):
    """JSON documents one after the other, pretty-printed as buf does."""
    text, reader = "", json.JSONDecoder()
    for part in iter(stream.readline, ""):
        text += part
        if not part.startswith("}") and not part.startswith("{}"):
            continue
        message, size = reader.raw_decode(text.strip())
        text = text.strip()[size:]
        yield message


def begin(buf, target, line, running):
    process = subprocess.Popen(
        command(buf, target, line),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    cancelled = []
    running[line["id"]] = lambda: (cancelled.append(True), process.kill())
    process.stdin.write(json.dumps(line["body"]))
    process.stdin.close()
    for message in documents(process.stdout):
        lines.say({"id": line["id"], "message": message})
    problem, code = process.stderr.read(), process.wait()
    if cancelled:
        lines.end(line["id"], 1, "cancelled")
    elif code == 0:
        lines.end(line["id"], 0, "")
    elif line["timeout_ms"] and "context deadline exceeded" in problem:
        # while it still asked for the types, too
        lines.end(line["id"], 4, problem)
    elif code < FIRST_CODE:
        lines.end(line["id"], 2, f"buf: {problem}")
    else:
        found = re.search(r"\{.*\}", problem, re.DOTALL)
        text = json.loads(found.group()).get("message", "") if found else problem
        lines.end(line["id"], code // FIRST_CODE, text)


def main():
    target, buf = sys.argv[1:3]
    lines.serve(
        "json", ["stream"], lambda line, running: begin(buf, target, line, running)
    )


main()
