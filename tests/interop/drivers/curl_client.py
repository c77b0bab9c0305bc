"""Connect with JSON by the curl command: POST, and GET for every other read. Streams
are read as they come, envelope by envelope."""

import base64
import json
import struct
import subprocess
import sys
import urllib.parse

import lines

CODES = """canceled unknown invalid_argument deadline_exceeded not_found already_exists
permission_denied resource_exhausted failed_precondition aborted out_of_range unimplemented
internal unavailable data_loss unauthenticated""".split()
# what an answer that is none of the protocol's own means, by its HTTP status
STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
READS = {"Check", "GetContact", "ListContacts", "GetPolicy", "GetStats", "GetHistory"}
END_STREAM = 2


def curl(*arguments, **options):
    version = sys.argv[2] if len(sys.argv) > 2 else "--http1.1"
    command = ["curl", "--silent", "--show-error", "--no-buffer", version, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def headers(line, kind):
    found = ["-H", f"content-type: {kind}", "-H", "connect-protocol-version: 1", "-H", "expect:"]
    if line["timeout_ms"]:
        found += ["-H", f"connect-timeout-ms: {line['timeout_ms']}"]
    return found


def error_of(error):
    return 1 + CODES.index(error["code"]), error.get("message", "")


def by_get(line, url, text):
    """Alternates base64 and plain text."""
    query = {"connect": "v1", "encoding": "json"}
    if line["id"] % 4 == 0:
        query["message"] = text
    else:
        query["base64"] = "1"
        query["message"] = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return curl("-w", "\n%{http_code}", "--get", url + "?" + urllib.parse.urlencode(query))


def unary(line, url, running):
    text = json.dumps(line["body"])
    name = line["method"].split("/")[1]
    if line["id"] % 2 == 0 and name in READS and len(text) < 4096:
        process = by_get(line, url, text)
        out, problem = process.communicate()
    else:
        process = curl(
            "-w", "\n%{http_code}", *headers(line, "application/json"), "--data-binary", "@-", url
        )
        out, problem = process.communicate(text.encode())
    if process.returncode != 0:
        lines.end(line["id"], 14, problem.decode())
        return
    body, _, status = out.rpartition(b"\n")
    if status == b"200":
        lines.say({"id": line["id"], "message": json.loads(body)})
        lines.end(line["id"], 0, "")
    elif body.startswith(b"{"):
        lines.end(line["id"], *error_of(json.loads(body)))
    else:
        lines.end(line["id"], STATUS.get(int(status), 2), f"HTTP {status.decode()}")


def envelopes(stream):
    while True:
        head = stream.read(5)
        if len(head) < 5:
            return
        flags, size = struct.unpack(">BI", head)
        yield flags, json.loads(stream.read(size))


def server_stream(line, url, running):
    text = json.dumps(line["body"]).encode()
    process = curl(*headers(line, "application/connect+json"), "--data-binary", "@-", url)
    cancelled = []
    running[line["id"]] = lambda: (cancelled.append(True), process.kill())
    process.stdin.write(struct.pack(">BI", 0, len(text)) + text)
    process.stdin.close()
    end = (1, "cancelled") if cancelled else (2, "the stream broke off")
    for flags, message in envelopes(process.stdout):
        if flags & END_STREAM:
            end = error_of(message["error"]) if "error" in message else (0, "")
            break
        lines.say({"id": line["id"], "message": message})
    process.stdout.close()
    process.wait()
    lines.end(line["id"], *((1, "cancelled") if cancelled else end))


def main():
    def begin(line, running):
        one = unary if line["kind"] == "unary" else server_stream
        one(line, f"http://{sys.argv[1]}/{line['method']}", running)

    lines.serve("json", ["stream", "any_method", "snake_case"], begin)


main()
