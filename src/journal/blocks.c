#include "journal/blocks.h"

#include "base/assert.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Batches that are kept for a follower between two reads of his: he may be slow, or gone. */
enum { FOLLOW_PUTS = 64 };

static_assert(DM_BLOCK_SIZE % DM_DISK_PAGE == 0, "blocks begin and end with pages");

static struct dm_block *find_here(struct dm_blocks *blocks, uint64_t segment, uint64_t index)
{
    struct dm_block *recent = &blocks->items[blocks->recent];
    if (recent->segment == segment && recent->index == index) {
        return recent;
    }
    for (size_t i = 0; i < DM_BLOCKS; i++) {
        struct dm_block *block = &blocks->items[i];
        if (block->segment == segment && block->index == index) {
            blocks->recent = i;
            return block;
        }
    }
    return NULL;
}

/* An empty one, in place of the one that has not been used for the longest time. */
static struct dm_block *make_room(struct dm_blocks *blocks, uint64_t segment, uint64_t index)
{
    size_t oldest = 0;
    for (size_t i = 0; i < DM_BLOCKS; i++) {
        if (blocks->items[i].used < blocks->items[oldest].used) {
            oldest = i;
        }
    }
    struct dm_block *block = &blocks->items[oldest];
    if (block->bytes == NULL) {
        block->bytes = dm_xmalloc(DM_BLOCK_SIZE);
    }
    block->segment = segment;
    block->index = index;
    block->valid = 0;
    block->follow = 0;
    block->used = ++blocks->reads;
    blocks->recent = oldest;
    return block;
}

/* Reads what is final of the block and not here yet. */
static int fill(struct dm_segments *segments, struct dm_segment *segment, uint64_t limit,
                struct dm_block *block)
{
    int file = dm_segment_file(segments, segment);
    if (file < 0) {
        return file;
    }
    uint64_t start = block->index * DM_BLOCK_SIZE;
    DM_ASSERT(limit > start + block->valid);
    uint64_t end = limit - start < DM_BLOCK_SIZE ? limit - start : DM_BLOCK_SIZE;
    int64_t got = segments->disk->ops->pread(segments->disk, file, block->bytes + block->valid,
                                             (size_t)end - block->valid, start + block->valid);
    if (got < 0) {
        return (int)got;
    }
    block->valid += (uint32_t)got;
    DM_ASSERT(block->valid <= DM_BLOCK_SIZE);
    return block->valid == end ? 0 : -EIO;
}

int dm_blocks_read(struct dm_blocks *blocks, struct dm_segments *segments,
                   struct dm_segment *segment, uint64_t limit, uint64_t offset, size_t size,
                   void *to)
{
    if (offset + size > limit) {
        return -EIO;
    }
    uint8_t *out = to;
    while (size > 0) {
        uint64_t number = segment->header.number, index = offset / DM_BLOCK_SIZE;
        struct dm_block *block = find_here(blocks, number, index);
        block = block != NULL ? block : make_room(blocks, number, index);
        block->used = ++blocks->reads;
        block->follow = FOLLOW_PUTS;
        size_t from = (size_t)(offset % DM_BLOCK_SIZE);
        size_t part = DM_BLOCK_SIZE - from < size ? DM_BLOCK_SIZE - from : size;
        if (block->valid < from + part) {
            int failed = fill(segments, segment, limit, block);
            if (failed != 0) {
                return failed;
            }
        }
        memcpy(out, block->bytes + from, part);
        out += part;
        offset += part;
        size -= part;
    }
    return 0;
}

void dm_blocks_put(struct dm_blocks *blocks, uint64_t segment, uint64_t offset,
                   struct dm_slice bytes)
{
    const uint8_t *from = bytes.data;
    struct dm_block *block = find_here(blocks, segment, offset / DM_BLOCK_SIZE);
    if (block == NULL || block->follow == 0 || block->valid != offset % DM_BLOCK_SIZE) {
        return;
    }
    DM_ASSERT(block->valid < DM_BLOCK_SIZE);
    uint32_t follow = --block->follow;
    for (size_t left = bytes.size; left > 0;) {
        size_t room = DM_BLOCK_SIZE - block->valid;
        size_t part = room < left ? room : left;
        memcpy(block->bytes + block->valid, from, part);
        block->valid += (uint32_t)part;
        from += part;
        left -= part;
        if (part == room) {
            block = make_room(blocks, segment, block->index + 1);
            block->follow = follow;
        }
    }
}

void dm_blocks_finish(struct dm_blocks *blocks)
{
    for (size_t i = 0; i < DM_BLOCKS; i++) {
        free(blocks->items[i].bytes);
    }
}
