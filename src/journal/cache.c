#include "journal/cache.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* Batches that are kept for a follower between two of its reads: it may be slow, or gone. */
enum { FOLLOW_PUTS = 64 };

static struct dm_cache_block *find_here(struct dm_cache *cache, uint64_t segment, uint64_t index)
{
    struct dm_cache_block *recent = &cache->blocks[cache->recent];
    if (recent->segment == segment && recent->index == index) {
        return recent;
    }
    for (size_t i = 0; i < DM_CACHE_BLOCKS; i++) {
        struct dm_cache_block *block = &cache->blocks[i];
        if (block->segment == segment && block->index == index) {
            cache->recent = i;
            return block;
        }
    }
    return NULL;
}

/* An empty one, in place of the one that was not used for longest. */
static struct dm_cache_block *make_room(struct dm_cache *cache, uint64_t segment, uint64_t index)
{
    size_t oldest = 0;
    for (size_t i = 0; i < DM_CACHE_BLOCKS; i++) {
        if (cache->blocks[i].used < cache->blocks[oldest].used) {
            oldest = i;
        }
    }
    struct dm_cache_block *block = &cache->blocks[oldest];
    if (block->bytes == NULL) {
        block->bytes = dm_xmalloc(DM_CACHE_BLOCK_SIZE);
    }
    block->segment = segment;
    block->index = index;
    block->valid = 0;
    block->follow = 0;
    block->used = ++cache->reads;
    cache->recent = oldest;
    return block;
}

/* Reads what is final of the block and not here yet. */
static int fill(struct dm_segments *segments, struct dm_segment *segment, uint64_t limit,
                struct dm_cache_block *block)
{
    int file = dm_segment_file(segments, segment);
    if (file < 0) {
        return file;
    }
    uint64_t start = block->index * DM_CACHE_BLOCK_SIZE;
    DM_ASSERT(limit > start + block->valid);
    uint64_t end = limit - start < DM_CACHE_BLOCK_SIZE ? limit - start : DM_CACHE_BLOCK_SIZE;
    int64_t got = segments->disk->ops->pread(segments->disk, file, block->bytes + block->valid,
                                             (size_t)end - block->valid, start + block->valid);
    if (got < 0) {
        return (int)got;
    }
    block->valid += (uint32_t)got;
    return block->valid == end ? 0 : -EIO;
}

int dm_cache_read(struct dm_cache *cache, struct dm_segments *segments, struct dm_segment *segment,
                  uint64_t limit, uint64_t offset, size_t size, void *to)
{
    if (offset + size > limit) {
        return -EIO;
    }
    uint8_t *out = to;
    while (size > 0) {
        uint64_t number = segment->header.number, index = offset / DM_CACHE_BLOCK_SIZE;
        struct dm_cache_block *block = find_here(cache, number, index);
        block = block != NULL ? block : make_room(cache, number, index);
        block->used = ++cache->reads;
        block->follow = FOLLOW_PUTS;
        size_t from = (size_t)(offset % DM_CACHE_BLOCK_SIZE);
        size_t part = DM_CACHE_BLOCK_SIZE - from < size ? DM_CACHE_BLOCK_SIZE - from : size;
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

void dm_cache_put(struct dm_cache *cache, uint64_t segment, uint64_t offset, struct dm_slice bytes)
{
    const uint8_t *from = bytes.data;
    struct dm_cache_block *block = find_here(cache, segment, offset / DM_CACHE_BLOCK_SIZE);
    if (block == NULL || block->follow == 0 || block->valid != offset % DM_CACHE_BLOCK_SIZE) {
        return;
    }
    uint32_t follow = --block->follow;
    for (size_t left = bytes.size; left > 0;) {
        size_t room = DM_CACHE_BLOCK_SIZE - block->valid;
        size_t part = room < left ? room : left;
        memcpy(block->bytes + block->valid, from, part);
        block->valid += (uint32_t)part;
        from += part;
        left -= part;
        if (part == room) {
            block = make_room(cache, segment, block->index + 1);
            block->follow = follow;
        }
    }
}

void dm_cache_finish(struct dm_cache *cache)
{
    for (size_t i = 0; i < DM_CACHE_BLOCKS; i++) {
        free(cache->blocks[i].bytes);
    }
}
