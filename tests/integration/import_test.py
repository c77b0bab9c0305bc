"""What an import does again, and what it leaves alone. import_test.py DORMOUSED DORMOUSE
GEN_CONTACTS"""

import csv
import json
import os
import signal
import subprocess
import sys

from cli_support import GENERATOR, CliCase, main

HEADER = "contact_id,status,snooze_for\n"
VERDICTS = ("rows", "changed", "same", "skipped", "refused", "before")


class ImportTest(CliCase):
    def counts(self, *arguments, code=0, **named):
        """What the summary counts, without what is zero."""
        done = self.run_code("--json", "import", *arguments, **named)
        self.assertEqual(done.returncode, code, done.stderr)
        summary = json.loads(done.stdout)
        self.told = done.stderr
        return {name: int(summary[name]) for name in VERDICTS if summary[name] != "0"}

    def status(self, contact):
        return self.json("get", contact)[0]["status"].removeprefix("STATUS_").lower()

    def rows(self, *rows):
        return self.server.write("c.csv", HEADER + "".join(row + "\n" for row in rows))

    # ---- once

    def test_an_import_does_not_overwrite_what_comes_while_it_runs(self):
        process = self.popen("--json", "import", "-", stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(HEADER + "c1,active,\n")
        process.stdin.flush()
        while not self.json("list"):
            pass  # it has begun
        self.ok("set", "c2", "inactive", "--actor", "carla")
        out, told = process.communicate("c2,active,\nc3,inactive,\n", timeout=120)
        summary = json.loads(out)
        self.assertEqual((summary["changed"], summary["skipped"]), ("2", "1"))
        self.assertIn("line 3: ABORTED: skipped: the contact was changed by carla, ", told)
        self.assertEqual(self.status("c2"), "inactive")

    def test_what_was_there_before_is_overwritten(self):
        self.ok("set", "c1", "c2", "inactive")
        self.assertEqual(self.counts(self.rows("c1,active,", "c2,inactive,", "c3,active,")),
                         {"rows": 3, "changed": 2, "same": 1})
        self.assertEqual(len(self.json("list")), 3)

    def test_as_of_names_another_beginning(self):
        self.ok("set", "c1", "inactive")
        self.ok("set", "c2", "inactive")
        path = self.rows("c1,active,", "c2,active,")
        self.assertEqual(self.counts(path, "--as-of", "1"), {"rows": 2, "changed": 1, "skipped": 1})
        self.assertEqual((self.status("c1"), self.status("c2")), ("active", "inactive"))
        done = self.run_code("import", path, "--as-of", "2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("began after event 1", done.stderr)

    def test_a_dry_run_has_the_same_verdicts_and_changes_nothing(self):
        self.ok("set", "off", "inactive")
        self.ok("set", "locked", "inactive", "--lock")
        self.ok("set", "late", "inactive")
        path = self.rows("off,inactive,", "new,snoozed,2h", "locked,active,", "c,snoozed,400d",
                         "late,active,", "d,asleep,", "x" * 65 + ",active,")
        dry = self.counts(path, "--dry-run", "--as-of", "2", code=1)
        told = [line.rsplit(":", 1)[0] for line in self.told.splitlines()]
        self.assertEqual(self.last_seq(), 3)
        self.assertFalse(os.path.exists(path + ".import"))
        self.assertEqual(dry, {"rows": 7, "changed": 1, "same": 1, "skipped": 1, "refused": 4})
        self.assertEqual(self.counts(path, "--as-of", "2", code=1), dry)
        # The same rows with the same codes; the words may differ.
        real = [line.rsplit(":", 1)[0] for line in self.told.splitlines()]
        self.assertEqual(sorted(line[:20] for line in told), sorted(line[:20] for line in real))

    # ---- again

    def test_importing_twice_does_nothing_twice(self):
        path = self.server.write("c.csv", subprocess.run(
            [sys.executable, GENERATOR, "--contacts", "3000", "--accounts", "3"],
            capture_output=True, text=True, check=True).stdout)
        first = self.counts(path)
        self.assertEqual(first, {"rows": 3000, "changed": 3000})
        seq, contacts = self.last_seq(), self.json("list", account="acct-00001")
        self.ok("set", contacts[0]["contactId"], "inactive", "--unlock", account="acct-00001")
        self.assertEqual(self.counts(path), {"rows": 3000, "before": 3000})
        self.assertIn("every row was done by an earlier run", self.told)
        self.assertEqual(self.last_seq(), seq + 1)
        again = self.counts(path, "--run", "another", "--unlock")
        self.assertEqual((again["rows"], again["changed"] + again["same"]), (3000, 3000))
        self.assertEqual(self.json("list", account="acct-00001")[0]["status"],
                         contacts[0]["status"])

    def test_many_later_answers_do_not_make_a_repeat_overwrite(self):
        path = self.rows("c1,active,", "c1,inactive,", "c2,active,")
        self.ok("import", path)
        for i in range(20):
            self.ok("snooze", "c1", "--for", "2h", "--request-id", f"r{i}", "--actor", "carla")
            self.ok("set", "c1", "inactive", "--request-id", f"s{i}", "--actor", "carla")
        self.ok("wake", "c1", "--actor", "carla")
        self.assertEqual(self.counts(path), {"rows": 3, "before": 3})
        # Looked at again, for the file is another: carla's change stays.
        path = self.rows("c1,active,", "c1,snoozed,3h", "c2,inactive,")
        self.assertEqual(self.counts(path), {"rows": 3, "changed": 1, "same": 1, "skipped": 1})
        self.assertIn("edited", self.told)
        self.assertEqual((self.status("c1"), self.status("c2")), ("active", "inactive"))

    def test_an_edited_file_changes_what_was_edited(self):
        self.ok("import", self.rows("c1,active,", "c2,active,", "c3,inactive,", "c4,active,"))
        self.ok("set", "c4", "inactive", "--actor", "carla")
        path = self.rows("c1,active,", "c2,inactive,", "c3,inactive,", "c4,snoozed,2h", "c5,active,")
        self.assertEqual(self.counts(path), {"rows": 5, "changed": 2, "same": 2, "skipped": 1})
        self.assertEqual([self.status(f"c{i}") for i in range(1, 6)],
                         ["active", "inactive", "inactive", "inactive", "active"])
        self.assertEqual(self.counts(path), {"rows": 5, "before": 5})

    def test_rows_appended_are_done_alone(self):
        self.ok("import", self.rows("c1,active,"))
        self.ok("set", "c1", "inactive")
        path = self.rows("c1,active,", "c2,active,")
        self.assertEqual(self.counts(path), {"rows": 2, "changed": 1, "before": 1})
        self.assertEqual(self.status("c1"), "inactive")

    def test_refused_rows_are_tried_again(self):
        self.ok("set", "c1", "inactive", "--lock")
        path = self.rows("c0,active,", "c1,active,", "c2,asleep,", "c3,active,")
        self.assertEqual(self.counts(path, code=1), {"rows": 4, "changed": 2, "refused": 2})
        self.assertEqual(self.counts(path, code=1), {"rows": 4, "refused": 2, "before": 2})
        # It was locked before the import began, so unlocking it now is allowed.
        self.assertEqual(self.counts(path, "--unlock", code=1),
                         {"rows": 4, "changed": 1, "refused": 1, "before": 2})
        self.assertEqual(self.counts(path, code=1), {"rows": 4, "refused": 1, "before": 3})

    def test_a_deleted_contact_stays_deleted(self):
        self.ok("import", self.rows("c1,inactive,", "c2,inactive,"))
        self.ok("delete", "c1")
        self.assertEqual(self.counts(self.rows("c1,inactive,", "c2,active,")),
                         {"rows": 2, "changed": 1, "skipped": 1})
        self.assertIn("deleted after this import wrote to it", self.told)
        self.assertEqual([c["contactId"] for c in self.json("list")], ["c2"])

    def test_skipped_rows_are_in_the_file_of_refused_ones(self):
        self.ok("set", "c1", "inactive", "--actor", "carla")
        report = self.server.path("refused.csv")
        self.counts(self.rows("c1,active,", "c2,asleep,"), "--as-of", "0", "--refused", report, code=1)
        with open(report, encoding="utf-8") as file:
            rows = {row["contact_id"]: row for row in csv.DictReader(file)}
        self.assertEqual((rows["c1"]["code"], rows["c2"]["code"]), ("ABORTED", "INVALID_ARGUMENT"))
        self.assertIn("changed by carla", rows["c1"]["reason"])

    # ---- interrupted

    def test_an_interrupted_import_goes_on_where_it_was(self):
        rows = [f"c{i:05d},snoozed,2h" for i in range(40000)]
        path = self.rows(*rows)
        process = self.popen("--json", "import", path, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        self.json("watch", "--limit", "1000", "--from-start")  # so many are done
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertIn("goes on where it stopped", told)
        first = json.loads(out)
        rest = self.counts(path)
        self.assertEqual((rest["rows"], rest.get("skipped")), (40000, None))
        self.assertEqual(rest["before"], int(first["changed"]))
        self.assertEqual(self.last_seq(), 40000)

    def test_a_killed_import_goes_on_and_does_nothing_twice(self):
        # Three rows of each contact: whatever was done when it died, the last one counts.
        rows = [f"c{i:05d},{status}," for i in range(5000) for status in
                ("inactive", "active", "inactive")]
        path, kills = self.rows(*rows), 0
        for events in (2000, 5000, 9000):
            process = self.popen("import", path, stderr=subprocess.DEVNULL)
            self.json("watch", "--limit", str(events), "--from-start")
            kills += process.poll() is None
            process.kill()
            process.wait()
        self.ok("set", "c00000", "active", "--actor", "carla")
        last = self.counts(path)
        self.assertGreater(kills, 0)
        self.assertEqual(last["rows"], 15000)
        self.assertLessEqual(last.get("skipped", 0), 3)  # those of c00000, if they were looked at
        self.assertEqual(self.last_seq(), 15001)
        self.assertEqual(self.status("c00000"), "active")
        self.assertEqual(len(self.json("list", "--status", "inactive")), 4999)

    def test_a_pipe_that_comes_again_does_nothing_twice(self):
        rows = HEADER + "".join(f"c{i},snoozed,2h\n" for i in range(1000))
        self.assertEqual(self.counts("-", stdin=rows), {"rows": 1000, "changed": 1000})
        self.assertEqual(self.counts("-", stdin=rows), {"rows": 1000, "same": 1000})
        self.assertEqual(self.last_seq(), 1000)

    # ---- the checkpoint

    def test_a_checkpoint_holds_no_ids_and_is_the_owner_s_alone(self):
        path = self.rows("c-secret,active,")
        self.ok("import", path)
        with open(path + ".import", encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn("c-secret", text)
        self.assertRegex(text, r'(?s)^dormouse import 1 server "unix:.*" account "acme" run ""\nbegun ')
        self.assertEqual(os.stat(path + ".import").st_mode & 0o777, 0o600)

    def test_a_checkpoint_of_something_else_is_left_alone(self):
        path = self.rows("c1,active,")
        self.ok("import", path)
        done = self.run_code("import", path, account="other")
        self.assertEqual(done.returncode, 1)
        self.assertIn('belongs to another import (server "unix:', done.stderr)
        self.assertEqual(self.json("list", account="other"), [])
        elsewhere = self.server.path("elsewhere")
        self.ok("import", path, "--checkpoint", elsewhere, account="other")
        self.assertEqual(len(self.json("list", account="other")), 1)
        mine = self.server.write("mine", "do not touch\n")
        done = self.run_code("import", path, "--checkpoint", mine)
        self.assertEqual(done.returncode, 1)
        self.assertIn("was not written by an import", done.stderr)
        with open(mine, encoding="utf-8") as file:
            self.assertEqual(file.read(), "do not touch\n")

    def test_a_place_without_room_for_a_checkpoint_is_told(self):
        path = self.rows("c1,active,")
        done = self.run_code("import", path, "--checkpoint", self.server.path("nowhere/x"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory; give --checkpoint a file that can be written",
                      done.stderr)
        done = self.run_code("import", path, "--checkpoint", "/dev/null")
        self.assertIn("is not a regular file", done.stderr)
        self.assertEqual(self.json("list"), [])

    def test_an_emptied_server_is_not_taken_for_the_old_one(self):
        self.ok("set", "c1", "inactive")
        path = self.rows("c1,active,")
        self.ok("import", path)
        self.server.kill()
        subprocess.run(["rm", "-r", self.server.path("data")], check=True)
        self.server.start()
        done = self.run_code("import", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("fewer events than when this import began", done.stderr)
        self.assertEqual(self.counts(path, "--run", "anew"), {"rows": 1, "changed": 1})


if __name__ == "__main__":
    main()
