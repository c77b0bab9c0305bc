#include "base/buf.h"

#include "base/assert.h"

#include <stdlib.h>

enum { BUF_SIZE_MIN = 256 };

uint8_t *dm_buf_reserve(struct dm_buf *buf, size_t size)
{
    if (buf->capacity - buf->end >= size && buf->data != NULL) {
        return buf->data + buf->end;
    }
    DM_ASSERT(buf->start <= buf->end && buf->end <= buf->capacity);
    size_t content = dm_buf_size(buf);
    if (buf->data != NULL && buf->capacity - content >= size &&
        (content <= buf->start || content <= size)) {
        memmove(buf->data, buf->data + buf->start, content);
        buf->start = 0;
        buf->end = content;
        return buf->data + content;
    }
    /* To move more than was consumed or is added now would make a long queue of small pieces
     * quadratic. So from here on the buffer always doubles. */
    size_t capacity = buf->capacity < BUF_SIZE_MIN / 2 ? BUF_SIZE_MIN / 2 : buf->capacity;
    do {
        if (capacity > SIZE_MAX / 2) {
            return NULL;
        }
        capacity *= 2;
    } while (capacity - content < size);
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        return NULL;
    }
    if (buf->data != NULL) {
        memcpy(data, buf->data + buf->start, content);
    }
    free(buf->data);
    *buf = (struct dm_buf){.data = data, .end = content, .capacity = capacity};
    DM_ASSERT(capacity - content >= size);
    return data + content;
}

void dm_buf_commit(struct dm_buf *buf, size_t size)
{
    DM_ASSERT(buf->capacity - buf->end >= size);
    buf->end += size;
}

bool dm_buf_append(struct dm_buf *buf, const void *data, size_t size)
{
    uint8_t *room = dm_buf_reserve(buf, size);
    if (room == NULL) {
        return false;
    }
    if (size != 0) {
        memcpy(room, data, size);
    }
    buf->end += size;
    return true;
}

void dm_buf_consume(struct dm_buf *buf, size_t size)
{
    DM_ASSERT(size <= dm_buf_size(buf));
    buf->start += size;
    if (buf->start == buf->end) {
        buf->start = buf->end = 0;
    }
}

void dm_buf_reset(struct dm_buf *buf, size_t keep)
{
    if (buf->capacity > keep) {
        dm_buf_finish(buf);
    }
    buf->start = buf->end = 0;
}

void dm_buf_finish(struct dm_buf *buf)
{
    free(buf->data);
    *buf = (struct dm_buf){0};
}
