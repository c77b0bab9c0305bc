"""Calls every method of every service over every protocol, each in several ways: what comes
back does not matter here, only that it was called and has ended."""

import http.client
import json
import socket
import struct

import grpc

WAIT = 60  # seconds, for what must come
STREAM_MS = 50  # a stream that does not end by itself ends then

# An empty message, a contact's two ids, and what is no message at all.
BODIES = [b"", b"\x0a\x01a\x12\x03ann", b"\xff"]
JSON_BODIES = [{}, {"accountId": "a", "contactId": "ann"}, {"noSuchField": 1}]

TTRPC_HEADER = struct.Struct(">IIBB")
TTRPC_REQUEST, TTRPC_RESPONSE, TTRPC_DATA, REMOTE_CLOSED = 1, 2, 3, 1


def field(number, data):
    """A short field of bytes in protobuf."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def receive(peer, size):
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise SystemExit("the server closed the connection")
        data += more
    return data


def ttrpc(address, service, method, kind):
    """A connection each: bytes that are no message end no other call."""
    for body in BODIES:
        with socket.create_connection(address, timeout=WAIT) as peer:
            request = field(1, service.encode()) + field(2, method.encode()) + field(3, body)
            timeout_ns = STREAM_MS * 1000000
            request += bytes([4 << 3, timeout_ns & 127 | 128, timeout_ns >> 7 & 127 | 128,
                              timeout_ns >> 14 & 127 | 128, timeout_ns >> 21])
            peer.sendall(TTRPC_HEADER.pack(len(request), 1, TTRPC_REQUEST, REMOTE_CLOSED) + request)
            while True:
                size, _, frame, flags = TTRPC_HEADER.unpack(receive(peer, TTRPC_HEADER.size))
                receive(peer, size)
                if frame == TTRPC_RESPONSE or (frame == TTRPC_DATA and flags & REMOTE_CLOSED):
                    break


def post(address, service, method, content_type, body):
    client = http.client.HTTPConnection(*address, timeout=WAIT)
    headers = {"content-type": content_type, "connect-timeout-ms": str(STREAM_MS),
               "grpc-timeout": f"{STREAM_MS}m"}
    client.request("POST", f"/{service}/{method}", body, headers)
    client.getresponse().read()
    client.close()


def envelope(body):
    return struct.pack(">BI", 0, len(body)) + body


def connect_proto(address, service, method, kind):
    for body in BODIES:
        if kind == "unary":
            post(address, service, method, "application/proto", body)
        else:
            post(address, service, method, "application/connect+proto", envelope(body))


def connect_json(address, service, method, kind):
    for body in [json.dumps(one).encode() for one in JSON_BODIES]:
        if kind == "unary":
            post(address, service, method, "application/json", body)
        else:
            post(address, service, method, "application/connect+json", envelope(body))


def grpc_web(address, service, method, kind):
    for body in BODIES:
        post(address, service, method, "application/grpc-web+proto", envelope(body))


def grpc_h2(address, service, method, kind):
    path = f"/{service}/{method}"
    with grpc.insecure_channel("%s:%d" % address) as channel:
        for body in BODIES:
            try:
                if kind == "unary":
                    channel.unary_unary(path)(body, timeout=WAIT)
                elif kind == "server_stream":
                    list(channel.unary_stream(path)(body, timeout=STREAM_MS / 1000))
                else:
                    list(channel.stream_stream(path)(iter([body]), timeout=STREAM_MS / 1000))
            except grpc.RpcError:
                pass


PROTOCOLS = [ttrpc, connect_proto, connect_json, grpc_web, grpc_h2]


def methods_of(schema):
    """(service, method, kind) of the whole contract, and names that nobody serves."""
    found = [
        (service, method, schema.kind(f"{service}/{method}"))
        for service in schema.services()
        for method in schema.pool.FindServiceByName(service).methods_by_name
    ]
    known = found[0][0]
    return found + [(known, "NoSuchMethod", "unary"), ("no.such.Service", "Check", "unary")]


def call_everything(address, schema):
    """Returns what was called, without the unknown."""
    host, port = address.rsplit(":", 1)
    methods = methods_of(schema)
    for protocol in PROTOCOLS:
        for service, method, kind in methods:
            protocol((host, int(port)), service, method, kind)
    return [(service, method) for service, method, _ in methods[:-2]]
