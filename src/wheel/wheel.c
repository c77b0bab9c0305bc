#include "wheel/wheel.h"

#include "base/assert.h"
#include "wheel/slots.h"

#include <stdlib.h>

/* All goes well: time moves from occupied slot to occupied slot. A slot of level 0
 * holds one tick; when time stands on it, its entries are handed out. A slot of a
 * higher level is reached at its first tick; its entries are linked again, each at a
 * lower level, and only then does time go on.
 *
 * Nothing is ever moved aside for that. Above level 0, no entry is ever put into the
 * slot that bears `now`'s own byte (what shares the byte with `now` sits lower), so the
 * slot where time stands is itself the list being drained: it may be left half done,
 * and a cancel in it is a cancel like any other. At level 0 that slot is the list of
 * what is due. Slots before `now`'s byte are empty at every level. */

_Static_assert(DM_WHEEL_ENTRIES_MAX <= UINT32_MAX - ENTRIES_FROM, "a link names any entry");

static void mark_occupied(struct dm_wheel *wheel, unsigned level, unsigned slot)
{
    wheel->occupied[level][slot / 64] |= (uint64_t)1 << (slot % 64);
    wheel->levels = (uint8_t)(wheel->levels | 1U << level);
}

static void mark_empty(struct dm_wheel *wheel, unsigned level, unsigned slot)
{
    uint64_t *words = wheel->occupied[level];
    words[slot / 64] &= ~((uint64_t)1 << (slot % 64));
    if ((words[0] | words[1] | words[2] | words[3]) == 0) {
        wheel->levels = (uint8_t)(wheel->levels & ~(1U << level));
    }
}

static bool lists_empty(const struct entry *pool, uint32_t head)
{
    for (uint32_t lane = 0; lane < LISTS; lane++) {
        if (pool[head + lane].next != head + lane) {
            return false;
        }
    }
    return true;
}

/* Links `at` where its tick belongs, seen from `now`. What is due already belongs to
 * the slot of `now`. */
static inline void link_entry(struct dm_wheel *wheel, uint32_t at, uint64_t tick)
{
    struct entry *pool = wheel->pool;
    unsigned level = 0;
    unsigned slot = byte_at(wheel->now, 0);
    if (tick > wheel->now) {
        level = (63U - (unsigned)__builtin_clzll(tick ^ wheel->now)) / LEVEL_BITS;
        slot = byte_at(tick, level);
    }
    uint32_t head = head_of(level, slot) + (at & LANE_MASK);
    uint32_t first = pool[head].next;
    pool[at] = (struct entry){.next = first, .prev = head, .tick = tick};
    pool[first].prev = at;
    pool[head].next = at;
    mark_occupied(wheel, level, slot);
}

static void unlink_entry(struct dm_wheel *wheel, uint32_t at)
{
    struct entry *pool = wheel->pool;
    uint32_t next = pool[at].next;
    uint32_t prev = pool[at].prev;
    DM_ASSERT(pool[next].prev == at && pool[prev].next == at);
    pool[next].prev = prev;
    pool[prev].next = next;
    if (next == prev) { /* the head alone is left of this list */
        uint32_t slot = (next - HEADS_FROM) / LISTS;
        if (lists_empty(pool, HEADS_FROM + slot * LISTS)) {
            mark_empty(wheel, slot / SLOTS, slot % SLOTS);
        }
    }
}

struct dm_wheel *dm_wheel_create(uint32_t entry_max, uint64_t now)
{
    if (entry_max > DM_WHEEL_ENTRIES_MAX) {
        return NULL;
    }
    struct dm_wheel *wheel = calloc(1, sizeof *wheel);
    if (wheel == NULL) {
        return NULL;
    }
    size_t size = ((size_t)ENTRIES_FROM + entry_max) * sizeof(struct entry);
    if (!dm_region_init(&wheel->region, size)) {
        free(wheel);
        return NULL;
    }
    dm_region_prefer_huge(&wheel->region);
    wheel->pool = wheel->region.base;
    wheel->now = now;
    wheel->entry_max = entry_max;
    for (uint32_t head = HEADS_FROM; head < ENTRIES_FROM; head++) {
        wheel->pool[head].next = wheel->pool[head].prev = head;
    }
    return wheel;
}

void dm_wheel_destroy(struct dm_wheel *wheel)
{
    if (wheel == NULL) {
        return;
    }
    dm_region_finish(&wheel->region);
    free(wheel);
}

void dm_wheel_arm(struct dm_wheel *wheel, uint32_t entry, uint64_t tick)
{
    DM_ASSERT(entry < wheel->entry_max);
    uint32_t at = ENTRIES_FROM + entry;
    struct entry *self = &wheel->pool[at];
    if (self->next != 0) {
        /* Later, and not in level 0: it may stay where it is. Time reaches that slot
         * before the tick, and moves it on from there. */
        if (tick >= self->tick && self->tick >> LEVEL_BITS > wheel->now >> LEVEL_BITS) {
            self->tick = tick;
            return;
        }
        unlink_entry(wheel, at);
    } else {
        wheel->count++;
        if (entry >= wheel->used) {
            wheel->used = entry + 1;
        }
    }
    link_entry(wheel, at, tick);
}

void dm_wheel_cancel(struct dm_wheel *wheel, uint32_t entry)
{
    DM_ASSERT(entry < wheel->entry_max);
    uint32_t at = ENTRIES_FROM + entry;
    if (wheel->pool[at].next == 0) {
        return;
    }
    unlink_entry(wheel, at);
    wheel->pool[at].next = 0;
    DM_ASSERT(wheel->count > 0);
    wheel->count--;
}

bool dm_wheel_armed(const struct dm_wheel *wheel, uint32_t entry)
{
    DM_ASSERT(entry < wheel->entry_max);
    return wheel->pool[ENTRIES_FROM + entry].next != 0;
}

uint64_t dm_wheel_tick(const struct dm_wheel *wheel, uint32_t entry)
{
    DM_ASSERT(dm_wheel_armed(wheel, entry));
    return wheel->pool[ENTRIES_FROM + entry].tick;
}

/* The next slot at which time must stop, `now` included: its first tick and its level.
 * A lower level's slots all come before a higher one's. False when nothing is armed. */
static bool next_stop(const struct dm_wheel *wheel, uint64_t *tick, unsigned *level)
{
    if (wheel->levels == 0) {
        return false;
    }
    if (cascade_due(wheel)) {
        *tick = wheel->now;
        *level = wheel->cascading;
        return true;
    }
    unsigned lowest = (unsigned)__builtin_ctz(wheel->levels);
    const uint64_t *words = wheel->occupied[lowest];
    unsigned word = 0;
    while (words[word] == 0) {
        word++;
    }
    uint64_t slot = word * 64 + (unsigned)__builtin_ctzll(words[word]);
    unsigned shift = lowest * LEVEL_BITS;
    uint64_t above = wheel->now >> shift >> LEVEL_BITS;
    *tick = (above << LEVEL_BITS | slot) << shift;
    *level = lowest;
    return true;
}

/* Takes up to `limit` entries out of a slot, from its lists in turn. With `out` they
 * are disarmed and handed out, without it linked anew. Returns how many. */
static inline size_t drain(struct dm_wheel *wheel, unsigned level, unsigned slot, size_t limit,
                           uint32_t *out)
{
    struct entry *pool = wheel->pool;
    uint32_t head = head_of(level, slot);
    uint32_t at[LISTS];
    for (uint32_t lane = 0; lane < LISTS; lane++) {
        at[lane] = pool[head + lane].next;
        __builtin_prefetch(&pool[at[lane]], 1);
    }
    size_t taken = 0;
    for (uint32_t lane = 0, done = 0; done < LISTS && taken < limit;
         lane = (lane + 1) & LANE_MASK) {
        uint32_t self = at[lane];
        if (self == head + lane) {
            done++;
            continue;
        }
        done = 0;
        at[lane] = pool[self].next;
        __builtin_prefetch(&pool[at[lane]], 1);
        if (out != NULL) {
            out[taken] = self - ENTRIES_FROM;
            pool[self].next = 0;
        } else {
            link_entry(wheel, self, pool[self].tick);
        }
        taken++;
    }
    for (uint32_t lane = 0; lane < LISTS; lane++) {
        pool[head + lane].next = at[lane];
        pool[at[lane]].prev = head + lane;
    }
    if (lists_empty(pool, head)) {
        mark_empty(wheel, level, slot);
    }
    return taken;
}

size_t dm_wheel_advance(struct dm_wheel *wheel, uint64_t now, size_t budget, uint32_t *out,
                        size_t out_max, bool *more)
{
    size_t expired = 0;
    uint64_t tick;
    unsigned level;
    *more = false;
    if (now < wheel->now) {
        return 0;
    }
    while (next_stop(wheel, &tick, &level) && tick <= now) {
        size_t limit = budget;
        if (level == 0 && limit > out_max - expired) {
            limit = out_max - expired;
        }
        if (limit == 0) {
            *more = true;
            return expired;
        }
        DM_ASSERT(tick >= wheel->now); /* it never goes back */
        wheel->now = tick;
        wheel->cascading = (uint8_t)level;
        if (level == 0) {
            size_t taken = drain(wheel, 0, byte_at(tick, 0), limit, out + expired);
            DM_ASSERT(wheel->count >= taken && expired + taken <= out_max);
            wheel->count -= (uint32_t)taken;
            expired += taken;
            budget -= taken;
        } else {
            budget -= drain(wheel, level, byte_at(tick, level), limit, NULL);
        }
    }
    wheel->now = now;
    return expired;
}

uint64_t dm_wheel_next(const struct dm_wheel *wheel)
{
    uint64_t tick;
    unsigned level;
    return next_stop(wheel, &tick, &level) ? tick : UINT64_MAX;
}

uint32_t dm_wheel_count(const struct dm_wheel *wheel)
{
    return wheel->count;
}

uint64_t dm_wheel_now(const struct dm_wheel *wheel)
{
    return wheel->now;
}

size_t dm_wheel_memory(const struct dm_wheel *wheel)
{
    return sizeof *wheel + ((size_t)ENTRIES_FROM + wheel->used) * sizeof(struct entry);
}
