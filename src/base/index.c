#include "base/index.h"

#include "base/assert.h"

#include <string.h>

enum { LOW_MIN = 16 };

bool dm_index_init(struct dm_index *index, uint32_t items_max,
                   uint32_t *(*link)(void *context, uint32_t item),
                   uint64_t (*hash)(void *context, uint32_t item), void *context)
{
    DM_ASSERT(link != NULL && hash != NULL && items_max < UINT32_MAX);
    *index = (struct dm_index){
        .items_max = items_max, .low = LOW_MIN, .link = link, .hash = hash, .context = context};
    size_t buckets = items_max + (size_t)2 * LOW_MIN;
    if (!dm_region_init(&index->region, buckets * sizeof *index->heads)) {
        return false;
    }
    index->heads = index->region.base;
    return true;
}

void dm_index_finish(struct dm_index *index)
{
    dm_region_finish(&index->region);
    *index = (struct dm_index){0};
}

void dm_index_clear(struct dm_index *index)
{
    DM_ASSERT(index->heads != NULL);
    memset(index->heads, 0, dm_index_memory(index));
    index->low = LOW_MIN;
    index->split = 0;
    index->count = 0;
}

void dm_index_expect(struct dm_index *index, uint32_t items)
{
    DM_ASSERT(index->count == 0 && index->split == 0);
    while (index->low < items && index->low <= index->items_max / 2) {
        index->low *= 2;
    }
}

/* Divides the items of one bucket between it and its new twin. */
static void split_one(struct dm_index *index)
{
    DM_ASSERT(index->split < index->low && index->count <= index->items_max);
    uint32_t item = index->heads[index->split];
    uint32_t stays = 0, goes = 0;
    while (item != 0) {
        uint32_t *link = index->link(index->context, item);
        uint32_t next = *link;
        uint32_t *chain = index->hash(index->context, item) & index->low ? &goes : &stays;
        *link = *chain;
        *chain = item;
        item = next;
    }
    index->heads[index->split] = stays;
    index->heads[index->low + index->split] = goes;
    index->split++;
    if (index->split == index->low) {
        index->low *= 2;
        index->split = 0;
    }
}

void dm_index_insert(struct dm_index *index, uint32_t item, uint64_t hash)
{
    uint32_t *head = dm_index_bucket(index, hash);
    DM_ASSERT(item != 0);
    *index->link(index->context, item) = *head;
    *head = item;
    index->count++;
    if (index->count > index->low + index->split) {
        split_one(index);
    }
}

void dm_index_remove(struct dm_index *index, uint32_t item, uint64_t hash)
{
    uint32_t *place = dm_index_bucket(index, hash);
    while (*place != item) {
        DM_ASSERT(*place != 0);
        place = index->link(index->context, *place);
    }
    *place = *index->link(index->context, item);
    index->count--;
}

uint32_t dm_index_longest(const struct dm_index *index)
{
    uint32_t longest = 0;
    for (uint32_t bucket = 0; bucket < index->low + index->split; bucket++) {
        uint32_t length = 0;
        for (uint32_t item = index->heads[bucket]; item != 0;
             item = *index->link(index->context, item)) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    return longest;
}

size_t dm_index_memory(const struct dm_index *index)
{
    return ((size_t)index->low + index->split) * sizeof *index->heads;
}
