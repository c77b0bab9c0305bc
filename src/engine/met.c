#include "engine/met.h"

#include "base/assert.h"

/* Items of the index are 1-based. */
static struct dm_met_contact *at(const struct dm_met *met, uint32_t item)
{
    DM_ASSERT(item - 1 < met->count);
    return &met->contacts[item - 1];
}

static uint32_t *index_link(void *context, uint32_t item)
{
    return &at(context, item)->link;
}

static uint64_t index_hash(void *context, uint32_t item)
{
    return at(context, item)->hash.low;
}

bool dm_met_init(struct dm_met *met, uint32_t contacts_max)
{
    *met = (struct dm_met){.max = contacts_max};
    if (!dm_region_init(&met->region, ((size_t)contacts_max + 1) * sizeof *met->contacts) ||
        !dm_index_init(&met->index, contacts_max, index_link, index_hash, met)) {
        dm_met_finish(met);
        return false;
    }
    met->contacts = met->region.base;
    return true;
}

void dm_met_finish(struct dm_met *met)
{
    dm_index_finish(&met->index);
    dm_region_finish(&met->region);
    *met = (struct dm_met){0};
}

static bool has(const struct dm_met *met, struct dm_wide_hash hash)
{
    uint32_t item = dm_index_first(&met->index, hash.low);
    while (item != 0 &&
           (at(met, item)->hash.low != hash.low || at(met, item)->hash.high != hash.high)) {
        item = at(met, item)->link;
    }
    return item != 0;
}

enum dm_met_result dm_met_add(struct dm_met *met, struct dm_slice key)
{
    struct dm_wide_hash hash = dm_keyed_hash_wide(key.data, key.size);
    if (has(met, hash)) {
        return DM_MET_BEFORE;
    }
    DM_ASSERT(met->count <= met->max);
    if (met->count == met->max) {
        return DM_MET_FULL;
    }
    met->contacts[met->count++].hash = hash;
    dm_index_insert(&met->index, met->count, hash.low);
    return DM_MET_NEW;
}

bool dm_met_has(const struct dm_met *met, struct dm_slice key)
{
    return met->count != 0 && has(met, dm_keyed_hash_wide(key.data, key.size));
}
