#include "json/json.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "json/scan.h"
#include "json/table.h"
#include "json/value.h"

#include <stdio.h>

/* A message's bytes to JSON text. First a look over the bytes, which notes where each
 * field stands; then the fields in the order of their numbers. The bytes are our own
 * handlers' answers, but nothing here relies on that. */

enum { INTEGER_SIZE = 32 };

/* Where a field stands among the bytes of its message. */
struct found {
    const uint8_t *first; /* the tag of its first value */
    const uint8_t *last;  /* of its last */
    uint32_t count;
};

/* One value on the wire. */
struct wire_value {
    uint32_t number, type;
    uint64_t bits;         /* of a varint */
    struct dm_slice bytes; /* of one with a length */
};

struct writer {
    struct dm_buf *out;
    struct dm_error *error;
    size_t size_max; /* of out */
    int depth;
    bool shown; /* as dm_proto_to_json_shown has it */
};

static bool write_message(struct writer *w, const struct dm_json_message *message,
                          struct dm_slice bytes);

static bool refuse(struct writer *w, const char *type, const char *what)
{
    (void)dm_fail(w->error, DM_INTERNAL, "the answer is no valid %s: %s", type, what);
    return false;
}

/* ---- the wire --------------------------------------------------------------------------- */

static bool take_value(const uint8_t **at, const uint8_t *end, struct wire_value *value)
{
    uint64_t tag, size = 0;
    *value = (struct wire_value){0};
    if (!dm_varint_get(at, end, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return false;
    }
    value->number = (uint32_t)(tag >> 3);
    value->type = tag & 7;
    switch (value->type) {
    case DM_WIRE_VARINT:
        return dm_varint_get(at, end, &value->bits);
    case DM_WIRE_BYTES:
        if (!dm_varint_get(at, end, &size)) {
            return false;
        }
        break;
    case DM_WIRE_FIXED64:
        size = sizeof(uint64_t);
        break;
    case DM_WIRE_FIXED32:
        size = sizeof(uint32_t);
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(end - *at)) {
        return false;
    }
    value->bytes = dm_slice(*at, size);
    *at += size;
    return true;
}

/* Is it a value of `field`? A wrong wire type makes it an unknown field. */
static bool is_of(const struct dm_json_field *field, const struct wire_value *value)
{
    if (field->number != value->number) {
        return false;
    }
    if (!dm_json_is_varint(field)) {
        return value->type == DM_WIRE_BYTES;
    }
    bool packed = field->repeated && value->type == DM_WIRE_BYTES && value->bytes.size != 0;
    return value->type == DM_WIRE_VARINT || packed;
}

/* ---- text ------------------------------------------------------------------------------- */

/* Room for `size` bytes more, within the bound. */
static uint8_t *reserve(struct writer *w, size_t size)
{
    if (dm_buf_size(w->out) + size > w->size_max) {
        (void)dm_fail(w->error, DM_RESOURCE_EXHAUSTED,
                      "the answer as JSON has more than the %u bytes that can be sent; ask for "
                      "less at once",
                      DM_MESSAGE_SIZE_MAX);
        return NULL;
    }
    uint8_t *room = dm_buf_reserve(w->out, size);
    if (room == NULL) {
        (void)dm_fail(w->error, DM_RESOURCE_EXHAUSTED, "no memory for the answer; try again");
    }
    return room;
}

static bool put(struct writer *w, const void *data, size_t size)
{
    uint8_t *room = reserve(w, size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, data, size);
    dm_buf_commit(w->out, size);
    return true;
}

static bool put_byte(struct writer *w, char byte)
{
    return put(w, &byte, 1);
}

static bool put_string(struct writer *w, const struct dm_json_field *field, struct dm_slice text)
{
    const uint8_t *at = text.data, *end = at + text.size, *plain = at;
    if (!put_byte(w, '"')) {
        return false;
    }
    while (at < end) {
        if (*at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
            at++; /* as it is, like nearly all */
            continue;
        }
        char quoted[DM_QUOTED_MAX];
        enum dm_quoting how = w->shown ? DM_QUOTE_SHOWN : DM_QUOTE_JSON;
        size_t taken, size = dm_utf8_quote(at, end, how, quoted, &taken);
        if (size == 0 && !w->shown) {
            return refuse(w, field->name.data, "not UTF-8");
        }
        if (size == 0 || quoted[0] == '\\') {
            const char *instead = size == 0 ? DM_UTF8_REPLACEMENT : quoted;
            size = size == 0 ? sizeof DM_UTF8_REPLACEMENT - 1 : size;
            if (!put(w, plain, (size_t)(at - plain)) || !put(w, instead, size)) {
                return false;
            }
            plain = at + taken;
        }
        at += taken;
    }
    return put(w, plain, (size_t)(end - plain)) && put_byte(w, '"');
}

static bool put_base64(struct writer *w, struct dm_slice bytes)
{
    size_t size = dm_base64_size(DM_BASE64_PADDED, bytes.size);
    uint8_t *room = reserve(w, size + 2);
    if (room == NULL) {
        return false;
    }
    room[0] = room[size + 1] = '"';
    dm_base64_write(DM_BASE64_PADDED, bytes, room + 1);
    dm_buf_commit(w->out, size + 2);
    return true;
}

static bool put_varint_value(struct writer *w, const struct dm_json_field *field, uint64_t bits)
{
    char text[INTEGER_SIZE];
    int size = 0;
    switch (field->kind) {
    case DM_JSON_BOOL:
        return bits != 0 ? put(w, "true", 4) : put(w, "false", 5);
    case DM_JSON_INT64:
        size = snprintf(text, sizeof text, "\"%lld\"", (long long)bits);
        break;
    case DM_JSON_UINT64:
        size = snprintf(text, sizeof text, "\"%llu\"", (unsigned long long)bits);
        break;
    case DM_JSON_UINT32:
        size = snprintf(text, sizeof text, "%u", (uint32_t)bits);
        break;
    default:
        size = snprintf(text, sizeof text, "%d", (int32_t)(uint32_t)bits);
        break;
    }
    if (field->kind == DM_JSON_ENUM) {
        const struct dm_json_enum_value *value =
            dm_json_value_by_number(field->enumeration, (int32_t)(uint32_t)bits);
        if (value != NULL) {
            return put_byte(w, '"') && put(w, value->name.data, value->name.size) &&
                   put_byte(w, '"');
        }
    }
    return put(w, text, (size_t)size);
}

static bool put_bytes_value(struct writer *w, const struct dm_json_field *field,
                            struct dm_slice bytes)
{
    switch (field->kind) {
    case DM_JSON_STRING:
        return put_string(w, field, bytes);
    case DM_JSON_BYTES:
        return put_base64(w, bytes);
    default:
        return write_message(w, field->message, bytes);
    }
}

/* ---- fields ------------------------------------------------------------------------------- */

/* Before every value of an object or a list but the first. */
static bool put_comma(struct writer *w, bool *any)
{
    bool first = !*any;
    *any = true;
    return first || put_byte(w, ',');
}

static bool put_name(struct writer *w, const struct dm_json_field *field, bool *any)
{
    return put_comma(w, any) && put_byte(w, '"') &&
           put(w, field->json_name.data, field->json_name.size) && put(w, "\":", 2);
}

/* The elements of one packed field. */
static bool put_packed(struct writer *w, const struct dm_json_field *field, struct dm_slice bytes,
                       bool *any)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        uint64_t bits;
        if (!dm_varint_get(&at, end, &bits)) {
            return refuse(w, field->name.data, "a broken number in a list");
        }
        if (!put_comma(w, any) || !put_varint_value(w, field, bits)) {
            return false;
        }
    }
    return true;
}

static bool put_element(struct writer *w, const struct dm_json_field *field,
                        const struct wire_value *value, bool *any)
{
    if (!dm_json_is_varint(field)) {
        return put_comma(w, any) && put_bytes_value(w, field, value->bytes);
    }
    if (value->type == DM_WIRE_BYTES) {
        return put_packed(w, field, value->bytes, any);
    }
    return put_comma(w, any) && put_varint_value(w, field, value->bits);
}

static bool put_list(struct writer *w, const struct dm_json_field *field, const struct found *found,
                     const uint8_t *end, bool *any)
{
    bool any_element = false;
    if (!put_name(w, field, any) || !put_byte(w, '[')) {
        return false;
    }
    const uint8_t *at = found->first;
    for (uint32_t left = found->count; left > 0;) {
        struct wire_value value;
        bool whole = take_value(&at, end, &value);
        DM_ASSERT(whole); /* the first look has seen it */
        if (!is_of(field, &value)) {
            continue;
        }
        left--;
        if (!put_element(w, field, &value, &any_element)) {
            return false;
        }
    }
    return put_byte(w, ']');
}

static bool put_single(struct writer *w, const struct dm_json_field *field,
                       const struct found *found, const uint8_t *end, bool *any)
{
    const uint8_t *at = found->last;
    struct wire_value value;
    bool whole = take_value(&at, end, &value);
    DM_ASSERT(whole);
    if (dm_json_is_varint(field)) {
        bool implied = value.bits == 0 && !field->presence && !w->shown;
        return implied || (put_name(w, field, any) && put_varint_value(w, field, value.bits));
    }
    if (field->kind == DM_JSON_MESSAGE && found->count > 1) {
        return refuse(w, field->name.data, "a message field is there several times");
    }
    bool implied = value.bytes.size == 0 && !field->presence && !w->shown;
    return implied || (put_name(w, field, any) && put_bytes_value(w, field, value.bytes));
}

/* A field that is not there, where it is to be seen all the same. */
static bool put_default(struct writer *w, const struct dm_json_field *field, bool *any)
{
    if (!w->shown || field->presence || field->oneof >= 0) {
        return true;
    }
    if (!put_name(w, field, any)) {
        return false;
    }
    if (field->repeated) {
        return put(w, "[]", 2);
    }
    return dm_json_is_varint(field) ? put_varint_value(w, field, 0) : put(w, "\"\"", 2);
}

/* ---- messages ----------------------------------------------------------------------------- */

/* Of a oneof only the last member counts. */
static void forget_others(const struct dm_json_message *message, const struct dm_json_field *field,
                          struct found *found)
{
    for (size_t i = 0; field->oneof >= 0 && i < message->count; i++) {
        if (&message->fields[i] != field && message->fields[i].oneof == field->oneof) {
            found[i].count = 0;
        }
    }
}

/* The first look. */
static bool look(const struct dm_json_message *message, struct dm_slice bytes, struct found *found)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        const uint8_t *start = at;
        struct wire_value value;
        if (!take_value(&at, end, &value)) {
            return false;
        }
        const struct dm_json_field *field = dm_json_field_by_number(message, value.number);
        if (field == NULL || !is_of(field, &value)) {
            continue;
        }
        struct found *it = &found[field - message->fields];
        it->first = it->count == 0 ? start : it->first;
        it->last = start;
        it->count++;
        forget_others(message, field, found);
    }
    return true;
}

static bool write_time(struct writer *w, const struct dm_json_message *message,
                       struct dm_slice bytes)
{
    struct dm_json_time time = {0};
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        struct wire_value value;
        if (!take_value(&at, end, &value)) {
            return refuse(w, message->name, "broken bytes");
        }
        if (value.type == DM_WIRE_VARINT && value.number == 1) {
            time.seconds = (int64_t)value.bits;
        }
        if (value.type == DM_WIRE_VARINT && value.number == 2) {
            time.nanos = (int32_t)(uint32_t)value.bits;
        }
    }
    char text[DM_JSON_TIME_SIZE];
    size_t size = message->form == DM_JSON_TIMESTAMP ? dm_json_timestamp_text(time, text)
                                                     : dm_json_duration_text(time, text);
    if (size == 0) {
        return refuse(w, message->name, "out of range");
    }
    return put_byte(w, '"') && put(w, text, size) && put_byte(w, '"');
}

static bool write_object(struct writer *w, const struct dm_json_message *message,
                         struct dm_slice bytes)
{
    struct found found[DM_JSON_FIELDS_MAX] = {0};
    bool any = false;
    if (!look(message, bytes, found)) {
        return refuse(w, message->name, "broken bytes");
    }
    if (!put_byte(w, '{')) {
        return false;
    }
    const uint8_t *end = (const uint8_t *)bytes.data + bytes.size;
    for (size_t i = 0; i < message->count; i++) {
        const struct dm_json_field *field = &message->fields[i];
        bool fine = found[i].count == 0 ? put_default(w, field, &any)
                    : field->repeated   ? put_list(w, field, &found[i], end, &any)
                                        : put_single(w, field, &found[i], end, &any);
        if (!fine) {
            return false;
        }
    }
    return put_byte(w, '}');
}

static bool write_message(struct writer *w, const struct dm_json_message *message,
                          struct dm_slice bytes)
{
    if (w->depth == DM_JSON_DEPTH_MAX) {
        return refuse(w, message->name, "nested too deeply");
    }
    w->depth++;
    bool fine = message->form == DM_JSON_OBJECT ? write_object(w, message, bytes)
                                                : write_time(w, message, bytes);
    w->depth--;
    return fine;
}

static enum dm_code to_json(const char *type, struct dm_slice proto, bool shown, struct dm_buf *out,
                            struct dm_error *error)
{
    static const uint8_t nothing[1];
    struct dm_error ignored;
    struct writer w = {
        .out = out,
        .error = error == NULL ? &ignored : error,
        .size_max = dm_buf_size(out) + DM_MESSAGE_SIZE_MAX,
        .shown = shown,
    };
    const struct dm_json_message *message = dm_json_message_find(type);
    DM_ASSERT(message != NULL);
    struct dm_slice bytes = dm_slice(proto.data == NULL ? nothing : proto.data, proto.size);
    return write_message(&w, message, bytes) ? DM_OK : w.error->code;
}

enum dm_code dm_proto_to_json(const char *type, struct dm_slice proto, struct dm_buf *out,
                              struct dm_error *error)
{
    return to_json(type, proto, false, out, error);
}

enum dm_code dm_proto_to_json_shown(const char *type, struct dm_slice proto, struct dm_buf *out,
                                    struct dm_error *error)
{
    return to_json(type, proto, true, out, error);
}
