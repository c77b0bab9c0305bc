#!/usr/bin/env python3
"""Abuses a dormoused in every way that costs a client little, while another client, who
behaves, is served:

  descriptors   a flood of connections past `ulimit -n`; established ones go on
  slow          thousands of clients that send a byte now and then, or half a request
  stuck         watchers that never read, under a stream of events
  full          a file system without space (a small tmpfs; needs root): reads go on, writes
                get a clear error, and again an answer when there is space, without a restart
  overload      an open loop of twice what it can do: everything is answered or refused, in
                bounded memory; how much is answered in time is measured
  hot           one account sends as much as it can, others little: nobody is turned away; how
                long the others wait is measured, beside the same load spread over all accounts

usage: overload.py <dormoused> <dormouse-bench> [--scale N] [--only NAME]
"""
import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from dormouse import (ACTIVE, DEADLINE_EXCEEDED, INACTIVE, RESOURCE_EXHAUSTED, UNAVAILABLE, Connection,
                      Refused, Server, fields, message, read_varint)

SKIPPED = "skipped"


def set_status(connection, contact, status, actor=""):
    change = message((1, status), (4, actor))
    return connection.call("SetStatus", message((1, "acme"), (2, contact), (3, change)))


def check(connection, contact="ann"):
    return connection.call("Check", message((1, "acme"), (2, contact)))


def slowest(connection, seconds):
    """Writes and reads for so long; the slowest of them, in ms."""
    worst, number, end = 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        set_status(connection, "good", ACTIVE if number % 2 else INACTIVE)
        check(connection, "good")
        worst = max(worst, time.monotonic() - begun)
        number += 1
    return {"pairs": number, "slowest_ms": round(worst * 1000, 1)}


def plain(server):
    new = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new.settimeout(10)
    new.connect(server.socket)
    return new


def memory_mib(server, which="VmRSS"):
    with open(f"/proc/{server.process.pid}/status") as status:
        for line in status:
            if line.startswith(which):
                return int(line.split()[1]) // 1024
    return 0


# ---- too many connections ------------------------------------------------------------------


def refused(connection):
    """The server has closed it, and has not just left it hanging."""
    try:
        check(connection)
        return False
    except TimeoutError:
        raise AssertionError("a connection hangs that is neither served nor closed") from None
    except OSError:
        return True


def descriptors(server, options):
    limit = 160

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    server.start(preexec_fn=few)
    good = Connection(server.socket)
    crowd = [Connection(server.socket, 10) for _ in range(limit * 2 * options.scale)]
    closed = sum(refused(c) for c in crowd)
    assert len(crowd) > closed > len(crowd) - limit, f"{closed} of {len(crowd)} were refused"
    result = {"connections": len(crowd), "refused": closed, **slowest(good, 0.3)}
    for c in crowd:
        c.close()
    end = time.monotonic() + 10
    while refused(Connection(server.socket)):
        assert time.monotonic() < end, "no new connection is served although there is room again"
        time.sleep(0.01)
    return result


# ---- slow clients --------------------------------------------------------------------------


BEGINNINGS = (b"\0", b"\0\0\1\0\0\0\0\1\1\0half", b"POST /dormouse.v1.BotStatus/Check HTTP/1.1\r\nHost: a\r\nX: ",
              b"POST /dormouse.v1.BotStatus/Check HTTP/1.1\r\nHost: a\r\nContent-Type: application/proto\r\n"
              b"Content-Length: 4000000\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0", b"")


def slow(server, options):
    server.start()
    good = Connection(server.socket)
    before = memory_mib(server)
    crowd = [plain(server) for _ in range(600 * options.scale)]
    for i, client in enumerate(crowd):
        client.sendall(BEGINNINGS[i % len(BEGINNINGS)])
    for _ in range(3):
        for client in crowd:
            try:
                client.sendall(b"a")
            except OSError:
                pass  # closed for what it sent: as good
    result = {"clients": len(crowd), **slowest(good, 0.3)}
    grown = memory_mib(server) - before
    assert grown < 32 + len(crowd) // 16, f"{grown} MiB for {len(crowd)} slow clients"
    for client in crowd:
        client.close()
    return {**result, "grown_mib": grown}


# ---- readers that do not read ---------------------------------------------------------------


def stuck(server, options):
    server.start()
    good = Connection(server.socket)
    names = [(2, f"c{i}") for i in range(500)]
    watchers = [Connection(server.socket) for _ in range(20 * options.scale)]
    for watcher in watchers:
        watcher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        watcher.send("Watch", message((4, 1)), flags=1)
    reader = Connection(server.socket)
    reader.send("Watch", message((4, 1)), flags=1)
    before = memory_mib(server)
    batches = 40 * options.scale
    for i in range(batches):
        change = message((1, ACTIVE if i % 2 else INACTIVE), (4, "x" * 60))
        good.call("BatchSetStatus", message((1, "acme"), *names, (3, change)))
    result = {"watchers": len(watchers), "events": batches * 500, **slowest(good, 0.3)}
    grown = memory_mib(server) - before
    assert grown < 64 + 4 * len(watchers), f"{grown} MiB for {len(watchers)} stuck watchers"
    seq = 0
    while seq < (batches - 1) * 500:
        _, _, _, body = reader.receive()
        event = fields(body).get(1)
        if event is not None:
            assert fields(event)[1] == seq + 1
            seq += 1
    for watcher in watchers + [reader]:
        watcher.close()
    return {**result, "grown_mib": grown}


# ---- no space ---------------------------------------------------------------------------------


def fill(path):
    """Takes all the space that is left."""
    with open(path, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"\0" * 65536)
        except OSError:
            pass


def repeated(data, number):
    """All values of a repeated message field that stands alone."""
    at, out = 0, []
    while at < len(data):
        key, at = read_varint(data, at)
        size, at = read_varint(data, at)
        if key >> 3 == number:
            out.append(data[at : at + size])
        at += size
    return out


def batch(connection, number):
    """A large write; its codes. One deadline for all of them."""
    names = [(2, f"c{i}".ljust(60, "x")) for i in range(500)]
    change = message((1, ACTIVE if number % 2 else INACTIVE), (4, "x" * 60))
    request = message((1, "acme"), *names, (3, change), (4, f"r{number}"))
    try:
        answer = connection.call("BatchSetStatus", request, timeout_ms=500)
    except Refused as why:
        return {why.code}
    return {fields(r).get(2, 0) for r in repeated(answer, 1)}


def until_refused(connection):
    """Writes until there is no space. What was taken before that was known waits for space, as
    long as its caller does; what comes then is refused at once."""
    done, late, end = 0, 0, time.monotonic() + 30
    while True:
        assert time.monotonic() < end, "the disk is full and writes are still taken"
        codes = batch(connection, done)
        if codes == {DEADLINE_EXCEEDED}:
            late += 1
        elif codes != {0}:
            assert codes <= {0, UNAVAILABLE, RESOURCE_EXHAUSTED}, codes
            return {"batches": done, "waited": late}
        done += 1


def full(server, options):
    os.mkdir(server.folder + "/small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", server.folder + "/small"],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        return SKIPPED
    try:
        return full_on(Server(server.program, server.folder + "/small", "--segment-size", "8MiB"))
    finally:
        subprocess.run(["umount", "-l", server.folder + "/small"], check=True)


def full_on(server):
    server.start()
    try:
        writer, reader = Connection(server.socket, 15), Connection(server.socket)
        set_status(reader, "before", INACTIVE)
        fill(server.folder + "/ballast")
        taken = until_refused(writer)
        begun = time.monotonic()
        for _ in range(200):
            check(reader, "before")
        reads_ms = (time.monotonic() - begun) * 1000 / 200
        refusal = None
        try:
            set_status(reader, "during", INACTIVE)
        except Refused as why:
            refusal = str(why)
        assert refusal is not None and len(refusal) > 20, "no clear error"
        os.remove(server.folder + "/ballast")
        begun = time.monotonic()
        while True:
            try:
                set_status(reader, "after", INACTIVE)
                break
            except Refused as why:
                assert why.code in (UNAVAILABLE, RESOURCE_EXHAUSTED)
                assert time.monotonic() < begun + 30, "there is space again, and it takes no writes"
                time.sleep(0.02)
        recovered_ms = (time.monotonic() - begun) * 1000
        assert server.stop() == 0
        server.start()
        last = Connection(server.socket)
        assert fields(check(last, "before"))[2] == INACTIVE and fields(check(last, "after"))[2] == INACTIVE
        return {**taken, "read_ms": round(reads_ms, 2), "refusal": refusal,
                "recovered_ms": round(recovered_ms)}
    finally:
        if server.process.poll() is None:
            server.kill()


# ---- more than it can do ---------------------------------------------------------------------


# With two processors each side has its own, so that what is measured is the server.
PROCESSORS = sorted(os.sched_getaffinity(0))


def pinned(place):
    """For preexec_fn."""
    return lambda: os.sched_setaffinity(0, {PROCESSORS[place % len(PROCESSORS)]})


MIX = ("--keys", "5000", "--mix", "check=80,set=10,commit=5,activity=5", "--fences")
# What the named limits let answers, the journal and 32 connections hold together.
FLOOD_MIB_MAX = 512
ROUNDS = 3


def bench(options, server, *arguments):
    command = [options.bench, "--connect", "unix:" + server.socket, "--json", "--warmup", "0.5", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=pinned(1))


def told(process, *allowed):
    """What a bench has to say; all its calls were answered well, or by one of these codes."""
    out, errors = process.communicate()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    assert lines, f"{process.args}: {out} {errors}"
    result = json.loads(lines[-1])
    assert result["wrong_answers"] == 0 and result["unanswered"] == 0, result
    assert set(result["errors"]) <= set(allowed), result
    return result


def at_peak(options, server):
    """Calls a second of the better of two closed loops: few under way, and many."""
    return max(int(told(bench(options, server, *MIX, "--connections", "32", "--depth", depth, "--duration",
                              str(options.scale)))["calls_per_second"]) for depth in ("32", "1024"))


def at_twice(options, server, peak):
    return told(bench(options, server, *MIX, "--connections", "32", "--depth", "4096", "--duration",
                      str(options.scale), "--rate", str(2 * peak), "--timeout", "1s"),
                "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")


def overload(server, options):
    server.start(preexec_fn=pinned(0))
    # A contact that remembers its eight answers costs more than a new one, for good: so they
    # all get theirs before anything is compared. And a server is faster in its first seconds,
    # while the disk still takes everything: so peak and flood take turns.
    told(bench(options, server, *MIX, "--depth", "128", "--requests", "600000"))
    memory, rounds = memory_mib(server, "VmHWM"), []
    for _ in range(ROUNDS):
        peak = at_peak(options, server)
        flood = at_twice(options, server, peak)
        rounds.append({"peak": peak, "goodput": int(flood.get("in_time_per_second", 0)), "given_up": flood.get("given_up", 0),
                       "errors": flood["errors"], "since_sent_ms": milliseconds_of(flood.get("since_sent_us"))})
    grown = memory_mib(server, "VmHWM") - memory
    assert grown < FLOOD_MIB_MAX, f"{grown} MiB more under twice the load"
    check(Connection(server.socket))
    shares = [ratio(r["goodput"], r["peak"]) or 0 for r in rounds]
    return {"shares": shares, "share": statistics.median(shares), "grown_mib": grown, "rounds": rounds}


# ---- one who takes all he can get ----------------------------------------------------------------


HEAVY = ("--mix", "set=30,commit=20,check=50", "--fences", "--keys", "5000")
UNDER_WAY = 4096  # calls of the heavy load at any time, however they are spread


def milliseconds_of(latency):
    """None where no call was measured: under a sanitizer, a short run can be over before."""
    return {name: round(latency[name] / 1000, 2) if latency and latency.get("count") else None
            for name in ("p50", "p99", "max")}


def ratio(a, b):
    return round(a / b, 2) if a is not None and b else None


def others(options, server, *heavy):
    """Many accounts that ask for little, beside a heavy load if one is named."""
    beside = None
    if heavy:
        beside = bench(options, server, *HEAVY, *heavy, "--duration", str(options.scale + 1))
        time.sleep(0.5)
    light = told(bench(options, server, *MIX, "--accounts", "500", "--connections", "32", "--rate", "5000",
                       "--duration", str(options.scale), "--seed", "2"))
    result = {**milliseconds_of(light.get("latency_us")), "check_p99": milliseconds_of(light.get("check_us"))["p99"]}
    if beside is not None:
        result["heavy"] = int(told(beside, "RESOURCE_EXHAUSTED")["calls_per_second"])
    return result


def hot(server, options):
    server.start(preexec_fn=pinned(0))
    alone = others(options, server)
    even = others(options, server, "--accounts", "500", "--connections", "32", "--depth", str(UNDER_WAY // 32))
    one = others(options, server, "--accounts", "1", "--connections", "4", "--depth", str(UNDER_WAY // 4))
    return {"alone_ms": alone, "even_ms": even, "hot_ms": one, "p99_share": ratio(one["p99"], even["p99"])}


CASES = [descriptors, slow, stuck, full, overload, hot]


def main():
    parser = argparse.ArgumentParser(description="Abuses a dormoused.")
    parser.add_argument("program")
    parser.add_argument("bench")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--only", choices=[case.__name__ for case in CASES])
    options = parser.parse_args()
    for case in CASES:
        if options.only not in (None, case.__name__):
            continue
        folder = tempfile.mkdtemp(prefix="dormouse_abuse_")
        server = Server(options.program, folder)
        try:
            result = case(server, options)
            print(json.dumps({case.__name__: result}), flush=True)
            if server.process is not None:
                assert server.process.poll() is None, f"it has ended: {server.log_tail()}"
        except BaseException:
            print(f"{case.__name__}: {server.log_tail() if server.starts else ''}", file=sys.stderr)
            raise
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()
            shutil.rmtree(folder, ignore_errors=True)


main()
