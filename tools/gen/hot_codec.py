#!/usr/bin/env python3
"""Writes the codec of the hot methods out in full: a decoder for each one's request, an
encoder for each one's response, over the structs of nanopb and the pieces of
src/rpc/hot_wire.h.

  dm_hot_codec.h     declares them
  dm_hot_codec.inc   defines them, for src/rpc/hot_codec.c

usage: hot_codec.py <descriptor set> <output folder> <service> <hot method>...
"""
import pathlib
import sys

from schema import (FIELD, by_number, collect, ident, is_repeated, is_text, kind_of, oneof_of, read_files,
                    service_methods, snake, type_of, with_inner)

# A decoder knows its fields by one bit each of a 64-bit word.
NUMBER_MAX = 63
# Bytes of the longest varint of a number, and of a length or a packed head.
VARINT_MAX = 10
LENGTH_MAX = 5


def key_size(number):
    return 1 if number < 16 else 2


def short(full):
    """The snake-case name of a message; two of one name end the build as C."""
    return snake(full.rsplit(".", 1)[-1])


def tag(full, field):
    return f"{ident(full)}_{field.name}_tag"


def check(full, message, enums):
    for field in message.field:
        if field.type == FIELD.TYPE_ENUM and min(v.number for v in enums[type_of(field)].value) < 0:
            raise SystemExit(f"{full}.{field.name}: the hot codec knows no negative enums")
        if field.number > NUMBER_MAX:
            raise SystemExit(f"{full}.{field.name}: the hot codec knows field numbers up to "
                             f"{NUMBER_MAX}")
        if field.options.HasField("packed") and not field.options.packed:
            raise SystemExit(f"{full}.{field.name}: the hot codec packs what can be packed")


class Codec:
    def __init__(self, messages):
        self.messages = messages

    # ---- reading

    def read_value(self, full, field, place):
        """The call that reads the field's value into the place in the struct."""
        kind = kind_of(full, field)
        if kind == "MESSAGE":
            return f"read_message(from, read_{short(type_of(field))}, &{place})"
        if kind == "ENUM":
            return f"read_enum(from, &{place})"
        return f"read_{'bytes' if is_text(field) else kind.lower()}(from, &{place})"

    def read_case(self, full, field):
        message, name = self.messages[full], tag(full, field)
        place, kind = f"to->{field.name}", kind_of(full, field)
        wire = "TEXT" if kind in ("STRING", "BYTES", "MESSAGE") else "NUMBER"
        lines = [f"    case {wire}({name}):"]
        oneof = oneof_of(message, field)
        if is_repeated(field):
            item = "text" if wire == "TEXT" else "number"
            lines.append(f"        return read_{item}_item(from, &{place});")
            if wire == "NUMBER":
                lines += [f"    case TEXT({name}):",
                          f"        return read_packed_items(from, &{place});"]
            return lines
        if oneof is not None:
            lines.append(f"        choose(&to->which_{oneof}, {name}, &to->{oneof}, "
                         f"sizeof to->{oneof});")
            place = f"to->{oneof}.{field.name}"
        elif kind == "MESSAGE" or (field.proto3_optional and not is_text(field)):
            lines.append(f"        to->has_{field.name} = true;")
        return lines + [f"        return {self.read_value(full, field, place)};"]

    def reader(self, full):
        fields = by_number(self.messages[full])
        known = sum(1 << field.number for field in fields)
        head = [f"static bool read_{short(full)}(struct reader *from, uint32_t key, "
                "void *message)", "{", f"    {ident(full)} *to = message;"]
        if not fields:
            head.append("    (void)to;")
        return head + ["    switch (key) {",
                       *(line for field in fields for line in self.read_case(full, field)),
                       "    default:", f"        return skip_field(from, key, {known:#x}U"
                       f"{'LL' if known > 0xffffffff else ''}); /* its own fields */",
                       "    }", "}", ""]

    def decoder(self, full):
        return [f"const char *dm_{short(full)}_decode(struct dm_slice from, {ident(full)} *to)",
                "{", "    struct reader reader = reader_of(from);",
                f"    return read_fields(&reader, read_{short(full)}, to) ? NULL : reader.wrong;",
                "}", ""]

    # ---- writing

    def put_field(self, full, field):
        name, kind = tag(full, field), kind_of(full, field)
        place, oneof = f"from->{field.name}", oneof_of(self.messages[full], field)
        if is_repeated(field):
            what = "text" if kind in ("STRING", "BYTES", "MESSAGE") else "packed"
            return [f"    put_{what}_items(to, {name}, &{place});"]
        present = None
        if oneof is not None:
            place, present = f"from->{oneof}.{field.name}", f"from->which_{oneof} == {name}"
        elif is_text(field) and field.proto3_optional:
            present = f"{place}.data != NULL"
        elif kind == "MESSAGE" or field.proto3_optional:
            present = f"from->has_{field.name}"
        if kind == "MESSAGE":
            return [f"    if ({present}) {{", "        const uint8_t *end = to->at;",
                    f"        put_{short(type_of(field))}(to, &{place});",
                    f"        put_head(to, {name}, end);", "    }"]
        call = "put_text" if is_text(field) else "put_number"
        value = f"(uint64_t){place}" if kind in ("INT32", "INT64") else place
        if present is None:
            return [f"    {call}(to, {name}, {value});"]
        call = call.replace("put_", "put_present_")
        return [f"    if ({present}) {{", f"        {call}(to, {name}, {value});", "    }"]

    def writer(self, full):
        fields = list(reversed(by_number(self.messages[full])))
        lines = [f"static void put_{short(full)}(struct writer *to, const {ident(full)} *from)",
                 "{"]
        if not fields:
            lines += ["    (void)to;", "    (void)from;"]
        return lines + [line for field in fields for line in self.put_field(full, field)] + ["}", ""]

    def encoder(self, full):
        return [f"struct dm_slice dm_{short(full)}_encode(uint8_t *out, const {ident(full)} *from)",
                "{", "    struct writer writer = writer_of(out, DM_HOT_FIXED_MAX);",
                f"    put_{short(full)}(&writer, from);", "    return written(&writer);", "}", ""]

    def sizes(self, full):
        """The most bytes of a message besides its texts and items, and how many texts it has."""
        fixed, texts = 0, 0
        for field in self.messages[full].field:
            fixed += key_size(field.number)
            if is_text(field) or is_repeated(field):
                fixed += LENGTH_MAX
                texts += not is_repeated(field)
            elif kind_of(full, field) == "MESSAGE":
                inner_fixed, inner_texts = self.sizes(type_of(field))
                fixed, texts = fixed + LENGTH_MAX + inner_fixed, texts + inner_texts
            else:
                fixed += VARINT_MAX
        return fixed, texts


def header(messages, requests, responses):
    codec = Codec(messages)
    sizes = [codec.sizes(full) for full in responses]
    out = ["#ifndef DM_HOT_CODEC_H", "#define DM_HOT_CODEC_H", "",
           "/* Generated by tools/gen/hot_codec.py; what they promise: src/rpc/hot_codec.h. */", ""]
    out += [f"const char *dm_{short(full)}_decode(struct dm_slice from, {ident(full)} *to);"
            for full in requests]
    out += [f"struct dm_slice dm_{short(full)}_encode(uint8_t *out, const {ident(full)} *from);"
            for full in responses]
    out += ["", "/* The most bytes of an answer besides its texts and items, and the most texts. */",
            "enum {", f"    DM_HOT_FIXED_MAX = {max(fixed for fixed, _ in sizes)},",
            f"    DM_HOT_TEXTS_MAX = {max(texts for _, texts in sizes)},", "};", "",
            "/* X(name, struct) for each. */"]
    for what, names in (("DECODED", requests), ("ENCODED", responses)):
        out.append(" ".join([f"#define DM_HOT_{what}(X)",
                             *(f"X({short(full)}, {ident(full)})" for full in names)]))
    return out + ["", "#endif"]


def source(messages, enums, requests, responses):
    for full in with_inner(messages, requests + responses):
        check(full, messages[full], enums)
    codec = Codec(messages)
    out = ["/* Generated by tools/gen/hot_codec.py. */", ""]
    for full in with_inner(messages, requests):
        out += codec.reader(full)
        if full in requests:
            out += codec.decoder(full)
    for full in with_inner(messages, responses):
        out += codec.writer(full)
        if full in responses:
            out += codec.encoder(full)
    return out[:-1]


def unique(names):
    return list(dict.fromkeys(names))


def main():
    files = read_files(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    messages, enums = collect(files)
    methods = service_methods(files, sys.argv[3])
    requests = unique(methods[name].input_type[1:] for name in sys.argv[4:])
    responses = unique(methods[name].output_type[1:] for name in sys.argv[4:])
    (folder / "dm_hot_codec.h").write_text("\n".join(header(messages, requests, responses)) + "\n")
    (folder / "dm_hot_codec.inc").write_text("\n".join(source(messages, enums, requests, responses)) + "\n")


if __name__ == "__main__":
    main()
