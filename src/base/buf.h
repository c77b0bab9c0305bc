#ifndef DM_BASE_BUF_H
#define DM_BASE_BUF_H

#include "base/slice.h"

#include <stdint.h>

/* A growable run of bytes with a read position: [0, start) consumed, [start,
 * end) content, [end, capacity) room. A zeroed struct is an empty buffer. Grows
 * by doubling; its owner bounds it (see limits.h) before it adds. */
struct dm_buf {
    uint8_t *data;
    size_t start, end, capacity;
};

static inline size_t dm_buf_size(const struct dm_buf *buf)
{
    return buf->end - buf->start;
}

/* NULL while it has no memory. */
static inline uint8_t *dm_buf_head(const struct dm_buf *buf)
{
    return buf->data == NULL ? NULL : buf->data + buf->start;
}

static inline struct dm_slice dm_buf_slice(const struct dm_buf *buf)
{
    return buf->data == NULL ? dm_slice(NULL, 0) : dm_slice(dm_buf_head(buf), dm_buf_size(buf));
}

/* Room for at least `size` more bytes at the end, which is returned; it becomes
 * content by dm_buf_commit. Moves content to the front, or the whole buffer:
 * slices of it are void afterwards. NULL when there is no memory. */
uint8_t *dm_buf_reserve(struct dm_buf *buf, size_t size);
void dm_buf_commit(struct dm_buf *buf, size_t size);

/* false when there is no memory; the buffer is then unchanged. */
bool dm_buf_append(struct dm_buf *buf, const void *data, size_t size);

/* Drops `size` bytes at the front. */
void dm_buf_consume(struct dm_buf *buf, size_t size);

/* Empties it and keeps the memory, unless it holds more than `keep` bytes of it. */
void dm_buf_reset(struct dm_buf *buf, size_t keep);

/* Frees the memory; the struct is an empty buffer again. */
void dm_buf_finish(struct dm_buf *buf);

#endif
