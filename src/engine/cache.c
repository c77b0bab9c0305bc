#include "engine/cache.h"

#include "base/hash.h"

enum { WAYS = 2, LINE_SIZE = WAYS * (int)sizeof(struct dm_check_entry), LINES_MIN = 1 << 14 };

bool dm_check_cache_init(struct dm_check_cache *cache, uint64_t bytes_max, uint64_t seed)
{
    *cache = (struct dm_check_cache){.seed = seed};
    uint64_t lines = LINES_MIN;
    while (lines * 2 * LINE_SIZE <= bytes_max) {
        lines *= 2;
    }
    if (lines * LINE_SIZE > bytes_max) {
        return true;
    }
    if (!dm_region_init(&cache->region, lines * LINE_SIZE)) {
        return false;
    }
    dm_region_prefer_huge(&cache->region);
    cache->entries = cache->region.base;
    cache->lines = LINES_MIN;
    cache->lines_max = lines;
    return true;
}

void dm_check_cache_finish(struct dm_check_cache *cache)
{
    dm_region_finish(&cache->region);
    *cache = (struct dm_check_cache){0};
}

uint64_t dm_check_cache_hash(const struct dm_check_cache *cache, uint32_t account,
                             struct dm_slice contact)
{
    uint64_t hash = dm_hash(contact.data, contact.size, cache->seed + account);
    return hash == 0 ? 1 : hash;
}

static struct dm_check_entry *line_of(const struct dm_check_cache *cache, uint64_t hash)
{
    return &cache->entries[(hash & (cache->lines - 1)) * WAYS];
}

void dm_check_cache_prefetch(const struct dm_check_cache *cache, uint64_t hash)
{
    if (cache->lines != 0) {
        __builtin_prefetch(line_of(cache, hash));
    }
}

const struct dm_check_entry *dm_check_cache_find(struct dm_check_cache *cache, uint64_t hash)
{
    if (cache->lines != 0) {
        const struct dm_check_entry *line = line_of(cache, hash);
        for (int way = 0; way < WAYS; way++) {
            if (line[way].hash == hash) {
                cache->hits++;
                return &line[way];
            }
        }
    }
    cache->misses++;
    return NULL;
}

/* Twice the lines, all empty: what is asked for comes back by itself. */
static void grow(struct dm_check_cache *cache)
{
    dm_region_release(&cache->region, 0, cache->lines * LINE_SIZE);
    cache->lines *= 2;
    cache->filled = 0;
}

void dm_check_cache_put(struct dm_check_cache *cache, uint64_t hash,
                        const struct dm_record_head *head)
{
    if (cache->lines == 0) {
        return;
    }
    if (cache->filled > cache->lines && cache->lines < cache->lines_max) {
        grow(cache);
    }
    struct dm_check_entry *line = line_of(cache, hash);
    /* Its own place, else an empty one, else one by a bit of the hash that chose neither
     * line nor place. */
    struct dm_check_entry *place = &line[hash >> 63];
    for (int way = 0; way < WAYS && place->hash != hash; way++) {
        if (line[way].hash == hash || (line[way].hash == 0 && place->hash != 0)) {
            place = &line[way];
        }
    }
    cache->filled += place->hash == 0;
    *place = (struct dm_check_entry){
        .hash = hash,
        .fence = head->fence,
        .until_ms = head->until_ms,
        .bot_messages = head->bot_messages,
        .bot = (uint16_t)head->bot,
        .status = head->status,
        .reason = head->reason,
    };
}

void dm_check_cache_forget(struct dm_check_cache *cache, uint64_t hash)
{
    if (cache->lines == 0) {
        return;
    }
    struct dm_check_entry *line = line_of(cache, hash);
    for (int way = 0; way < WAYS; way++) {
        if (line[way].hash == hash) {
            line[way] = (struct dm_check_entry){0};
            cache->filled--;
        }
    }
}

size_t dm_check_cache_memory(const struct dm_check_cache *cache)
{
    return cache->lines * LINE_SIZE;
}
