#include "frame.h"

#include "base/bytes.h"
#include "base/varint.h"

static bool append_number(struct dm_buf *out, uint8_t key, uint64_t number)
{
    uint8_t bytes[1 + DM_VARINT_MAX] = {key};
    const uint8_t *end = dm_varint_put(bytes + 1, number);
    return dm_buf_append(out, bytes, (size_t)(end - bytes));
}

static bool append_bytes(struct dm_buf *out, uint8_t key, struct dm_slice bytes)
{
    return append_number(out, key, bytes.size) && dm_buf_append(out, bytes.data, bytes.size);
}

static void set_size(struct dm_buf *out, size_t frame)
{
    dm_store_be32(dm_buf_head(out) + frame, (uint32_t)(dm_buf_size(out) - frame - FRAME_HEADER));
}

bool frame_append(struct dm_buf *out, uint32_t stream, const char *method, struct dm_slice payload)
{
    uint8_t header[FRAME_HEADER] = {[8] = FRAME_REQUEST, [9] = FRAME_REMOTE_CLOSED};
    size_t before = dm_buf_size(out);
    dm_store_be32(header + 4, stream);
    if (!dm_buf_append(out, header, sizeof header) ||
        !append_bytes(out, 0x0a, dm_slice_str("dormouse.v1.BotStatus")) ||
        !append_bytes(out, 0x12, dm_slice_str(method)) || !append_bytes(out, 0x1a, payload)) {
        return false;
    }
    set_size(out, before);
    return true;
}

bool frame_set_timeout(struct dm_buf *frame, uint64_t timeout_ns)
{
    if (!append_number(frame, 0x20, timeout_ns)) {
        return false;
    }
    set_size(frame, 0);
    return true;
}

/* Field 1 is the status, 2 the payload; a server that answers OK may leave the first out. */
int frame_response(struct dm_slice body, struct dm_slice *payload)
{
    const uint8_t *at = body.data, *end = at + body.size;
    uint64_t code = 0, size;
    while (at < end) {
        uint8_t key = *at++;
        if (!dm_varint_get(&at, end, &size) || (key != 0x0a && key != 0x12) ||
            size > (uint64_t)(end - at)) {
            return 13;
        }
        if (key == 0x12) {
            *payload = dm_slice(at, (size_t)size);
        } else if (size > 1 && at[0] == 0x08) {
            const uint8_t *number = at + 1;
            (void)dm_varint_get(&number, at + size, &code);
        }
        at += size;
    }
    return (int)code;
}
