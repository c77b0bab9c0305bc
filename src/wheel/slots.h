#ifndef DM_WHEEL_SLOTS_H
#define DM_WHEEL_SLOTS_H

#include "base/region.h"

#include <stdbool.h>
#include <stdint.h>

/* Inside wheel only: levels, slots, lists, entries.
 *
 * A slot is eight circular lists, not one, which are walked side by side: the walk of a list
 * waits for memory at each step, and eight walks wait at once. (With one list, an expiry cost
 * three times as much; sixteen lists are no better than eight.) An entry's position in the pool
 * decides among them. The lists' heads are pseudo-entries at the pool's beginning. */

enum {
    LEVELS = 8,
    LEVEL_BITS = 8,
    SLOTS = 256,
    LISTS = 8,
    LANE_MASK = LISTS - 1,
    WORDS = SLOTS / 64,
    /* Link 0 is no entry and no head ("not armed"): the first places are left unused. */
    HEADS_FROM = LISTS,
    ENTRIES_FROM = HEADS_FROM + LEVELS * SLOTS * LISTS,
};

/* Zeroed, as the region gives it: not armed. */
struct entry {
    uint32_t next, prev; /* positions in the pool; next is 0 when not armed */
    uint64_t tick;
};

_Static_assert(LEVELS *LEVEL_BITS == 64 && SLOTS == 1 << LEVEL_BITS, "a level for each byte");
_Static_assert((LISTS & LANE_MASK) == 0 && HEADS_FROM % LISTS == 0 && ENTRIES_FROM % LISTS == 0,
               "the lowest bits of a position are its lane's");
_Static_assert(sizeof(struct entry) == 16, "16 bytes a timer");

struct dm_wheel {
    struct entry *pool; /* the heads, then the entries */
    uint64_t now;       /* all work for earlier ticks is done */
    uint64_t occupied[LEVELS][WORDS];
    uint8_t levels;    /* bit l: occupied[l] is not zero */
    uint8_t cascading; /* the level whose slot at `now` may still hold entries; 0: none */
    uint32_t count;
    uint32_t entry_max;
    uint32_t used; /* entries below this one have been armed at some time */
    struct dm_region region;
};

static inline unsigned byte_at(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * LEVEL_BITS)) & (SLOTS - 1);
}

static inline uint32_t head_of(unsigned level, unsigned slot)
{
    return HEADS_FROM + (level * SLOTS + slot) * LISTS;
}

static inline bool slot_occupied(const struct dm_wheel *wheel, unsigned level, unsigned slot)
{
    return (wheel->occupied[level][slot / 64] >> (slot % 64) & 1) != 0;
}

/* Is a cascade half done? */
static inline bool cascade_due(const struct dm_wheel *wheel)
{
    unsigned level = wheel->cascading;
    return level != 0 && slot_occupied(wheel, level, byte_at(wheel->now, level));
}

/* The first tick of a slot, seen from `now`. */
static inline uint64_t slot_start(const struct dm_wheel *wheel, unsigned level, unsigned slot)
{
    unsigned shift = level * LEVEL_BITS;
    return (wheel->now >> shift >> LEVEL_BITS << LEVEL_BITS | slot) << shift;
}

#endif
