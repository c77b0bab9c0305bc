#ifndef DM_ENGINE_CACHE_H
#define DM_ENGINE_CACHE_H

#include "base/hash.h"
#include "base/limits.h"
#include "base/region.h"
#include "core/record.h"
#include "core/types.h"

#include <stdbool.h>
#include <stdint.h>

/* What Check needs of a contact, 32 bytes, two to a cache line: a lookup costs two misses
 * at once where the view's tree costs ten in turn. Holds only durable states; a write to a
 * contact forgets it first. Grows by a line at a time, up to `bytes_max`.
 *
 * A contact is known by all 128 bits of its key's dm_keyed_hash_wide, there being no room for the
 * key. To be answered with another's state it must share them. Nobody can look for such a pair
 * who does not know the process's key, which is 128 random bits; so it takes luck, and after n
 * contacts were ever asked for that is n² / 2^129: at a million new ones a second for ten years,
 * 1 in 10^9. With half as many bits it would come true after some weeks of that. */
struct dm_check_entry {
    struct dm_wide_hash hash; /* 0, 0: empty */
    uint64_t fence : 48;
    uint64_t bot : 10;
    uint64_t status : 2; /* NONE: known to be never written to */
    uint64_t reason : 4;
    uint64_t until_ms : 48;
    uint64_t bot_messages : 16;
};
_Static_assert(sizeof(struct dm_check_entry) == 32, "two entries a cache line");
_Static_assert(DM_BOTS_MAX <= 1 << 10 && DM_STATUS_COUNT <= 4 && DM_REASON_COUNT <= 16,
               "they fit into their bits");

struct dm_check_cache {
    struct dm_region region;
    struct dm_check_entry *entries;
    uint64_t lines, lines_max; /* of two entries */
    uint64_t level;            /* the largest power of two that is not above `lines` */
    uint64_t filled;           /* places */
    uint64_t hits, misses;
};

/* false when the address space cannot be had. bytes_max 0: it never holds anything. */
bool dm_check_cache_init(struct dm_check_cache *cache, uint64_t bytes_max);
void dm_check_cache_finish(struct dm_check_cache *cache);

/* `hash`: of the contact's key. */
void dm_check_cache_prefetch(const struct dm_check_cache *cache, struct dm_wide_hash hash);
/* NULL when it is not there. */
const struct dm_check_entry *dm_check_cache_find(struct dm_check_cache *cache,
                                                 struct dm_wide_hash hash);
/* The head of a durable state (status NONE: never written to) of a contact that is not there.
 * One whose numbers are too large for an entry is not kept. */
void dm_check_cache_put(struct dm_check_cache *cache, struct dm_wide_hash hash,
                        const struct dm_record_head *head);
void dm_check_cache_forget(struct dm_check_cache *cache, struct dm_wide_hash hash);
size_t dm_check_cache_memory(const struct dm_check_cache *cache); /* bytes */

#endif
