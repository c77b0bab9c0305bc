#include "engine/check_cache.h"

#include "base/assert.h"

/* All goes well: a contact stands in one of the two lines that its hash names, and one that
 * is in the way of another moves to its own other line (Pagh and Rodler, "Cuckoo Hashing",
 * 2001; one move at the most here). So few have to give way. The table grows a line at a time
 * (Litwin, "Linear Hashing", 1980): what it holds stays found, and no call pays for more than its
 * share. */

enum { WAYS = 2, LINE_SIZE = WAYS * (int)sizeof(struct dm_check_entry), LINES_MIN = 1 << 14 };

_Static_assert(LINE_SIZE == 64, "a line is one of the processor's");
_Static_assert((LINES_MIN & (LINES_MIN - 1)) == 0, "lines split off from a power of two");

bool dm_check_cache_init(struct dm_check_cache *cache, uint64_t bytes_max)
{
    *cache = (struct dm_check_cache){0};
    uint64_t lines = bytes_max / LINE_SIZE;
    if (lines < LINES_MIN) {
        return true;
    }
    if (!dm_region_init(&cache->region, lines * LINE_SIZE)) {
        return false;
    }
    dm_region_prefer_huge(&cache->region);
    cache->entries = cache->region.base;
    cache->lines = cache->level = LINES_MIN;
    cache->lines_max = lines;
    return true;
}

void dm_check_cache_finish(struct dm_check_cache *cache)
{
    dm_region_finish(&cache->region);
    *cache = (struct dm_check_cache){0};
}

/* Lines from `level` on have split off from those `level` below them. */
static struct dm_check_entry *line_of(const struct dm_check_cache *cache, uint64_t bits)
{
    uint64_t line = bits & (cache->level * 2 - 1);
    line = line < cache->lines ? line : line - cache->level;
    return &cache->entries[line * WAYS];
}

static struct dm_check_entry *first_line(const struct dm_check_cache *cache,
                                         struct dm_wide_hash hash)
{
    return line_of(cache, hash.low);
}

static struct dm_check_entry *second_line(const struct dm_check_cache *cache,
                                          struct dm_wide_hash hash)
{
    return line_of(cache, hash.high);
}

void dm_check_cache_prefetch(const struct dm_check_cache *cache, struct dm_wide_hash hash)
{
    if (cache->lines != 0) {
        __builtin_prefetch(first_line(cache, hash));
        __builtin_prefetch(second_line(cache, hash));
    }
}

static bool is_empty(const struct dm_check_entry *entry)
{
    return (entry->hash.low | entry->hash.high) == 0;
}

static struct dm_check_entry *place_in(struct dm_check_entry *line, struct dm_wide_hash hash)
{
    for (int way = 0; way < WAYS; way++) {
        if (line[way].hash.low == hash.low && line[way].hash.high == hash.high) {
            return &line[way];
        }
    }
    return NULL;
}

static struct dm_check_entry *empty_in(struct dm_check_entry *line)
{
    return place_in(line, (struct dm_wide_hash){0});
}

static struct dm_check_entry *place_of(const struct dm_check_cache *cache, struct dm_wide_hash hash)
{
    if (cache->lines == 0) {
        return NULL;
    }
    struct dm_check_entry *place = place_in(first_line(cache, hash), hash);
    return place != NULL ? place : place_in(second_line(cache, hash), hash);
}

const struct dm_check_entry *dm_check_cache_find(struct dm_check_cache *cache,
                                                 struct dm_wide_hash hash)
{
    const struct dm_check_entry *found = place_of(cache, hash);
    *(found != NULL ? &cache->hits : &cache->misses) += 1;
    return found;
}

/* One line more: it takes from the one that it splits off from what belongs to it now. */
static void grow(struct dm_check_cache *cache)
{
    struct dm_check_entry *old = &cache->entries[(cache->lines - cache->level) * WAYS];
    struct dm_check_entry *new = &cache->entries[cache->lines * WAYS];
    DM_ASSERT(cache->lines < cache->lines_max && cache->lines < cache->level * 2);
    cache->lines++;
    if (cache->lines == cache->level * 2) {
        cache->level = cache->lines;
    }
    for (int way = 0; way < WAYS; way++) {
        struct dm_wide_hash hash = old[way].hash;
        if (!is_empty(&old[way]) && first_line(cache, hash) != old &&
            second_line(cache, hash) != old) {
            new[way] = old[way];
            old[way] = (struct dm_check_entry){0};
        }
    }
}

/* The other of the two lines of an entry that stands in `line`. */
static struct dm_check_entry *other_line(const struct dm_check_cache *cache,
                                         struct dm_wide_hash hash,
                                         const struct dm_check_entry *line)
{
    struct dm_check_entry *first = first_line(cache, hash);
    return first != line ? first : second_line(cache, hash);
}

/* An empty place in `line`, if need be one whose entry can move to its other line. NULL:
 * there is none. */
static struct dm_check_entry *room_in(const struct dm_check_cache *cache,
                                      struct dm_check_entry *line)
{
    struct dm_check_entry *empty = empty_in(line);
    for (int way = 0; way < WAYS && empty == NULL; way++) {
        struct dm_check_entry *aside = empty_in(other_line(cache, line[way].hash, line));
        if (aside != NULL) {
            *aside = line[way];
            line[way] = (struct dm_check_entry){0};
            empty = &line[way];
        }
    }
    return empty;
}

/* An empty place; else one by bits of the hash that chose neither line. */
static struct dm_check_entry *new_place(const struct dm_check_cache *cache,
                                        struct dm_wide_hash hash)
{
    struct dm_check_entry *lines[] = {first_line(cache, hash), second_line(cache, hash)};
    struct dm_check_entry *place = empty_in(lines[0]);
    place = place != NULL ? place : empty_in(lines[1]);
    place = place != NULL ? place : room_in(cache, lines[0]);
    place = place != NULL ? place : room_in(cache, lines[1]);
    return place != NULL ? place : &lines[hash.low >> 63][hash.low >> 62 & 1];
}

/* false: a number is too large for its bits. */
static bool pack(struct dm_check_entry *entry, const struct dm_record_head *head)
{
    entry->fence = head->fence & ((1ULL << 48) - 1);
    entry->bot = head->bot & ((1U << 10) - 1);
    entry->status = head->status & 3U;
    entry->reason = head->reason & 15U;
    entry->until_ms = (uint64_t)head->until_ms & ((1ULL << 48) - 1);
    entry->bot_messages = head->bot_messages & ((1U << 16) - 1);
    return entry->fence == head->fence && entry->bot == head->bot &&
           entry->until_ms == (uint64_t)head->until_ms && entry->bot_messages == head->bot_messages;
}

void dm_check_cache_put(struct dm_check_cache *cache, struct dm_wide_hash hash,
                        const struct dm_record_head *head)
{
    struct dm_check_entry entry = {.hash = hash};
    if (cache->lines == 0 || !pack(&entry, head)) {
        return;
    }
    /* Fuller than five places in eight, those who find none become noticeable: lines that
     * have not split yet have twice the share of those that have. */
    if (cache->filled > cache->lines * 5 / 4 && cache->lines < cache->lines_max) {
        grow(cache);
    }
    struct dm_check_entry *place = place_of(cache, hash);
    place = place != NULL ? place : new_place(cache, hash);
    cache->filled += is_empty(place);
    DM_ASSERT(cache->filled <= cache->lines * WAYS);
    *place = entry;
}

void dm_check_cache_forget(struct dm_check_cache *cache, struct dm_wide_hash hash)
{
    struct dm_check_entry *place = place_of(cache, hash);
    if (place != NULL) {
        DM_ASSERT(cache->filled != 0);
        *place = (struct dm_check_entry){0};
        cache->filled--;
    }
}

size_t dm_check_cache_memory(const struct dm_check_cache *cache)
{
    return cache->lines * LINE_SIZE;
}
