"""One measurement each: runs a client against a server and returns what it measured."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request

from .machine import Failed, client

WARMUP_S = 0.3


class Value:
    """One run's number, and what is to be kept about it."""

    def __init__(self, number, run=None, **raw):
        self.number = number
        self.raw = raw
        if run is not None:
            self.raw.update(server_busy=run.server_busy, client_busy=run.client_busy)


def dormouse(tools, server, connections, depth, seconds, keys, *more):
    run = client([tools.build("dormouse-bench"), "run", "--connect", server.address,
                  "--connections", connections, "--depth", depth, "--keys", keys,
                  "--duration", seconds, "--warmup", WARMUP_S, "--json", *more],
                 server, timeout=seconds * 4 + 60)
    told = run.json()
    return Value(told["calls_per_second"], run, client="dormouse-bench",
                 latency_us=told.get("latency_us"))


def frames(tools, server, connections, depth, seconds):
    run = client([tools.build("peer_pipe_client"), "frames", server.port, connections, depth,
                  WARMUP_S, seconds, 1], server, timeout=seconds * 4 + 60)
    return Value(run.json()["calls_per_second"], run, client="peer_pipe_client")


def _redis_lean(tools, server, command, connections, depth, seconds, keys):
    run = client([tools.build("peer_pipe_client"), command, server.port, connections, depth,
                  WARMUP_S, seconds, keys], server, timeout=seconds * 4 + 60)
    told = run.json()
    if command == "get" and told["missing"] > 0:
        raise Failed("Redis lacks keys that it was given")
    return Value(told["calls_per_second"], run, client="peer_pipe_client")


def _redis_benchmark(server, command, connections, depth, seconds, keys, rate):
    requests = max(int(rate * seconds), connections * depth * 10)
    # What stands after the options is the command; with -t set the value has 3 bytes.
    run = client(["redis-benchmark", "-h", "127.0.0.1", "-p", server.port, "-c", connections,
                  "-P", depth, "-r", keys, "-n", requests, "--csv", "-d", 16, "-t", command],
                 server, timeout=seconds * 10 + 60)
    found = re.search(r'"' + command.upper() + r'[^"]*","([\d.]+)"', run.text)
    if found is None:
        raise Failed("redis-benchmark told no rate: " + run.text[-200:])
    return Value(float(found.group(1)), run, client="redis-benchmark")


class RedisLoad:
    """GET or SET by redis-benchmark, as everyone measures Redis, and by our lean client, which
    costs less: on one processor redis-benchmark can be what is measured. Both are tried once,
    before the pairs."""

    def __init__(self, tools, server, command, connections, depth, keys, seconds):
        self.given = (server, command, connections, depth)
        self.tools, self.keys = tools, keys
        lean = self.lean(min(seconds, 1.0))
        self.rate = lean.number
        own = self.benchmark(min(seconds, 1.0))
        self.rate = own.number
        self.bottleneck = lean.number > 1.1 * own.number
        self.note = ("redis-benchmark costs so much that Redis gives more to a lean client: "
                     f"it was {own.raw['client_busy']:.0%} busy, Redis "
                     f"{own.raw['server_busy']:.0%}") if self.bottleneck else ""

    def benchmark(self, seconds):
        server, command, connections, depth = self.given
        return _redis_benchmark(server, command, connections, depth, seconds, self.keys,
                                self.rate)

    def lean(self, seconds):
        return _redis_lean(self.tools, *self.given, seconds, self.keys)


def load(tools, server, contacts, accounts, asleep, over, timeout=900):
    run = client([tools.build("dormouse-bench"), "load", "--connect", server.address,
                  "--connections", 4, "--contacts", contacts, "--accounts", accounts,
                  "--asleep", asleep, "--over", over, "--json"], server, timeout=timeout)
    server.settle(timeout=timeout)
    return run.json()


def wakes(tools, server, due, within_s, start_in_s, checks, patience_s):
    """p99 of the lag until the event was here, in ms. Exits with 1 if a wake was lost, came
    twice or early."""
    run = client([tools.build("dormouse-bench"), "wakes", "--connect", server.address,
                  "--connections", 16, "--depth", 64, "--contacts", due, "--within", within_s,
                  "--start-in", start_in_s, "--checks", checks, "--grace", patience_s,
                  "--json"], server, timeout=start_in_s + within_s + patience_s + 60)
    told = run.json()
    return Value(told["lag_arrived_ms"]["p99"], run, lag_arrived_ms=told["lag_arrived_ms"],
                 lag_committed_ms=told["lag_committed_ms"], missing=told["missing"],
                 check_us=told.get("check_us"))


def expiries(tools, server, due, within_s, start_in_s, gets, patience_s):
    run = client([tools.build("peer_expiry_client"), server.port, due, within_s, start_in_s,
                  gets, patience_s], server, timeout=start_in_s + within_s + patience_s + 60)
    told = run.json()
    return Value(told["lag_arrived_ms"]["p99"], run, lag_arrived_ms=told["lag_arrived_ms"],
                 missing=told["missing"], gets_per_second=told["gets_per_second"])


# ---- gRPC and HTTP/1.1 ------------------------------------------------------------------

CHECK_PATH = "/dormouse.v1.BotStatus/Check"
ACCOUNT, CONTACT = b"a0000000", b"contact-000000000000"


def check_body(folder):
    """A CheckRequest behind gRPC's five bytes, in a file for h2load and curl."""
    message = (bytes([1 << 3 | 2, len(ACCOUNT)]) + ACCOUNT +
               bytes([2 << 3 | 2, len(CONTACT)]) + CONTACT)
    path = os.path.join(folder, "check.grpc")
    with open(path, "wb") as file:
        file.write(b"\0" + len(message).to_bytes(4, "big") + message)
    return path


def set_the_contact(server):
    """The contact of check_body sleeps, as the peer's does."""
    body = {"accountId": ACCOUNT.decode(), "contactId": CONTACT.decode(),
            "change": {"status": "STATUS_SNOOZED", "snoozeFor": "864000s"}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/dormouse.v1.BotStatus/SetStatus",
        json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def expect_grpc_ok(server, body):
    """h2load judges by the HTTP status alone: so the answer is looked at here, once."""
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["curl", "-s", "--http2-prior-knowledge", "-m", "10", "-D", "-", "-o", out.name,
             "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary",
             "@" + body, f"http://127.0.0.1:{server.port}{CHECK_PATH}"],
            capture_output=True, text=True, timeout=20, check=False)
        answer = out.read()
    if "grpc-status: 0" not in done.stdout.lower() or len(answer) < 8:
        raise Failed(f"{server.name} does not answer Check over gRPC: {done.stdout[-200:]}")


def h2load(server, body, connections, streams, seconds):
    run = client(["h2load", "-c", connections, "-m", streams, "-D", max(1, round(seconds)),
                  "--warm-up-time", f"{WARMUP_S * 1000:.0f}ms", "-d", body,
                  "-H", "content-type: application/grpc", "-H", "te: trailers",
                  f"http://127.0.0.1:{server.port}{CHECK_PATH}"],
                 server, timeout=seconds * 4 + 60)
    rate = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", run.text)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", run.text)
    if rate is None or failed is None or any(int(n) for n in failed.groups()):
        raise Failed("h2load: " + run.text[-300:])
    return Value(float(rate.group(1)), run, client="h2load")


def wrk(server, script, connections, seconds):
    run = client(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script,
                  f"http://127.0.0.1:{server.port}{CHECK_PATH}"],
                 server, timeout=seconds * 4 + 60)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", run.text)
    if rate is None or "Non-2xx" in run.text or "Socket errors" in run.text:
        raise Failed("wrk: " + run.text[-300:])
    return Value(float(rate.group(1)), run, client="wrk")


# ---- timers --------------------------------------------------------------------------------

# What one timer's life costs: each of these once.
TIMER_STEPS = ("insert", "rearm", "cancel", "expire")


def timers(command, timeout=600):
    run = client(command, timeout=timeout)
    ops, size = {}, None
    for line in map(json.loads, run.text.splitlines()):
        if "op" in line:
            ops[line["op"]] = line["ns_per_op"]
        size = line.get("bytes_per_timer", size)
    return Value(sum(ops[step] for step in TIMER_STEPS), ns_per_op=ops, bytes_per_timer=size)
