#ifndef DM_VIEW_WALK_H
#define DM_VIEW_WALK_H

#include "view/overlay.h"

/* Walks an account's contacts, in no order, each key at most twice (once a
 * generation; `newest` tells the one that counts, which comes exactly once). Begin with
 * a zeroed walk. A put, freeze or drop between steps is allowed: what was there at the
 * first step and is not in the store yet is seen, with its newest value; what comes
 * later may be. So who merges with the store walks here first and scans there after.
 * Returns false at the end. */
struct dm_overlay_walk {
    uint32_t account;
    uint32_t next;  /* private from here on: the row to look at next; 0: the end */
    uint32_t start; /* the chain's head at the first step */
    uint8_t stage;
    uint64_t generation; /* the one that `next` is in */
    uint64_t start_generation;
};
struct dm_overlay_item {
    struct dm_slice key, value; /* valid until the next put, freeze or drop */
    uint64_t lsn;
    bool newest;
};
bool dm_overlay_walk(const struct dm_overlay *overlay, struct dm_overlay_walk *walk,
                     struct dm_overlay_item *item);
/* The same over all accounts, in order of a contact's first arrival in its generation:
 * frozen first, then current up to what is there by then. A contact that is put again
 * meanwhile may come again. */
bool dm_overlay_walk_all(const struct dm_overlay *overlay, struct dm_overlay_walk *walk,
                         struct dm_overlay_item *item);

#endif
