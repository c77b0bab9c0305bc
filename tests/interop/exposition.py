"""The text format of Prometheus (0.0.4), read as strictly as a server should write it. What a
scrape would take with a warning, or would drop, is an error here: every series once, HELP and
TYPE once, the samples of a family together, histograms that add up."""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
VALUE = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|Inf)|NaN")
TYPES = {"counter", "gauge", "histogram"}
SUFFIXES = ("_bucket", "_sum", "_count")


class Wrong(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Wrong(why)


class Family:
    def __init__(self, name):
        self.name, self.type = name, None
        self.series = {}  # (name, labels) -> value, in order


def read_labels(text):
    """What stands between the braces, as a tuple of pairs in their order."""
    labels, at = [], 0
    while at < len(text):
        found = LABEL.match(text, at)
        need(found, f"no label: {text[at:]}")
        labels.append(found.groups())
        at = found.end()
        if at < len(text):
            need(text[at] == "," and at + 1 < len(text), f"no comma, or one too many: {text}")
            at += 1
    names = [name for name, _ in labels]
    need(len(set(names)) == len(names), f"a label comes twice: {text}")
    return tuple(labels)


def read_sample(line):
    name = NAME.match(line)
    need(name, f"no name: {line}")
    rest, labels = line[name.end():], ()
    if rest.startswith("{"):
        # A value of a label may hold a brace: the last one ends the labels.
        inside, brace, rest = rest[1:].rpartition("}")
        need(brace and inside, f"empty or open braces: {line}")
        labels = read_labels(inside)
    need(rest.startswith(" ") and VALUE.fullmatch(rest[1:]), f"no value: {line}")
    return name.group(), labels, float(rest[1:])


def parse(text):
    """Families by name. Wrong says what is wrong."""
    need(text.endswith("\n"), "the last line does not end")
    families, family = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            need(NAME.fullmatch(name) and words, f"HELP of nothing: {line}")
            need(name not in families, f"HELP twice, or its samples are apart: {name}")
            family = families[name] = Family(name)
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            need(family and name == family.name, f"TYPE not right behind its HELP: {name}")
            need(family.type is None and not family.series, f"TYPE twice, or late: {name}")
            need(kind in TYPES, f"no type: {line}")
            family.type = kind
        else:
            add(family, *read_sample(line))
    for one in families.values():
        judge(one)
    names = [sample for one in families.values() for sample in {key[0] for key in one.series}]
    need(len(set(names)) == len(names), "two families have samples of one name")
    return families


def add(family, name, labels, value):
    need(family and family.type, f"a sample before its HELP and TYPE: {name}")
    wanted = [family.name + suffix for suffix in SUFFIXES]
    need(name in (wanted if family.type == "histogram" else [family.name]),
         f"a sample of another family: {name} in {family.name}")
    key = (name, tuple(sorted(labels)))
    need(key not in family.series, f"a series comes twice: {name}{dict(labels)}")
    family.series[key] = value


def judge(family):
    need(family.type, f"no TYPE: {family.name}")
    need(family.name.endswith("_total") == (family.type == "counter"),
         f"counters, and they alone, end in _total: {family.name}")
    need(not family.name.endswith(SUFFIXES), f"a name like a histogram's part: {family.name}")
    if family.type != "gauge":
        for (name, labels), value in family.series.items():
            need(value >= 0 and math.isfinite(value), f"{name}{dict(labels)} is {value}")
    if family.type == "histogram":
        judge_histogram(family)


def judge_histogram(family):
    buckets = {}
    for (name, labels), value in family.series.items():
        if name.endswith("_bucket"):
            bounds = [text for label, text in labels if label == "le"]
            need(len(bounds) == 1, f"a bucket without a bound: {name}")
            rest = tuple(pair for pair in labels if pair[0] != "le")
            buckets.setdefault(rest, []).append((float(bounds[0]), value))
    ends = {labels for name, labels in family.series if not name.endswith("_bucket")}
    need(ends == set(buckets), f"buckets, sums and counts of different series: {family.name}")
    for labels, steps in buckets.items():
        need(steps == sorted(steps) and [value for _, value in steps] ==
             sorted(value for _, value in steps), f"buckets do not grow: {family.name}{labels}")
        need(len({bound for bound, _ in steps}) == len(steps), f"a bound twice: {family.name}")
        count = family.series.get((family.name + "_count", labels))
        need(steps[-1] == (math.inf, count), f"the last bucket is not the count: {family.name}")
        need((family.name + "_sum", labels) in family.series, f"no sum: {family.name}{labels}")
