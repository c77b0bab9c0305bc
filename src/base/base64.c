#include "base/base64.h"

#include "base/assert.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

size_t dm_base64_size(enum dm_base64 form, size_t size)
{
    size_t rest = size % 3;
    size_t last = rest == 0 ? 0 : form == DM_BASE64_PADDED ? 4 : rest + 1;
    return size / 3 * 4 + last;
}

static uint8_t letter(enum dm_base64 form, uint32_t value)
{
    DM_ASSERT(value < 64);
    if (value < 62) {
        return (uint8_t)letters[value];
    }
    return (uint8_t)(form == DM_BASE64_URL ? "-_" : "+/")[value - 62];
}

void dm_base64_write(enum dm_base64 form, struct dm_slice bytes, uint8_t *to)
{
    const uint8_t *from = bytes.data;
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = (uint32_t)from[at] << 16 | (left > 1 ? (uint32_t)from[at + 1] << 8 : 0) |
                        (left > 2 ? from[at + 2] : 0);
        for (unsigned i = 0; i <= left; i++) {
            *to++ = letter(form, bits >> (18 - 6 * i) & 63);
        }
        for (size_t i = left; form == DM_BASE64_PADDED && i < 3; i++) {
            *to++ = '=';
        }
    }
}

bool dm_base64_append(struct dm_buf *to, enum dm_base64 form, struct dm_slice bytes)
{
    size_t size = dm_base64_size(form, bytes.size);
    uint8_t *room = dm_buf_reserve(to, size);
    if (room == NULL) {
        return false;
    }
    dm_base64_write(form, bytes, room);
    dm_buf_commit(to, size);
    return true;
}

static int sextet(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

/* Up to four letters and their padding at `from`: how many letters, 0 when malformed. */
static size_t read_quartet(const uint8_t *from, size_t left, uint32_t *bits)
{
    size_t count = 0;
    DM_ASSERT(left > 0 && left <= 4);
    *bits = 0;
    while (count < left && sextet(from[count]) >= 0) {
        *bits = *bits << 6 | (uint32_t)sextet(from[count++]);
    }
    for (size_t i = count; i < left; i++) {
        if (from[i] != '=' || left != 4) {
            return 0;
        }
    }
    *bits <<= 6 * (4 - count);
    return count < 2 ? 0 : count;
}

static ptrdiff_t read_all(struct dm_slice text, uint8_t *room, bool segments)
{
    const uint8_t *from = text.data;
    ptrdiff_t size = 0;
    for (size_t at = 0; at < text.size; at += 4) {
        size_t left = text.size - at < 4 ? text.size - at : 4;
        uint32_t bits;
        size_t count = read_quartet(from + at, left, &bits);
        if (count == 0 || (count < 4 && at + 4 < text.size && !segments)) {
            return -1;
        }
        for (size_t i = 0; i + 1 < count; i++) {
            room[size++] = (uint8_t)(bits >> (16 - 8 * i));
        }
    }
    return size;
}

ptrdiff_t dm_base64_read(struct dm_slice text, uint8_t *room)
{
    return read_all(text, room, false);
}

ptrdiff_t dm_base64_read_segments(struct dm_slice text, uint8_t *room)
{
    return read_all(text, room, true);
}
