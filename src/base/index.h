#ifndef DM_BASE_INDEX_H
#define DM_BASE_INDEX_H

#include "base/region.h"

#include <stdint.h>

/* A hash table of small integers (the caller's items, whose keys, hashes and chain links the
 * caller keeps). It grows by one bucket with each insert (linear hashing, Litwin 1980). So no
 * insert stalls on a rehash, and the buckets never move.
 *
 * Items are 1-based: 0 is "none". */
struct dm_index {
    struct dm_region region;
    uint32_t *heads;
    uint32_t items_max;
    uint32_t low;   /* buckets at the start of this round: a power of two */
    uint32_t split; /* next bucket to be split in this round */
    uint32_t count;
    uint32_t *(*link)(void *context, uint32_t item); /* where the item keeps its chain link */
    uint64_t (*hash)(void *context, uint32_t item);
    void *context;
};

/* false when the address space for items_max buckets cannot be had. */
bool dm_index_init(struct dm_index *index, uint32_t items_max,
                   uint32_t *(*link)(void *context, uint32_t item),
                   uint64_t (*hash)(void *context, uint32_t item), void *context);
void dm_index_finish(struct dm_index *index);
/* Takes all items out. Costs as much as the buckets that were in use. */
void dm_index_clear(struct dm_index *index);
/* Prepares an empty index for so many items: until then no bucket is split. */
void dm_index_expect(struct dm_index *index, uint32_t items);

static inline uint32_t *dm_index_bucket(const struct dm_index *index, uint64_t hash)
{
    uint32_t bucket = (uint32_t)hash & (index->low * 2 - 1);
    if (bucket >= index->low + index->split) {
        bucket -= index->low;
    }
    return &index->heads[bucket];
}

/* The first item of the chain in which `hash` would be; go on with the links. */
static inline uint32_t dm_index_first(const struct dm_index *index, uint64_t hash)
{
    return *dm_index_bucket(index, hash);
}

/* The item is not in yet. */
void dm_index_insert(struct dm_index *index, uint32_t item, uint64_t hash);
/* The item is in. */
void dm_index_remove(struct dm_index *index, uint32_t item, uint64_t hash);

/* Items of the longest chain: what the worst lookup costs. Walks all buckets: for tests. */
uint32_t dm_index_longest(const struct dm_index *index);

/* Bytes of the buckets in use. */
size_t dm_index_memory(const struct dm_index *index);

#endif
