#ifndef DM_JOURNAL_LISTING_H
#define DM_JOURNAL_LISTING_H

#include "journal/disk.h"

/* What is in the folder, by number: segments in order, spares, and files that were being
 * prepared. */
struct dm_numbers {
    uint64_t *items;
    size_t count, capacity;
};
struct dm_listing {
    struct dm_numbers segments, spares, prepared;
};

/* 0 or -errno. To be finished in any case. */
int dm_listing_read(struct dm_listing *listing, struct dm_disk *disk);
void dm_listing_finish(struct dm_listing *listing);

#endif
