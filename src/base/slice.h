#ifndef DM_BASE_SLICE_H
#define DM_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Bytes that somebody else owns. Valid as long as their owner says; never
 * NUL-terminated. `data` may be NULL only when `size` is 0. */
struct dm_slice {
    const void *data;
    size_t size;
};

static inline struct dm_slice dm_slice(const void *data, size_t size)
{
    return (struct dm_slice){.data = data, .size = size};
}

static inline struct dm_slice dm_slice_str(const char *text)
{
    return dm_slice(text, strlen(text));
}

static inline bool dm_slice_equal(struct dm_slice a, struct dm_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Bytewise order, a prefix before what it is a prefix of: LMDB's own order. */
static inline int dm_slice_compare(struct dm_slice a, struct dm_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

#endif
