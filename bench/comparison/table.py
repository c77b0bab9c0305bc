"""Rows, their pairs of runs, and the table."""

import json
import math
import statistics
import time


class Row:
    """One line of the table. `target`: the ratio ours / peer that is wanted, at least (more
    is better) or at most (less is better); None: a figure without one. Without a peer the
    number itself is judged."""

    def __init__(self, what, peer=None, unit="calls/s", more=True, target=None, note=""):
        self.what, self.peer, self.unit, self.more = what, peer, unit, more
        self.target, self.note = target, note
        self.ours, self.theirs, self.failed = [], [], None

    @property
    def values(self):
        """What is judged: ratios, pair by pair, or our numbers where there is no peer."""
        if self.peer is None:
            return self.ours
        return [ratio(a, b) for a, b in zip(self.ours, self.theirs)]

    @property
    def met(self):
        if self.target is None or not self.values:
            return None
        middle = statistics.median(self.values)
        return middle >= self.target if self.more else middle <= self.target

    def summary(self):
        told = {"row": self.what, "peer": self.peer, "unit": self.unit,
                "better": "more" if self.more else "less", "target": self.target,
                "met": self.met, "pairs": len(self.values), "note": self.note,
                "failed": self.failed}
        for name, numbers in (("judged", self.values), ("ours", self.ours),
                              ("theirs", self.theirs)):
            if numbers:
                told[name] = {"median": statistics.median(numbers), "min": min(numbers),
                              "max": max(numbers)}
        return told


def ratio(ours, theirs):
    if theirs == 0:  # a lag of 0 ms on both sides is a draw
        return 1.0 if ours == 0 else math.inf
    return ours / theirs


class Report:
    """JSON lines as they come, and the table at the end."""

    def __init__(self, path, about, rounds, deadline):
        self.file = open(path, "w", encoding="utf-8")
        self.path, self.rounds, self.deadline = path, rounds, deadline
        self.rows = []
        self.about = about
        self.line({"about": about})

    def line(self, told):
        self.file.write(json.dumps(told) + "\n")
        self.file.flush()

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)

    def out_of_time(self):
        return time.monotonic() > self.deadline

    def pairs(self, programs, rows, rounds=None):
        """Runs `programs` (name to callable) in turn, forwards and backwards, so that a
        machine that grows slower is in nobody's favour. "dormouse" is ours."""
        names = list(programs)
        for number in range(rounds or self.rounds):
            if self.out_of_time() and number > 0:
                self.say("out of time: fewer pairs")
                break
            values = {}
            for name in names if number % 2 == 0 else reversed(names):
                value = programs[name]()
                values[name] = value.number
                self.line({"row": rows[0].what, "round": number + 1, "program": name,
                           "value": value.number, "unit": rows[0].unit, **value.raw})
            for row in rows:
                row.ours.append(values["dormouse"])
                if row.peer is not None:
                    row.theirs.append(values[row.peer])
        for row in rows:
            self.add(row)

    def add(self, row):
        self.rows.append(row)
        self.line({"summary": row.summary()})
        self.say("  " + " | ".join(cells(row)))

    def fail(self, what, why):
        row = Row(what)
        row.failed = str(why)
        self.add(row)

    def close(self, table_path):
        text = markdown(self.about, self.rows)
        with open(table_path, "w", encoding="utf-8") as file:
            file.write(text)
        self.file.close()
        return text


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(numbers):
    return f"{number(min(numbers))} to {number(max(numbers))}"


def cells(row):
    if row.failed is not None:
        return [row.what, "", "", "", "", "", "", "failed: " + row.failed]
    sign = "≥" if row.more else "≤"
    judged = row.values
    ours = number(statistics.median(row.ours)) + " " + row.unit if row.ours else ""
    theirs = number(statistics.median(row.theirs)) + " " + row.unit if row.theirs else ""
    return [row.what, row.peer or "", ours, theirs,
            f"{sign} {number(row.target)}" if row.target is not None else "",
            number(statistics.median(judged)) if judged else "",
            f"{spread(judged)} ({len(judged)})" if judged else "",
            {True: "yes", False: "NO", None: ""}[row.met] + (f" ({row.note})" if row.note else "")]


def markdown(about, rows):
    head = ["row", "against", "ours", "theirs", "target", "measured", "spread (pairs)", "met"]
    lines = ["# Dormouse and its peers, measured in one run", "",
             "Ratios are ours / theirs, pair by pair; medians. The numbers in units are of "
             "this machine in this hour and say little elsewhere.", ""]
    lines += [f"- {key}: {value}" for key, value in about.items()]
    lines += ["", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "/").replace("\n", " ")
                                for cell in cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"
