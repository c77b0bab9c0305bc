"""A dormoused of the test's own, and just enough ttrpc and protobuf to speak to it."""

import os
import signal
import socket
import struct
import subprocess
import threading
import time

SERVICE = "dormouse.v1.BotStatus"
ACTIVE, SNOOZED, INACTIVE = 1, 2, 3
SNOOZE_EXPIRED = 4
INBOUND = 1
UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED = 14, 8, 4
DEADLINE = 60  # seconds: only what hangs takes so long

# ---- protobuf ---------------------------------------------------------------------------


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(*fields):
    out = bytearray()
    for number, value in fields:
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return bytes(out)


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def fields(data):
    """{number: last value}: numbers and bytes."""
    out, at, end = {}, 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if key & 7 == 2:
            at += value
            value = data[at - value : at]
        out[key >> 3] = value
    return out


def milliseconds(timestamp):
    if timestamp is None:
        return 0
    parts = fields(timestamp)
    return parts.get(1, 0) * 1000 + parts.get(2, 0) // 1000000


# ---- ttrpc -----------------------------------------------------------------------------


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(f"code {code}: {text}")
        self.code = code


class Connection:
    """Calls one after the other. ConnectionError when the server is gone."""

    def __init__(self, address, deadline=DEADLINE):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(deadline)
        try:
            self.socket.connect(address)
        except OSError as why:
            self.socket.close()
            raise ConnectionError(str(why)) from why
        self.stream, self.buffer = -1, bytearray()

    def close(self):
        self.socket.close()

    def send(self, method, payload, flags=0, timeout_ms=0):
        self.stream += 2
        body = message((1, SERVICE), (2, method), (3, payload), (4, timeout_ms * 1000000))
        self.socket.sendall(struct.pack(">IIBB", len(body), self.stream, 1, flags) + body)
        return self.stream

    def receive(self):
        """stream, type, flags, body"""
        while True:
            if len(self.buffer) >= 10:
                size, stream, kind, flags = struct.unpack_from(">IIBB", self.buffer)
                if len(self.buffer) >= 10 + size:
                    body = bytes(self.buffer[10 : 10 + size])
                    del self.buffer[: 10 + size]
                    return stream, kind, flags, body
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self.buffer += data

    def answer(self, stream):
        got, kind, _, body = self.receive()
        assert got == stream and kind == 2, (got, stream, kind)
        return answer_of(body)

    def call(self, method, payload, timeout_ms=0):
        return self.answer(self.send(method, payload, timeout_ms=timeout_ms))


def answer_of(body):
    response = fields(body)
    status = fields(response.get(1, b""))
    if status.get(1, 0) != 0:
        raise Refused(status[1], status.get(2, b"").decode())
    return response.get(2, b"")


# ---- the process -----------------------------------------------------------------------


class Server:
    """`folder` holds its data, its socket and its logs."""

    def __init__(self, program, folder, *arguments):
        self.program, self.folder, self.arguments = program, folder, arguments
        self.socket = os.path.join(folder, "socket")
        self.process, self.starts = None, 0

    def spawn(self, **how):
        self.starts += 1
        with open(os.path.join(self.folder, "log"), "a") as log:
            self.process = subprocess.Popen(
                [self.program, "--data", os.path.join(self.folder, "data"),
                 "--listen", "unix:" + self.socket, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **how)

    def start(self, **how):
        """Returns when it answers; the seconds that took."""
        begun = time.monotonic()
        self.spawn(**how)
        while time.monotonic() < begun + DEADLINE:
            if self.process.poll() is not None:
                raise AssertionError(f"it does not start:\n{self.log_tail()}")
            try:
                connection = Connection(self.socket)
                connection.call("Check", message((1, "acme"), (2, "nobody")))
                connection.close()
                return time.monotonic() - begun
            except OSError:
                time.sleep(0.002)
        raise AssertionError(f"it does not answer:\n{self.log_tail()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM; its exit status."""
        self.term()
        return self.process.wait(DEADLINE)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return log.read()

    def log_tail(self):
        return "".join(self.log_text().splitlines(keepends=True)[-30:])


class Task(threading.Thread):
    """A thread whose failure is the test's."""

    failures = []

    def __init__(self, work, *arguments):
        super().__init__(daemon=True)
        self.work, self.arguments = work, arguments

    def run(self):
        try:
            self.work(*self.arguments)
        except BaseException as why:  # told to the main thread, whatever it is
            Task.failures.append(why)
