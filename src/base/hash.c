#include "base/hash.h"

#include "base/bytes.h"

static const uint64_t secret_a = 0xa0761d6478bd642fULL;
static const uint64_t secret_b = 0xe7037ed1a0b428dbULL;

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 8 bytes as a number: two overlapping halves, or first, middle and last. */
static inline uint64_t load_short(const uint8_t *p, size_t size)
{
    if (size >= 4) {
        return (uint64_t)dm_load_le32(p) << 32 | dm_load_le32(p + size - 4);
    }
    if (size > 0) {
        return (uint64_t)p[0] << 16 | (uint64_t)p[size >> 1] << 8 | p[size - 1];
    }
    return 0;
}

uint64_t dm_hash(const void *data, size_t size, uint64_t seed)
{
    const uint8_t *p = data;
    size_t left = size;
    uint64_t state = seed ^ fold(seed ^ secret_a, secret_b);
    while (left > 16) {
        state = fold(dm_load_le64(p) ^ secret_b, dm_load_le64(p + 8) ^ state);
        p += 16;
        left -= 16;
    }
    uint64_t first, last;
    if (left > 8) {
        first = dm_load_le64(p);
        last = dm_load_le64(p + left - 8);
    } else {
        first = load_short(p, left);
        last = left;
    }
    return fold(secret_a ^ (uint64_t)size, fold(first ^ secret_b, last ^ state));
}

static uint32_t crc32c_table[256];

__attribute__((constructor)) static void crc32c_table_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
        }
        crc32c_table[byte] = crc;
    }
}

uint32_t dm_crc32c_by_table(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;
    crc = ~crc;
    while (size-- > 0) {
        crc = crc32c_table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        wide = __builtin_ia32_crc32di(wide, dm_load_le64(p));
    }
    crc = (uint32_t)wide;
    if ((size & 4) != 0) {
        crc = __builtin_ia32_crc32si(crc, dm_load_le32(p));
        p += 4;
    }
    if ((size & 2) != 0) {
        crc = __builtin_ia32_crc32hi(crc, dm_load_le16(p));
        p += 2;
    }
    if ((size & 1) != 0) {
        crc = __builtin_ia32_crc32qi(crc, *p);
    }
    return crc;
}
#endif

uint32_t dm_crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc32c_by_instruction(~crc, data, size);
    }
#endif
    return dm_crc32c_by_table(crc, data, size);
}
