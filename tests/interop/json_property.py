#!/usr/bin/env python3
"""Our ProtoJSON against protobuf's own (google.protobuf.json_format), over random messages
and random texts of every message type in the descriptors that the server itself embeds.

  1. random message -> our JSON is the reference's JSON, character for character
  2. the reference's JSON, in several spellings -> our bytes are the message
  3. mutated JSON -> we accept and refuse what the reference does, and mean the same
  4. mutated bytes -> a message or a refusal, never a crash; what is JSON parses again

usage: json_property.py <json_tool> <descriptors.bin> [--seed N] [--rounds N]

Deliberate differences to the reference, each counted when it is met; anything else fails:

  we refuse  lone surrogates anywhere (the reference: only in string fields)
  we refuse  NaN, Infinity and -Infinity as bare words, which Python's json module takes
  we refuse  numbers in quotes that only Python's int() reads: "007", "+5", "1_0", "\\t5"
  we refuse  what is no 32-bit number for an enum, and the reference converts, cuts or
             wraps: "1", true, 1.5, 4294967297
  we refuse  one field under both of its names
  we refuse  characters outside of the alphabet in base64, which Python skips
  we refuse  times with one-digit months, days ..., with offsets such as +1:0 or +99:99,
             or with more than 9 digits of a second; durations such as "1.s" and "+1s"
  we refuse  unknown fields nested more than 32 levels
  we accept  "1e3" and "1.0" in quotes, as the specification says
  we accept  unknown fields of the same name, and the same name twice within their values
  we read    1.8446744073709551615e19 exactly; the reference goes by way of a double
"""
import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

INT_RANGES = {
    F.TYPE_INT32: (-2**31, 2**31 - 1),
    F.TYPE_UINT32: (0, 2**32 - 1),
    F.TYPE_INT64: (-2**63, 2**63 - 1),
    F.TYPE_UINT64: (0, 2**64 - 1),
}
LETTERS = "abcXYZ019 _-./\"\\\b\f\n\r\t\x00\x1f\x7f\x80éßĀ߿ࠀ€\u2028\ud7ff\ue000\uffff𐀀😀\U0010ffff"
TIMESTAMP_S = (-62135596800, 253402300799)
DURATION_S = 315576000000


class Tool:
    """The transcoder behind its pipe."""

    def __init__(self, path):
        self.path = path
        self.lines = []

    def ask(self, kind, direction, data):
        self.lines.append(f"{kind} {direction} {data.hex()}\n")

    def answers(self):
        done = subprocess.run([self.path], input="".join(self.lines).encode(),
                              stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"the transcoder ended with {done.returncode}")
        said = done.stdout.decode().split("\n")[:-1]
        assert len(said) == len(self.lines), (len(said), len(self.lines))
        self.lines = []
        for line in said:
            code, _, rest = line.partition(" ")
            yield code, bytes.fromhex(rest) if code == "OK" else rest


# ---- random messages -----------------------------------------------------------------


def some_int(rng, low, high):
    edge = [low, high, 0, 1, -1, 127, 128, 2**31 - 1, 2**31, 2**53 + 1, 1000]
    value = rng.choice(edge) if rng.random() < 0.6 else rng.randint(low, high)
    return min(max(value, low), high)


def some_nanos(rng):
    return rng.choice([0, 0, 1, 1000, 1000000, 999999999, 120000000, rng.randrange(10**9)])


def some_text(rng):
    return "".join(rng.choice(LETTERS) for _ in range(rng.choice([0, 1, 3, 8, 40, 130])))


def fill_time(rng, message):
    if message.DESCRIPTOR.name == "Timestamp":
        low, high = TIMESTAMP_S
        message.seconds = rng.choice([low, high, 0, 951782400, 951868799, rng.randint(low, high)])
        message.nanos = some_nanos(rng)
        return
    sign = rng.choice([-1, 1])
    message.seconds = sign * rng.choice([0, 1, 3, 7200, DURATION_S, rng.randint(0, DURATION_S)])
    message.nanos = sign * some_nanos(rng)


def some_scalar(rng, field):
    if field.type in INT_RANGES:
        return some_int(rng, *INT_RANGES[field.type])
    if field.type == F.TYPE_BOOL:
        return rng.random() < 0.7
    if field.type == F.TYPE_STRING:
        return some_text(rng)
    if field.type == F.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 2, 3, 7, 200]))
    assert field.type == F.TYPE_ENUM, field.full_name
    if rng.random() < 0.1:
        return some_int(rng, *INT_RANGES[F.TYPE_INT32])
    return rng.choice(field.enum_type.values).number


def fill(rng, message, depth=0):
    if message.DESCRIPTOR.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        fill_time(rng, message)
        return message
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.35:
            continue
        if field.label == F.LABEL_REPEATED:
            for _ in range(rng.choice([0, 1, 2, 5])):
                if field.type == F.TYPE_MESSAGE:
                    fill(rng, getattr(message, field.name).add(), depth + 1)
                else:
                    getattr(message, field.name).append(some_scalar(rng, field))
        elif field.type == F.TYPE_MESSAGE:
            getattr(message, field.name).SetInParent()
            fill(rng, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, some_scalar(rng, field))
    return message


# ---- random texts ----------------------------------------------------------------------

VALUES = [
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "1.5", "1e3", "1E+2", "-1e-0", "1e400",
    "100e-2", "15e-1", "0.0", "00", "01", "+1", ".5", "1.", "2147483647", "2147483648",
    "-2147483648", "-2147483649", "4294967295", "4294967296", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "1.8446744073709551615e19", "1e19", "1e20",
    "9007199254740993", "9007199254740993.0", '"0"', '"-0"', '"5"', '"-5"', '"1.0"', '"1e3"',
    '"1.5"', '"007"', '"+5"', '" 5"', '"5 "', '"1_0"', '"\\t5"', '"\\u0035"', '""', '"x"',
    '"18446744073709551616"', '"٣"', "[]", "{}", "[null]", "[1]", '["a"]', "[[]]", '{"a":1}',
    '{"a":1,"a":2}', '[{}]', '"STATUS_SNOOZED"', '"status_snoozed"', '"MODE_OFF"', '"2"', "2",
    "99", "2.0", "2.5", '"3.5s"', '"-3.5s"', '"3.5"', '"s"', '"-s"', '"1.s"', '".5s"', '"+1s"',
    '"0s"', '"-0s"', '"-0.5s"', '"0.1234567891s"', '"0.000000001s"', '"315576000000s"',
    '"315576000001s"', '"-315576000000.999999999s"', '"1e3s"', '"1 s"',
    '"2024-02-29T00:00:00Z"', '"2023-02-29T00:00:00Z"', '"2024-02-29T23:59:59.999999999Z"',
    '"2024-02-29T00:00:00.1+01:00"', '"2024-02-29T00:00:00-23:59"', '"2024-02-29T00:00:00+24:00"',
    '"2024-02-29T00:00:00+0100"', '"2024-02-29T00:00:00"', '"2024-02-29t00:00:00Z"',
    '"2024-02-29T00:00:00z"', '"2024-02-29 00:00:00Z"', '"2024-2-9T0:0:0Z"',
    '"2024-02-29T24:00:00Z"', '"2024-02-29T00:00:60Z"', '"2024-02-29T00:00:00.Z"',
    '"2024-02-29T00:00:00.1234567891Z"', '"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00+00:01"',
    '"9999-12-31T23:59:59.999999999Z"', '"9999-12-31T23:59:59-00:01"', '"0000-01-01T00:00:00Z"',
    '"10000-01-01T00:00:00Z"', '"\\u00e9\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"',
    '"\\ud83d\\u0041"', '"\\x"', '"\\u12"', '"a\nb"', '"\\n\\/\\\\\\""', '"\x7f"', "NaN",
    "Infinity", "-Infinity", '"QUJD"', '"QUI="', '"QUI"', '"-_8="', '"+/8"', '"A"', '"Q=I="',
    '"!!!!"', "nul", "tru", "'x'", "/**/1", "[1,]", '{"a":1,}', '{"a"}', "{a:1}", "[1 2]", "",
]


def pieces(text):
    """Where the values and names of a JSON text stand, roughly."""
    return [match.span() for match in
            re.finditer(r'"(?:[^"\\]|\\.)*"|-?[0-9.eE+]+|true|false|null|[\[\]{}:,]', text)]


def exchange(rng, text):
    """One of the values for another: the grammar stays whole."""
    spots = [(begin, end) for begin, end in pieces(text)
             if text[begin] not in "[]{}:," and text[end:end + 1] != ":"]
    if not spots:
        return rng.choice(VALUES)
    begin, end = rng.choice(spots)
    return text[:begin] + rng.choice(VALUES) + text[end:]


def mutate(rng, text, names):
    if rng.random() < 0.6:
        return exchange(rng, text)
    spots = pieces(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if not spots:
            return rng.choice(VALUES)
        begin, end = rng.choice(spots)
        way = rng.randrange(8)
        if way <= 2:
            text = text[:begin] + rng.choice(VALUES) + text[end:]
        elif way == 3:
            text = text[:begin] + text[end:]
        elif way == 4:
            text = text[:end] + text[begin:end] + text[end:]
        elif way == 5:
            member = f'"{rng.choice(names)}":{rng.choice(VALUES)}'
            place = [i + 1 for i, c in enumerate(text) if c in "{,"] or [0]
            at = rng.choice(place)
            text = text[:at] + member + rng.choice([",", ",", ""]) + text[at:]
        elif way == 6:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(' \n\t{}[]",:0e.-\\\x0b\x00é') + text[at:]
        else:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + text[at + rng.choice([1, 1, 4]):]
        spots = pieces(text)
    return text


def respell(rng, message):
    """The same message in another of the spellings that a reader must take."""
    tree = json.loads(json_format.MessageToJson(
        message, preserving_proto_field_name=rng.random() < 0.5,
        use_integers_for_enums=rng.random() < 0.3,
        including_default_value_fields=rng.random() < 0.3))
    if rng.random() < 0.3 and isinstance(tree, dict):
        tree["noSuchField"] = rng.choice([None, 1, "x", [1, {"y": [2]}], {"z": {}}])
    if rng.random() < 0.3 and isinstance(tree, dict):
        items = list(tree.items())
        rng.shuffle(items)
        tree = dict(items)
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 2]))


# ---- the reference ------------------------------------------------------------------------


class World:
    def __init__(self, descriptors):
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
        pool = descriptor_pool.DescriptorPool()
        names = []
        for file in files.file:
            pool.Add(file)
            names += self.messages(file.package, file.message_type)
        factory = message_factory.MessageFactory(pool)
        self.types = {}
        for name in names:
            self.types[name] = factory.GetPrototype(pool.FindMessageTypeByName(name))

    def messages(self, scope, nested):
        for message in nested:
            yield f"{scope}.{message.name}"
            yield from self.messages(f"{scope}.{message.name}", message.nested_type)

    def field_names(self, kind):
        names = ["noSuchField", "a"]
        for field in self.types[kind].DESCRIPTOR.fields:
            names += [field.json_name, field.name]
            if field.type == F.TYPE_MESSAGE:
                names += [inner.json_name for inner in field.message_type.fields]
        return names

    def text(self, message):
        return json.dumps(json_format.MessageToDict(message), ensure_ascii=False,
                          separators=(",", ":"))

    def shaped(self, message, tree):
        """Is every message an object? The reference takes a list or a string for names."""
        if message.full_name.startswith("google.protobuf."):
            return True
        if not isinstance(tree, dict):
            return False
        for name, value in tree.items():
            fields = [f for f in message.fields if name in (f.name, f.json_name)]
            if value is None or not fields or fields[0].type != F.TYPE_MESSAGE:
                continue
            values = value if fields[0].label == F.LABEL_REPEATED else [value]
            if isinstance(values, list) and \
                    not all(self.shaped(fields[0].message_type, inner) for inner in values):
                return False
        return True

    def parse(self, kind, text, load=None):
        """The message, or None when the reference refuses."""
        try:
            load = load or (lambda t: json.loads(t, object_pairs_hook=json_format._DuplicateChecker))
            tree = load(text)
            message = self.types[kind]()
            if not self.shaped(message.DESCRIPTOR, tree):
                return None
            json_format.ParseDict(tree, message, ignore_unknown_fields=True)
            json_format.MessageToDict(message)  # out of range, for one that it lets in
            return message
        except (json_format.Error, ValueError, TypeError, OverflowError, AttributeError,
                RecursionError):
            return None


# ---- the deliberate differences ---------------------------------------------------------------

DATE = r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
CLOCK = r"[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
# (name, our reason, what we must not have refused for it)
EXCUSES_REFUSED = [
    ("bare NaN or Infinity", "a value is expected here", None),
    ("lone surrogate", "surrogate pair", None),
    ("a number that only int() reads", "is not a number", r'"-?(0|[1-9][0-9]*)"'),
    ("an enum that only int() reads", "is not a number", r"-?[0-9]+"),
    ("an enum past 32 bits, which it wraps", "is too large for this field", "-?[0-9]{1,9}"),
    ("an enum that int() cuts", "is not a whole number", r'"?-?[0-9]+"?'),
    ("an enum's number in quotes", "is not the name of a", r'"[A-Z_]+"'),
    ("both names of a field", "comes twice", None),
    ("loose base64", "is not base64", r'"([A-Za-z0-9+/]{4})*"'),
    ("loose time", "is not an RFC 3339 time",
     rf'"{DATE}T{CLOCK}(Z|[-+][01][0-9]:[0-5][0-9])"'),
    ("loose duration", "is not a duration such as", r'"-?[0-9]+(\.[0-9]{1,9})?s"'),
]
EXCUSES_ACCEPTED = [
    ("a number in quotes with a point or an exponent", r'"-?[0-9]+(\.0)?([eE][-+]?[0-9]+)?"'),
    ("read exactly", r"1\.8446744073709551615e19|9007199254740993\.0"),
]


def excuse_refusal(text, why):
    for name, reason, never in EXCUSES_REFUSED:
        found = re.search(rf"^[^:]*: (.*?)\s?{reason}", why)
        if found is None or (never is not None and re.fullmatch(never, found[1])):
            continue
        if name.startswith("bare") and not re.search("NaN|Infinity", text):
            continue
        return name
    return None


def excuse_acceptance(text):
    for name, in_text in EXCUSES_ACCEPTED:
        if re.search(in_text, text):
            return name
    return None


# ---- the properties -----------------------------------------------------------------------------


class Run:
    def __init__(self, tool, world, rng, rounds):
        self.tool, self.world, self.rng, self.rounds = tool, world, rng, rounds
        self.checked = collections.Counter()
        self.excused = collections.Counter()
        self.failures = []

    def fail(self, what, *details):
        self.failures.append(what + "".join(f"\n    {detail}" for detail in details))

    def random_messages(self):
        for kind, make in self.world.types.items():
            for _ in range(self.rounds):
                yield kind, fill(self.rng, make())

    def text_is_the_references(self):
        cases = list(self.random_messages())
        for kind, message in cases:
            self.tool.ask(kind, "out", message.SerializeToString())
        for (kind, message), (code, said) in zip(cases, self.tool.answers()):
            wanted = self.world.text(message).encode()
            self.checked["texts"] += 1
            if code != "OK" or said != wanted:
                self.fail(f"{kind}: not the reference's JSON", code, said, wanted)

    def every_spelling_is_read(self):
        cases = [(kind, message, respell(self.rng, message))
                 for kind, message in self.random_messages()]
        for kind, message, text in cases:
            self.tool.ask(kind, "in", text.encode())
        for (kind, message, text), (code, said) in zip(cases, self.tool.answers()):
            self.checked["spellings"] += 1
            if code != "OK":
                self.fail(f"{kind}: refused", said, text)
                continue
            wanted = self.world.parse(kind, text)
            got = self.world.types[kind].FromString(said)
            if got != wanted or sorted(said) != sorted(got.SerializeToString()):
                self.fail(f"{kind}: read as something else", text, got, wanted)

    def mutants_are_judged_alike(self):
        cases = []
        for kind, message in self.random_messages():
            names = self.world.field_names(kind)
            text = mutate(self.rng, self.world.text(message), names)
            cases.append((kind, text))
            self.tool.ask(kind, "in", text.encode())
        for (kind, text), (code, said) in zip(cases, self.tool.answers()):
            self.judge(kind, text, code, said)

    def judge(self, kind, text, code, said):
        wanted = self.world.parse(kind, text)
        if code != "OK":
            self.checked["mutants refused"] += 1
            excuse = "" if wanted is None else excuse_refusal(text, said)
            if excuse is None:
                self.fail(f"{kind}: refused, and the reference accepts", said, text)
        else:
            self.checked["mutants accepted"] += 1
            got = self.world.types[kind].FromString(said)
            excuse = "" if wanted == got else excuse_acceptance(text)
            if excuse is None and self.world.parse(kind, text, json.loads) == got:
                # we refuse it for a known field, so it was within an unknown one
                excuse = "a name twice where nobody reads it"
            if excuse is None:
                self.fail(f"{kind}: the reference {'refuses' if wanted is None else 'differs'}",
                          text, got, wanted)
        if excuse:
            self.excused[excuse] += 1

    def broken_bytes_never_crash(self):
        cases = []
        for kind, message in self.random_messages():
            data = bytearray(message.SerializeToString())
            for _ in range(self.rng.choice([1, 2, 6])):
                if data:
                    at = self.rng.randrange(len(data))
                    data[at:at + self.rng.choice([0, 1, 3])] = \
                        self.rng.randbytes(self.rng.choice([0, 1, 2]))
            cases.append((kind, bytes(data)))
            self.tool.ask(kind, "out", bytes(data))
        for (kind, data), (code, said) in zip(cases, self.tool.answers()):
            self.checked["broken bytes"] += 1
            if code != "OK":
                continue
            try:
                message = self.world.types[kind].FromString(data)
                wanted = self.world.text(message).encode()
            except Exception:  # whatever the reference says of bytes that we read
                wanted = None
            if wanted is not None and wanted != said:
                self.fail(f"{kind}: bytes read as something else", data.hex(), said, wanted)
            json.loads(said)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("tool")
    options.add_argument("descriptors", type=pathlib.Path)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rounds", type=int, default=60)
    options = options.parse_args()
    run = Run(Tool(options.tool), World(options.descriptors.read_bytes()),
              random.Random(options.seed), options.rounds)
    run.text_is_the_references()
    run.every_spelling_is_read()
    for _ in range(5):
        run.mutants_are_judged_alike()
    run.broken_bytes_never_crash()
    for name, count in sorted(run.checked.items()):
        print(f"{count:7} {name}")
    for name, count in sorted(run.excused.items()):
        print(f"{count:7} deliberately different: {name}")
    for failure in run.failures[:20]:
        print(f"FAILED (seed {options.seed}) {failure}")
    if run.failures:
        sys.exit(f"{len(run.failures)} failures")


if __name__ == "__main__":
    main()
