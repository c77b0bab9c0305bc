#ifndef DM_JOURNAL_CACHE_H
#define DM_JOURNAL_CACHE_H

#include "journal/segment.h"

/* Blocks of segment files, read with pread and shared by all cursors; the least
 * recently used one makes room. Never a map: a disk error stays an error. */

#define DM_CACHE_BLOCK_SIZE 65536UL
#define DM_CACHE_BLOCKS 64

struct dm_cache_block {
    uint64_t segment, index; /* segment 0: empty */
    uint64_t used;           /* when, in reads */
    uint32_t valid;          /* bytes from its start that are read */
    uint8_t *bytes;
};

struct dm_cache {
    struct dm_cache_block blocks[DM_CACHE_BLOCKS];
    size_t recent;
    uint64_t reads;
};

/* Copies [offset, offset + size) of the segment; `limit` is the offset up to which its
 * content is final. 0 or -errno. */
int dm_cache_read(struct dm_cache *cache, struct dm_segments *segments, struct dm_segment *segment,
                  uint64_t limit, uint64_t offset, size_t size, void *to);
void dm_cache_finish(struct dm_cache *cache);

#endif
