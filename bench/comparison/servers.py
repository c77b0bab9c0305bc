"""The servers that are compared: ours and the peers. Each on a free port of 127.0.0.1, in a
folder of its own, pinned to the servers' processor."""

import glob
import http.client
import os
import pwd
import socket
import subprocess
import time

from .machine import Failed, SERVER_CORE, free_port, pinned, wait_until


class Server:
    name = ""

    def __init__(self, shop, tools, **options):
        self.shop, self.tools, self.options = shop, tools, options
        self.port = free_port()
        self.folder = shop.make_folder(self.name)
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.start_seconds = self.start()

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Does it accept connections?"""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self, timeout=120):
        self.process = self.shop.start(self.command(), self.log)
        return wait_until(self.ready, self.process, self.name, timeout, pause=0.002)

    def stop(self):
        self.shop.stop(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Dormouse(Server):
    name = "dormouse"

    def command(self):
        return [self.tools.build("dormoused"), "--data", os.path.join(self.folder, "data"),
                "--listen", self.address, "--log-level", "warn"]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def metrics(self):
        """Every sample by its name and labels."""
        samples = {}
        for line in self.get("/metrics")[1].splitlines():
            if not line.startswith("#") and " " in line:
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def settle(self, timeout=120):
        """Until what was changed is in the view: the next run is not to pay for the last."""
        wait_until(lambda: self.metrics()["dormouse_view_lag_entries"] == 0, self.process,
                   "the view", timeout, pause=0.2)


class Echo(Server):
    name = "libuv"

    def command(self):
        return [self.tools.build("peer_echo_server"), self.port]


class Grpc(Server):
    name = "grpc"

    def command(self):
        return [self.tools.peer("peer_grpc_server"), self.port, self.options["contacts"]]


class Redis(Server):
    name = "redis"

    def command(self):
        given = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "",
                 "daemonize": "no", "logfile": ""}
        given.update(self.options)
        # A rewrite of the log in the middle of a run would be in nobody's favour.
        given.setdefault("auto-aof-rewrite-percentage", 0)
        command = ["redis-server"]
        for key, value in given.items():
            command += ["--" + key.replace("_", "-"), value]
        return command

    def cli(self, *words, timeout=300):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *map(str, words)],
                              capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode != 0 or done.stdout.startswith("ERR"):
            raise Failed("redis-cli: " + (done.stdout + done.stderr)[-300:])
        return done.stdout.strip()

    def ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")  # -LOADING until all is there
        except OSError:
            return False

    def fill(self, prefix, count, asleep=0.0, over_s=0):
        """Keys of twelve digits with values of 16 bytes; a share of them expires within."""
        script = ("local now = redis.call('TIME')[1] * 1000 "
                  "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do "
                  "local key = ARGV[3] .. string.format('%012d', i) "
                  "if (i % 1000) < ARGV[4] * 1000 then "
                  "redis.call('SET', key, '0123456789abcdef', 'PXAT', "
                  "string.format('%d', now + ARGV[5] * 1000 * (0.1 + 0.9 * (i * 0.618 % 1)))) "
                  "else redis.call('SET', key, '0123456789abcdef') end end return 1")
        for first in range(0, count, 50000):
            self.cli("EVAL", script, 0, first, min(first + 50000, count) - 1, prefix, asleep,
                     over_s)

    def rewrite(self, timeout=300):
        """Its log in the form that loads fastest."""
        self.cli("BGREWRITEAOF")
        time.sleep(0.5)

        def written():
            info = self.cli("INFO", "persistence")
            return ("aof_rewrite_in_progress:0" in info and
                    "aof_rewrite_scheduled:0" in info)

        wait_until(written, self.process, "the rewrite", timeout, pause=0.2)


def postgres_folder():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                   key=lambda path: int(path.split("/")[4]))
    if not found:
        raise Failed("PostgreSQL is not installed")
    return os.path.dirname(found[-1])


class Postgres(Server):
    """Default settings, a socket in its own folder, no TCP. It refuses to run as root."""
    name = "postgres"

    def start(self, timeout=60):
        self.bin = postgres_folder()
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.data = os.path.join(self.folder, "data")
        done = subprocess.run([os.path.join(self.bin, "initdb"), "-D", self.data, "-A", "trust",
                               "-U", "dormouse"], user=self.user, capture_output=True,
                              text=True, timeout=timeout, check=False, cwd=self.folder)
        if done.returncode != 0:
            raise Failed("initdb: " + done.stderr[-300:])
        self.process = self.shop.start(
            [os.path.join(self.bin, "postgres"), "-D", self.data, "-k", self.folder,
             "-c", "listen_addresses=", "-p", self.port], self.log, user=self.user)
        return wait_until(self.ready, self.process, self.name, timeout, pause=0.1)

    def psql(self, text, timeout=300):
        done = subprocess.run(
            pinned(SERVER_CORE, [os.path.join(self.bin, "psql"), "-h", self.folder, "-p",
                                 self.port, "-U", "dormouse", "-d", "postgres", "-qAtX",
                                 "-v", "ON_ERROR_STOP=1"]),
            input=text, capture_output=True, text=True, timeout=timeout, check=False,
            cwd=self.folder)
        if done.returncode != 0:
            raise Failed("psql: " + done.stderr[-300:])
        return done.stdout.strip()

    def ready(self):
        try:
            return self.psql("select 1", timeout=10) == "1"
        except (Failed, subprocess.TimeoutExpired):
            return False
