#ifndef DM_ENGINE_CACHE_H
#define DM_ENGINE_CACHE_H

#include "base/region.h"
#include "base/slice.h"
#include "core/record.h"

#include <stdbool.h>
#include <stdint.h>

/* What Check needs of a contact, 32 bytes, two to a cache line: a lookup costs two misses
 * at once where the view's tree costs ten in turn. Holds only durable states; a write to a
 * contact forgets it first. A contact is known by a 64-bit hash with a seed of this process
 * (two that meet by chance: 1 in 10^12 with ten million contacts; by design: not without
 * the seed). Grows by a line at a time, up to `bytes_max`. */
struct dm_check_entry {
    uint64_t hash; /* 0: empty */
    uint64_t fence;
    int64_t until_ms;
    uint32_t bot_messages;
    uint16_t bot;
    uint8_t status; /* NONE: known to be never written to */
    uint8_t reason;
};
_Static_assert(sizeof(struct dm_check_entry) == 32, "two entries a cache line");

struct dm_check_cache {
    struct dm_region region;
    struct dm_check_entry *entries;
    uint64_t lines, lines_max; /* of two entries */
    uint64_t level;            /* the largest power of two that is not above `lines` */
    uint64_t filled;           /* places */
    uint64_t seed;
    uint64_t hits, misses;
};

/* false when the address space cannot be had. bytes_max 0: it never holds anything. */
bool dm_check_cache_init(struct dm_check_cache *cache, uint64_t bytes_max, uint64_t seed);
void dm_check_cache_finish(struct dm_check_cache *cache);

/* The identity of a contact in the cache, for the calls below. */
uint64_t dm_check_cache_hash(const struct dm_check_cache *cache, uint32_t account,
                             struct dm_slice contact);
void dm_check_cache_prefetch(const struct dm_check_cache *cache, uint64_t hash);
/* NULL when it is not there. */
const struct dm_check_entry *dm_check_cache_find(struct dm_check_cache *cache, uint64_t hash);
/* The head of a durable state (status NONE: never written to). */
void dm_check_cache_put(struct dm_check_cache *cache, uint64_t hash,
                        const struct dm_record_head *head);
void dm_check_cache_forget(struct dm_check_cache *cache, uint64_t hash);
size_t dm_check_cache_memory(const struct dm_check_cache *cache); /* bytes */

#endif
