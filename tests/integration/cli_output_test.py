"""What becomes of a command whose output cannot be written. cli_output_test.py DORMOUSED DORMOUSE
GEN_CONTACTS"""

import os
import shlex
import signal
import stat
import subprocess

from cli_support import CliCase, main

LOST = 4
NAMES = [f"c{i}" for i in range(300)]
# Everything that is printed after a change, and what it has changed then.
CHANGES = [
    (("set", *NAMES, "inactive"), "inactive"),
    (("snooze", *NAMES, "--for", "2h"), "snoozed"),
    (("wake", *NAMES), "active"),
    (("bulk", "--set", "inactive"), "inactive"),
    (("import", "-"), "active"),
]
ROWS = "contact_id,status\n" + "".join(f"{name},active\n" for name in NAMES)
READS = [
    ("check", "c1"), ("get", *NAMES), ("list",), ("history", "c1"), ("stats",), ("export",),
    ("policy", "get"), ("watch", "--from-start"), ("--help",), ("list", "--help"), ("--version",),
    ("import", "--help"),
]


class CliOutputTest(CliCase):
    def into(self, output, *arguments, stdin=None):
        """Its exit status and what it told stderr."""
        done = subprocess.run(self.command(*arguments), input=stdin, stdout=output,
                              stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        return done.returncode, done.stderr

    def into_nobody(self, *arguments, stdin=None):
        """Into a pipe whose reader is gone."""
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as output:
            return self.into(output, *arguments, stdin=stdin)

    def into_full_disk(self, *arguments, stdin=None):
        with open("/dev/full", "w", encoding="utf-8") as output:
            return self.into(output, *arguments, stdin=stdin)

    def statuses(self):
        return [contact["status"] for contact in self.json("get", *NAMES)]

    def check_changes(self, into, why):
        self.ok("set", *NAMES, "inactive", "--unlock")
        for flags in ((), ("--json",)):
            for arguments, status in CHANGES:
                is_import = arguments[0] == "import"
                anew = ("--run", "another") if is_import and flags else ()
                code, told = into(*flags, *arguments, *anew, stdin=ROWS if is_import else "")
                silent = is_import and not flags  # it tells stderr only
                self.assertEqual(code, 0 if silent else LOST, (arguments, told))
                self.assertEqual(told.count(why), 0 if silent else 1, (arguments, told))
                self.assertEqual(set(self.statuses()), {"STATUS_" + status.upper()}, arguments)
        code, told = into("delete", *NAMES)
        self.assertEqual((code, told.count(why)), (LOST, 1))
        self.assertEqual(self.json("list"), [])

    def test_a_change_goes_on_to_its_end_when_nobody_reads(self):
        self.check_changes(self.into_nobody, "Broken pipe; the command goes on without it")

    def test_a_change_goes_on_to_its_end_when_the_disk_is_full(self):
        self.check_changes(self.into_full_disk, "No space left on device; the command goes on")

    def test_changes_of_one_contact_tell_that_their_output_is_lost(self):
        for arguments in (("activity", "c1", "manual_message"), ("wake", "c1"),
                          ("commit", "c1", "--fence", "2"), ("policy", "set", "--limit", "7")):
            code, told = self.into_nobody(*arguments)
            self.assertEqual((code, told.count("Broken pipe")), (LOST, 1), (arguments, told))
        self.assertEqual(self.json("policy", "get")[0]["messageLimit"], 7)

    def test_what_went_wrong_goes_before_lost_output(self):
        self.ok("set", "c1", "inactive", "--lock")
        self.assertEqual(self.into_nobody("set", "c1", "c2", "active")[0], 1)
        self.assertEqual(self.json("get", "c2")[0]["revision"], "1")

    def test_an_import_whose_summary_nobody_reads_tells_by_its_exit_code(self):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as output:
            done = subprocess.run(self.command("import", "-"), input=ROWS, text=True, stderr=output,
                                  stdout=output, timeout=120, check=False)
        self.assertEqual(done.returncode, LOST)
        self.assertEqual(set(self.statuses()), {"STATUS_ACTIVE"})

    def test_a_read_ends_by_sigpipe_when_nobody_reads(self):
        self.ok("set", *NAMES, "inactive")
        for flags in ((), ("--json",)):
            for arguments in READS:
                self.assertEqual(self.into_nobody(*flags, *arguments), (-signal.SIGPIPE, ""),
                                 arguments)

    def test_a_read_fails_with_a_sentence_when_the_disk_is_full(self):
        self.ok("set", *NAMES, "inactive")
        for arguments in READS:
            code, told = self.into_full_disk(*arguments)
            self.assertEqual(code, 1, arguments)
            self.assertIn("cannot write the output: No space left on device", told, arguments)

    def test_a_reader_that_has_seen_enough_is_no_error(self):
        rows = "contact_id,status\n" + "".join(f"c{i:05d},inactive\n" for i in range(5000))
        self.ok("import", "-", stdin=rows)
        process = self.popen("list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        self.assertEqual((process.wait(60), told), (-signal.SIGPIPE, ""))

    def test_an_export_replaces_files_only(self):
        self.ok("set", *NAMES, "inactive")
        fifo, link, other = (self.server.path(name) for name in ("fifo", "link", "other"))
        os.mkfifo(fifo)
        with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
            self.ok("export", "-o", fifo)
            self.assertIn(f"{NAMES[0]},", reader.communicate(timeout=60)[0])
        self.assertTrue(stat.S_ISFIFO(os.lstat(fifo).st_mode))
        self.server.write("other", "old")
        os.symlink("other", link)
        self.ok("export", "-o", link)
        self.assertTrue(os.path.islink(link))
        with open(other, encoding="utf-8") as file:
            self.assertIn(f"{NAMES[0]},", file.read())
        self.assertEqual(stat.S_IMODE(os.stat(other).st_mode), 0o600)

    def test_closed_streams_are_errors(self):
        for arguments, closed in ((("export",), ">&-"), (("import", "-"), "<&-")):
            line = " ".join(shlex.quote(word) for word in self.command(*arguments))
            done = subprocess.run(["bash", "-c", f"{line} {closed}"], capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("Bad file descriptor", done.stderr, arguments)

    def test_a_cursor_stays_behind_what_nobody_read(self):
        self.ok("set", "c1", "inactive")
        cursor = self.server.path("cursor")
        code, _ = self.into_nobody("watch", "--from-start", "--limit", "1", "--cursor", cursor)
        self.assertEqual(code, -signal.SIGPIPE)
        self.assertFalse(os.path.exists(cursor))


if __name__ == "__main__":
    main()
