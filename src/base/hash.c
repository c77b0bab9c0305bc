#include "base/hash.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <sys/random.h>

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

/* ---- keyed ------------------------------------------------------------------- */

static struct dm_hash_key process_key;

/* Runs before anything is hashed. Once the kernel is up, it always has enough randomness. */
__attribute__((constructor)) static void process_key_make(void)
{
    ssize_t size = getrandom(&process_key, sizeof process_key, 0);
    DM_ASSERT(size == (ssize_t)sizeof process_key);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t turned(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *state)
{
    state->a += state->b;
    state->c += state->d;
    state->b = turned(state->b, 13) ^ state->a;
    state->d = turned(state->d, 16) ^ state->c;
    state->a = turned(state->a, 32) + state->d;
    state->c += state->b;
    state->d = turned(state->d, 21) ^ state->a;
    state->b = turned(state->b, 17) ^ state->c;
    state->c = turned(state->c, 32);
}

static inline void sip_take(struct sip *state, uint64_t word)
{
    state->d ^= word;
    sip_round(state);
    state->a ^= word;
}

static inline uint64_t sip_give(struct sip *state)
{
    sip_round(state);
    sip_round(state);
    sip_round(state);
    return state->a ^ state->b ^ state->c ^ state->d;
}

/* Fewer than 8 bytes as a little-endian number, made of pieces that may overlap. */
static inline uint64_t load_tail(const uint8_t *p, size_t size)
{
    if (size >= 4) {
        return dm_load_le32(p) | (uint64_t)dm_load_le32(p + size - 4) << 8 * (size - 4);
    }
    if (size > 0) {
        return p[0] | (uint64_t)p[size / 2] << 8 * (size / 2) |
               (uint64_t)p[size - 1] << 8 * (size - 1);
    }
    return 0;
}

/* Everything except the second half of the output. */
static inline struct sip sip_all(struct dm_hash_key key, const uint8_t *p, size_t size)
{
    struct sip state = {
        .a = key.low ^ 0x736f6d6570736575U,
        .b = key.high ^ 0x646f72616e646f6dU ^ 0xee,
        .c = key.low ^ 0x6c7967656e657261U,
        .d = key.high ^ 0x7465646279746573U,
    };
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        sip_take(&state, dm_load_le64(p));
    }
    sip_take(&state, (uint64_t)size << 56 | load_tail(p, left));
    state.c ^= 0xee;
    return state;
}

struct dm_wide_hash dm_siphash(struct dm_hash_key key, const void *data, size_t size)
{
    struct sip state = sip_all(key, data, size);
    struct dm_wide_hash hash = {.low = sip_give(&state)};
    state.b ^= 0xdd;
    hash.high = sip_give(&state);
    return hash;
}

struct dm_wide_hash dm_keyed_hash_wide(const void *data, size_t size)
{
    return dm_siphash(process_key, data, size);
}

uint64_t dm_keyed_hash(const void *data, size_t size)
{
    struct sip state = sip_all(process_key, data, size);
    return sip_give(&state);
}

/* ---- CRC-32C ----------------------------------------------------------------- */

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
