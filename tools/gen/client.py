#!/usr/bin/env python3
"""The C client's view of dormouse.v1: plain structs and enums, and the tables that bring
them to protobuf and back.

  client.py header <described set> LAYOUT FILE    writes include/dormouse/message.h, after it
                                                  has added new fields to LAYOUT
  client.py check <described set> LAYOUT FILE     ends with 1 where these files are not what
                                                  the proto files say
  client.py tables <described set> LAYOUT FOLDER  dm_message_tables.h and dm_message_tables.inc,
                                                  for src/client/message.h and message_tables.c

<described set>: a FileDescriptorSet with source info, whose comments go into the header.

The header is part of the tree, for who reads it there or installs it, and for reviews: a
change of it is a change of the library's interface.

LAYOUT (proto/client_layout.txt) is what programs that are compiled already rely upon: the order
of each struct's members. New fields go to the end, whatever their number, and no member is ever
moved or taken away.
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
# Messages of answers that are always there: their pointer is never NULL there, an empty message
# takes the place of one that did not come.
ALWAYS = {
    "CommitReplyResponse.contact", "RecordActivityResponse.contact", "SetStatusResponse.contact",
}
# Durations in microseconds; all others are in milliseconds.
MICROSECONDS = {
    "GetStatsResponse.wake_lag_p50", "GetStatsResponse.wake_lag_p99",
    "GetStatsResponse.wake_lag_max",
}
# Enums whose values go without their prefix, but for the unset one; and values with another name.
BARE = {"Status", "Decision", "Activity"}
VALUES = {"LIST_ORDER_UNSPECIFIED": "BY_CONTACT_ID", "LIST_ORDER_WAKE_TIME": "BY_WAKE_TIME"}

UNIONS_MAX = 7  # of one message; see src/client/message_check.c

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

/* The messages of dormouse.v1.BotStatus as structs. What is zero is unset. Times are UTC
 * milliseconds since 1970. A text or number that may also be absent has a `has_x`. A message inside
 * another one is a pointer, NULL where it is absent; a repeated one is an array of pointers, with
 * its `x_count`. Of several in a union of the protocol ("one of") at most one is set.
 *
 * Structs grow from release to release, always at their end. So the library must know how much of
 * one your program knows: each struct that you pass says so, in struct_size. DORMOUSE() sets it:
 *
 *     struct dormouse_check request = DORMOUSE(check, .account_id = dormouse_text("acme"),
 *                                              .contact_id = dormouse_text("c1"));
 *
 * (C++ has no such literals: dormouse_check request = {}; request.struct_size = sizeof request;)
 *
 * The structs of answers are the library's; read them where they are. One that you copy has the
 * members that your program knows. In answers struct_size is 0, so that a copy cannot be passed on
 * by mistake: set it to the size of your copy first. */
#define DORMOUSE(name, ...) \\
    ((struct dormouse_##name){.struct_size = sizeof(struct dormouse_##name), __VA_ARGS__})

/* Which header a program was compiled with: the number of fields of all messages. A library that
 * knows fewer refuses it (dormouse_client_create). */
#define DORMOUSE_LEVEL @level@

/* Of members that came after the first release. They never lie where an older program has the
 * padding at its struct's end, which may hold anything. */
#if defined(__GNUC__)
#define DORMOUSE_LATER __attribute__((aligned(8)))
#elif defined(__cplusplus)
#define DORMOUSE_LATER alignas(8)
#else
#define DORMOUSE_LATER _Alignas(8)
#endif

/* Text or bytes, not NUL-terminated. In a request: yours, copied before the call returns.
 * In an answer: the client's, valid as long as the answer. This struct never grows. */
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
        self.has = field.proto3_optional and self.inner is None
        self.always = path in ALWAYS
        self.element = None
        if time:
            unit, self.kind = ("us", "SPAN_US") if path in MICROSECONDS else ("ms", "TIME_MS")
            self.type, self.name = "int64_t", f"{field.name}_{unit}"
        elif self.inner is not None:
            self.type, self.kind = f"const struct dormouse_{self.inner} *", "MESSAGE"
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
        return not self.has and not self.repeated and self.inner is None

    def declarations(self):
        """One line each, without indent and semicolon."""
        out = [f"bool has_{self.name}"] if self.has else []
        if not self.repeated:
            space = "" if self.type.endswith("*") else " "
            out.append(f"{self.type}{space}{self.name}")
        elif self.inner is not None:
            out += [f"{self.type}const *{self.name}", f"size_t {self.name}_count"]
        else:
            out += [f"const {self.type} *{self.name}", f"size_t {self.name}_count"]
        return out

    def last(self):
        """The member that ends the field."""
        return f"{self.name}_count" if self.repeated else self.name

    def row(self, struct, one_of):
        of = f"struct dormouse_{struct}"
        parts = [f".name = \"{self.name}\"", f".kind = DM_FIELD_{self.kind}", f".tag = {self.field.number}",
                 f".offset = offsetof({of}, {self.name})", f".end = DM_END_OF({of}, {self.last()})",
                 f".has = {f'offsetof({of}, has_{self.name})' if self.has else -1}"]
        if self.repeated:
            parts.append(f".count = offsetof({of}, {self.name}_count)")
        if self.element is not None:
            parts.append(f".element = DM_FIELD_{self.element}")
        if self.inner is not None:
            parts.append(f".message = &dm_{self.inner}_message")
        if one_of:
            parts.append(f".one_of = {one_of}")
        if self.always:
            parts.append(".always = true")
        return "    {" + ", ".join(parts) + "},"


class Layout:
    """The order of each struct's members, as field names: those of the first release, then what
    came later."""

    HEAD = """\
# The members of the C client's structs, in their order: after | those that came after the first
# release. Programs that are compiled already rely upon it. The target 'message_h' adds new fields;
# nothing is ever moved or taken away, or the library needs another soname.
"""

    def __init__(self, path):
        self.path, self.lines = path, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            if line and not line.startswith("#"):
                message, rest = line.split(":", 1)
                first, _, later = rest.partition("|")
                self.lines[message] = (first.split(), later.split())

    def missing(self, files):
        """Brings in what is new, and says whether there was anything."""
        found, before = {}, {name: (list(a), list(b)) for name, (a, b) in self.lines.items()}
        for full, message, _ in own_messages(files):
            name, names = local(full), [field.name for field in by_number(message)]
            found[name] = names
            if name not in self.lines:
                self.lines[name] = (names, [])
            first, later = self.lines[name]
            later += [field for field in names if field not in first + later]
        for name, (first, later) in self.lines.items():
            for field in first + later:
                if field not in found.get(name, []):
                    raise SystemExit(f"{self.path}: {name}.{field} is no field any more, and "
                                     "programs that are compiled already have it in a struct")
        return self.lines != before

    def write(self):
        rows = [f"{name}: {' '.join(first)}".rstrip() + (f" | {' '.join(later)}" if later else "")
                for name, (first, later) in sorted(self.lines.items())]
        self.path.write_text(self.HEAD + "\n" + "\n".join(rows) + "\n")

    def members(self, full, message):
        """Each with whether it came later."""
        fields = {field.name: field for field in message.field}
        first, later = self.lines[local(full)]
        return ([(Member(full, message, fields[name]), False) for name in first]
                + [(Member(full, message, fields[name]), True) for name in later])

    def level(self):
        return sum(len(first) + len(later) for first, later in self.lines.values())


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


def struct_text(full, message, path, comments, layout):
    places = {field.number: path + (2, i) for i, field in enumerate(message.field)}
    rows, open_run = [("    size_t struct_size;", "", "")], False
    for member, later in layout.members(full, message):
        place = places[member.field.number]
        leading, trailing = comments.leading(place), comments.trailing(place)
        if member.one_of is not None:
            trailing = "; ".join(filter(None, [f"one of: {member.one_of}", trailing]))
        joins = (open_run and member.plain() and not leading and not trailing and not later
                 and rows[-1][0].startswith(f"    {member.type} "))
        if joins:
            rows[-1] = (f"{rows[-1][0][:-1]}, {member.name};", rows[-1][1], "")
            continue
        open_run = member.plain() and not trailing and not later
        declared = member.declarations()
        if later:
            declared[0] = f"DORMOUSE_LATER {declared[0]}"
        for i, code in enumerate(declared):
            speaks = i == (1 if member.has else 0)
            rows.append((f"    {code};", leading if i == 0 else "", trailing if speaks else ""))
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


def header(files, layout):
    comments, out = Comments(files), [HEAD.replace("@level@", str(layout.level()))]
    for file in files:
        if file.package == PACKAGE:
            for i, enum in enumerate(file.enum_type):
                out += enum_text(enum.name, enum, (5, i), comments)
    out += ["/* ---- messages ---- */", ""]
    for full, message, path in own_messages(files):
        out += struct_text(full, message, path, comments, layout)
    return "\n".join(out) + "\n" + TAIL


def tables(files, layout):
    declared = ["/* Generated by tools/gen/client.py. */", ""]
    defined = ["/* Generated by tools/gen/client.py: the fields of each struct, by number. */", ""]
    for full, message, _ in own_messages(files):
        struct = struct_name(full)
        declared.append(f"extern const struct dm_message dm_{struct}_message;")
        placed = layout.members(full, message)
        members = sorted((member for member, _ in placed), key=lambda member: member.field.number)
        unions = sorted({member.one_of for member, _ in placed if member.one_of})
        if len(unions) > UNIONS_MAX:
            raise SystemExit(f"{full}: more than {UNIONS_MAX} unions")
        fields, of = "NULL", f"struct dormouse_{struct}"
        if members:
            fields = f"{struct}_fields"
            defined += [f"static const struct dm_field {fields}[] = {{",
                        *(member.row(struct, unions.index(member.one_of) + 1 if member.one_of else 0)
                          for member in members), "};"]
        first = [member.last() for member, later in placed if not later] or ["struct_size"]
        defined += [f"static_assert(offsetof({of}, struct_size) == 0, \"{struct}\");",
                    f"static_assert(sizeof({of}) <= INT16_MAX, \"{struct}\");",
                    f"const struct dm_message dm_{struct}_message = {{", f"    .name = \"{of}\",",
                    f"    .fields = {fields},",
                    f"    .fields_count = {len(members)},", f"    .size = sizeof({of}),",
                    f"    .size_first = DM_END_OF({of}, {first[-1]}),", "};", ""]
    return "\n".join(declared) + "\n", "\n".join(defined)


def main():
    what, files = sys.argv[1], read_files(sys.argv[2])
    layout, path = Layout(pathlib.Path(sys.argv[3])), pathlib.Path(sys.argv[4])
    collect(files)
    new = layout.missing(files)
    if what == "header":
        layout.write()
        path.write_text(header(files, layout))
    elif what == "check":
        if new or path.read_text() != header(files, layout):
            raise SystemExit(f"{path.name} or {layout.path.name} is not what proto/ says: build the "
                             "target 'message_h', look at what it changed, and commit it")
    else:
        declared, defined = tables(files, layout)
        (path / "dm_message_tables.h").write_text(declared)
        (path / "dm_message_tables.inc").write_text(defined)


if __name__ == "__main__":
    main()
