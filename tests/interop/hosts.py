#!/usr/bin/python3
"""Which Host proxies hand on over HTTP/1.1, and what a dormoused says to it: what the table
in README.md ("Browsers and proxies") tells operators.

  hosts.py --server build/release/dormoused
"""

import argparse
import http.client
import os
import shutil
import sys
import tempfile

from processes import Proxy, Server

NAME = "dormouse.example"  # the server's --host

# proxy and its configuration; the Host that a client asks it for; what comes back
CASES = [
    ("nginx-http1", "anything.example", 200),  # it sends the address of proxy_pass
    ("nginx-upstream", "anything.example", 421),  # it sends the upstream's name
    ("nginx-host", NAME, 200),
    ("nginx-host", "anything.example", 421),
    ("haproxy-http1", NAME, 200),
    ("haproxy-http1", "anything.example", 421),
    ("nghttpx-http1", NAME, 200),
    ("nghttpx-http1", "anything.example", 421),
]


def status_of(address, host):
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def run(options, folder):
    server = Server(options.server, folder, ["--host", NAME])
    proxies, failures = {}, []
    try:
        for kind, host, wanted in CASES:
            if kind not in proxies:
                proxies[kind] = Proxy(kind, folder, server.address)
            got = status_of(proxies[kind].address, host)
            if got != wanted:
                failures.append(f"{kind}, asked for {host}: {got}, not {wanted}")
        if server.stop() != 0:
            failures.append("dormoused did not end with status 0")
        return failures
    finally:
        for proxy in proxies.values():
            proxy.kill()
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True, type=os.path.abspath)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="dormouse_hosts_")
    try:
        failures = run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"hosts: {len(CASES)} cases, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
