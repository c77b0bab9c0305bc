#include "rpc/message.h"

#include "base/assert.h"

static bool read_texts(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct dm_texts *texts = *arg;
    struct dm_slice text;
    if (!dm_text_take(stream, &text)) {
        return false;
    }
    if (texts->count < DM_BATCH_MAX) {
        texts->items[texts->count] = text;
    }
    texts->count++;
    return true;
}

pb_callback_t dm_texts_in(struct dm_texts *to)
{
    return (pb_callback_t){.funcs.decode = read_texts, .arg = to};
}

enum dm_code dm_texts_check(const struct dm_texts *texts, const char *field, struct dm_error *error)
{
    if (texts->count > DM_BATCH_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "%s: has %u entries; at most %d are allowed",
                       field, texts->count, DM_BATCH_MAX);
    }
    return DM_OK;
}

enum dm_code dm_decode(const struct dm_inbound *in, struct dm_slice payload,
                       const pb_msgdesc_t *fields, void *message, struct dm_error *error)
{
    pb_istream_t stream = dm_istream(payload);
    if (pb_decode_ex(&stream, fields, message, PB_DECODE_NOINIT)) {
        return DM_OK;
    }
    /* nanopb drops the words of a refusal by dm_text_take */
    return dm_fail(error, DM_INVALID_ARGUMENT, "the request is not a valid %s message: %s",
                   in->method->request, stream.errmsg != NULL ? stream.errmsg : "wrong wire type");
}

struct dm_slice dm_encode(uint8_t *out, const pb_msgdesc_t *fields, const void *message)
{
    pb_ostream_t stream = pb_ostream_from_buffer(out, DM_SMALL_MESSAGE);
    bool fits = pb_encode(&stream, fields, message);
    DM_ASSERT(fits);
    return dm_slice(out, stream.bytes_written);
}

bool dm_append_text(struct dm_buf *buf, uint32_t tag, struct dm_slice text)
{
    enum { HEAD_MAX = 20 };
    if (text.size == 0) {
        return true;
    }
    uint8_t *room = dm_buf_reserve(buf, HEAD_MAX + text.size);
    if (room == NULL) {
        return false;
    }
    pb_ostream_t stream = pb_ostream_from_buffer(room, HEAD_MAX + text.size);
    bool fits = pb_encode_tag(&stream, PB_WT_STRING, tag) &&
                pb_encode_string(&stream, text.data, text.size);
    DM_ASSERT(fits);
    dm_buf_commit(buf, stream.bytes_written);
    return true;
}

bool dm_append_message(struct dm_buf *buf, uint32_t tag, const pb_msgdesc_t *fields,
                       const void *message)
{
    uint8_t scratch[DM_SMALL_MESSAGE];
    struct dm_slice bytes = dm_encode(scratch, fields, message);
    if (bytes.size == 0) {
        /* an element with no field set still counts */
        DM_ASSERT(tag < 16); /* one byte */
        uint8_t empty[] = {(uint8_t)(tag << 3 | PB_WT_STRING), 0};
        return dm_buf_append(buf, empty, sizeof empty);
    }
    return dm_append_text(buf, tag, bytes);
}
