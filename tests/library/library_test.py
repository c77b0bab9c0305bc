"""libdormouse as others meet it.

  library_test.py <source folder> <build folder> <C compiler> <sanitizers, or nothing>
"""
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

SOURCE, BUILD, COMPILER, SANITIZE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
FOLDER = BUILD / "tests" / "installed"
PREFIX = FOLDER / "prefix"
GROWN = BUILD / "tests" / "grown"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
RUN_S = 60


def run(*command, **named):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=RUN_S, check=False, **named)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def library_folder():
    return next(PREFIX.glob("**/libdormouse.so")).parent


def pkg_config(*what):
    folder = library_folder() / "pkgconfig"
    return run("pkg-config", *what, "dormouse",
               env={**os.environ, "PKG_CONFIG_PATH": str(folder)}).split()


def compile_program(source, name, *flags):
    """Against what is installed; flags come first, so that they can put other headers before."""
    sanitize = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
    run(COMPILER, "-std=c11", *STRICT, "-g", *sanitize, *flags, SOURCE / source,
        *pkg_config("--cflags", "--libs"), "-o", FOLDER / name)
    return FOLDER / name


def with_library(folder):
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def setUpModule():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    run("cmake", "--install", BUILD, "--component", "client", "--prefix", PREFIX)


# ---- a server that shows what it was sent ---------------------------------------------------


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """{number: [value, ...]} of a message."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        found.setdefault(key >> 3, []).append(value)
    return found


def grown_contact(name, seq):
    """A Contact of a later server."""
    return (field(2, name) + field(8, 7) + field(15, seq) + field(200, field(1, b"one") + field(2, 1))
            + field(200, b"") + field(201, b"hello") + field(202, 1))


ANSWERS = {
    b"SetStatus": field(1, grown_contact(b"c", 3)) + field(2, 1) + field(300, b"more"),
    b"SetPolicy": b"",
    b"ListContacts": field(1, grown_contact(b"c1", 4)) + field(1, grown_contact(b"c2", 5)),
}


class Peer(threading.Thread):
    """Speaks ttrpc to one client at a time, and keeps its requests by method."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.requests = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection, connection.makefile("rb") as stream:
                while (head := stream.read(10)) and len(head) == 10:
                    size, call, _, _ = struct.unpack(">IIBB", head)
                    request = fields(stream.read(size))
                    method = request[2][0]
                    self.requests[method] = request[3][0]
                    body = field(2, ANSWERS[method])
                    connection.sendall(struct.pack(">IIBB", len(body), call, 2, 0) + body)


class Library(unittest.TestCase):
    def test_shows_nothing_but_its_functions(self):
        shown = run("nm", "-D", "--defined-only", library_folder() / "libdormouse.so")
        names = {line.split()[-1].split("@")[0] for line in shown.splitlines() if line.split()[-2] != "A"}
        inside = run("nm", "--defined-only", "--extern-only", BUILD / "libdm_client.a")
        made = {line.split()[-1] for line in inside.splitlines() if " T dormouse_" in line}
        self.assertIn("dormouse_check_wait", made)
        self.assertEqual(names, made)
        self.assertIn("[libdormouse.so.0]", run("readelf", "-d", library_folder() / "libdormouse.so"))

    def test_its_headers_suit_c99_and_cxx(self):
        for header in sorted((SOURCE / "include/dormouse").glob("*.h")):
            line = f"#include <dormouse/{header.name}>\n"
            where = pkg_config("--cflags")
            run(COMPILER, "-std=c99", *STRICT, "-fsyntax-only", *where, "-x", "c", "-", input=line)
            if shutil.which("c++"):
                run("c++", "-std=c++11", *STRICT, "-fsyntax-only", *where, "-x", "c++", "-", input=line)


class WithServer(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="dormouse-library-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.address = f"unix:{self.folder}/socket"

    def server(self):
        process = subprocess.Popen(
            [BUILD / "dormoused", "--data", f"{self.folder}/data", "--listen", self.address,
             "--segment-size", "8MiB"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.kill()
            process.wait()

        self.addCleanup(end)

    def test_the_example_runs_against_the_server(self):
        self.server()
        program = compile_program("tools/examples/reply.c", "reply")
        told = run(program, self.address, "acme", "c1", env=with_library(library_folder()))
        expected = "sent\nsnoozed since fence 1\nmust be silent\nc1 is snoozed\nevent 1: snoozed\n"
        self.assertEqual(told, expected)
        # The same program, with the library of later: what it sees is another contact's.
        told = run(program, self.address, "acme", "c2", env=with_library(GROWN))
        self.assertEqual(told, expected.replace("c1 is snoozed", "c1 is snoozed\nc2 is snoozed"))

    def probe(self, program, library):
        path = pathlib.Path(self.folder) / f"peer-{program.name}-{library.name}"
        peer = Peer(path)
        peer.start()
        told = run(program, f"unix:{path}", env=with_library(library))
        return told, peer.requests

    def test_an_old_program_sends_and_reads_the_same_by_a_later_library(self):
        program = compile_program("tests/library/probe.c", "probe")
        old, later = self.probe(program, library_folder()), self.probe(program, GROWN)
        self.assertEqual(old, later)
        self.assertEqual(old[0], "set OK fence 7 changed 1\npolicy OK\nlist OK c1=4 c2=5\n")
        request = fields(old[1][b"SetStatus"])
        self.assertEqual(request[2], [b"c"])
        change = fields(request[3][0])
        self.assertEqual(sorted(change), [1, 2, 4])  # nothing of the padding, nothing new
        self.assertEqual(change[4], [b"ann"])
        rules = fields(fields(old[1][b"SetPolicy"])[1][0])[4]
        self.assertEqual([fields(rule) for rule in rules], [{1: [6], 2: [3], 5: [1]}] * 2)

    def test_a_new_program_uses_what_is_new(self):
        program = compile_program("tests/library/probe.c", "probe-grown", "-DGROWN",
                                  f"-I{GROWN}/include", f"-L{GROWN}")
        told, requests = self.probe(program, GROWN)
        self.assertEqual(told, "set OK fence 7 changed 1 note hello grown 2: one\npolicy OK\nlist OK c1=4 c2=5\n")
        change = fields(fields(requests[b"SetStatus"])[3][0])
        self.assertEqual(fields(change[200][0]), {1: [b"new"], 2: [1]})
        self.assertEqual((change[201], change[202]), ([b"note"], [1]))
        rules = fields(fields(requests[b"SetPolicy"])[1][0])[4]
        self.assertEqual([fields(rule)[200] for rule in rules], [[1]] * 2)
        # With the library of before it is told, not misread.
        done = subprocess.run([program, self.address], env=with_library(library_folder()), timeout=RUN_S,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (
            1, "no client: the program was compiled for a newer version of the library libdormouse\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
