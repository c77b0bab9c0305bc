#include "wire/grpcweb.h"

#include "wire/grpc.h"

#include <stdio.h>

bool dm_grpcweb_trailers(struct dm_buf *to, enum dm_code code, const char *message)
{
    enum { TRAILERS = 0x80 };
    size_t before = dm_buf_size(to);
    uint8_t head[DM_ENVELOPE_HEAD] = {0};
    char status[32];
    int size = snprintf(status, sizeof status, "grpc-status: %d\r\n", (int)code);
    bool fine = dm_buf_append(to, head, sizeof head) && dm_buf_append(to, status, (size_t)size);
    if (fine && message != NULL && message[0] != '\0') {
        static const char name[] = "grpc-message: ";
        fine = dm_buf_append(to, name, sizeof name - 1) &&
               dm_grpc_percent_encode(to, dm_slice_str(message)) && dm_buf_append(to, "\r\n", 2);
    }
    if (fine) {
        dm_envelope_write(dm_buf_head(to) + before, TRAILERS,
                          dm_buf_size(to) - before - DM_ENVELOPE_HEAD);
    }
    return fine;
}

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

ptrdiff_t dm_base64_decode(struct dm_slice text, uint8_t *room)
{
    const char *from = text.data;
    ptrdiff_t size = 0;
    for (size_t at = 0; at < text.size;) {
        size_t left = text.size - at < 4 ? text.size - at : 4;
        size_t count = 0;
        uint32_t bits = 0;
        while (count < left && sextet(from[at + count]) >= 0) {
            bits = bits << 6 | (uint32_t)sextet(from[at + count++]);
        }
        for (size_t i = count; i < left; i++) {
            if (from[at + i] != '=' || left != 4) {
                return -1;
            }
        }
        at += left;
        if (count < 2) {
            return -1;
        }
        bits <<= 6 * (4 - count);
        for (size_t i = 0; i + 1 < count; i++) {
            room[size++] = (uint8_t)(bits >> (16 - 8 * i));
        }
    }
    return size;
}

bool dm_base64_encode(struct dm_buf *to, struct dm_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = bytes.data;
    size_t total = (bytes.size + 2) / 3 * 4;
    uint8_t *room = dm_buf_reserve(to, total);
    if (room == NULL) {
        return false;
    }
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t bits = (uint32_t)from[at] << 16 | (left > 1 ? (uint32_t)from[at + 1] << 8 : 0) |
                        (left > 2 ? from[at + 2] : 0);
        *room++ = (uint8_t)digits[bits >> 18];
        *room++ = (uint8_t)digits[bits >> 12 & 63];
        *room++ = left > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=';
        *room++ = left > 2 ? (uint8_t)digits[bits & 63] : '=';
    }
    dm_buf_commit(to, total);
    return true;
}
