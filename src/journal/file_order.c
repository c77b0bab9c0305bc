#include "journal/file_order.h"

#include "base/assert.h"
#include "base/limits.h"

/* When all goes well: append copies an entry into the batch that gathers; flush, when the log is
 * idle, puts the oldest batch there. Whatever comes while that is on its way gathers into the
 * next one: group commit. */

static struct dm_file_order *order_of(struct dm_order *order)
{
    return (struct dm_file_order *)order;
}

/* The batch that gathers, or a new one, if it takes `size` bytes more. */
static struct dm_batch *batch_with_room(struct dm_file_order *o, size_t size)
{
    struct dm_batch *tail = o->tail;
    if (tail != NULL && tail->size + size <= o->batch_size_max) {
        return tail;
    }
    DM_ASSERT(DM_BATCH_HEADER_SIZE + size <= o->batch_size_max);
    uint64_t offset = tail != NULL ? tail->lead + tail->size : dm_file_log_next_offset(o->log);
    struct dm_batch *batch = dm_batch_take(&o->log->pool, offset, o->last_lsn + 1, o->last_seq + 1);
    if (tail == NULL) {
        o->head = batch;
    } else {
        tail->next = batch;
    }
    o->tail = batch;
    return batch;
}

static uint64_t file_append(struct dm_order *order, struct dm_slice payload, uint64_t seq)
{
    struct dm_file_order *o = order_of(order);
    DM_ASSERT(payload.size <= (size_t)DM_JOURNAL_RECORD_MAX);
    DM_ASSERT(seq == 0 || seq == o->last_seq + 1);
    uint64_t lsn = o->last_lsn + 1;
    if (dm_writer_state(&o->log->writer) != DM_ORDER_FAILED) {
        struct dm_batch *batch = batch_with_room(o, (size_t)dm_entry_footprint(payload.size));
        o->appended_bytes += dm_batch_add(batch, lsn, seq, payload);
    }
    o->last_lsn = lsn;
    if (seq != 0) {
        o->last_seq = seq;
    }
    return lsn;
}

void dm_file_order_next(struct dm_file_order *o)
{
    if (!dm_file_log_idle(o->log)) {
        return;
    }
    struct dm_batch *batch = o->head;
    if (batch == NULL) {
        if (o->log->roll) {
            dm_file_log_roll(o->log);
        }
        return;
    }
    if (batch->first_lsn <= o->flushed_lsn) {
        o->head = batch->next;
        o->tail = o->head == NULL ? NULL : o->tail;
        batch->next = NULL;
        dm_file_log_put(o->log, batch);
    }
}

static void file_flush(struct dm_order *order)
{
    struct dm_file_order *o = order_of(order);
    o->flushed_lsn = o->last_lsn;
    dm_file_order_next(o);
}

static uint64_t file_durable(struct dm_order *order)
{
    struct dm_file_order *o = order_of(order);
    dm_file_log_absorb(o->log);
    DM_ASSERT(o->log->end.next_lsn <= o->last_lsn + 1);
    return o->log->end.next_lsn - 1;
}

static uint64_t file_last(struct dm_order *order)
{
    return order_of(order)->last_lsn;
}

size_t dm_file_order_pending(struct dm_file_order *o)
{
    dm_file_log_absorb(o->log);
    DM_ASSERT(o->appended_bytes >= o->log->batch_bytes);
    return (size_t)(o->appended_bytes - o->log->batch_bytes);
}

static size_t file_pending(struct dm_order *order)
{
    return dm_file_order_pending(order_of(order));
}

static enum dm_order_state file_state(struct dm_order *order, struct dm_error *error)
{
    struct dm_writer *writer = &order_of(order)->log->writer;
    enum dm_order_state state = dm_writer_state(writer);
    if (state != DM_ORDER_OK && error != NULL) {
        dm_trouble_error(&writer->trouble, error);
    }
    return state;
}

static void file_stats(struct dm_order *order, struct dm_order_stats *stats)
{
    struct dm_file_order *o = order_of(order);
    dm_file_log_absorb(o->log);
    *stats = (struct dm_order_stats){
        .last_lsn = o->last_lsn,
        .last_seq = o->last_seq,
        .durable_lsn = file_durable(order),
        .pending_bytes = dm_file_order_pending(o),
        .appended_bytes = o->appended_bytes,
        .batches = o->log->batches,
        .batch_entries = o->log->batch_entries,
    };
    dm_writer_sync_us(&o->log->writer, &stats->batch_us);
}

static int file_event(struct dm_order *order)
{
    return order_of(order)->log->writer.trouble.event;
}

static const struct dm_order_ops file_ops = {
    .append = file_append,
    .flush = file_flush,
    .durable = file_durable,
    .last = file_last,
    .pending = file_pending,
    .state = file_state,
    .stats = file_stats,
    .event = file_event,
};

void dm_file_order_init(struct dm_file_order *o, struct dm_file_log *log)
{
    uint64_t room = log->options.segment_size - DM_SEGMENT_HEADER_SIZE;
    /* With its first page and the end behind it, so that its memory stays a power of two. */
    size_t most = (size_t)DM_JOURNAL_BATCH_MAX - DM_BATCH_END_SIZE_MAX - DM_DISK_PAGE;
    *o = (struct dm_file_order){
        .base.ops = &file_ops,
        .log = log,
        .last_lsn = log->end.next_lsn - 1,
        .last_seq = log->end.next_seq - 1,
        .flushed_lsn = log->end.next_lsn - 1,
        .batch_size_max = room < most ? (size_t)room : most,
    };
}

void dm_file_order_finish(struct dm_file_order *o)
{
    dm_batches_free(o->head);
}
