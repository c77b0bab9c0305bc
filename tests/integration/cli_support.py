"""What tests of the CLI share: a server of the test's own, and the program against it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

DORMOUSED, DORMOUSE, GENERATOR = sys.argv[1:4]


class Server:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="dormouse-cli-")
        self.address = "unix:" + self.path("socket")
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.path(name)

    def start(self):
        self.process = subprocess.Popen(
            [DORMOUSED, "--data", self.path("data"), "--listen", self.address,
             "--segment-size", "8MiB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Connecting waits until the server listens.
        subprocess.run(
            [DORMOUSE, "--server", self.address, "--timeout", "60s", "stats"], check=True,
            stdout=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder)


class CliCase(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.remove)
        self.server.start()

    def command(self, *arguments, account="acme"):
        return [DORMOUSE, "--server", self.server.address, "--account", account, *arguments]

    def run_code(self, *arguments, account="acme", stdin=None):
        done = subprocess.run(
            self.command(*arguments, account=account), input=stdin, capture_output=True,
            text=True, timeout=120, check=False)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        return done

    def ok(self, *arguments, **named):
        done = self.run_code(*arguments, **named)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def json(self, *arguments, **named):
        return [json.loads(line) for line in self.ok("--json", *arguments, **named).splitlines()]

    def popen(self, *arguments, **pipes):
        process = subprocess.Popen(self.command(*arguments), text=True, **pipes)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def last_seq(self):
        return int(self.json("stats", "--all-accounts")[0]["lastSeq"])


def main():
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
