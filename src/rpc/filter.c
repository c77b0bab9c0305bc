#include "rpc/filter.h"

#include "base/assert.h"
#include "base/hash.h"

/* Open addressing, at most half full; then the ids, each behind its size. */
struct dm_filter {
    uint32_t mask;
    uint32_t slots[]; /* where the id's size stands, from the block's start; 0: empty */
};

static uint32_t slot_count(const struct dm_texts *ids)
{
    uint32_t slots = 4;
    DM_ASSERT(ids->count <= DM_BATCH_MAX);
    while (slots < ids->count * 2) {
        slots *= 2;
    }
    return slots;
}

size_t dm_filter_memory(const struct dm_texts *ids)
{
    size_t memory = sizeof(struct dm_filter) + slot_count(ids) * sizeof(uint32_t);
    for (uint32_t i = 0; i < ids->count; i++) {
        memory += 1 + ids->items[i].size;
    }
    return memory;
}

static uint32_t hash_of(struct dm_slice id)
{
    return (uint32_t)dm_keyed_hash(id.data, id.size);
}

/* The slot of `id`, or the empty one where it belongs. */
static uint32_t find(const struct dm_filter *filter, struct dm_slice id)
{
    const uint8_t *block = (const uint8_t *)filter;
    DM_ASSERT((filter->mask & (filter->mask + 1)) == 0);
    uint32_t slot = hash_of(id) & filter->mask;
    while (filter->slots[slot] != 0) {
        const uint8_t *entry = block + filter->slots[slot];
        if (dm_slice_equal(dm_slice(entry + 1, entry[0]), id)) {
            break;
        }
        slot = (slot + 1) & filter->mask;
    }
    return slot;
}

struct dm_filter *dm_filter_create(const struct dm_texts *ids)
{
    struct dm_filter *filter = dm_xcalloc(1, dm_filter_memory(ids));
    uint32_t slots = slot_count(ids);
    filter->mask = slots - 1;
    size_t at = sizeof *filter + slots * sizeof(uint32_t);
    for (uint32_t i = 0; i < ids->count; i++) {
        struct dm_slice id = ids->items[i];
        uint32_t slot = find(filter, id);
        if (filter->slots[slot] == 0) {
            uint8_t *entry = (uint8_t *)filter + at;
            DM_ASSERT(id.size <= UINT8_MAX);
            entry[0] = (uint8_t)id.size;
            memcpy(entry + 1, id.data, id.size);
            filter->slots[slot] = (uint32_t)at;
            at += 1 + id.size;
        }
    }
    DM_ASSERT(at <= dm_filter_memory(ids));
    return filter;
}

uint32_t dm_filter_longest(const struct dm_filter *filter)
{
    uint32_t longest = 0, run = 0;
    for (uint32_t i = 0; i < 2 * (filter->mask + 1); i++) { /* a run may go on at the front */
        run = filter->slots[i & filter->mask] != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

bool dm_filter_has(const struct dm_filter *filter, struct dm_slice id)
{
    return filter == NULL || filter->slots[find(filter, id)] != 0;
}
