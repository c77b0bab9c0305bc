#ifndef DM_TESTS_LIB_COLLIDING_H
#define DM_TESTS_LIB_COLLIDING_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/slice.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Ids that share one dm_hash, as anybody can make them: 16 bytes lead its state to a word of
 * printable letters; with that word in the right place, eight bytes before it decide nothing. */

enum { COLLIDING_SIZE = 32 };

struct colliding {
    uint8_t bytes[COLLIDING_SIZE]; /* of what is hashed; the id begins after `head_size` */
    size_t head_size;
    uint64_t hash;
};

static inline uint64_t colliding_fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline int colliding_printable(uint64_t word)
{
    for (int i = 0; i < 8; i++) {
        uint8_t letter = (uint8_t)(word >> 8 * i);
        if (letter <= 0x20 || letter >= 0x7f) {
            return 0;
        }
    }
    return 1;
}

/* Of ids that are hashed behind `head`, with a seed of 0. */
static inline struct colliding colliding_make(const void *head, size_t head_size)
{
    static const uint64_t a = 0xa0761d6478bd642fULL, b = 0xe7037ed1a0b428dbULL;
    struct colliding made = {.head_size = head_size};
    uint64_t start = colliding_fold(a, b), state = 0;
    assert(head_size <= 4);
    memcpy(made.bytes, head, head_size);
    for (uint32_t i = 0; !colliding_printable(state); i++) {
        char number[17];
        (void)snprintf(number, sizeof number, "%016u", i);
        memcpy(made.bytes + head_size, number + head_size, 16 - head_size);
        state = colliding_fold(dm_load_le64(made.bytes) ^ b, dm_load_le64(made.bytes + 8) ^ start);
    }
    memcpy(made.bytes + 16, "00000000", 8);
    dm_store_le64(made.bytes + 24, state);
    made.hash = dm_hash(made.bytes, COLLIDING_SIZE, 0);
    return made;
}

/* The id of that number; good until the next one. */
static inline struct dm_slice colliding_id(struct colliding *made, uint32_t number)
{
    char text[9];
    (void)snprintf(text, sizeof text, "%08u", number);
    memcpy(made->bytes + 16, text, 8);
    assert(dm_hash(made->bytes, COLLIDING_SIZE, 0) == made->hash);
    return dm_slice(made->bytes + made->head_size, COLLIDING_SIZE - made->head_size);
}

#endif
