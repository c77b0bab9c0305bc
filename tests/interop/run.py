#!/usr/bin/python3
"""Plays the suite against a dormoused of its own, through one client and, if asked,
one proxy.

  run.py --server build/release/dormoused --build build/release/tests/interop \\
         --descriptors build/release/proto/descriptors.bin \\
         --client grpcio [--proxy nginx] [--only "a snooze"]
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from driver import Driver
from player import Player
from processes import Proxy, Server
from schema import Schema
from suite import activities, ids, lists, policies, replies, service, status, streams

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVERS = os.path.join(HERE, "drivers")
MODULES = os.path.join(HERE, "node_modules")
# npm brings the one for this machine
BUF = os.path.join(MODULES, "@bufbuild", "buf-linux-*", "bin", "buf")
SUITES = [streams, service, status, ids, replies, activities, policies, lists]
AT_ONCE = 8  # cases: wakes take their second side by side


def python(name, *arguments):
    script = os.path.join(DRIVERS, name)
    return lambda target, options: ["/usr/bin/python3", script, target, *arguments]


def node(name, *arguments):
    script = os.path.join(DRIVERS, name)
    return lambda target, options: ["node", script, target, options.descriptors, *arguments]


def go(name):
    """Built when it has changed; go's own cache knows."""

    def command(target, options):
        binary = os.path.join(options.build, name)
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
        source = os.path.join(DRIVERS, name)
        subprocess.run(["go", "build", "-o", binary, "."], cwd=source, env=environment, check=True)
        return [binary, target]

    return command


CLIENTS = {
    "ttrpc": go("ttrpc"),
    "grpcio": python("grpcio_client.py"),
    "grpcjs": node("grpcjs_client.mjs"),
    "connect-proto": node("connect_client.mjs", "connect-proto"),
    "connect-json": node("connect_client.mjs", "connect-json"),
    "connect-grpc": node("connect_client.mjs", "grpc"),
    "grpc-web": node("connect_client.mjs", "grpc-web"),
    "connect-proto-2": node("connect_client.mjs", "connect-proto", "2"),
    "connect-json-2": node("connect_client.mjs", "connect-json", "2"),
    "grpc-web-2": node("connect_client.mjs", "grpc-web", "2"),
    "curl": python("curl_client.py"),
    "curl-2": python("curl_client.py", "--http2-prior-knowledge"),
    "buf": lambda target, options: [*python("buf_client.py")(target, options), *glob.glob(BUF)],
}
FROM_NPM = {"grpcjs", "connect-proto", "connect-json", "connect-grpc", "grpc-web", "buf",
            "connect-proto-2", "connect-json-2", "grpc-web-2"}


def play(driver, one, number):
    """None, or what went wrong."""
    try:
        Player(driver, f"acct-{number}").play(one["steps"])
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def play_all(driver, cases):
    failures = []
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        results = pool.map(lambda pair: play(driver, pair[1], pair[0]), enumerate(cases))
        for one, problem in zip(cases, results):
            if problem:
                failures.append(f"{one['name']}\n    {problem}")
    return failures


def play_drain(driver, server):
    """Open streams hear that the server stops. Returns the failures."""
    player = Player(driver, "drain")
    player.do_stop_server = lambda step: threading.Thread(target=server.stop).start()
    try:
        player.play(service.DRAIN)
        return []
    except Exception as error:
        return [f"the server stops\n    {type(error).__name__}: {error}"]


def run(options, folder):
    schema = Schema(options.descriptors)
    server = Server(options.server, folder)
    proxy = Proxy(options.proxy, folder, server.address) if options.proxy else None
    target = proxy.address if proxy else server.address
    driver = None
    try:
        driver = Driver(CLIENTS[options.client](target, options), schema)
        if not proxy:
            driver.can.add("direct")
        cases = [one for suite in SUITES for one in suite.CASES if options.only in one["name"]]
        able = [one for one in cases if one["needs"] <= driver.can]
        failures = play_all(driver, able)
        if "stream" in driver.can and not options.only:
            failures += play_drain(driver, server)
        status = server.stop()
        if status != 0:
            failures.append(f"dormoused ended with status {status}")
        log = server.output()[-4000:] + (proxy.output()[-4000:] if proxy else "")
        return able, cases, failures, log
    finally:
        if driver:
            driver.close()
        if proxy:
            proxy.kill()
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True, type=os.path.abspath)
    parser.add_argument("--descriptors", required=True, type=os.path.abspath)
    parser.add_argument("--client", required=True, choices=CLIENTS)
    parser.add_argument("--proxy")
    parser.add_argument("--build", required=True, type=os.path.abspath, help="for binaries")
    parser.add_argument("--only", default="", help="cases with this text in their name")
    options = parser.parse_args()
    if options.client in FROM_NPM and not os.path.isdir(MODULES):
        sys.exit("node_modules is not there: run tools/test, or npm ci in tests/interop")
    folder = tempfile.mkdtemp(prefix="dormouse_interop_")
    try:
        able, cases, failures, log = run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    via = f" through {options.proxy}" if options.proxy else ""
    for failure in failures:
        print(f"FAILED {failure}")
    if failures:
        print(f"--- logs\n{log}")
    print(f"{options.client}{via}: {len(able)} cases of {len(cases)}, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
