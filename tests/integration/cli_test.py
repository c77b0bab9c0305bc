"""The CLI against a real server. cli_test.py DORMOUSED DORMOUSE GEN_CONTACTS"""

import csv
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from cli_support import DORMOUSE, GENERATOR, CliCase, main

CONTACT_KEYS = {
    "accountId", "contactId", "status", "reason", "actor", "since", "fence", "revision", "locked",
    "botMessages", "missedInbound", "botId", "mode", "lastSeq",
}
EVENT_KEYS = {
    "seq", "at", "accountId", "contactId", "from", "to", "reason", "actor", "fence",
    "missedInbound",
}


class CliTest(CliCase):
    # ---- codes and shapes

    def test_exit_codes_tell_what_went_wrong(self):
        codes = {
            ("get", "c1"): 0,
            ("set", "c1", "active", "--if-revision", "9"): 1,
            ("snooze", "c1", "--for", "400d"): 1,
            ("commit", "c1", "--fence", "9"): 1,
            ("snooze", "c1"): 2,
            ("snooze", "c1", "--for", "2"): 2,
            ("set", "c1", "asleep"): 2,
            ("activity", "c1", "sneeze"): 2,
            ("list", "--status"): 2,
            ("get",): 2,
            (): 2,
            ("import", "/nowhere.csv"): 1,
        }
        for arguments, code in codes.items():
            done = self.run_code(*arguments)
            self.assertEqual(done.returncode, code, (arguments, done.stderr))
            self.assertEqual(done.stderr == "", code == 0 or arguments[:1] == ("commit",), arguments)
        refused = self.run_code("snooze", "c1", "--for", "400d")
        self.assertIn("c1: INVALID_ARGUMENT: change.snooze_for: is more than 366 days",
                      refused.stderr)

    def test_another_kind_of_server_and_an_unknown_name_are_told_apart(self):
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        self.addCleanup(web.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(web.shutdown)
        web.RequestHandlerClass.log_message = lambda *_: None
        label = "x" * 64  # longer than any name's part may be: nobody on a network is asked
        wrong = {
            "127.0.0.1:%d" % web.server_port: "an HTTP server answers there, not dormoused",
            label + ":7400": f'the name "{label}" has no address',
            "unix:" + self.server.path("nowhere"):
                "connecting: no such file or directory; is dormoused running there?",
        }
        for address, words in wrong.items():
            for command in (["get", "c"], ["watch"]):
                timeout = "1s" if address.startswith("unix:") else "6s"
                done = subprocess.run(
                    [DORMOUSE, "--server", address, "--account", "a", "--timeout", timeout, *command],
                    capture_output=True, text=True, timeout=120, check=False)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(words, done.stderr)
        done = self.run_code("get", "c", "--server", "http://127.0.0.1:7400")
        self.assertIn("it is not a URL: write HOST:PORT", done.stderr)

    def test_an_account_is_asked_for(self):
        done = subprocess.run([DORMOUSE, "get", "c1"], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 2)
        self.assertIn("DORMOUSE_ACCOUNT", done.stderr)

    def test_account_and_server_may_come_from_the_environment(self):
        self.ok("set", "c1", "inactive", account="from-env")
        done = subprocess.run(
            [DORMOUSE, "--json", "get", "c1"], capture_output=True, text=True, check=True,
            env={"DORMOUSE_SERVER": self.server.address, "DORMOUSE_ACCOUNT": "from-env"})
        self.assertEqual(json.loads(done.stdout)["status"], "STATUS_INACTIVE")

    def test_a_server_that_is_not_there_is_code_3(self):
        nowhere = "unix:" + self.server.path("nobody")
        for command in (["check", "c"], ["watch"], ["import", os.devnull], ["export"]):
            done = subprocess.run(
                [DORMOUSE, "-s", nowhere, "-a", "a", "-t", "100ms", *command],
                capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 3, (command, done.stderr))
            self.assertIn("cannot reach " + nowhere, done.stderr)
            done = subprocess.run([DORMOUSE, "-s", "nowhere", "-a", "a", *command],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, (command, done.stderr))
            self.assertIn("is not an address", done.stderr)

    def test_check_may_answer_by_its_exit_code(self):
        self.assertEqual(self.run_code("check", "c1").returncode, 0)
        self.assertEqual(self.run_code("check", "c1", "--exit-code").returncode, 0)
        self.ok("snooze", "c1", "--for", "2h")
        self.assertEqual(self.run_code("check", "c1").returncode, 0)
        self.assertEqual(self.run_code("check", "c1", "--exit-code").returncode, 20)
        self.ok("policy", "set", "--mode", "suggestive")
        self.assertEqual(self.run_code("check", "c2", "--exit-code").returncode, 10)

    def test_near_misses_get_a_suggestion(self):
        done = self.run_code("snoze", "c1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean snooze?", done.stderr)
        self.assertIn("did you mean --status?", self.run_code("list", "--staus", "x").stderr)

    def test_every_command_has_help_with_an_example(self):
        whole = self.ok("--help")
        commands = [line.split()[0] for line in
                    whole.split("commands:\n")[1].split("\n\n")[0].splitlines()]
        self.assertEqual(len(commands), 16)
        for command in commands:
            self.assertIn("\n  dormouse ", self.ok(command, "--help"))
            self.assertEqual(self.ok("help", command), self.ok(command, "--help"))

    def test_json_has_the_contract_s_shapes(self):
        contact = self.json("snooze", "c1", "--for", "2h", "--actor", "anna")[0]
        self.assertEqual(set(contact), {"contact", "changed"})
        self.assertEqual(set(contact["contact"]), CONTACT_KEYS | {"snoozedUntil"})
        self.assertEqual(contact["contact"]["status"], "STATUS_SNOOZED")
        self.assertEqual(contact["contact"]["fence"], "1")
        self.assertEqual(set(self.json("check", "c1")[0]),
                         {"decision", "status", "reason", "fence", "validUntil"})
        self.assertEqual(set(self.json("get", "c1")[0]), CONTACT_KEYS | {"snoozedUntil"})
        self.assertEqual(set(self.json("wake", "c1")[0]["contact"]), CONTACT_KEYS)
        self.assertEqual(set(self.json("commit", "c1", "--fence", "2")[0]),
                         {"granted", "decision", "contact"})
        self.assertEqual(set(self.json("activity", "c1", "manual_message")[0]),
                         {"contact", "decision", "changed"})
        events = self.json("history", "c1")
        self.assertEqual([event["seq"] for event in events], ["3", "2", "1"])
        self.assertEqual(set(events[1]), EVENT_KEYS)
        self.assertEqual([set(result) for result in self.json("set", "c1", "c2", "inactive")],
                         [{"contactId", "code", "message", "contact"}] * 2)
        self.assertEqual(self.json("delete", "c2"), [{"contactId": "c2", "existed": True}])
        bulk = self.json("bulk", "--set", "active", "--if-status", "inactive")[0]
        self.assertEqual((bulk["changed"], bulk["done"]), ("1", True))
        self.assertEqual(self.json("stats")[0]["contacts"], "1")

    def test_what_people_see_is_one_aligned_line(self):
        line = self.ok("snooze", "c1", "--until", "2027-06-01T09:00:00Z", "--actor", "anna",
                       "--reason", "manual_message")
        self.assertRegex(line, r"^snoozed   until 2027-06-01 09:00:00 UTC \(in [^)]+\)  by anna  "
                               r"reason manual_message  fence 1\n$")
        many = self.ok("get", "c1", "c-long").splitlines()
        self.assertEqual([row.index("snoozed") for row in many[:1]],
                         [row.index("active") for row in many[1:]])

    def test_a_batch_tells_each_failure(self):
        self.ok("set", "c2", "inactive", "--lock")
        done = self.run_code("set", "c1", "c2", "c3", "active")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        self.assertIn("c2: FAILED_PRECONDITION", done.stderr)
        self.ok("set", "c1", "c2", "c3", "active", "--unlock")

    def test_lists_page_by_themselves(self):
        rows = "contact_id,status\n" + "".join(f"c{i:05d},inactive\n" for i in range(2500))
        self.ok("import", "-", stdin=rows)
        self.assertEqual(len(self.json("list")), 2500)
        self.assertEqual(len(self.json("list", "--limit", "1700")), 1700)
        self.assertEqual(self.ok("list", "--status", "snoozed"), "")

    def test_policies_are_changed_in_place_and_guarded(self):
        self.ok("policy", "set", "--rule", "manual_message=snooze:30m:replace", "--limit", "5",
                "--on-limit", "deactivate", "--max-snooze", "3d")
        policy = self.json("policy", "get")[0]
        rules = {rule["on"]: rule for rule in policy["rules"]}
        self.assertEqual(rules["ACTIVITY_MANUAL_MESSAGE"]["snoozeFor"], "1800s")
        self.assertEqual(rules["ACTIVITY_WORKFLOW_MESSAGE"]["snoozeFor"], "7200s")
        self.assertEqual((policy["messageLimit"], policy["maxSnooze"]), (5, "259200s"))
        path = self.server.write("p.json", json.dumps(policy))
        self.ok("policy", "set", "--file", path)
        again = self.run_code("policy", "set", "--file", path)
        self.assertEqual(again.returncode, 1)
        self.assertIn("ABORTED", again.stderr)

    # ---- import and export

    def test_what_export_writes_import_reads(self):
        rows = ('reason,status,contact_id,snooze_for,actor,locked\r\n'
                'manual_message,snoozed,"odd ""id"", ü",2h,anna,false\r\n'
                ',active,c2,,,\r\n\r\nstop_keyword,inactive,c3,,ben,true\r\n')
        self.ok("import", "-", stdin="\ufeff" + rows)
        for form in ("csv", "ndjson"):
            path = self.server.path("export." + form)
            self.ok("export", "--format", form, "-o", path)
            with open(path, encoding="utf-8") as file:
                text = file.read().replace("acme", "copy-" + form)
            self.ok("import", "-", stdin=text)
            copy = self.ok("export", "--format", form, account="copy-" + form)
            self.assertEqual(copy, text)
        self.assertEqual(self.json("list", account="copy-csv")[1]["status"], "STATUS_INACTIVE")
        self.assertTrue(self.json("get", "c3", account="copy-csv")[0]["locked"])

    def test_a_list_as_json_can_be_imported(self):
        self.ok("snooze", "c1", "--for", "3h")
        text = self.ok("--json", "list").replace("acme", "copy")
        self.ok("import", "-", stdin=text)
        self.assertEqual(self.json("get", "c1", account="copy")[0]["snoozedUntil"],
                         self.json("get", "c1")[0]["snoozedUntil"])

    def test_rows_of_one_contact_are_done_in_the_file_s_order(self):
        rows = "contact_id,status\n" + "c1,inactive\nc1,active\n" * 300 + "c1,inactive\n"
        self.ok("import", "-", stdin=rows)
        self.assertEqual(self.json("get", "c1")[0]["status"], "STATUS_INACTIVE")
        self.assertEqual(self.last_seq(), 601)

    def test_refused_rows_are_told_with_their_lines(self):
        self.ok("set", "locked", "inactive", "--lock")
        rows = ("contact_id,status,snooze_for\n"
                "good,inactive,\n"
                "c2,asleep,\n"
                "c3,snoozed,400d\n"
                "locked,active,\n"
                "c5,sno\"ozed,2h\n"
                "better,snoozed,2h\n")
        report = self.server.path("refused.csv")
        done = self.run_code("--json", "import", "-", "--refused", report, stdin=rows)
        self.assertEqual(done.returncode, 1)
        summary = json.loads(done.stdout)
        self.assertEqual((summary["rows"], summary["changed"], summary["refused"]), ("6", "2", "4"))
        with open(report, encoding="utf-8") as file:
            refused = {row["line"]: (row["code"], row["contact_id"])
                       for row in csv.DictReader(file)}
        self.assertEqual(refused, {
            "3": ("INVALID_ARGUMENT", "c2"), "4": ("INVALID_ARGUMENT", "c3"),
            "5": ("FAILED_PRECONDITION", "locked"), "6": ("INVALID_ARGUMENT", "")})
        self.assertIn("line 5: FAILED_PRECONDITION: the contact is locked", done.stderr)
        self.assertEqual(self.json("get", "better")[0]["status"], "STATUS_SNOOZED")

    def test_a_wrong_header_imports_nothing(self):
        done = self.run_code("import", "-", stdin="contact_id,status,colour\nc1,inactive,red\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown columns: colour", done.stderr)
        self.assertEqual(self.last_seq(), 0)

    def test_an_import_outlives_the_server(self):
        rows = [f"c{i:05d},snoozed,2h\n" for i in range(4000)]
        process = self.popen("import", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write("contact_id,status,snooze_for\n" + "".join(rows[:2000]))
        process.stdin.flush()
        self.json("watch", "--limit", "1", "--from-start")  # it has begun
        self.server.kill()
        process.stdin.write("".join(rows[2000:]))
        process.stdin.flush()
        self.server.start()
        _, told = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, told)
        self.assertEqual(len(self.json("list", "--status", "snoozed")), 4000)
        self.assertEqual(self.last_seq(), 4000)

    # ---- watch

    def test_a_cursor_makes_each_run_go_on_where_the_last_one_ended(self):
        cursor = self.server.path("cursor")
        for i in range(5):
            self.ok("set", f"c{i}", "inactive")
        seen = []
        for count in ("2", "2", "1"):
            seen += self.json("watch", "--from-start", "--cursor", cursor, "--limit", count)
        self.assertEqual([event["seq"] for event in seen], ["1", "2", "3", "4", "5"])
        with open(cursor, encoding="utf-8") as file:
            self.assertEqual(file.read(), "5\n")

    def test_a_file_that_is_no_cursor_is_left_alone(self):
        path = self.server.write("cursor", "contact_id,status\n")
        done = self.run_code("watch", "--cursor", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not a cursor", done.stderr)

    def test_a_watch_ends_cleanly_and_keeps_its_cursor(self):
        cursor = self.server.path("cursor")
        self.ok("set", "c1", "inactive")
        process = self.popen("--json", "watch", "--from-start", "--cursor", cursor,
                             stdout=subprocess.PIPE)
        self.assertEqual(json.loads(process.stdout.readline())["seq"], "1")
        process.terminate()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        with open(cursor, encoding="utf-8") as file:
            self.assertEqual(file.read(), "1\n")

    def test_a_watch_outlives_the_server(self):
        self.ok("set", "c1", "inactive")
        process = self.popen("--json", "watch", "--from-start", "--limit", "2",
                             stdout=subprocess.PIPE)
        self.assertEqual(json.loads(process.stdout.readline())["seq"], "1")
        self.server.kill()
        self.server.start()
        self.ok("set", "c1", "active")
        rest, _ = process.communicate(timeout=60)
        self.assertEqual([json.loads(line)["seq"] for line in rest.splitlines()], ["2"])
        self.assertEqual(process.returncode, 0)

    def test_a_watch_shows_only_what_was_asked_for(self):
        for account in ("acme", "other"):
            self.ok("set", "c1", "c2", "inactive", account=account)
        events = self.json("watch", "--contact", "c2", "--from-start", "--limit", "1")
        self.assertEqual((events[0]["accountId"], events[0]["contactId"]), ("acme", "c2"))
        events = self.json("watch", "--all-accounts", "--after", "2", "--limit", "2")
        self.assertEqual([event["accountId"] for event in events], ["other", "other"])

    def test_ids_cannot_paint_on_a_terminal(self):
        done = self.run_code("get", "a\x1b[31mb")
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("\x1b", done.stderr)


class GeneratorTest(unittest.TestCase):
    def test_the_same_seed_writes_the_same_contacts(self):
        def generate(seed):
            return subprocess.run(
                [sys.executable, GENERATOR, "--contacts", "3000", "--seed", seed],
                capture_output=True, text=True, check=True).stdout

        text = generate("1")
        self.assertEqual(text, generate("1"))
        self.assertNotEqual(text, generate("2"))
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(len({row["contact_id"] for row in rows}), 3000)
        self.assertEqual({len(row["contact_id"]) for row in rows}, {20})
        snoozed = sum(row["status"] == "snoozed" for row in rows)
        self.assertTrue(900 < snoozed < 1100, snoozed)


if __name__ == "__main__":
    main()
