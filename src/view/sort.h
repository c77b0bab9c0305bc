#ifndef DM_VIEW_SORT_H
#define DM_VIEW_SORT_H

#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/* Sorts keys, which the caller has under numbers, by eight bytes at a time: a merge sort by
 * the first eight, then each run of equals by the next eight, and so on. A long prefix that all
 * share (an account, "contact-") costs one pass, and no order of arrival makes it slow. */
struct dm_sort_item {
    uint64_t word;   /* private */
    uint32_t number; /* of the key: in, in any order; out, in order of the keys */
    uint32_t rest;   /* private */
};

/* Keys are distinct. `scratch` has room for half of `count`. */
void dm_sort_keys(struct dm_sort_item *items, struct dm_sort_item *scratch, size_t count,
                  struct dm_slice (*key)(const void *context, uint32_t number),
                  const void *context);

#endif
