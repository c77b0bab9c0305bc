#!/usr/bin/env python3
"""The C client's view of dormouse.v1: plain structs and enums, and the tables that bring
them to protobuf and back.

  client.py header <described set> FILE    writes include/dormouse/message.h
  client.py check <described set> FILE     ends with 1 where that file is not what the
                                           proto files say
  client.py tables <described set> FOLDER  dm_message_tables.h and dm_message_tables.inc, for
                                           src/client/message.h and message_tables.c

<described set>: a FileDescriptorSet with source info, whose comments go into the header.

The header is part of the tree, for who reads it there or installs it, and for reviews: a
change of it is a change of the library's interface.
"""
import pathlib
import sys
import textwrap

from schema import (FIELD, by_number, collect, is_repeated, is_text, kind_of, oneof_of,
                    read_files, snake, type_of)

PACKAGE = "dormouse.v1"

# Structs that are not called after their message by the rule of struct_name().
NAMES = {
    "BatchGetContactsRequest": "batch_get",
    "BatchGetContactsResponse": "batch_get_answer",
    "BatchSetStatusResponse.Result": "batch_set_result",
    "BulkSetStatusProgress": "bulk_progress",
    "GetHistoryRequest": "history",
    "GetHistoryResponse": "history_answer",
    "GetStatsResponse": "stats",
    "ListContactsRequest": "list",
    "ListContactsResponse": "list_answer",
    "StatusChange": "change",
    "StatusEvent": "event",
    "WatchResponse": "watch_message",
}
# Messages that are always there, so that their struct has no has_x for them.
ALWAYS = {
    "BatchSetStatusRequest.change", "BulkSetStatusRequest.change", "CommitReplyResponse.contact",
    "RecordActivityResponse.contact", "SetPolicyRequest.policy", "SetStatusRequest.change",
    "SetStatusResponse.contact",
}
# Durations in microseconds; all others are in milliseconds.
MICROSECONDS = {
    "GetStatsResponse.wake_lag_p50", "GetStatsResponse.wake_lag_p99",
    "GetStatsResponse.wake_lag_max",
}
# Enums whose values go without their prefix, but for the unset one; and values with another name.
BARE = {"Status", "Decision", "Activity"}
VALUES = {"LIST_ORDER_UNSPECIFIED": "BY_CONTACT_ID", "LIST_ORDER_WAKE_TIME": "BY_WAKE_TIME"}

TIMES = {"google.protobuf.Timestamp", "google.protobuf.Duration"}
NUMBERS = {
    "BOOL": ("bool", "BOOL"),
    "INT32": ("int32_t", "ENUM"),
    "ENUM": ("int32_t", "ENUM"),
    "INT64": ("int64_t", "I64"),
    "UINT32": ("uint32_t", "U32"),
    "UINT64": ("uint64_t", "U64"),
}

HEAD = """\
#ifndef DORMOUSE_MESSAGE_H
#define DORMOUSE_MESSAGE_H

/* Written by tools/gen/client.py from proto/dormouse/v1/dormouse.proto. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */

/* The messages of dormouse.v1.BotStatus as plain structs. A zeroed struct is an empty message.
 * Times are UTC milliseconds since 1970, 0: unset. A field `x` that may also be absent has a
 * `has_x`; a repeated one has its `x_count`. Of several in a union of the protocol ("one of"),
 * those left at zero are unset. */

/* Text or bytes, not NUL-terminated. In a request: yours, copied before the call returns.
 * In an answer: the client's, valid until the callback returns. */
struct dormouse_text {
    const char *data;
    size_t size;
};

static inline struct dormouse_text dormouse_text(const char *terminated)
{
    struct dormouse_text text;
    text.data = terminated;
    text.size = terminated == NULL ? 0 : strlen(terminated);
    return text;
}

/* ---- enums: kept as int32_t, for a newer server may send more values ---- */
"""

TAIL = """\
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif
"""


def local(full):
    return full[len(PACKAGE) + 1:]


def struct_name(full):
    name = local(full)
    if name in NAMES:
        return NAMES[name]
    name = name.replace(".", "")
    if name.endswith("Request"):
        return snake(name[:-len("Request")])
    if name.endswith("Response"):
        return snake(name[:-len("Response")]) + "_answer"
    return snake(name)


class Member:
    """A field as the client's struct has it."""

    def __init__(self, full, message, field):
        self.field, self.name = field, field.name
        path = f"{local(full)}.{field.name}"
        kind = kind_of(full, field)
        time = kind == "MESSAGE" and type_of(field) in TIMES
        self.inner = struct_name(type_of(field)) if kind == "MESSAGE" and not time else None
        self.has = field.proto3_optional or (
            self.inner is not None and not is_repeated(field) and path not in ALWAYS)
        self.element = None
        if time:
            unit, self.kind = ("us", "SPAN_US") if path in MICROSECONDS else ("ms", "TIME_MS")
            self.type, self.name = "int64_t", f"{field.name}_{unit}"
        elif self.inner is not None:
            self.type, self.kind = f"struct dormouse_{self.inner}", "MESSAGE"
        elif is_text(field):
            self.type, self.kind = "struct dormouse_text", "TEXT"
        else:
            self.type, self.kind = NUMBERS[kind]
        if is_repeated(field):
            if time:
                raise SystemExit(f"{full}.{field.name}: the client knows no repeated times")
            if self.kind in ("TEXT", "MESSAGE"):
                self.kind += "S"
            else:
                self.element, self.kind = self.kind, "NUMBERS"
        self.one_of = oneof_of(message, field)

    @property
    def repeated(self):
        return is_repeated(self.field)

    def plain(self):
        return not self.has and not self.repeated

    def row(self, struct):
        of = f"struct dormouse_{struct}"
        parts = [f".kind = DM_FIELD_{self.kind}", f".tag = {self.field.number}",
                 f".offset = offsetof({of}, {self.name})",
                 f".has = {f'offsetof({of}, has_{self.name})' if self.has else -1}"]
        if self.repeated:
            parts.append(f".count = offsetof({of}, {self.name}_count)")
        if self.element is not None:
            parts.append(f".element = DM_FIELD_{self.element}")
        if self.inner is not None:
            parts.append(f".message = &dm_{self.inner}_message")
        return "    {" + ", ".join(parts) + "},"


class Comments:
    """What the proto files say beside their declarations."""

    def __init__(self, files):
        self.at = {}
        for file in files:
            if file.package == PACKAGE:
                for place in file.source_code_info.location:
                    self.at[tuple(place.path)] = place

    @staticmethod
    def clean(text):
        return " ".join(text.split())

    def leading(self, path):
        place = self.at.get(path)
        return self.clean(place.leading_comments) if place else ""

    def trailing(self, path):
        place = self.at.get(path)
        return self.clean(place.trailing_comments) if place else ""


def block(text, indent=""):
    """A comment of its own, wrapped."""
    if not text:
        return []
    lines = textwrap.wrap(text, 96 - len(indent))
    lines = [f"{indent}/* {lines[0]}", *(f"{indent} * {line}" for line in lines[1:])]
    lines[-1] += " */"
    return lines


def aligned(rows):
    """Declarations with their comments beside them, or above where there is no room."""
    width = max((len(code) for code, _, trailing in rows if trailing), default=0)
    out = []
    for code, leading, trailing in rows:
        out += block(leading, "    ")
        line = f"{code:<{width}} /* {trailing} */" if trailing else code
        out += [line] if len(line) <= 100 else [*block(trailing, "    "), code]
    return out


def enum_text(name, enum, path, comments):
    prefix = snake(name).upper() + "_"
    rows = []
    for i, value in enumerate(enum.value):
        known = VALUES.get(value.name, value.name)
        if name in BARE and not known.endswith("_UNSPECIFIED"):
            known = known[len(prefix):]
        comma = "," if i + 1 < len(enum.value) else ""
        rows.append((f"    DORMOUSE_{known} = {value.number}{comma}",
                     comments.leading(path + (2, i)), comments.trailing(path + (2, i))))
    return [*block(comments.leading(path)), f"enum dormouse_{snake(name)} {{", *aligned(rows), "};", ""]


def struct_text(full, message, path, comments):
    members = sorted((Member(full, message, field) for field in message.field),
                     key=lambda member: member.field.number)
    places = {field.number: path + (2, i) for i, field in enumerate(message.field)}
    rows, open_run = [], False
    for member in members:
        place = places[member.field.number]
        leading, trailing = comments.leading(place), comments.trailing(place)
        if member.one_of is not None:
            trailing = "; ".join(filter(None, [f"one of: {member.one_of}", trailing]))
        joins = (open_run and member.plain() and not leading and not trailing
                 and rows[-1][0].startswith(f"    {member.type} "))
        if joins:
            rows[-1] = (f"{rows[-1][0][:-1]}, {member.name};", rows[-1][1], "")
            continue
        open_run = member.plain() and not trailing
        if member.has:
            rows.append((f"    bool has_{member.name};", leading, ""))
            leading = ""
        star = "*" if member.repeated else ""
        const = "const " if member.repeated else ""
        rows.append((f"    {const}{member.type} {star}{member.name};", leading, trailing))
        if member.repeated:
            rows.append((f"    size_t {member.name}_count;", "", ""))
    if not rows:
        rows.append(("    char unused; /* the message has no fields */", "", ""))
    return [*block(comments.leading(path)), f"struct dormouse_{struct_name(full)} {{", *aligned(rows),
            "};", ""]


def own_messages(files):
    """(full name, descriptor, path of its source info), each after those that it contains."""
    found, out = {}, []

    def visit(scope, message, path):
        full = f"{scope}.{message.name}"
        found[full] = (message, path)
        for i, nested in enumerate(message.nested_type):
            visit(full, nested, path + (3, i))

    for file in files:
        if file.package == PACKAGE:
            for i, message in enumerate(file.message_type):
                visit(file.package, message, (4, i))

    def emit(full):
        if full not in found or any(full == done for done, _, _ in out):
            return
        message, path = found[full]
        for field in message.field:
            if field.type == FIELD.TYPE_MESSAGE:
                emit(type_of(field))
        out.append((full, message, path))

    for full in found:
        emit(full)
    return out


def header(files):
    comments, out = Comments(files), [HEAD]
    for file in files:
        if file.package == PACKAGE:
            for i, enum in enumerate(file.enum_type):
                out += enum_text(enum.name, enum, (5, i), comments)
    out += ["/* ---- messages ---- */", ""]
    for full, message, path in own_messages(files):
        out += struct_text(full, message, path, comments)
    return "\n".join(out) + "\n" + TAIL


def tables(files):
    declared = ["/* Generated by tools/gen/client.py. */", ""]
    defined = ["/* Generated by tools/gen/client.py: the fields of each struct, by number. */", ""]
    for full, message, _ in own_messages(files):
        struct = struct_name(full)
        declared.append(f"extern const struct dm_message dm_{struct}_message;")
        members = [Member(full, message, field) for field in by_number(message)]
        fields = "NULL"
        if members:
            fields = f"{struct}_fields"
            defined += [f"static const struct dm_field {fields}[] = {{",
                        *(member.row(struct) for member in members), "};"]
        defined += [f"const struct dm_message dm_{struct}_message = {{", f"    .fields = {fields},",
                    f"    .fields_count = {len(members)},",
                    f"    .size = sizeof(struct dormouse_{struct}),", "};", ""]
    return "\n".join(declared) + "\n", "\n".join(defined)


def main():
    what, files, path = sys.argv[1], read_files(sys.argv[2]), pathlib.Path(sys.argv[3])
    collect(files)
    if what == "header":
        path.write_text(header(files))
    elif what == "check":
        if path.read_text() != header(files):
            raise SystemExit(f"{path.name} is not what proto/ says: build the target 'message_h', "
                             "look at what it changed, and commit it")
    else:
        declared, defined = tables(files)
        (path / "dm_message_tables.h").write_text(declared)
        (path / "dm_message_tables.inc").write_text(defined)


if __name__ == "__main__":
    main()
