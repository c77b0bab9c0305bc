#include "base/assert.h"
#include "client/field.h"

#include <pb_encode.h>

static bool encode_fields(pb_ostream_t *stream, const struct dm_message *message, const void *from);

static bool put_key(pb_ostream_t *stream, pb_wire_type_t type, uint32_t tag)
{
    return pb_encode_tag(stream, type, tag);
}

static bool put_number(pb_ostream_t *stream, uint32_t tag, uint64_t value, bool always)
{
    return (value == 0 && !always) ||
           (put_key(stream, PB_WT_VARINT, tag) && pb_encode_varint(stream, value));
}

static bool put_text(pb_ostream_t *stream, uint32_t tag, const struct dormouse_text *text,
                     bool always)
{
    if (text->size == 0 && !always) {
        return true;
    }
    return put_key(stream, PB_WT_STRING, tag) &&
           pb_encode_string(stream, (const pb_byte_t *)text->data, text->size);
}

/* Timestamp and Duration have the same fields. A Timestamp's nanos are never negative, a
 * Duration's have the sign of its seconds; ours are not negative in either. */
static bool put_time(pb_ostream_t *stream, uint32_t tag, int64_t value, int64_t per_second)
{
    if (value == 0) {
        return true;
    }
    int64_t seconds = value / per_second;
    int64_t nanos = value % per_second * (1000000000 / per_second);
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return put_number(&sizing, DM_SECONDS_TAG, (uint64_t)seconds, false) &&
           put_number(&sizing, DM_NANOS_TAG, (uint64_t)nanos, false) &&
           put_key(stream, PB_WT_STRING, tag) && pb_encode_varint(stream, sizing.bytes_written) &&
           put_number(stream, DM_SECONDS_TAG, (uint64_t)seconds, false) &&
           put_number(stream, DM_NANOS_TAG, (uint64_t)nanos, false);
}

static bool put_message(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    if (from == NULL) {
        return true;
    }
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return encode_fields(&sizing, field->message, from) &&
           put_key(stream, PB_WT_STRING, field->tag) &&
           pb_encode_varint(stream, sizing.bytes_written) &&
           encode_fields(stream, field->message, from);
}

/* A number as its varint. */
static uint64_t number_of(enum dm_field_kind kind, const void *value)
{
    switch (kind) {
    case DM_FIELD_ENUM:
        return (uint64_t)(int64_t) * (const int32_t *)value;
    case DM_FIELD_U32:
        return *(const uint32_t *)value;
    case DM_FIELD_BOOL:
        return *(const bool *)value;
    default: /* I64, U64 */
        return *(const uint64_t *)value;
    }
}

static bool put_packed(pb_ostream_t *stream, const struct dm_field *field, const char *elements,
                       size_t count)
{
    size_t size = dm_element_size(field);
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = pb_encode_varint(&sizing, number_of(field->element, elements + i * size));
    }
    ok = ok && (count == 0 || (put_key(stream, PB_WT_STRING, field->tag) &&
                               pb_encode_varint(stream, sizing.bytes_written)));
    for (size_t i = 0; ok && i < count; i++) {
        ok = pb_encode_varint(stream, number_of(field->element, elements + i * size));
    }
    return ok;
}

static bool put_array(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    const char *elements = dm_field_pointer(dm_field_at(from, field->offset));
    size_t count = *(const size_t *)dm_field_at(from, field->count), size = dm_element_size(field);
    if (field->kind == DM_FIELD_NUMBERS) {
        return put_packed(stream, field, elements, count);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = field->kind == DM_FIELD_TEXTS
                 ? put_text(stream, field->tag, dm_field_at(elements, i * size), true)
                 : put_message(stream, field, dm_field_element(field, from, i));
    }
    return ok;
}

static bool put_field(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    if (!dm_field_present(field, from)) {
        return true;
    }
    const void *value = dm_field_at(from, field->offset);
    bool has = field->has >= 0 && *(const bool *)dm_field_at(from, (size_t)field->has);
    if (field->has >= 0 && !has) {
        return true;
    }
    switch (field->kind) {
    case DM_FIELD_TEXT:
        return put_text(stream, field->tag, value, has);
    case DM_FIELD_ENUM:
    case DM_FIELD_I64:
    case DM_FIELD_U32:
    case DM_FIELD_U64:
    case DM_FIELD_BOOL:
        return put_number(stream, field->tag, number_of(field->kind, value), has);
    case DM_FIELD_TIME_MS:
        return put_time(stream, field->tag, *(const int64_t *)value, 1000);
    case DM_FIELD_SPAN_US:
        return put_time(stream, field->tag, *(const int64_t *)value, 1000000);
    case DM_FIELD_MESSAGE:
        return put_message(stream, field, dm_field_message(field, from));
    case DM_FIELD_TEXTS:
    case DM_FIELD_MESSAGES:
    case DM_FIELD_NUMBERS:
        return put_array(stream, field, from);
    }
    return false;
}

static bool encode_fields(pb_ostream_t *stream, const struct dm_message *message, const void *from)
{
    for (uint32_t i = 0; i < message->fields_count; i++) {
        if (!put_field(stream, &message->fields[i], from)) {
            return false;
        }
    }
    return true;
}

bool dm_message_encode(struct dm_buf *out, const struct dm_message *message, const void *from)
{
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    if (!encode_fields(&sizing, message, from)) {
        return false;
    }
    uint8_t *room = dm_buf_reserve(out, sizing.bytes_written);
    if (room == NULL) {
        return false;
    }
    pb_ostream_t stream = pb_ostream_from_buffer(room, sizing.bytes_written);
    bool ok = encode_fields(&stream, message, from);
    DM_ASSERT(ok && stream.bytes_written == sizing.bytes_written);
    dm_buf_commit(out, stream.bytes_written);
    return true;
}
