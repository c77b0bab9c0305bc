#!/usr/bin/env python3
"""Kills a dormoused again and again, under load, and looks at what is left:

  - what was acknowledged is there, and the same request id gets the same answer
  - every event comes once to each watcher, which resumes from its cursor; seqs are dense
  - every snooze ends once, by its wake or by a change before, and never early

It dies by SIGKILL at any moment: under load, while it starts or replays, while it changes
segments and drops old ones (which are small), and while it drains. And after a burst of new
contacts, to start again with an overlay that is smaller than what it has to replay.

usage: crash_loop.py <dormoused> [--rounds N] [--seed N]
"""
import argparse
import json
import random
import shutil
import tempfile
import threading
import time

from dormouse import (ACTIVE, INACTIVE, INBOUND, RESOURCE_EXHAUSTED, SNOOZE_EXPIRED, SNOOZED,
                      UNAVAILABLE, Connection, Refused, Server, Task, answer_of, fields, message, milliseconds)

WRITERS, CONTACTS, BATCH, BEHIND = 4, 24, 200, 4000
GRACE_S = 20  # past its end, for the wake of the last snooze
WAYS = ["load", "load", "roll", "start", "drain", "burst"]
BY_VIEW = "recovery brings changes into the view"
BURST = 20  # batches of a thousand new contacts
SMALL = ("--overlay-max", "16384")  # a replay fills half of it before it goes into the view


def now_ms():
    return time.time_ns() // 1000000


class State:
    """A contact as an answer shows it."""

    def __init__(self, contact):
        parts = fields(contact)
        self.status, self.reason = parts.get(3, 0), parts.get(4, 0)
        self.until = milliseconds(parts.get(7))
        self.fence, self.revision = parts.get(8, 0), parts.get(9, 0)
        self.bot_messages = parts.get(11, 0)

    def key(self):
        fence = self.fence if self.revision else 0  # a deleted one's is its account's
        return self.status, self.reason, self.until, fence, self.revision, self.bot_messages

    def __repr__(self):
        return str(self.key())


class World:
    def __init__(self, server):
        self.server = server
        self.stop, self.pause = threading.Event(), threading.Event()
        self.up = threading.Event()
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(("kills", "by_view", "acknowledged", "retried", "verified", "events", "wakes"), 0)
        self.checked = 0  # newest seq that the chain was checked for
        self.seen = {}  # seq -> event, until both watchers have had it
        self.chains = {}  # contact -> its newest event
        self.cursors = []

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def connect(self):
        """A connection, or None when all is over."""
        while not self.stop.is_set():
            try:
                return Connection(self.server.socket)
            except ConnectionError:
                time.sleep(0.005)
        return None

    # ---- events ----

    def event(self, seq, raw):
        with self.lock:
            if seq <= self.checked:
                assert self.seen.pop(seq) == raw, f"event {seq} is not what it was"
                return
            assert seq == self.checked + 1
            self.checked = seq
            self.seen[seq] = raw
            self.counts["events"] += 1
            parts = fields(raw)
            contact = parts[4]
            before = self.chains.get(contact)
            self.chains[contact] = parts
            follows(before, parts)
            if parts[7] == SNOOZE_EXPIRED:
                self.counts["wakes"] += 1

    def asleep(self):
        with self.lock:
            return [e for e in self.chains.values() if e.get(6) == SNOOZED and not e[4].startswith(b"gone")]


def follows(before, event):
    """Is this what may come after the contact's last event?"""
    at, due = milliseconds(event[2]), milliseconds(event.get(11))
    until = 0 if before is None else milliseconds(before.get(10))
    told = f"{before} then {event}"
    if event[7] == SNOOZE_EXPIRED:
        assert before is not None and before[6] == SNOOZED and event[6] == ACTIVE, told
        assert due == until and at >= due, told
        assert event[9] == before[9] + 1, told
    elif before is not None and not event[4].startswith(b"gone"):
        assert event[5] == before[6] and event[9] == before[9] + 1, told
        assert before[6] != SNOOZED or at <= until, f"a wake is missing: {told}"
    elif before is not None:
        assert event[9] > before[9], told


def watcher(world, index):
    while not world.stop.is_set():
        connection = world.connect()
        if connection is None:
            return
        try:
            cursor = world.cursors[index]
            connection.send("Watch", message((3, cursor)) if cursor else message((4, 1)), flags=1)
            while True:
                _, kind, flags, body = connection.receive()
                if kind == 2:
                    answer_of(body)
                for number, value in fields(body).items():
                    if number == 2:
                        assert value >= world.cursors[index] - 1, (value, world.cursors[index])
                        continue
                    seq = fields(value)[1]
                    assert seq == world.cursors[index] + 1, f"seq {seq} after {world.cursors[index]}"
                    world.event(seq, value)
                    world.cursors[index] = seq
                if flags & 1:
                    raise ConnectionError("ended")
        except Refused as refused:
            if refused.code != UNAVAILABLE:
                raise
        except OSError:
            pass
        finally:
            connection.close()


# ---- writers -----------------------------------------------------------------------------


class Contact:
    """What one writer, who alone writes to it, knows about it."""

    def __init__(self, name):
        self.name = name
        self.state = State(b"")
        self.state.status, self.state.reason = ACTIVE, 1
        self.pending = None  # (method, payload, target): nobody knows whether it was done
        self.answers = []  # (method, payload, answer) with a request id
        self.number = 0

    def who(self):
        return [(1, "acme"), (2, self.name)]

    def same(self, found):
        return found.key() == self.state.key()

    def woken(self, found):
        """By itself, after what is known."""
        s = self.state
        return (s.status == SNOOZED and s.until <= now_ms() and found.status == ACTIVE and found.until == 0
                and found.reason == SNOOZE_EXPIRED and found.revision in (s.revision, s.revision + 1)
                and found.fence == s.fence + 1)

    def done(self, found):
        """By the call that got no answer."""
        if self.pending is None:
            return False
        if self.pending[0] == "DeleteContact":
            return found.revision == 0
        target = self.pending[2]
        expired = target == SNOOZED and found.status == ACTIVE and found.reason == SNOOZE_EXPIRED
        return (target in (None, found.status) or expired) and \
            self.state.revision <= found.revision <= self.state.revision + 3

    def verify(self, world, connection):
        found = State(connection.call("GetContact", message(*self.who())))
        assert self.same(found) or self.woken(found) or self.done(found), \
            f"{self.name}: {self.state} was acknowledged, pending {self.pending}, and now it is {found}"
        self.state = found
        if found.revision == 0:
            self.answers = []  # a delete that got no answer forgets them, too
        if self.pending is not None and self.pending[3]:
            self.retry(world, connection)
        self.pending = None
        for method, payload, answer in self.answers:
            assert connection.call(method, payload) == answer, f"{self.name}: another answer to the same id"
            world.count("retried")
        world.count("verified")

    def retry(self, world, connection):
        """The call of which nobody knows, with its id: done once, whatever happened."""
        before = self.state
        method, payload, _, _ = self.pending
        answer = connection.call(method, payload)
        after = State(connection.call("GetContact", message(*self.who())))
        counted = after.bot_messages - before.bot_messages
        assert counted in (0, 1) and after.revision <= before.revision + 2, f"{self.name}: {before} then {after}"
        self.state = after
        self.answers.append((method, payload, answer))
        world.count("retried")

    def act(self, world, connection, chance):
        method, payload, target, has_id = self.choose(connection, chance)
        self.pending = (method, payload, target, has_id)
        answer = connection.call(method, payload)
        self.pending = None
        world.count("acknowledged")
        if method == "DeleteContact":
            self.state, self.answers = State(b""), []
            self.state.status, self.state.reason = ACTIVE, 1
            return
        self.state = State(fields(answer)[3 if method == "CommitReply" else 1])
        assert target in (None, self.state.status), f"{self.name}: {target} wanted, {self.state} got"
        if has_id:
            self.answers = self.answers[-2:] + [(method, payload, answer)]

    def choose(self, connection, chance):
        self.number += 1
        request = f"r{self.number}"
        kind = chance.random()
        if self.name.startswith("gone") and kind < 0.1:
            return "DeleteContact", message(*self.who()), None, False
        if kind < 0.45:
            length = chance.randrange(1000, 3000)
            change = message((1, SNOOZED), (2, message((1, length // 1000), (2, length % 1000 * 1000000))))
            return "SetStatus", message(*self.who(), (3, change)), SNOOZED, False
        if kind < 0.6:
            status = chance.choice((ACTIVE, INACTIVE))
            return "SetStatus", message(*self.who(), (3, message((1, status)))), status, False
        if kind < 0.8:
            fence = fields(connection.call("Check", message(*self.who()))).get(4, 0)
            return "CommitReply", message(*self.who(), (3, fence), (4, request)), None, True
        return "RecordActivity", message(*self.who(), (3, INBOUND), (5, request)), None, True


def writer(world, index, seed):
    chance = random.Random(seed)
    kind = "gone" if index == 0 else "stay"
    contacts = [Contact(f"{kind}-{index}-{i}") for i in range(CONTACTS)]
    while True:
        world.pause.wait()
        if world.stop.is_set():
            break
        connection = world.connect()
        try:
            for contact in contacts:
                contact.verify(world, connection)
            while world.pause.is_set():
                # Few are written to all the time; the others sleep through it, and wake.
                contacts[int(CONTACTS * chance.random() ** 8)].act(world, connection, chance)
        except Refused as refused:
            if refused.code != UNAVAILABLE:
                raise
        except OSError:
            pass
        finally:
            connection.close()
    connection = Connection(world.server.socket)
    for contact in contacts:
        contact.verify(world, connection)


def filler(world, rolling):
    """Fills segments: each of these records is a KiB, for it remembers eight answers."""
    number = 0
    names = [(2, f"fill-{i}".ljust(60, "x")) for i in range(BATCH)]
    while not world.stop.is_set():
        if not rolling.wait(0.1):
            continue
        connection = world.connect()
        try:
            while rolling.is_set() and connection is not None:
                number += 1
                change = message((1, ACTIVE if number % 2 else INACTIVE), (4, "filler".ljust(60, "x")))
                answer = connection.call(
                    "BatchSetStatus", message((1, "fill"), *names, (3, change), (4, f"b{number}")))
                last = fields(fields(fields(answer)[1])[4]).get(15, 0)
                while rolling.is_set() and min(world.cursors) + BEHIND < last:
                    time.sleep(0.005)  # what a watcher has not seen must not be dropped
        except (OSError, Refused):
            pass
        finally:
            if connection is not None:
                connection.close()


# ---- the loop ----------------------------------------------------------------------------


def die(world, way, chance, rolling):
    server = world.server
    if way == "start":
        server.kill()
        for _ in range(2):
            server.spawn()
            time.sleep(chance.uniform(0, 0.1))
            server.kill()
            world.count("kills")
    elif way == "drain":
        server.term()
        time.sleep(chance.uniform(0, 0.03))
        server.kill()
    else:
        server.kill()
    world.count("kills")
    rolling.clear()


def burst(world, number):
    """New contacts, as fast as they are taken; those that were acknowledged."""
    while min(world.cursors) + BEHIND < max(world.cursors):
        time.sleep(0.005)  # as filler does
    connection = Connection(world.server.socket)
    change = message((1, INACTIVE))
    taken = []
    for i in range(BURST):
        names = [f"burst-{number}-{i}-{k}" for k in range(1000)]
        try:
            connection.call("BatchSetStatus", message((1, "burst"), *((2, n) for n in names), (3, change)))
        except Refused as refused:
            assert refused.code == RESOURCE_EXHAUSTED, refused
            break
        taken += names
    connection.close()
    return taken


def smaller(world, taken, chance):
    """Starts with a small overlay, by way of the view; all is there. Goes on as before."""
    server, arguments = world.server, world.server.arguments
    before = server.log_text().count(BY_VIEW)
    server.arguments = (*arguments, *SMALL)
    server.start()
    server.arguments = arguments
    world.count("by_view", server.log_text().count(BY_VIEW) > before)
    connection = Connection(server.socket)
    for name in chance.sample(taken, min(len(taken), 200)):
        found = State(connection.call("GetContact", message((1, "burst"), (2, name))))
        assert found.status == INACTIVE, f"{name} is lost: {found}"
        world.count("verified")
    connection.close()


def one_round(world, way, chance, rolling):
    world.pause.set()
    if way == "burst":
        taken = burst(world, world.server.starts)
        die(world, way, chance, rolling)
        smaller(world, taken, chance)
        return
    if way == "roll":
        rolling.set()
    end = time.monotonic() + chance.uniform(0.2, 1.6 if way == "roll" else 0.9)
    while time.monotonic() < end and not Task.failures:
        time.sleep(0.005)
    if Task.failures:
        return
    die(world, way, chance, rolling)
    world.server.start()


def settle(world, tasks):
    """The last snoozes end, and the watchers catch up."""
    world.pause.clear()
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end and not Task.failures:
        time.sleep(0.1)
        if not world.asleep() and len(set(world.cursors)) == 1:
            break
    assert not Task.failures and not world.asleep(), f"never woken: {world.asleep()[:3]}"
    assert len(set(world.cursors)) == 1, f"a watcher has not seen all: {world.cursors}"
    world.stop.set()
    world.pause.set()
    for task in tasks:
        task.join(30)


def run(world, options, chance):
    rolling = threading.Event()
    tasks = [Task(writer, world, i, chance.random()) for i in range(WRITERS)]
    tasks.append(Task(filler, world, rolling))
    world.cursors = [0, 0]
    watchers = [Task(watcher, world, i) for i in range(2)]
    world.server.start()
    for task in tasks + watchers:
        task.start()
    for i in range(options.rounds):
        one_round(world, WAYS[i % len(WAYS)] if i < len(WAYS) else chance.choice(WAYS), chance, rolling)
        if Task.failures:
            break
    settle(world, tasks)
    assert world.server.stop() == 0
    for task in watchers:
        task.join(30)


def main():
    parser = argparse.ArgumentParser(description="Kills a dormoused again and again.")
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="dormouse_crash_")
    server = Server(options.program, folder, "--segment-size", "8MiB", "--retention-bytes", "24MiB",
                    "--apply-after", "200ms", "--horizon", "2s")
    world = World(server)
    try:
        run(world, options, random.Random(options.seed))
        if Task.failures:
            raise Task.failures[0]
        print(json.dumps({"rounds": options.rounds, "seed": options.seed, "starts": server.starts, **world.counts}))
        shutil.rmtree(folder)
    except BaseException:
        print(f"seed {options.seed}; what it left is in {folder}:\n{server.log_tail()}")
        for why in Task.failures[:1]:
            raise why
        raise
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()


main()
