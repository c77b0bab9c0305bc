#ifndef DM_BASE_VARINT_H
#define DM_BASE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The variable-length numbers of protobuf: seven bits a byte, the lowest first; the highest bit of
 * a byte says that another one follows. */

enum { DM_VARINT_MAX = 10 };

static inline size_t dm_varint_size(uint64_t value)
{
    unsigned bits = 64U - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

/* Returns the end of what it wrote, at most DM_VARINT_MAX bytes. */
static inline uint8_t *dm_varint_put(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}

/* Reads the number at *at and moves on. false: it goes on past `end`, or past 64 bits. Bytes that
 * it does not need are allowed, as protobuf allows them; who wants its shortest form compares
 * what it took with dm_varint_size. */
static inline bool dm_varint_get(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return shift < 63 || byte <= 1;
        }
    }
    return false;
}

/* A signed number as one that is small when it is near zero, and back. */
static inline uint64_t dm_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t dm_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
