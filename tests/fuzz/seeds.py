#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into corpus/: well-formed input of every kind, so
that a fuzzer begins where hand-written tests end. Files that a fuzzer found stay.

What lies on disk (corpus/decode, journal/real) was encoded by the code itself.

usage: seeds.py [corpus folder]
"""
import base64
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
SERVICE = "dormouse.v1.BotStatus"

# ---- protobuf ---------------------------------------------------------------------------


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


WHO = [(1, "acme"), (2, "ann")]
SNOOZE = message((1, 2), (2, message((1, 3600))), (4, "bob"))
ACTIVE = message((1, 1))
LOCK = message((1, 3), (6, 1), (5, 10))
RULE = message((1, 3), (2, 2), (3, message((1, 60))), (4, 3))
POLICY = message((1, "acme"), (3, 3), (4, RULE), (5, 2), (6, message((2, 3))), (7, message((1, 7200))))

# method -> requests; the order of the first column is the one of the proto file.
CALLS = [
    ("Check", [message(*WHO)]),
    ("CommitReply", [message(*WHO, (3, 1), (4, "r1")), message(*WHO)]),
    ("RecordActivity", [message(*WHO, (3, n), (4, "bob"), (5, "r%d" % n)) for n in (1, 3, 6, 7)]),
    ("GetContact", [message(*WHO)]),
    ("BatchGetContacts", [message((1, "acme"), (2, "ann"), (2, "ben"), (2, "ann"))]),
    ("ListContacts", [message((1, "acme")), message((1, "acme"), (2, 2), (3, 1), (5, 1))]),
    ("SetStatus", [message(*WHO, (3, SNOOZE), (5, "r3")), message(*WHO, (3, LOCK)),
                   message(*WHO, (3, ACTIVE), (4, 7))]),
    ("BatchSetStatus", [message((1, "acme"), (2, "ann"), (2, "ben"), (3, SNOOZE), (4, "r4"))]),
    ("BulkSetStatus", [message((1, "acme"), (4, ACTIVE)), message((1, "acme"), (2, 2), (4, LOCK), (5, 1))]),
    ("DeleteContact", [message(*WHO)]),
    ("GetHistory", [message(*WHO, (3, 1))]),
    ("Watch", [message((4, 1)), message((1, "acme"), (2, "ann"), (3, 1))]),
    ("GetPolicy", [message((1, "acme"))]),
    ("SetPolicy", [message((1, POLICY))]),
    ("GetStats", [b"", message((1, "acme"))]),
]
BY_NAME = dict(CALLS)
JSON = {
    "Check": {"accountId": "acme", "contactId": "ann"},
    "SetStatus": {"account_id": "acme", "contactId": "ann", "ifRevision": "0",
                  "change": {"status": "STATUS_SNOOZED", "snoozeFor": "3600.5s", "actor": "b\u00f6b \U0001f600"}},
    "BatchSetStatus": {"accountId": "acme", "contactIds": ["ann", "ben"],
                       "change": {"status": 2, "snoozeUntil": "2030-01-02T03:04:05.678Z"}},
    "SetPolicy": {"policy": {"accountId": "acme", "mode": "MODE_AUTO_PILOT", "messageLimit": 2,
                             "rules": [{"on": "ACTIVITY_MANUAL_MESSAGE", "action": "ACTION_SNOOZE",
                                        "snoozeFor": "60s", "repeat": "REPEAT_KEEP"}],
                             "maxSnooze": "7200s", "unknown": [1.5e3, None, {"a": [True]}]}},
    "Watch": {"fromStart": True, "afterSeq": "18446744073709551615"},
}


def write(target, name, data):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# ---- the protocols -----------------------------------------------------------------------


def ttrpc_frame(stream, kind, flags, body):
    return struct.pack(">IIBB", len(body), stream, kind, flags) + body


def ttrpc_request(stream, method, payload, service=SERVICE, flags=0, timeout_ns=0):
    body = message((1, service), (2, method), (3, payload))
    if timeout_ns:
        body += message((4, timeout_ns))
    return ttrpc_frame(stream, 1, flags, body)


def ttrpc_seeds():
    everything = b""
    for i, (method, requests) in enumerate(CALLS):
        out = b"".join(ttrpc_request(2 * j + 1, method, r) for j, r in enumerate(requests))
        write("ttrpc", method, out)
        everything += ttrpc_request(2 * i + 1, method, requests[0], timeout_ns=10**9)
    write("ttrpc", "everything", everything)
    write("ttrpc", "odd", ttrpc_request(2, "Check", b"") + ttrpc_frame(1, 3, 1, b"x")
          + ttrpc_frame(3, 1, 0, b"\xff\xff") + ttrpc_request(5, "Nothing", b"x")
          + ttrpc_request(5, "Check", b"") + ttrpc_frame(7, 9, 0, b""))
    write("ttrpc", "long", struct.pack(">IIBB", 5 << 20, 1, 1, 0) + b"x" * 64)
    reflection = "grpc.reflection.v1.ServerReflection"
    write("ttrpc", "stream", ttrpc_request(1, "ServerReflectionInfo", message((7, "*")), reflection, 2)
          + ttrpc_frame(1, 3, 0, message((4, SERVICE))) + ttrpc_frame(1, 3, 5, b""))
    write("ttrpc", "awaiting", ttrpc_request(1, "ServerReflectionInfo", b"", reflection, 2, 10**9)
          + ttrpc_request(3, "Check", b"", flags=2) + ttrpc_frame(1, 3, 0, message((7, "*")))
          + ttrpc_frame(3, 3, 1, BY_NAME["Check"][0]) + ttrpc_request(5, "GetStats", b"", flags=2)
          + ttrpc_frame(1, 3, 0, message((4, SERVICE))) + ttrpc_frame(1, 3, 0, b"") + ttrpc_frame(5, 3, 5, b""))
    write("ttrpc", "health", ttrpc_request(1, "Check", b"", "grpc.health.v1.Health")
          + ttrpc_request(3, "Watch", b"", "grpc.health.v1.Health", 1))


def http(head, body=b""):
    return head.replace("\n", "\r\n").encode() + b"\r\n" + body


def post(method, kind, body, more=""):
    return http(f"POST /{SERVICE}/{method} HTTP/1.1\nHost: a\nContent-Type: {kind}\n"
                f"Content-Length: {len(body)}\n{more}", body)


def envelope(body, flags=0):
    return struct.pack(">BI", flags, len(body)) + body


def http1_seeds():
    for method, requests in CALLS:
        if method in ("Watch", "BulkSetStatus"):
            out = post(method, "application/connect+proto", envelope(requests[0]))
        else:
            out = b"".join(post(method, "application/proto", r) for r in requests)
        write("http1", method, out)
    for method, body in JSON.items():
        kind = "application/connect+json" if method == "Watch" else "application/json"
        text = json.dumps(body).encode()
        write("http1", method + "-json", post(method, kind, envelope(text) if method == "Watch" else text,
                                              "Connect-Timeout-Ms: 1000\nOrigin: http://a.example\n"))
    text = json.dumps(JSON["Check"]).replace(" ", "").replace('"', "%22")
    packed = base64.urlsafe_b64encode(BY_NAME["Check"][0]).decode().rstrip("=")
    check = envelope(BY_NAME["Check"][0])
    write("http1", "get", http(f"GET /{SERVICE}/Check?connect=v1&encoding=json&message={text} HTTP/1.1\nHost: a\n")
          + http(f"GET /{SERVICE}/Check?encoding=proto&base64=1&message={packed} HTTP/1.1\nHost: a\n"))
    write("http1", "grpcweb", post("Check", "application/grpc-web+proto", check)
          + post("Watch", "application/grpc-web", envelope(BY_NAME["Watch"][0])))
    write("http1", "grpcwebtext", post("Check", "application/grpc-web-text", base64.b64encode(check)))
    write("http1", "chunked", http(f"POST /{SERVICE}/Check HTTP/1.1\nHost: a\nContent-Type: application/proto\n"
                                   "Transfer-Encoding: chunked\n", b"4;x=y\r\n\n\4ac\r\n8\r\nme\x12\3ann"
                                   b"\r\n0\r\nA: b\r\n\r\n"))
    write("http1", "cors", http(f"OPTIONS /{SERVICE}/Check HTTP/1.1\nHost: a\nOrigin: http://a.example\n"
                                "Access-Control-Request-Method: POST\n"
                                "Access-Control-Request-Headers: content-type\n"))
    write("http1", "chunks", b"\r\n" + http(f"POST /{SERVICE}/Check HTTP/1.2\nHost: localhost:7400\nContent-Type: application/proto\n"
                                            "Transfer-Encoding: Chunked\n", b'0b \t; x ;y= "a\\"b" ; z = c\r\n'
                                            + BY_NAME["Check"][0] + b"\r\n00; ieof\r\nA: b\r\n\r\n"))
    write("http1", "browser", b"".join(
        http(f"GET {target} HTTP/1.1\nHost: {host}\nSec-Fetch-Site: {site}\n{more}")
        for target, host, site, more in (
            ("/metrics", "127.0.0.1:80", "cross-site", "Origin: http://a.example\n"),
            ("http://[::1]:7400?x", "evil.example", "same-origin", "Origin: http://[::1]:7400\n"),
            ("/assets/x", "localhost", "cross-site", "Origin: null\nOrigin: null\n"),
            ("/readyz", "evil.example", "none", ""))))
    write("http1", "twice", http(f"POST /{SERVICE}/Check HTTP/1.1\nHost: [::1]\nContent-Type: a/b\nContent-Type: c/d\n"))
    write("http1", "plain", http("GET /metrics HTTP/1.1\nHost: a\n") + http("HEAD /healthz HTTP/1.1\nHost: a\n")
          + http("GET /no HTTP/1.0\n") + b"\r\n")
    write("http1", "wrong", http("POST /x.y/Z HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n", b"x"))


def h2_frame(kind, flags, stream, body):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def hpack(pairs):
    out = b""
    for name, value in pairs:
        out += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return out


def h2_call(stream, method, payload, service=SERVICE, more=(), end=1):
    head = hpack([(":method", "POST"), (":scheme", "http"), (":path", f"/{service}/{method}"),
                  (":authority", "a"), ("content-type", "application/grpc"), ("te", "trailers"), *more])
    return h2_frame(1, 4, stream, head) + h2_frame(0, end, stream, envelope(payload))


def h2_other(stream, path, kind, body, more=()):
    """A request of any protocol; kind None: a GET."""
    head = [(":method", "GET" if kind is None else "POST"), (":scheme", "http"), (":path", path),
            (":authority", "a")] + ([] if kind is None else [("content-type", kind)])
    frame = h2_frame(1, 5 if kind is None else 4, stream, hpack([*head, *more]))
    return frame if kind is None else frame + h2_frame(0, 1, stream, body)


def h2_protocols(check, watch):
    path = f"/{SERVICE}/Check"
    write("h2", "connect", h2_other(1, path, "application/proto", check)
          + h2_other(3, path, "application/json", b'{"accountId":"a","contactId":"c"}', [("connect-timeout-ms", "100")])
          + h2_other(5, f"{path}?connect=v1&encoding=json&message=%7B%7D", None, b"")
          + h2_other(7, f"{path}?encoding=proto&base64=1&message=CgFh", None, b""))
    write("h2", "connect-stream", h2_other(1, f"/{SERVICE}/Watch", "application/connect+proto", envelope(watch))
          + h2_other(3, f"/{SERVICE}/Watch", "application/connect+json", envelope(b"{}") + envelope(b"{}"))
          + h2_other(5, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "application/connect+proto",
                     envelope(message((7, "*"))) + envelope(message((3, "dormouse/v1/dormouse.proto")))))
    write("h2", "grpcweb", h2_other(1, path, "application/grpc-web", envelope(check))
          + h2_other(3, path, "application/grpc-web-text", base64.b64encode(envelope(check)))
          + h2_other(5, path, "application/grpc-web-text+proto", b"*") + h2_other(7, "/metrics", None, b""))


def h2_seeds():
    for method, requests in CALLS:
        write("h2", method, b"".join(h2_call(2 * i + 1, method, r) for i, r in enumerate(requests)))
    check = BY_NAME["Check"][0]
    write("h2", "timeout", h2_call(1, "Check", check, more=[("grpc-timeout", "10m"), ("x-y", "z")]))
    write("h2", "reset", h2_call(1, "Watch", BY_NAME["Watch"][0]) + h2_frame(3, 0, 1, b"\0\0\0\x08"))
    write("h2", "frames", h2_frame(6, 0, 0, b"12345678") + h2_frame(8, 0, 0, b"\0\0\x10\0") + h2_frame(4, 1, 0, b"")
          + h2_frame(4, 0, 0, struct.pack(">HI", 4, 0)) + h2_call(1, "Check", check)
          + h2_frame(8, 0, 1, b"\0\0\x10\0") + h2_frame(7, 0, 0, b"\0" * 8))
    head = hpack([(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/Check")])
    write("h2", "continued", h2_frame(1, 0, 1, head) + h2_frame(9, 4, 1, hpack([("content-type", "application/grpc")]))
          + h2_frame(0, 0, 1, envelope(check)[:7]) + h2_frame(0, 9, 1, b"\2" + envelope(check)[7:] + b"\0\0"))
    reflection = "grpc.reflection.v1.ServerReflection"
    write("h2", "stream", h2_call(1, "ServerReflectionInfo", message((7, "*")), reflection, end=0)
          + h2_frame(0, 0, 1, envelope(message((3, "dormouse/v1/dormouse.proto")))) + h2_frame(0, 1, 1, b""))
    write("h2", "browser", h2_call(1, "Check", check, more=[("origin", "http://a"), ("sec-fetch-site", "same-origin")])
          + h2_call(3, "Check", check, more=[("origin", "http://a.example"), ("sec-fetch-site", "cross-site")])
          + h2_call(5, "Check", check, more=[("origin", "null"), ("content-type", "application/grpc")]))
    write("h2", "misplaced", h2_call(1, "Check", check) + h2_frame(2, 0, 5, b"\0\0\0\1\x10")
          + h2_call(3, "Check", check, end=0) + h2_frame(3, 0, 3, b"\0\0\0\x08") + h2_frame(0, 1, 3, b"x")
          + h2_frame(1, 5, 5, head) + h2_frame(0, 8, 7, b"\6data") + h2_frame(0, 1, 1, b"x"))
    h2_protocols(check, BY_NAME["Watch"][0])
    write("h2", "content-type", h2_frame(1, 5, 1, head + hpack([("content-type", "text/html")])))


# ---- what lies behind them --------------------------------------------------------------


def calls_seeds(order):
    def call(method, payload, flags=0):
        return struct.pack("<BBH", order.index(method), flags, len(payload)) + payload

    everything = b""
    for method, requests in CALLS:
        out = call("SetStatus", BY_NAME["SetStatus"][0]) + b"".join(call(method, r) for r in requests)
        write("calls", method, out + call("GetContact", BY_NAME["GetContact"][0], 32))
        everything += call(method, requests[0], 16)
    for method, body in JSON.items():
        write("calls", method + "-json", call(method, json.dumps(body).encode(), 1))
    write("calls", "everything", everything)
    limit = call("SetPolicy", BY_NAME["SetPolicy"][0])
    write("calls", "limit", limit + 3 * call("RecordActivity", message(*WHO, (3, 2))) + call("Check", BY_NAME["Check"][0]))


def json_seeds(order):
    for method, body in JSON.items():
        write("json", method, bytes([order.index(method) * 2]) + json.dumps(body, ensure_ascii=False).encode())
    for method, requests in CALLS:
        write("json", method + "-proto", bytes([0x80 | order.index(method) * 2]) + requests[0])
    contact = message((1, "acme"), (2, "ann"), (3, 2), (4, 2), (6, message((1, 1700000000), (2, 5))), (8, 1), (9, 2))
    write("json", "contact-proto", bytes([0x81 | order.index("GetContact") * 2]) + contact)
    write("json", "deep", bytes([order.index("Check") * 2]) + b'{"x":' + b"[" * 40)
    write("json", "nested", bytes([order.index("Check") * 2]) + b'{"x":' + b'[{"a":' * 49 + b"1" + b"}]" * 49 + b"}")
    write("json", "too-deep", bytes([order.index("Check") * 2]) + b'{"x":' + b'[{"a":' * 50 + b"1" + b"}]" * 50 + b"}")
    write("json", "escapes", bytes([order.index("Check") * 2]) + rb'{"accountId":"\ud83d\ude00\n\u0000","contactId":"\ud800"}')


def hot_seeds():
    """The first byte: 0x80 for one that is written, and the message's place in proto/CMakeLists.txt."""
    contact = message(*WHO, (3, 2), (4, 2), (5, "bob"), (6, message((1, 1700000000), (2, 5))), (8, 1), (9, 1 << 40))
    every = message((1, 1), (2, -1), (7, "x"), (9, message((1, "y"), (4, b"\1\2"))), (11, message((1, 5))), (16, 0),
                    (19, ""), (26, "z"), (28, message((2, 7))), (31, b"\1\2"), (31, -3), (36, "a"), (36, ""), (63, 9))
    for number, method in enumerate(("Check", "CommitReply", "RecordActivity", "SetStatus")):
        for i, request in enumerate(BY_NAME[method]):
            write("hot", f"{method}-{i}", bytes([number]) + request)
    write("hot", "every", b"\4" + every)
    for number, name, data in (
        (0x80, "check", message((1, 1), (2, 2), (4, 300), (5, message((1, 1700000000))), (6, 0))),
        (0x81, "commit", message((1, 1), (2, 1), (3, contact))),
        (0x82, "activity", message((1, contact), (3, 1))),
        (0x83, "set", message((1, contact), (2, 1))),
        (0x84, "every", every),
    ):
        write("hot", f"{name}-written", bytes([number]) + data)


def client_seeds():
    """The first byte is the message's place in client_fuzz.c."""
    event = message((1, 7), (2, message((1, 1700000000), (2, 5000000))), (3, "acme"), (4, "ann"), (5, 1), (6, 2))
    contact = message(*WHO, (3, 2), (4, 2), (6, message((1, 1700000000), (2, 5))), (8, 1), (9, 2))
    result = message((1, "ann"), (2, 9), (3, "locked"), (4, contact))
    for number, name, data in (
        (0, "set-policy", message((1, POLICY), (2, 3))),
        (0, "set-policy-twice", message((1, POLICY), (1, POLICY), (1, message((4, RULE), (4, RULE))))),
        (1, "check", message((1, 1), (2, 1), (3, 1), (5, message((1, 1700000000))), (6, 0))),
        (2, "commit-twice", message((1, 1), (3, contact), (3, contact))),
        (6, "list", message((1, contact), (1, contact), (2, "more"))),
        (8, "batch", message((1, result), (1, result))),
        (11, "history", message((1, event), (1, event), (2, "more"))),
        (12, "stats", message((1, 5), (6, message((1, 1700000000))), (7, message((2, 1000))))),
        (14, "watch", message((1, event), (2, 7), (1, event))),
        (16, "batch-set", message((1, "acme"), (2, "ann"), (2, ""), (3, SNOOZE), (3, LOCK))),
    ):
        write("client", name, bytes([number]) + data)


def import_seeds():
    csv = (b"account_id,contact_id,status,snoozed_until,snooze_for,reason,actor,bot_id,locked\r\n"
           b"acme,ann,snoozed,2030-01-02T03:04:05Z,,set,\"b, \"\"ob\"\"\",bot,false\r\n"
           b"acme,ben,inactive,,,stop_keyword,,,true\n\nacme,cy,snoozed,,2h30m,,,,\nacme,x\n")
    rows = (b'{"account_id":"acme","contact_id":"ann","status":"snoozed","snooze_for":"2h"}\n'
            b'{"accountId":"acme","contactId":"b\\u00e9n","status":"STATUS_INACTIVE","locked":true,"fence":"7"}\n\n{"x":[1]}\n{')
    for name, data in (("csv", csv), ("rows", rows), ("mark", b"\xef\xbb\xbf" + csv), ("open", csv + b'"never closed')):
        for kind in range(3):
            write("import", f"{name}-{kind}", bytes([kind]) + data)


def journal_seeds():
    def batch(payload, op=0, *before):
        return bytes([op, *before, len(payload)]) + payload

    account = b"\3\0\4\0\1\0\0\0acme"  # see src/engine/entry.c
    good = batch(account, 2) + b"".join(batch(b"event %d" % i) for i in range(4))
    write("journal", "good", good)
    write("journal", "segments", good + b"\3" + batch(b"more") + b"\3" + batch(b"even more") + b"\7\x20")
    write("journal", "empty-next", good + b"\3")
    write("journal", "flip", good + bytes([6, 0x80, 0x10, 3]))
    write("journal", "torn", good + bytes([5, 20]) + b"\x42\x54\x43\x44" + b"\0" * 16)
    for i in range(8):
        write("journal", f"batch-{i}", good + batch(b"wrong", 1, i, 1) + batch(b"later"))
    for i in range(8):
        write("journal", f"segment-{i}", good + bytes([4, i, 255]) + batch(b"later"))
    write("journal", "old", b"\x08" + good + b"\3" + batch(b"more"))
    write("journal", "old-empty", b"\x08")
    write("journal", "old-later", good + b"\3\x08" + batch(b"more") + b"\3" + batch(b"even more"))
    write("journal", "age", good + b"\x09\x18" + b"DMPAGE01" + bytes(16) + batch(b"more"))


def main():
    # The numbers of the methods are those of dm_methods: the order of the proto files.
    order = [method for method, _ in CALLS]
    ttrpc_seeds()
    http1_seeds()
    h2_seeds()
    calls_seeds(order)
    json_seeds(order)
    client_seeds()
    hot_seeds()
    import_seeds()
    journal_seeds()


main()
