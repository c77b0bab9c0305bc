#ifndef DM_JOURNAL_BLOCKS_H
#define DM_JOURNAL_BLOCKS_H

#include "journal/segment.h"

/* Blocks of segment files in memory, read with pread and shared by all cursors; the least
 * recently used one makes room. Never a map: a disk error stays an error. */

#define DM_BLOCK_SIZE 65536UL
#define DM_BLOCKS 64

struct dm_block {
    uint64_t segment, index; /* segment 0: empty */
    uint64_t used;           /* when last, counted in reads */
    uint32_t valid;          /* bytes from its start that are here */
    uint32_t follow;         /* how many more batches are put before somebody has to read again */
    uint8_t *bytes;
};

struct dm_blocks {
    struct dm_block items[DM_BLOCKS];
    size_t recent;
    uint64_t reads;
};

/* Copies [offset, offset + size) of the segment; `limit` is the offset up to which its
 * content is final. 0 or -errno. */
int dm_blocks_read(struct dm_blocks *blocks, struct dm_segments *segments,
                   struct dm_segment *segment, uint64_t limit, uint64_t offset, size_t size,
                   void *to);
/* Bytes that have just become durable at `offset`. They are kept if somebody follows: if what
 * comes just before them is here, and was read lately. */
void dm_blocks_put(struct dm_blocks *blocks, uint64_t segment, uint64_t offset,
                   struct dm_slice bytes);
void dm_blocks_finish(struct dm_blocks *blocks);

#endif
