#include "json/json.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/limits.h"
#include "base/varint.h"
#include "json/fault.h"
#include "json/scan.h"
#include "json/table.h"
#include "json/value.h"

#include <stdio.h>

/* JSON text to a message's bytes, in one pass: each member of an object is looked up in
 * the table of its message, its value read by the field's kind and written at once. What
 * has a length in front (a message, a packed list) is written behind one byte of room for
 * it, and moved when that was too little.
 *
 * When the text is wrong: the first function that sees it fills the error, naming the
 * place by the fields that are being read, and every caller returns false. */

enum {
    SHORT_TEXT = 128, /* of an escaped name, number, time or enum */
    VARINT_MAX = 10,
    HEAD_MAX = 10,   /* a tag and a length */
    WHAT_SIZE = 120, /* of what is wrong with an enum */
};

static bool read_message(struct dm_json_reader *r, const struct dm_json_message *message);

static uint8_t *reserve(struct dm_json_reader *r, size_t size)
{
    uint8_t *room = dm_buf_reserve(r->out, size);
    if (room == NULL) {
        (void)dm_fail(r->error, DM_RESOURCE_EXHAUSTED, "no memory for the request; try again");
    }
    return room;
}

/* ---- writing ------------------------------------------------------------------------- */

/* Returns how many bytes it wrote. */
static size_t put_varint(uint8_t *to, uint64_t value)
{
    return (size_t)(dm_varint_put(to, value) - to);
}

static size_t put_tag(uint8_t *to, const struct dm_json_field *field, uint32_t wire)
{
    return put_varint(to, (uint64_t)field->number << 3 | wire);
}

/* Is 0 or "" of this field what its absence means? */
static bool is_implied(const struct dm_json_field *field)
{
    return !field->presence && !field->repeated;
}

static bool write_varint(struct dm_json_reader *r, const struct dm_json_field *field, uint64_t bits)
{
    if (bits == 0 && is_implied(field)) {
        return true;
    }
    uint8_t *room = reserve(r, HEAD_MAX + VARINT_MAX);
    if (room == NULL) {
        return false;
    }
    /* the elements of a list stand in one packed field */
    size_t size = field->repeated ? 0 : put_tag(room, field, DM_WIRE_VARINT);
    dm_buf_commit(r->out, size + put_varint(room + size, bits));
    return true;
}

/* A field with a length is open from here; `mark` is for close_field. */
static bool open_field(struct dm_json_reader *r, const struct dm_json_field *field, size_t *mark)
{
    uint8_t *room = reserve(r, HEAD_MAX);
    if (room == NULL) {
        return false;
    }
    size_t size = put_tag(room, field, DM_WIRE_BYTES);
    room[size] = 0;
    dm_buf_commit(r->out, size + 1);
    *mark = dm_buf_size(r->out);
    return true;
}

static bool close_field(struct dm_json_reader *r, size_t mark)
{
    uint8_t length[VARINT_MAX];
    size_t content = dm_buf_size(r->out) - mark, size = put_varint(length, content);
    if (reserve(r, VARINT_MAX) == NULL) {
        return false;
    }
    uint8_t *first = dm_buf_head(r->out) + mark;
    memmove(first + size - 1, first, content);
    memcpy(first - 1, length, size);
    dm_buf_commit(r->out, size - 1);
    return true;
}

/* ---- scalar values -------------------------------------------------------------------- */

/* A string's meaning: itself, or unescaped into `room`. An escaped one that is larger is
 * none of the short texts that are asked for: it becomes "". */
static struct dm_slice meaning(const struct dm_json_string *string, uint8_t *room)
{
    if (!string->escaped) {
        return string->raw;
    }
    return dm_slice(room, string->raw.size > SHORT_TEXT ? 0 : dm_json_unescape(string, room));
}

static bool read_bool(struct dm_json_reader *r, const struct dm_json_field *field)
{
    if (dm_json_word(&r->scan, "true")) {
        return write_varint(r, field, 1);
    }
    if (dm_json_word(&r->scan, "false")) {
        return write_varint(r, field, 0);
    }
    return dm_json_unfit(r, r->scan.at, "is neither true nor false");
}

static bool read_integer(struct dm_json_reader *r, const struct dm_json_field *field)
{
    const uint8_t *token = r->scan.at;
    uint8_t room[SHORT_TEXT], first = dm_json_peek(&r->scan);
    struct dm_json_string string;
    struct dm_slice text;
    if (first == '"' && field->kind != DM_JSON_ENUM) {
        if (!dm_json_string(&r->scan, &string)) {
            return dm_json_broken(r);
        }
        text = meaning(&string, room);
    } else if (first != '-' && (first < '0' || first > '9')) {
        return dm_json_unfit(r, token, "is not a number");
    } else if (!dm_json_number(&r->scan, &text)) {
        return dm_json_broken(r);
    }
    uint64_t bits;
    const char *wrong = dm_json_integer(text, field->kind, &bits);
    return wrong == NULL ? write_varint(r, field, bits) : dm_json_unfit(r, token, wrong);
}

static bool read_enum(struct dm_json_reader *r, const struct dm_json_field *field)
{
    const uint8_t *token = r->scan.at;
    if (dm_json_peek(&r->scan) != '"') {
        return read_integer(r, field);
    }
    uint8_t room[SHORT_TEXT];
    struct dm_json_string string;
    if (!dm_json_string(&r->scan, &string)) {
        return dm_json_broken(r);
    }
    const struct dm_json_enum_value *value =
        dm_json_value_by_name(field->enumeration, meaning(&string, room));
    if (value == NULL) {
        char what[WHAT_SIZE];
        (void)snprintf(what, sizeof what, "is not the name of a %s", field->enumeration->name);
        return dm_json_unfit(r, token, what);
    }
    return write_varint(r, field, (uint64_t)(int64_t)value->number);
}

/* A string or bytes. */
static bool read_text(struct dm_json_reader *r, const struct dm_json_field *field)
{
    const uint8_t *token = r->scan.at;
    struct dm_json_string string;
    if (dm_json_peek(&r->scan) != '"') {
        return dm_json_unfit(r, token, "is not a string");
    }
    if (!dm_json_string(&r->scan, &string)) {
        return dm_json_broken(r);
    }
    uint8_t *room = reserve(r, HEAD_MAX + string.raw.size);
    if (room == NULL) {
        return false;
    }
    struct dm_slice text = string.raw;
    uint8_t *scratch = room + HEAD_MAX;
    if (string.escaped) {
        text = dm_slice(scratch, dm_json_unescape(&string, scratch));
    }
    if (field->kind == DM_JSON_BYTES) {
        ptrdiff_t size = dm_base64_read(text, scratch);
        if (size < 0) {
            return dm_json_unfit(r, token, "is not base64");
        }
        text = dm_slice(scratch, (size_t)size);
    }
    if (text.size == 0 && is_implied(field)) {
        return true;
    }
    size_t head = put_tag(room, field, DM_WIRE_BYTES);
    head += put_varint(room + head, text.size);
    memmove(room + head, text.data, text.size);
    dm_buf_commit(r->out, head + text.size);
    return true;
}

/* ---- messages ------------------------------------------------------------------------- */

static bool read_value(struct dm_json_reader *r, const struct dm_json_field *field)
{
    switch (field->kind) {
    case DM_JSON_BOOL:
        return read_bool(r, field);
    case DM_JSON_INT32:
    case DM_JSON_INT64:
    case DM_JSON_UINT32:
    case DM_JSON_UINT64:
        return read_integer(r, field);
    case DM_JSON_ENUM:
        return read_enum(r, field);
    case DM_JSON_STRING:
    case DM_JSON_BYTES:
        return read_text(r, field);
    case DM_JSON_MESSAGE:
        break;
    }
    size_t mark;
    return open_field(r, field, &mark) && read_message(r, field->message) && close_field(r, mark);
}

static bool read_elements(struct dm_json_reader *r, const struct dm_json_field *field)
{
    int32_t *index = &r->places[r->depth - 1].index;
    *index = 0;
    do {
        if (dm_json_peek(&r->scan) == 'n') {
            return dm_json_unfit(r, r->scan.at, "may not stand in a list");
        }
        if (!read_value(r, field)) {
            return false;
        }
        dm_json_space(&r->scan);
        ++*index;
    } while (dm_json_take(&r->scan, ','));
    *index = -1;
    return dm_json_take(&r->scan, ']') || dm_json_broken_by(r, "',' or ']' is expected here");
}

static bool read_list(struct dm_json_reader *r, const struct dm_json_field *field)
{
    if (dm_json_peek(&r->scan) != '[') {
        return dm_json_unfit(r, r->scan.at, "is not a list");
    }
    (void)dm_json_take(&r->scan, '[');
    if (dm_json_take(&r->scan, ']')) {
        return true;
    }
    if (!dm_json_is_varint(field)) {
        return read_elements(r, field);
    }
    size_t mark;
    return open_field(r, field, &mark) && read_elements(r, field) && close_field(r, mark);
}

/* What has been met of one object. */
struct met {
    uint64_t fields; /* by their position in the table */
    uint64_t oneofs;
};

static bool read_member(struct dm_json_reader *r, const struct dm_json_message *message,
                        const struct dm_json_field *field, struct met *met)
{
    uint64_t bit = UINT64_C(1) << (field - message->fields);
    if ((met->fields & bit) != 0) {
        return dm_json_refuse(r, "comes twice");
    }
    met->fields |= bit;
    if (dm_json_word(&r->scan, "null")) {
        return true;
    }
    if (field->oneof >= 0) {
        uint64_t oneof = UINT64_C(1) << field->oneof;
        if ((met->oneofs & oneof) != 0) {
            return dm_json_refuse(
                r,
                "cannot be sent together with another field of the same oneof; send one of them");
        }
        met->oneofs |= oneof;
    }
    return field->repeated ? read_list(r, field) : read_value(r, field);
}

/* A name, the colon and the value; whether the message has such a field or not. */
static bool read_pair(struct dm_json_reader *r, const struct dm_json_message *message,
                      struct met *met)
{
    struct dm_json_place *place = &r->places[r->depth - 1];
    struct dm_json_string name;
    *place = (struct dm_json_place){.index = -1};
    if (dm_json_peek(&r->scan) != '"') {
        return dm_json_broken_by(r, "a name in quotes is expected here");
    }
    if (!dm_json_string(&r->scan, &name)) {
        return dm_json_broken(r);
    }
    dm_json_space(&r->scan);
    if (!dm_json_take(&r->scan, ':')) {
        return dm_json_broken_by(r, "':' is expected after a name");
    }
    uint8_t room[SHORT_TEXT];
    place->field = dm_json_field_by_name(message, meaning(&name, room));
    if (place->field == NULL) {
        return dm_json_skip(&r->scan, DM_JSON_DEPTH_MAX - r->depth) || dm_json_broken(r);
    }
    return read_member(r, message, place->field, met);
}

static bool read_pairs(struct dm_json_reader *r, const struct dm_json_message *message)
{
    struct met met = {0};
    (void)dm_json_take(&r->scan, '{');
    if (dm_json_take(&r->scan, '}')) {
        return true;
    }
    do {
        if (!read_pair(r, message, &met)) {
            return false;
        }
        r->places[r->depth - 1].field = NULL;
        dm_json_space(&r->scan);
    } while (dm_json_take(&r->scan, ','));
    return dm_json_take(&r->scan, '}') || dm_json_broken_by(r, "',' or '}' is expected here");
}

static bool read_object(struct dm_json_reader *r, const struct dm_json_message *message)
{
    if (dm_json_peek(&r->scan) != '{') {
        return dm_json_unfit(r, r->scan.at, "is not an object");
    }
    if (r->depth == DM_JSON_DEPTH_MAX) {
        return dm_json_too_deep(&r->scan) || dm_json_broken(r);
    }
    r->places[r->depth++] = (struct dm_json_place){.index = -1};
    if (!read_pairs(r, message)) {
        return false;
    }
    r->depth--;
    return true;
}

/* The seconds are field 1, the nanos field 2, of both kinds. */
static bool write_time(struct dm_json_reader *r, struct dm_json_time time)
{
    enum { SECONDS_TAG = 1 << 3, NANOS_TAG = 2 << 3 };
    uint8_t *room = reserve(r, 2 + 2 * VARINT_MAX);
    if (room == NULL) {
        return false;
    }
    size_t size = 0;
    if (time.seconds != 0) {
        room[size++] = SECONDS_TAG;
        size += put_varint(room + size, (uint64_t)time.seconds);
    }
    if (time.nanos != 0) {
        room[size++] = NANOS_TAG;
        size += put_varint(room + size, (uint64_t)(int64_t)time.nanos);
    }
    dm_buf_commit(r->out, size);
    return true;
}

static bool read_time(struct dm_json_reader *r, enum dm_json_form form)
{
    const uint8_t *token = r->scan.at;
    uint8_t room[SHORT_TEXT];
    struct dm_json_string string;
    struct dm_json_time time;
    bool is_timestamp = form == DM_JSON_TIMESTAMP;
    if (dm_json_peek(&r->scan) != '"') {
        return dm_json_unfit(r, token,
                             is_timestamp ? "is not a string with an RFC 3339 time"
                                          : "is not a string with a duration such as \"3.5s\"");
    }
    if (!dm_json_string(&r->scan, &string)) {
        return dm_json_broken(r);
    }
    struct dm_slice text = meaning(&string, room);
    const char *wrong =
        is_timestamp ? dm_json_timestamp(text, &time) : dm_json_duration(text, &time);
    return wrong == NULL ? write_time(r, time) : dm_json_unfit(r, token, wrong);
}

static bool read_message(struct dm_json_reader *r, const struct dm_json_message *message)
{
    return message->form == DM_JSON_OBJECT ? read_object(r, message) : read_time(r, message->form);
}

enum dm_code dm_json_to_proto(const char *type, struct dm_slice json, struct dm_buf *out,
                              struct dm_error *error)
{
    struct dm_error ignored;
    struct dm_json_reader r = {
        .out = out,
        .error = error == NULL ? &ignored : error,
        .root = dm_json_message_find(type),
    };
    DM_ASSERT(r.root != NULL);
    if (json.size > DM_MESSAGE_SIZE_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the JSON has %zu bytes; at most %u are allowed", json.size,
                       DM_MESSAGE_SIZE_MAX);
    }
    size_t before = dm_buf_size(out);
    dm_json_scan_init(&r.scan, json);
    if (!read_message(&r, r.root)) {
        return r.error->code;
    }
    dm_json_space(&r.scan);
    if (r.scan.at != r.scan.end) {
        (void)dm_json_broken_by(&r, "nothing may follow the value");
        return r.error->code;
    }
    if (dm_buf_size(out) - before > DM_MESSAGE_SIZE_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the request has %zu bytes as protobuf; at most %u are allowed",
                       dm_buf_size(out) - before, DM_MESSAGE_SIZE_MAX);
    }
    return DM_OK;
}
