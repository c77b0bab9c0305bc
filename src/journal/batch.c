#include "journal/file.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stdlib.h>

/* Batches that are gathered, and their memory: one grows as entries come, and is used again
 * when it is durable. */

#define BATCH_CAPACITY_MIN 65536UL
#define UNUSED_MAX 2

static uint8_t *new_pages(size_t size)
{
    uint8_t *pages = aligned_alloc(DM_DISK_PAGE, size);
    DM_ASSERT(pages != NULL);
    return pages;
}

/* Where in its first page a batch begins that is made now, unless a new segment does. */
static size_t next_lead(const struct dm_file_journal *j)
{
    uint64_t end = j->in_flight != NULL ? j->in_flight_end.offset : j->durable.offset;
    if (j->tail != NULL) {
        end = j->tail->lead + j->tail->size;
    }
    return (size_t)(end % DM_DISK_PAGE);
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

static struct dm_batch *new_batch(struct dm_file_journal *j)
{
    struct dm_batch *batch = j->unused;
    if (batch != NULL) {
        j->unused = batch->next;
        j->unused_count--;
    } else {
        batch = dm_xcalloc(1, sizeof *batch);
        batch->capacity = BATCH_CAPACITY_MIN;
        batch->pages = new_pages(batch->capacity);
    }
    batch->next = NULL;
    batch->lead = next_lead(j);
    batch->size = DM_BATCH_HEADER_SIZE;
    batch->entries = batch->events = 0;
    batch->mark_count = 0;
    batch->first_lsn = j->last_lsn + 1;
    batch->first_seq = j->last_seq + 1;
    return batch;
}

void dm_batch_retire(struct dm_file_journal *j, struct dm_batch *batch)
{
    if (j->unused_count >= UNUSED_MAX) {
        free_batch(batch);
        return;
    }
    batch->next = j->unused;
    j->unused = batch;
    j->unused_count++;
}

/* Room for `size` bytes more, wherever the batch begins, and the end behind them. */
void dm_batch_reserve(struct dm_batch *batch, size_t size)
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

void dm_batch_mark(struct dm_batch *batch, uint64_t next_lsn, uint64_t next_seq)
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
        (struct dm_place){.offset = batch->size, .next_lsn = next_lsn, .next_seq = next_seq};
    batch->mark_count++;
}

struct dm_batch *dm_batch_with_room(struct dm_file_journal *j, size_t size)
{
    if (j->tail != NULL && j->tail->size + size <= j->batch_size_max) {
        return j->tail;
    }
    DM_ASSERT(DM_BATCH_HEADER_SIZE + size <= j->batch_size_max);
    struct dm_batch *batch = new_batch(j);
    if (j->tail == NULL) {
        j->head = batch;
    } else {
        j->tail->next = batch;
    }
    j->tail = batch;
    return batch;
}
