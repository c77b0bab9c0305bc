#ifndef DM_JOURNAL_BATCH_H
#define DM_JOURNAL_BATCH_H

#include "journal/disk.h"
#include "journal/format.h"

#include <stddef.h>
#include <stdint.h>

/* A batch that is gathered, decided or written: room for its header, then entries. It lies in
 * its memory as it will in its pages on disk, behind what the first of them has already. It has
 * one owner at a time: the order that gathers it, then the log that it is put into. */
struct dm_batch {
    struct dm_batch *next;
    uint8_t *pages; /* aligned to DM_DISK_PAGE */
    size_t lead;    /* bytes of the first page that are not the batch's */
    size_t size;    /* of the batch */
    size_t capacity;
    uint64_t first_lsn, first_seq;
    uint32_t entries, events;
    struct dm_place *marks; /* inside, offsets from its start: for the index */
    size_t mark_count, mark_capacity;
};

/* Memory of batches that have had their time, to be used again. */
struct dm_batch_pool {
    struct dm_batch *unused; /* a list */
    size_t count;
};

/* Zeros behind a batch: a header's, and up to the end of that page. */
#define DM_BATCH_END_SIZE_MAX (DM_BATCH_HEADER_SIZE + DM_DISK_PAGE)

static inline uint8_t *dm_batch_start(const struct dm_batch *batch)
{
    return batch->pages + batch->lead;
}

/* An empty one, for `offset` in some segment if it goes there after all. */
struct dm_batch *dm_batch_take(struct dm_batch_pool *pool, uint64_t offset, uint64_t first_lsn,
                               uint64_t first_seq);
void dm_batch_give(struct dm_batch_pool *pool, struct dm_batch *batch);
void dm_batch_pool_finish(struct dm_batch_pool *pool);
void dm_batches_free(struct dm_batch *batches); /* a list */

/* The next entry. Returns the bytes that the batch has grown by. */
size_t dm_batch_add(struct dm_batch *batch, uint64_t lsn, uint64_t seq, struct dm_slice payload);

/* The batch goes to `offset`: its first page has `page` before it. */
void dm_batch_move(struct dm_batch *batch, uint64_t offset, const uint8_t page[DM_DISK_PAGE]);
/* What the batch's last page has, up to its end. */
void dm_batch_last_page(const struct dm_batch *batch, uint8_t page[DM_DISK_PAGE]);

#endif
