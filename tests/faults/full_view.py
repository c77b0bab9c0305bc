#!/usr/bin/env python3
"""The view's disk is full (a small tmpfs; needs root), the journal's is not: changes are taken
until the overlay is full, and then refused with the reason; reads go on. Killed and started again
it serves as before, for the disk is full still. When there is space, everything goes into the
view, and changes are taken again, without a restart.

Each contact is its account's only one, and has a bot of its own, so that rows have to find their room, too.

usage: full_view.py <dormoused>
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from dormouse import INACTIVE, RESOURCE_EXHAUSTED, Connection, Refused, Server, answer_of, fields, message

OVERLAY_MAX = 16384
SECONDS_MAX = 60
AT_ONCE = 100


def account(number):
    return (1, f"account-{number}".ljust(50, "x"))


def send_inactive(connection, number):
    change = message((1, INACTIVE), (8, f"bot-of-{number}"))
    return connection.send("SetStatus", message(account(number), (2, "ann"), (3, change)))


def status_of(connection, number):
    return fields(connection.call("Check", message(account(number), (2, "ann")))).get(2)


def until_refused(connection, number):
    """The first number that is refused, as all after it are, and why."""
    while number <= 2 * OVERLAY_MAX:
        asked = {send_inactive(connection, number + i): number + i for i in range(AT_ONCE)}
        refused = {}
        for _ in range(AT_ONCE):  # refusals do not wait for the disk, so they come first
            stream, _, _, body = connection.receive()
            try:
                answer_of(body)
            except Refused as why:
                assert why.code == RESOURCE_EXHAUSTED, why
                refused[asked[stream]] = str(why)
        if refused:
            first = min(refused)
            assert len(refused) == number + AT_ONCE - first, "one is refused, and one after it taken"
            return first, refused[first]
        number += AT_ONCE
    raise AssertionError("the view is full and changes are taken without end")


def look(connection, taken):
    for number in range(0, taken, 97):
        assert status_of(connection, number) == INACTIVE, f"account {number} is lost"


def until_taken(connection, number):
    begun = time.monotonic()
    while True:
        try:
            connection.answer(send_inactive(connection, number))
            return round(time.monotonic() - begun, 2)
        except Refused as why:
            assert why.code == RESOURCE_EXHAUSTED, why
            assert time.monotonic() < begun + SECONDS_MAX, "there is space again, and it takes no changes"
            time.sleep(0.05)


def run(server, view):
    server.start()
    connection = Connection(server.socket)
    taken, refusal = until_refused(connection, 0)
    assert taken > 1000 and "view" in refusal, (taken, refusal)
    look(connection, taken)
    for _ in range(2):
        server.kill()
        start_s = server.start()
        connection = Connection(server.socket)
        look(connection, taken)
        number, refusal = until_refused(connection, taken)
        assert number == taken, "what did not fit before fits now"
    subprocess.run(["mount", "-o", "remount,size=512m", view], check=True)
    healed_s = until_taken(connection, taken)
    taken += 1
    look(connection, taken)
    assert server.stop() == 0
    server.start()
    look(Connection(server.socket), taken)
    assert server.stop() == 0
    return {"accounts": taken, "refusal": refusal, "start_s": round(start_s, 2), "healed_s": healed_s}


def main():
    folder = tempfile.mkdtemp(prefix="dormouse_full_view_")
    view = os.path.join(folder, "data/view")
    os.makedirs(view, mode=0o700)
    os.chmod(os.path.join(folder, "data"), 0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", view],
                             capture_output=True, check=False)
    server = Server(sys.argv[1], folder, "--overlay-max", str(OVERLAY_MAX), "--apply-after", "100ms")
    try:
        print(json.dumps(run(server, view) if mounted.returncode == 0 else "skipped"))
    except BaseException:
        print(server.log_tail() if server.starts else "", file=sys.stderr)
        raise
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", view], check=True)
        shutil.rmtree(folder, ignore_errors=True)


main()
