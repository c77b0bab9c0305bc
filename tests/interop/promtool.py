#!/usr/bin/env python3
"""/metrics against Prometheus' own judge: promtool check metrics, on a server that has
answered calls of several kinds.

  promtool.py --server build/release/dormoused
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from processes import Server

CONTACT = {"accountId": "a", "contactId": "ann"}
CALLS = [
    ("SetStatus", {**CONTACT, "change": {"status": "STATUS_INACTIVE"}}),
    ("Check", CONTACT),
    ("Check", {"accountId": "a"}),  # refused: another code
    ("NoSuchMethod", {}),
]


def call(address, method, body):
    request = urllib.request.Request(
        f"http://{address}/dormouse.v1.BotStatus/{method}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True, type=os.path.abspath)
    options = parser.parse_args()
    if not shutil.which("promtool"):
        sys.exit("promtool is not there: run tools/test, or install the package prometheus")
    folder = tempfile.mkdtemp(prefix="dormouse_promtool_")
    server = Server(options.server, folder)
    try:
        statuses = [call(server.address, method, body) for method, body in CALLS]
        if statuses[:2] != [200, 200] or min(statuses[2:]) < 400:
            sys.exit(f"the calls were answered by {statuses}")
        url = f"http://{server.address}/metrics"
        metrics = urllib.request.urlopen(url, timeout=60).read()
        if metrics.count(b"\n# TYPE ") < 10:
            sys.exit(f"too little to judge:\n{metrics.decode()}")
        command = ["promtool", "check", "metrics"]
        judged = subprocess.run(command, input=metrics, stdout=sys.stdout, stderr=sys.stdout)
        sys.exit(judged.returncode)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
