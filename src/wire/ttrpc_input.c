#include "wire/ttrpc_input.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"

enum { HELD_KEEP = 4096 }; /* bytes that the emptied buffer keeps */
_Static_assert(DM_SMALL_BODY <= DM_MESSAGE_SIZE_MAX && DM_MESSAGE_SIZE_MAX <= DM_TTRPC_DISCARD_MAX,
               "small, too long, and no ttrpc at all, in this order");

void dm_ttrpc_input_feed(struct dm_ttrpc_input *in, struct dm_slice bytes)
{
    if (in->fed.size != 0) {
        dm_ttrpc_input_keep(in);
    }
    if (!in->no_memory) {
        in->fed = bytes;
    }
}

static void drop(struct dm_ttrpc_input *in, size_t size)
{
    if (dm_buf_size(&in->held) != 0) {
        dm_buf_consume(&in->held, size);
    } else {
        DM_ASSERT(size <= in->fed.size);
        in->fed = dm_slice((const uint8_t *)in->fed.data + size, in->fed.size - size);
    }
}

/* The longest body that the frame at the start of `bytes` may have. While all connections
 * hold too much together, no long one is begun. */
static size_t body_max(const struct dm_ttrpc_input *in, struct dm_slice bytes, bool from_held)
{
    bool begun = from_held && bytes.size > DM_TTRPC_HEADER_SIZE;
    bool small = !begun && in->frame_max > DM_SMALL_BODY && dm_crowd_full(in->crowd);
    return small ? DM_SMALL_BODY : in->frame_max;
}

/* How many bytes the frame at the start of `bytes` has, as far as they tell. */
static size_t frame_size(const struct dm_ttrpc_input *in, struct dm_slice bytes, bool from_held)
{
    if (bytes.size < DM_TTRPC_HEADER_SIZE) {
        return DM_TTRPC_HEADER_SIZE;
    }
    uint32_t length = dm_load_be32(bytes.data);
    return DM_TTRPC_HEADER_SIZE + (length > body_max(in, bytes, from_held) ? 0 : (size_t)length);
}

/* Moves to the half frame that is held what it lacks. False when nothing is there. */
static bool top_up(struct dm_ttrpc_input *in, size_t lacking)
{
    size_t size = lacking < in->fed.size ? lacking : in->fed.size;
    if (size == 0) {
        return false;
    }
    if (!dm_buf_append(&in->held, in->fed.data, size)) {
        in->no_memory = true;
        return false;
    }
    in->fed = dm_slice((const uint8_t *)in->fed.data + size, in->fed.size - size);
    return true;
}

bool dm_ttrpc_input_look(struct dm_ttrpc_input *in, struct dm_ttrpc_frame *frame)
{
    for (;;) {
        bool from_held = dm_buf_size(&in->held) != 0;
        struct dm_slice bytes = from_held ? dm_buf_slice(&in->held) : in->fed;
        if (in->discard != 0 && bytes.size != 0) {
            size_t size = in->discard < bytes.size ? (size_t)in->discard : bytes.size;
            in->discard -= size;
            drop(in, size);
            continue;
        }
        size_t size = frame_size(in, bytes, from_held);
        if (bytes.size < size) {
            if (!from_held || !top_up(in, size - bytes.size)) {
                return false;
            }
            continue;
        }
        const uint8_t *at = bytes.data;
        dm_ttrpc_header_load(at, &frame->header);
        frame->too_long = frame->header.size > size - DM_TTRPC_HEADER_SIZE;
        frame->body = dm_slice(at + DM_TTRPC_HEADER_SIZE, size - DM_TTRPC_HEADER_SIZE);
        return true;
    }
}

void dm_ttrpc_input_take(struct dm_ttrpc_input *in, const struct dm_ttrpc_frame *frame)
{
    in->frames++;
    drop(in, DM_TTRPC_HEADER_SIZE + frame->body.size);
    if (frame->too_long) {
        in->discard = frame->header.size;
    }
}

void dm_ttrpc_input_keep(struct dm_ttrpc_input *in)
{
    if (in->fed.size != 0 && !in->no_memory &&
        !dm_buf_append(&in->held, in->fed.data, in->fed.size)) {
        in->no_memory = true;
    }
    in->fed = dm_slice(NULL, 0);
    if (dm_buf_size(&in->held) == 0) {
        dm_buf_reset(&in->held, HELD_KEEP);
    }
}

size_t dm_ttrpc_input_payloads(const struct dm_ttrpc_input *in, struct dm_ttrpc_names *names,
                               struct dm_slice *payloads, size_t max)
{
    size_t count = 0;
    const uint8_t *at = in->fed.data;
    size_t left = dm_buf_size(&in->held) != 0 || in->discard != 0 ? 0 : in->fed.size;
    while (count < max && left > DM_TTRPC_HEADER_SIZE) {
        struct dm_ttrpc_header header;
        struct dm_ttrpc_request request;
        dm_ttrpc_header_load(at, &header);
        size_t body = left - DM_TTRPC_HEADER_SIZE;
        if (header.size > body || header.type != DM_TTRPC_REQUEST ||
            !dm_ttrpc_request_reread(dm_slice(at + DM_TTRPC_HEADER_SIZE, header.size), names,
                                     &request)) {
            break;
        }
        payloads[count++] = request.payload;
        at += DM_TTRPC_HEADER_SIZE + header.size;
        left -= DM_TTRPC_HEADER_SIZE + header.size;
    }
    return count;
}

void dm_ttrpc_input_load(const struct dm_ttrpc_input *in, struct dm_load *load)
{
    size_t held = dm_buf_size(&in->held);
    bool half = held != 0 && held < frame_size(in, dm_buf_slice(&in->held), true);
    *load = (struct dm_load){
        .memory = in->held.capacity,
        .head = half && held < DM_TTRPC_HEADER_SIZE,
        .body = (half && held >= DM_TTRPC_HEADER_SIZE) || in->discard != 0,
        .head_number = in->frames,
        .body_number = in->frames,
    };
}

void dm_ttrpc_input_finish(struct dm_ttrpc_input *in)
{
    dm_buf_finish(&in->held);
}
