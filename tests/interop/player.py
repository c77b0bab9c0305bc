"""Plays one case of the suite through a driver."""

import time

from match import Mismatch, match, pick, resolve

CODES = """OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS
PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED
INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED""".split()
PATIENCE = 120  # seconds that a wake may take on a busy machine


class Player:
    def __init__(self, driver, account):
        self.driver, self.schema = driver, driver.schema
        self.saved = {"acct": account}
        self.streams = {}

    def play(self, steps):
        for i, step in enumerate(steps):
            try:
                getattr(self, "do_" + step["do"])(step)
            except Exception as error:
                what = step.get("method") or step.get("stream") or ""
                error.args = (f"step {i + 1} ({step['do']} {what}): {error}",)
                raise

    # One call: its answer, or its error.

    def do_call(self, step):
        for _ in range(step.get("times", 1)):
            self._settle(step, *self._unary(step))

    def do_until(self, step):
        """Repeats a read until the answer is as expected."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self._settle(step, *self._unary(step))
            except Mismatch:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def do_let(self, step):
        self.saved[step["name"]] = resolve(step["value"], self.saved)

    # Streams.

    def do_open(self, step):
        self.streams[step["stream"]] = (self._begin(step), self._method(step))

    def do_progress(self, step):
        _, message = self._message(step["stream"])
        if "progress_seq" not in message:
            raise Mismatch(f"progress was expected, not {message!r}")
        match(step.get("expect", {}), message, self.saved)
        self._save(step, message)

    def do_next(self, step):
        """The next message that is no bare progress."""
        _, message = self._message(step["stream"])
        while "progress_seq" in message:
            _, message = self._message(step["stream"])
        match(step["expect"], message, self.saved)
        self._save(step, message)

    def do_last(self, step):
        """Reads to the stream's end; the last message is as expected."""
        call, method = self.streams.pop(step["stream"])
        last = None
        while True:
            kind, *rest = call.next()
            if kind == "end":
                self._code(rest, step)
                break
            last = self.schema.decode(method, rest[0])
        if "expect" in step:
            match(step["expect"], last, self.saved)

    def do_dense(self, step):
        """Reads until the seq `to`; no seq is left out or comes twice."""
        before = int(resolve(step["after"], self.saved))
        to = int(resolve(step["to"], self.saved))
        while before < to:
            _, message = self._message(step["stream"])
            if "event" not in message:
                continue
            if int(message["event"]["seq"]) != before + 1:
                raise Mismatch(f"after seq {before} came {message['event']['seq']}")
            before += 1

    def do_cancel(self, step):
        call, _ = self.streams.pop(step["stream"])
        call.cancel()
        while call.next()[0] != "end":
            pass

    # Inside.

    def _method(self, step):
        return self.schema.full_name(step["method"])

    def _begin(self, step):
        return self.driver.call(
            self._method(step),
            resolve(step["request"], self.saved),
            step.get("timeout_ms", 0),
            step.get("raw"),
        )

    def _unary(self, step):
        call, message = self._begin(step), None
        while True:
            kind, *rest = call.next()
            if kind == "end":
                return rest, message
            message = self.schema.decode(self._method(step), rest[0])

    def _message(self, stream):
        call, method = self.streams[stream]
        kind, *rest = call.next()
        if kind == "end":
            raise Mismatch(f"the stream ended: {CODES[rest[0]]} {rest[1]!r}")
        return kind, self.schema.decode(method, rest[0])

    def _settle(self, step, status, message):
        self._code(status, step)
        if "expect" in step:
            match(step["expect"], message, self.saved)
        self._save(step, message)

    def _code(self, status, step):
        code, text = CODES[status[0]], status[1]
        expected = step.get("code", "OK")
        if code != expected:
            raise Mismatch(f"code is {code} ({text!r}), expected {expected}")
        if step.get("text", "") not in text:
            raise Mismatch(f"message is {text!r}, expected {step['text']!r} in it")

    def _save(self, step, message):
        for name, path in step.get("save", {}).items():
            self.saved[name] = pick(message, path)
