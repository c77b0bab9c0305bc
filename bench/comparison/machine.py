"""Processes, pinned and always ended; ports, folders, and how busy a processor was."""

import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """A row cannot be measured; the others can."""


def cores():
    """One for servers, one for clients: the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1] if len(usable) < 3 else usable[1]


SERVER_CORE, CLIENT_CORE = cores()


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def pinned(core, command):
    return ["taskset", "-c", str(core)] + [str(part) for part in command]


class Run:
    """What a client printed, and how busy it and the server kept their processors."""

    def __init__(self, text, seconds, client_busy, server_busy):
        self.text = text
        self.seconds = seconds
        self.client_busy = round(client_busy, 2)
        self.server_busy = round(server_busy, 2)

    def json(self):
        lines = [line for line in self.text.splitlines() if line.startswith("{")]
        if not lines:
            raise Failed("the client printed no result: " + self.text[-300:])
        return json.loads(lines[-1])


def cpu_seconds(pid):
    """Of a process with all its threads."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def private_bytes(pid):
    """Private_Dirty: what a map of a file has clean, the kernel may drop."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file
                   if line.startswith("Private_Dirty:"))


def client(command, server=None, timeout=120, may_fail=False, env=None):
    """Runs a client to its end on the clients' processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server_before = cpu_seconds(server.pid) if server else 0.0
    began = time.monotonic()
    try:
        done = subprocess.run(pinned(CLIENT_CORE, command), capture_output=True, text=True,
                              timeout=timeout, check=False, preexec_fn=_die_with_parent, env=env)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command[0]} took more than {timeout} s") from late
    seconds = max(time.monotonic() - began, 1e-9)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    server_used = cpu_seconds(server.pid) - server_before if server else 0.0
    if done.returncode != 0 and not may_fail:
        said = (done.stderr or done.stdout)[-400:].strip()
        raise Failed(f"{os.path.basename(str(command[0]))} ended with {done.returncode}: {said}")
    return Run(done.stdout, seconds, used / seconds, server_used / seconds)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Workshop:
    """Owns every process and folder of a run: all end with it."""

    def __init__(self, parent):
        os.makedirs(parent, exist_ok=True)
        # On the disk, not in /tmp: that may be memory, and syncs are what is measured.
        self.folder = tempfile.mkdtemp(prefix="compare-", dir=parent)
        os.chmod(self.folder, 0o755)
        self.running = []

    def make_folder(self, name):
        return tempfile.mkdtemp(prefix=name + "-", dir=self.folder)

    def start(self, command, log, user=None):
        with open(log, "ab") as output:
            process = subprocess.Popen(pinned(SERVER_CORE, command), stdout=output,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       preexec_fn=_die_with_parent, user=user,
                                       start_new_session=True)
        self.running.append(process)
        return process

    def stop(self, process, timeout=60):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.running:
            self.running.remove(process)

    def close(self):
        for process in list(self.running):
            if process.poll() is None:
                process.kill()
                process.wait()
        self.running = []
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(ready, process, what, timeout=60, pause=0.005):
    """Seconds until `ready()`; Failed when the process ends first, or the time does."""
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        if ready():
            return time.monotonic() - began
        if process is not None and process.poll() is not None:
            raise Failed(f"{what} ended with {process.returncode}")
        time.sleep(pause)
    raise Failed(f"{what} was not ready within {timeout} s")
