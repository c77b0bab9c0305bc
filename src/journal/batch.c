#include "journal/batch.h"

#include "base/assert.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A batch's memory grows as entries come, and is used again when the batch is durable. */

#define BATCH_CAPACITY_MIN 65536UL
#define UNUSED_MAX 2

static_assert(BATCH_CAPACITY_MIN % DM_DISK_PAGE == 0, "memory of whole pages, which only doubles");
static_assert(BATCH_CAPACITY_MIN >= DM_DISK_PAGE + DM_BATCH_HEADER_SIZE + DM_BATCH_END_SIZE_MAX,
              "an empty batch fits wherever it begins");
static_assert(DM_BATCH_HEADER_SIZE % 8 == 0 && DM_ENTRY_HEADER_SIZE % 8 == 0,
              "batches and entries are aligned to 8 bytes");

static uint8_t *new_pages(size_t size)
{
    uint8_t *pages = aligned_alloc(DM_DISK_PAGE, size);
    DM_ASSERT(pages != NULL);
    return pages;
}

static void free_batch(struct dm_batch *batch)
{
    free(batch->pages);
    free(batch->marks);
    free(batch);
}

void dm_batches_free(struct dm_batch *batch)
{
    while (batch != NULL) {
        struct dm_batch *next = batch->next;
        free_batch(batch);
        batch = next;
    }
}

struct dm_batch *dm_batch_take(struct dm_batch_pool *pool, uint64_t offset, uint64_t first_lsn,
                               uint64_t first_seq)
{
    struct dm_batch *batch = pool->unused;
    if (batch != NULL) {
        DM_ASSERT(pool->count > 0);
        pool->unused = batch->next;
        pool->count--;
    } else {
        batch = dm_xcalloc(1, sizeof *batch);
        batch->capacity = BATCH_CAPACITY_MIN;
        batch->pages = new_pages(batch->capacity);
    }
    batch->next = NULL;
    batch->lead = (size_t)(offset % DM_DISK_PAGE);
    batch->size = DM_BATCH_HEADER_SIZE;
    batch->entries = batch->events = 0;
    batch->mark_count = 0;
    batch->first_lsn = first_lsn;
    batch->first_seq = first_seq;
    return batch;
}

void dm_batch_give(struct dm_batch_pool *pool, struct dm_batch *batch)
{
    if (pool->count >= UNUSED_MAX) {
        free_batch(batch);
        return;
    }
    batch->next = pool->unused;
    pool->unused = batch;
    pool->count++;
}

void dm_batch_pool_finish(struct dm_batch_pool *pool)
{
    dm_batches_free(pool->unused);
    *pool = (struct dm_batch_pool){0};
}

/* Room for `size` bytes more, wherever the batch begins, and the end behind them. */
static void reserve(struct dm_batch *batch, size_t size)
{
    size_t needed = DM_DISK_PAGE + batch->size + size + DM_BATCH_END_SIZE_MAX;
    if (needed <= batch->capacity) {
        return;
    }
    while (batch->capacity < needed) {
        batch->capacity *= 2;
    }
    uint8_t *pages = new_pages(batch->capacity);
    memcpy(pages, batch->pages, batch->lead + batch->size);
    free(batch->pages);
    batch->pages = pages;
}

/* Remembers the place where the next entry goes, now and then. */
static void mark(struct dm_batch *batch)
{
    size_t last = batch->mark_count == 0 ? 0 : (size_t)batch->marks[batch->mark_count - 1].offset;
    if (batch->size < last + DM_PLACE_SPACING) {
        return;
    }
    if (batch->mark_count == batch->mark_capacity) {
        batch->mark_capacity = batch->mark_capacity == 0 ? 8 : batch->mark_capacity * 2;
        batch->marks = dm_xrealloc(batch->marks, batch->mark_capacity * sizeof *batch->marks);
    }
    batch->marks[batch->mark_count] =
        (struct dm_place){.offset = batch->size,
                          .next_lsn = batch->first_lsn + batch->entries,
                          .next_seq = batch->first_seq + batch->events};
    batch->mark_count++;
}

size_t dm_batch_add(struct dm_batch *batch, uint64_t lsn, uint64_t seq, struct dm_slice payload)
{
    size_t size = (size_t)dm_entry_footprint(payload.size);
    DM_ASSERT(lsn == batch->first_lsn + batch->entries);
    reserve(batch, size);
    mark(batch);
    dm_entry_write(dm_batch_start(batch) + batch->size, lsn, seq, payload);
    batch->size += size;
    batch->entries++;
    batch->events += seq != 0;
    return size;
}

void dm_batch_move(struct dm_batch *batch, uint64_t offset, const uint8_t page[DM_DISK_PAGE])
{
    size_t lead = (size_t)(offset % DM_DISK_PAGE);
    if (lead != batch->lead) {
        memmove(batch->pages + lead, dm_batch_start(batch), batch->size);
        batch->lead = lead;
    }
    memcpy(batch->pages, page, lead);
}

void dm_batch_last_page(const struct dm_batch *batch, uint8_t page[DM_DISK_PAGE])
{
    size_t end = batch->lead + batch->size;
    size_t rest = end % DM_DISK_PAGE;
    memcpy(page, batch->pages + end - rest, rest);
}
