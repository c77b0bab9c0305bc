#ifndef DM_ENGINE_MET_H
#define DM_ENGINE_MET_H

#include "base/hash.h"
#include "base/index.h"
#include "base/slice.h"

/* A set of contacts that a walk has met. It grows with each by one bucket at the most, so no
 * step of the walk stalls for what the others met. 28 bytes a contact: it is known by all 128
 * bits of its key's dm_keyed_hash_wide, as in the cache (engine/check_cache.h says why that will
 * do). */
struct dm_met_contact {
    struct dm_wide_hash hash;
    uint32_t link;
};
struct dm_met {
    struct dm_index index;
    struct dm_region region;
    struct dm_met_contact *contacts;
    uint32_t count, max;
};

/* false when the address space for so many cannot be had. */
bool dm_met_init(struct dm_met *met, uint32_t contacts_max);
/* Takes a zeroed struct, too. */
void dm_met_finish(struct dm_met *met);

enum dm_met_result { DM_MET_NEW, DM_MET_BEFORE, DM_MET_FULL };
enum dm_met_result dm_met_add(struct dm_met *met, struct dm_slice key);
/* Of a zeroed struct: no. */
bool dm_met_has(const struct dm_met *met, struct dm_slice key);

#endif
