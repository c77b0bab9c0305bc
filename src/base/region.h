#ifndef DM_BASE_REGION_H
#define DM_BASE_REGION_H

#include <stdbool.h>
#include <stddef.h>

/* An array that never moves. Address space for its largest size is reserved at once; pages come,
 * zeroed, when they are first touched. So growing costs nothing, no element is ever copied, and
 * a burst never stalls on a realloc. */
struct dm_region {
    void *base;
    size_t size; /* bytes reserved */
};

/* false when the address space cannot be had. */
bool dm_region_init(struct dm_region *region, size_t size);

/* Asks for huge pages, where the system has them. For memory that is reached at random: there,
 * finding the address of a small page costs as much as the memory itself. Memory then comes in
 * steps of 2 MiB. It is a request, not a promise. */
void dm_region_prefer_huge(struct dm_region *region);

/* Gives the pages of [offset, offset + size) back to the system; they read as
 * zero again. Offset and size are rounded inwards to whole pages. */
void dm_region_release(struct dm_region *region, size_t offset, size_t size);

/* Takes a zeroed struct, too. */
void dm_region_finish(struct dm_region *region);

#endif
