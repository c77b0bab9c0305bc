#include "dm_fields.h"

#include <pb_decode.h>
#include <pb_encode.h>

static bool read_payload(pb_istream_t *in, pb_byte_t *to, size_t count)
{
    if (to != NULL) {
        memcpy(to, in->state, count);
    }
    in->state = (pb_byte_t *)in->state + count;
    return true;
}

pb_istream_t dm_istream(struct dm_slice payload)
{
    return (pb_istream_t){
        .callback = read_payload, .state = (void *)payload.data, .bytes_left = payload.size};
}

/* A value with another wire type comes on a stream of nanopb's own, over its stack: a slice
 * of that would outlive it. */
bool dm_text_take(pb_istream_t *in, struct dm_slice *to)
{
    if (in->callback != read_payload) {
        return false;
    }
    *to = dm_slice(in->state, in->bytes_left);
    in->state = (pb_byte_t *)in->state + in->bytes_left;
    in->bytes_left = 0;
    return true;
}

static bool write_text(pb_ostream_t *out, const pb_field_t *field, const struct dm_slice *text)
{
    return pb_encode_tag_for_field(out, field) && pb_encode_string(out, text->data, text->size);
}

static bool text_field(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field)
{
    bool in_oneof = PB_HTYPE(field->type) == PB_HTYPE_ONEOF;
    if (in != NULL) {
        if (in_oneof) {
            *(pb_size_t *)field->pSize = field->tag;
        }
        return dm_text_take(in, field->pData);
    }
    const struct dm_slice *text = field->pData;
    return (text->size == 0 && !in_oneof) || write_text(out, field, text);
}

bool dm_text_callback(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field)
{
    return PB_HTYPE(field->type) == PB_HTYPE_REPEATED ? pb_default_field_callback(in, out, field)
                                                      : text_field(in, out, field);
}

static bool read_number(pb_istream_t *in, struct dm_items *to)
{
    uint64_t number;
    if (in->bytes_left == 0) {
        return true; /* packed, and empty */
    }
    if (!pb_decode_varint(in, &number)) {
        return false;
    }
    if (to->count < to->capacity) {
        ((uint64_t *)to->items)[to->count] = number;
    }
    to->count++;
    return true;
}

static bool read_text(pb_istream_t *in, struct dm_items *to)
{
    struct dm_slice text;
    if (!dm_text_take(in, &text)) {
        return false;
    }
    if (to->count < to->capacity) {
        ((struct dm_slice *)to->items)[to->count] = text;
    }
    to->count++;
    return true;
}

static bool write_numbers(pb_ostream_t *out, const pb_field_t *field, const struct dm_items *from)
{
    const uint64_t *numbers = from->items;
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    for (uint32_t i = 0; i < from->count; i++) {
        (void)pb_encode_varint(&sizing, numbers[i]);
    }
    bool ok = from->count == 0 || (pb_encode_tag(out, PB_WT_STRING, field->tag) &&
                                   pb_encode_varint(out, sizing.bytes_written));
    for (uint32_t i = 0; ok && i < from->count; i++) {
        ok = pb_encode_varint(out, numbers[i]);
    }
    return ok;
}

static bool write_texts(pb_ostream_t *out, const pb_field_t *field, const struct dm_items *from)
{
    const struct dm_slice *texts = from->items;
    bool ok = true;
    for (uint32_t i = 0; ok && i < from->count; i++) {
        ok = write_text(out, field, &texts[i]);
    }
    return ok;
}

bool dm_items_callback(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field)
{
    if (PB_HTYPE(field->type) != PB_HTYPE_REPEATED) {
        return text_field(in, out, field);
    }
    bool numbers = PB_LTYPE(field->type) <= PB_LTYPE_LAST_PACKABLE;
    if (in != NULL) {
        return numbers ? read_number(in, field->pData) : read_text(in, field->pData);
    }
    return numbers ? write_numbers(out, field, field->pData)
                   : write_texts(out, field, field->pData);
}
