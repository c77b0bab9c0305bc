#ifndef DM_BASE_BYTES_H
#define DM_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

/* Loads and stores at any alignment. `be` for what is ordered or on a wire,
 * `le` for our own files (native on every machine we run on, asserted here). */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file formats are little-endian");

static inline uint32_t dm_load_be32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t dm_load_be64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return __builtin_bswap64(v);
}

static inline void dm_store_be32(void *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof v);
}

static inline void dm_store_be64(void *to, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(to, &v, sizeof v);
}

static inline uint16_t dm_load_le16(const void *from)
{
    uint16_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline uint32_t dm_load_le32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline uint64_t dm_load_le64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void dm_store_le16(void *to, uint16_t v)
{
    memcpy(to, &v, sizeof v);
}

static inline void dm_store_le32(void *to, uint32_t v)
{
    memcpy(to, &v, sizeof v);
}

static inline void dm_store_le64(void *to, uint64_t v)
{
    memcpy(to, &v, sizeof v);
}

/* Zeroes some hundred bytes. A compiler that knew how many would make an instruction of it
 * (rep stos) that takes longer to begin than the C library's memset to end. */
static inline void dm_clear(void *at, size_t size)
{
    __asm__("" : "+r"(size));
    memset(at, 0, size);
}

#endif
