#!/usr/bin/env python3
"""/metrics of a server on which every method of every service was called over every protocol:
read strictly (exposition.py), and judged by Prometheus' own promtool check metrics.

  promtool.py --server build/release/dormoused --descriptors build/release/proto/descriptors.bin
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from everything import call_everything
from exposition import Wrong, parse
from processes import Server
from schema import Schema

PROTOCOLS = {"ttrpc", "grpc", "connect", "grpc-web"}
LAST_METRIC = "dormouse_process_cpu_seconds_total"


def judge(metrics, called):
    """What a strict reader sees must be all that was called. Returns what is wrong, or None."""
    try:
        families = parse(metrics)
    except Wrong as wrong:
        return str(wrong)
    calls = families["dormouse_rpc_calls_total"].series
    labels = [dict(key[1]) for key in calls]
    wanted = {(*method, protocol) for method in called for protocol in PROTOCOLS}
    missing = wanted - {(one["service"], one["method"], one["protocol"]) for one in labels}
    if missing:
        return f"called, but not counted: {sorted(missing)}"
    timed = {(dict(key[1])["service"], dict(key[1])["method"])
             for key in families["dormouse_rpc_duration_seconds"].series}
    if not timed <= set(called):
        return f"timed, but never called: {sorted(timed - set(called))}"
    if len({method for _, method in timed}) == len(timed):
        return "no two services have a method of one name: this test has lost its point"
    return None if LAST_METRIC in families else "the end of the metrics is missing"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True, type=os.path.abspath)
    parser.add_argument("--descriptors", required=True, type=os.path.abspath)
    options = parser.parse_args()
    if not shutil.which("promtool"):
        sys.exit("promtool is not there: run tools/test, or install the package prometheus")
    folder = tempfile.mkdtemp(prefix="dormouse_promtool_")
    server = Server(options.server, folder)
    try:
        called = call_everything(server.address, Schema(options.descriptors))
        url = f"http://{server.address}/metrics"
        metrics = urllib.request.urlopen(url, timeout=60).read()
        wrong = judge(metrics.decode(), called)
        if wrong:
            sys.exit(f"{wrong}\n{metrics.decode()}")
        command = ["promtool", "check", "metrics"]
        judged = subprocess.run(command, input=metrics, stdout=sys.stdout, stderr=sys.stdout)
        status = server.stop()
        sys.exit(judged.returncode or status)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
