"""Placeholders of the suite and the comparison of an answer with what is expected.

In requests and expectations a text may stand for a value:
  $name, $name+1, $name-1   what was saved under this name, plus or minus a number
  $now+2h, $now-1s          that time, in RFC 3339 (units: ms, s, m, h, d)
Only in expectations:
  $set, $unset              present and not the default; absent or the default
  >3                        a number greater than 3
  ~now+2h, ~$name+1h        a time within ten minutes of it
  ...text...                a text that contains `text`
A dict is a subset of the answer's; a list has all items in their order. Numbers are
compared as text, since ProtoJSON writes 64-bit ones so.
"""

import datetime
import re

NEAR = datetime.timedelta(minutes=10)
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
TIME = re.compile(r"^(.+?)(?:([+-][0-9.]+)(ms|s|m|h|d))?$")
NUMBER = re.compile(r"^(\w+)([+-]\d+)?$")


class Mismatch(Exception):
    pass


def time_read(text):
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00")
    return whole + datetime.timedelta(microseconds=int((fraction + "000000")[:6]))


def time_write(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def moment(text, saved):
    name, amount, unit = TIME.match(text).groups()
    if name == "now":
        when = datetime.datetime.now(datetime.timezone.utc)
    else:
        when = time_read(saved[name.lstrip("$")])
    if amount:
        when += datetime.timedelta(seconds=float(amount) * UNITS[unit])
    return when


def resolve(value, saved):
    """The value with its placeholders filled in."""
    if isinstance(value, dict):
        return {key: resolve(item, saved) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, saved) for item in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value.startswith("$now"):
        return time_write(moment(value[1:], saved))
    name, step = NUMBER.match(value[1:]).groups()
    return str(int(saved[name]) + int(step)) if step else saved[name]


def is_default(value):
    return value in (None, "", 0, "0", False, [], {}) or str(value).endswith("_UNSPECIFIED")


def text_fits(expected, actual, saved):
    if expected == "$set":
        return not is_default(actual)
    if expected == "$unset":
        return is_default(actual)
    if expected.startswith(">"):
        return actual is not None and int(actual) > int(expected[1:])
    if expected.startswith("~"):
        return actual is not None and abs(time_read(actual) - moment(expected[1:], saved)) < NEAR
    if len(expected) > 6 and expected.startswith("...") and expected.endswith("..."):
        return expected[3:-3] in (actual or "")
    return str(resolve(expected, saved)) == str(actual)


def match(expected, actual, saved, where="response"):
    """Raises Mismatch, naming the place, unless `actual` is as expected."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            raise Mismatch(f"{where}: is {actual!r}, expected {expected!r}")
        for key, item in expected.items():
            match(item, actual.get(key), saved, f"{where}.{key}")
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            raise Mismatch(f"{where}: is {actual!r}, expected {len(expected)} items")
        for i, item in enumerate(expected):
            match(item, actual[i], saved, f"{where}[{i}]")
    elif isinstance(expected, str):
        if not text_fits(expected, actual, saved):
            raise Mismatch(f"{where}: is {actual!r}, expected {expected!r}")
    elif type(expected) is bool or isinstance(actual, bool):
        if expected is not actual:
            raise Mismatch(f"{where}: is {actual!r}, expected {expected!r}")
    elif str(expected) != str(actual):
        raise Mismatch(f"{where}: is {actual!r}, expected {expected!r}")


def pick(value, path):
    """The part of an answer at `path`, such as contacts.0.fence."""
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
