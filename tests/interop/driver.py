"""The client under test: a process that speaks JSON lines.

It begins with {"body": "hex" | "json", "can": [...]}. Then, any number at once:
  to it    {"id", "method": "service/Method", "kind", "body", "timeout_ms"}
           {"id", "cancel": true}
  from it  {"id", "message": body}       none, one or many
           {"id", "code", "text"}        always the last; code as in google.rpc.Code
A unary call is one message and the end. `kind` is unary, server_stream or bidi (whose
body is a list, sent at once).
"""

import itertools
import json
import queue
import subprocess
import threading

LONG = 120  # seconds; past them something hangs


class Call:
    def __init__(self, driver, number):
        self.driver, self.number = driver, number
        self.lines = queue.Queue()

    def next(self):
        """("message", body) or ("end", code, text)."""
        try:
            line = self.lines.get(timeout=LONG)
        except queue.Empty:
            raise TimeoutError(f"no answer within {LONG} s") from None
        if line is None:
            raise ConnectionError("the driver has died")
        if "message" in line:
            body = line["message"]
            return "message", bytes.fromhex(body) if self.driver.hex else body
        return "end", line["code"], line["text"]

    def cancel(self):
        self.driver.send({"id": self.number, "cancel": True})


class Driver:
    def __init__(self, command, schema):
        self.schema = schema
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lock = threading.Lock()
        self.calls, self.numbers = {}, itertools.count(1)
        hello = json.loads(self.process.stdout.readline() or "null")
        if hello is None:
            raise SystemExit(f"the driver did not start: {' '.join(command)}")
        self.hex, self.can = hello["body"] == "hex", set(hello["can"])
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, method, request, timeout_ms=0, raw=None):
        """Begins a call; `raw` replaces the request's bytes."""
        kind = self.schema.kind(method)
        requests = request if kind == "bidi" else [request]
        bodies = [self._body(method, one) for one in requests]
        if raw is not None:
            bodies = [raw]
        call = Call(self, next(self.numbers))
        self.calls[call.number] = call
        self.send(
            {
                "id": call.number,
                "method": method,
                "kind": kind,
                "body": bodies if kind == "bidi" else bodies[0],
                "timeout_ms": timeout_ms,
            }
        )
        return call

    def send(self, line):
        with self.lock:
            self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _body(self, method, request):
        data, canonical = self.schema.encode(method, request)
        if self.hex:
            return data.hex()
        # as the suite has it, by the names of the .proto, or in the canonical form
        return request if "snake_case" in self.can else canonical

    def _read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            call = self.calls.get(line["id"])
            if call is not None:
                call.lines.put(line)
                if "code" in line:
                    del self.calls[line["id"]]
        for call in list(self.calls.values()):
            call.lines.put(None)
