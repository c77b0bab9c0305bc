#include "journal/file.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>

/* When all goes well: append copies an entry into the batch that gathers; flush, when
 * the writer is idle, decides where the oldest batch goes and hands it over; absorb
 * sees that it is durable. One batch is on its way at a time, so whatever comes
 * meanwhile gathers into the next: group commit.
 *
 * A batch that does not fit into the rest of its segment opens the next one. */

#define SEGMENT_SIZE_MIN 65536UL

static uint64_t file_append(struct dm_order *order, struct dm_slice payload, uint64_t seq)
{
    struct dm_file_journal *j = dm_file_journal_of_order(order);
    DM_ASSERT(payload.size <= (size_t)DM_JOURNAL_RECORD_MAX);
    DM_ASSERT(seq == 0 || seq == j->last_seq + 1);
    uint64_t lsn = j->last_lsn + 1;
    if (dm_writer_state(&j->writer) != DM_ORDER_FAILED) {
        size_t size = (size_t)dm_entry_footprint(payload.size);
        struct dm_batch *batch = dm_batch_with_room(j, size);
        dm_batch_reserve(batch, size);
        dm_batch_mark(batch, lsn, j->last_seq + 1);
        dm_entry_write(dm_batch_start(batch) + batch->size, lsn, seq, payload);
        batch->size += size;
        batch->entries++;
        batch->events += seq != 0;
        j->pending += size;
        j->appended_bytes += size;
    }
    j->last_lsn = lsn;
    if (seq != 0) {
        j->last_seq = seq;
    }
    return lsn;
}

/* ---- to the writer and back -------------------------------------------------- */

struct dm_segment_header dm_file_segment_header(struct dm_file_journal *j,
                                                const struct dm_place *at, uint64_t number)
{
    int64_t now_ms = dm_clock_wall_ms(&j->options.clock);
    uint64_t seed[] = {number, (uint64_t)now_ms, dm_clock_monotonic_ns(&j->options.clock)};
    return (struct dm_segment_header){
        .number = number,
        .first_lsn = at->next_lsn,
        .first_seq = at->next_seq,
        .first_batch = at->batch,
        .size = j->options.segment_size,
        .salt = dm_hash(seed, sizeof seed, at->next_lsn),
        .created_ms = now_ms,
        .log_id = j->log_id,
        .seen_ms = dm_age_now(&j->age),
    };
}

static size_t end_size(uint64_t offset, uint64_t segment_size)
{
    uint64_t end = offset + DM_BATCH_HEADER_SIZE + DM_DISK_PAGE - 1;
    end -= end % DM_DISK_PAGE;
    return (size_t)((end < segment_size ? end : segment_size) - offset);
}

/* The batch goes to `offset` after all; what its first page has before it comes along. */
static void lead_in(const struct dm_file_journal *j, struct dm_batch *batch, uint64_t offset)
{
    size_t lead = (size_t)(offset % DM_DISK_PAGE);
    if (lead != batch->lead) {
        memmove(batch->pages + lead, dm_batch_start(batch), batch->size);
        batch->lead = lead;
    }
    memcpy(batch->pages, j->page, lead);
}

/* Keeps what the next batch's first page has before it. */
static void lead_out(struct dm_file_journal *j, const struct dm_batch *batch)
{
    size_t end = batch->lead + batch->size;
    size_t rest = end % DM_DISK_PAGE;
    memcpy(j->page, batch->pages + end - rest, rest);
}

static void hand_over(struct dm_file_journal *j)
{
    struct dm_batch *batch = j->head;
    j->head = batch->next;
    if (j->head == NULL) {
        j->tail = NULL;
    }
    batch->next = NULL;
    struct dm_place at = j->durable;
    struct dm_segment_header segment = dm_segments_last(&j->segments)->header;
    if (at.offset + batch->size > segment.size || j->roll) {
        segment = dm_file_segment_header(j, &at, segment.number + 1);
        at = dm_place_first(&segment);
    }
    j->roll = false;
    struct dm_batch_header header = {
        .number = at.batch,
        .first_lsn = batch->first_lsn,
        .first_seq = batch->first_seq,
        .entries = batch->entries,
        .events = batch->events,
        .bytes = (uint32_t)(batch->size - DM_BATCH_HEADER_SIZE),
    };
    lead_in(j, batch, at.offset);
    dm_batch_header_write(dm_batch_start(batch), &header, segment.salt, at.offset);
    size_t end = end_size(at.offset + batch->size, segment.size);
    memset(dm_batch_start(batch) + batch->size, 0, end);
    struct dm_job job = {
        .segment = segment,
        .offset = at.offset - batch->lead,
        .ticket = ++j->jobs,
        .bytes = dm_slice(batch->pages, batch->lead + batch->size + end),
    };
    lead_out(j, batch);
    j->in_flight = batch;
    j->in_flight_segment = segment;
    j->in_flight_end = at;
    bool fits = dm_place_skip(&j->in_flight_end, &header, segment.size);
    DM_ASSERT(fits);
    dm_writer_hand(&j->writer, &job);
}

/* A new segment although no batch needs one: see dm_file_trim. */
static void hand_roll(struct dm_file_journal *j)
{
    struct dm_segment_header last = dm_segments_last(&j->segments)->header;
    j->roll = false;
    j->rolling = true;
    j->in_flight_segment = dm_file_segment_header(j, &j->durable, last.number + 1);
    const struct dm_job job = {
        .segment = j->in_flight_segment,
        .offset = DM_SEGMENT_HEADER_SIZE,
        .ticket = ++j->jobs,
    };
    dm_writer_hand(&j->writer, &job);
}

static void absorb_roll(struct dm_file_journal *j)
{
    j->rolling = false;
    if (dm_writer_segment(&j->writer) == j->in_flight_segment.number) {
        dm_segments_add(&j->segments, &j->in_flight_segment);
        j->durable = dm_place_first(&j->in_flight_segment);
    } /* else it had to be put off: the next trim asks again */
}

/* What the index learns from a batch that became durable at `start`. */
static void index_batch(struct dm_segment *segment, const struct dm_batch *batch, uint64_t start,
                        uint64_t number)
{
    struct dm_place place = {.segment = segment->header.number,
                             .offset = start,
                             .batch = number,
                             .next_lsn = batch->first_lsn,
                             .next_seq = batch->first_seq};
    dm_segment_note(segment, &place);
    for (size_t i = 0; i < batch->mark_count; i++) {
        place = batch->marks[i];
        place.segment = segment->header.number;
        place.offset += start;
        place.batch = number;
        place.batch_end = start + batch->size;
        dm_segment_note(segment, &place);
    }
}

void dm_file_absorb(struct dm_file_journal *j)
{
    struct dm_batch *batch = j->in_flight;
    if (batch == NULL && !j->rolling) {
        return;
    }
    dm_writer_poll(&j->writer, false);
    if (atomic_load_explicit(&j->writer.done, memory_order_acquire) != j->jobs) {
        return;
    }
    if (batch == NULL) {
        absorb_roll(j);
        return;
    }
    uint64_t number = j->in_flight_end.batch - 1;
    struct dm_segment *segment = dm_segments_last(&j->segments);
    if (segment->header.number != j->in_flight_segment.number) {
        segment = dm_segments_add(&j->segments, &j->in_flight_segment);
    }
    j->durable = j->in_flight_end;
    dm_cache_put(&j->cache, segment->header.number, j->durable.offset - batch->size,
                 dm_slice(dm_batch_start(batch), batch->size));
    index_batch(segment, batch, j->durable.offset - batch->size, number);
    j->pending -= batch->size - DM_BATCH_HEADER_SIZE;
    j->batches++;
    dm_histogram_add(&j->batch_entries, batch->entries);
    j->in_flight = NULL;
    dm_batch_retire(j, batch);
}

static void hand_over_if_idle(struct dm_file_journal *j)
{
    dm_file_absorb(j);
    if (j->in_flight != NULL || j->rolling || dm_writer_state(&j->writer) == DM_ORDER_FAILED) {
        return;
    }
    if (j->head != NULL && j->head->first_lsn <= j->flushed_lsn) {
        hand_over(j);
    } else if (j->roll && j->head == NULL) {
        hand_roll(j);
    }
}

static void file_flush(struct dm_order *order)
{
    struct dm_file_journal *j = dm_file_journal_of_order(order);
    j->flushed_lsn = j->last_lsn;
    hand_over_if_idle(j);
}

static bool file_work(struct dm_journal *journal)
{
    struct dm_file_journal *j = dm_file_journal_of(journal);
    DM_ASSERT(!j->writer.running);
    hand_over_if_idle(j);
    bool did = j->writer.begun;
    dm_writer_poll(&j->writer, true);
    did = dm_writer_step(&j->writer, true) || did;
    dm_file_absorb(j);
    return did;
}

/* ---- questions -------------------------------------------------------------------- */

static uint64_t file_durable(struct dm_order *order)
{
    struct dm_file_journal *j = dm_file_journal_of_order(order);
    dm_file_absorb(j);
    return j->durable.next_lsn - 1;
}

static uint64_t file_last(struct dm_order *order)
{
    return dm_file_journal_of_order(order)->last_lsn;
}

static size_t file_pending(struct dm_order *order)
{
    struct dm_file_journal *j = dm_file_journal_of_order(order);
    dm_file_absorb(j);
    return j->pending;
}

static enum dm_order_state file_state(struct dm_order *order, struct dm_error *error)
{
    struct dm_writer *writer = &dm_file_journal_of_order(order)->writer;
    enum dm_order_state state = dm_writer_state(writer);
    if (state != DM_ORDER_OK && error != NULL) {
        (void)pthread_mutex_lock(&writer->mutex);
        *error = writer->error;
        (void)pthread_mutex_unlock(&writer->mutex);
    }
    return state;
}

static void file_order_stats(struct dm_order *order, struct dm_order_stats *stats)
{
    struct dm_file_journal *j = dm_file_journal_of_order(order);
    dm_file_absorb(j);
    *stats = (struct dm_order_stats){
        .last_lsn = j->last_lsn,
        .last_seq = j->last_seq,
        .durable_lsn = j->durable.next_lsn - 1,
        .pending_bytes = j->pending,
        .appended_bytes = j->appended_bytes,
        .batches = j->batches,
        .batch_entries = j->batch_entries,
    };
    (void)pthread_mutex_lock(&j->writer.mutex);
    stats->batch_us = j->writer.sync_us;
    (void)pthread_mutex_unlock(&j->writer.mutex);
}

static int file_event(struct dm_order *order)
{
    return dm_file_journal_of_order(order)->writer.event;
}

/* What is here was synced, and what is not synced is not here. */
static uint64_t file_committed(struct dm_journal *journal)
{
    return file_durable(journal->order);
}

static uint64_t file_committed_seq(struct dm_journal *journal)
{
    struct dm_file_journal *j = dm_file_journal_of(journal);
    dm_file_absorb(j);
    return j->durable.next_seq - 1;
}

static uint64_t file_oldest_seq(struct dm_journal *journal)
{
    return dm_file_journal_of(journal)->segments.items[0].header.first_seq;
}

static void file_stats(struct dm_journal *journal, struct dm_journal_stats *stats)
{
    struct dm_file_journal *j = dm_file_journal_of(journal);
    dm_file_absorb(j);
    *stats = (struct dm_journal_stats){
        .committed_lsn = j->durable.next_lsn - 1,
        .committed_seq = j->durable.next_seq - 1,
        .synced_lsn = j->durable.next_lsn - 1,
        .oldest_seq = file_oldest_seq(journal),
        .kept_bytes = j->segments.kept_bytes,
    };
}

static struct dm_log_id file_log_id(struct dm_journal *journal)
{
    return dm_file_journal_of(journal)->log_id;
}

/* ---- opening and closing -------------------------------------------------------------- */

static void finish(struct dm_file_journal *j)
{
    dm_batches_free(j->head);
    dm_batches_free(j->in_flight);
    dm_batches_free(j->unused);
    dm_cache_finish(&j->cache);
    dm_segments_finish(&j->segments);
    dm_writer_finish(&j->writer);
    free(j);
}

static void file_close(struct dm_journal *journal)
{
    struct dm_file_journal *j = dm_file_journal_of(journal);
    dm_writer_stop(&j->writer);
    j->flushed_lsn = j->last_lsn;
    j->roll = false;
    dm_writer_keep_age(&j->writer, dm_age_now(&j->age));
    uint64_t before = 0;
    do {
        hand_over_if_idle(j);
        before = j->durable.next_lsn;
        dm_writer_poll(&j->writer, true);
        (void)dm_writer_step(&j->writer, false); /* without a job, too: what was trimmed goes */
        dm_file_absorb(j);
    } while (j->durable.next_lsn != before);
    if (j->pending > 0) {
        dm_log(DM_LOG_ERROR, "journal closed with entries that are not durable",
               DM_LOG_NUMBER("durable_lsn", j->durable.next_lsn - 1),
               DM_LOG_NUMBER("last_lsn", j->last_lsn), DM_LOG_NUMBER("bytes", j->pending));
    }
    finish(j);
}

static const struct dm_order_ops order_ops = {
    .append = file_append,
    .flush = file_flush,
    .durable = file_durable,
    .last = file_last,
    .pending = file_pending,
    .state = file_state,
    .stats = file_order_stats,
    .event = file_event,
};

static const struct dm_journal_ops journal_ops = {
    .committed = file_committed,
    .committed_seq = file_committed_seq,
    .synced = file_committed,
    .oldest_seq = file_oldest_seq,
    .stats = file_stats,
    .log_id = file_log_id,
    .trim = dm_file_trim,
    .cursor = dm_file_cursor,
    .cursor_seek = dm_file_cursor_seek,
    .cursor_next = dm_file_cursor_next,
    .cursor_close = dm_file_cursor_close,
    .replay = dm_file_replay,
    .work = file_work,
    .close = file_close,
};

static enum dm_code check_options(struct dm_journal_options *options, struct dm_error *error)
{
    options->segment_size =
        options->segment_size != 0 ? options->segment_size : (uint64_t)DM_SEGMENT_SIZE;
    options->retention_bytes =
        options->retention_bytes != 0 ? options->retention_bytes : DM_RETENTION_BYTES;
    options->retention_ms = options->retention_ms != 0 ? options->retention_ms : DM_RETENTION_MS;
    if (options->segment_size < SEGMENT_SIZE_MIN || options->segment_size % 4096 != 0) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "a journal segment is at least %lu bytes, in steps of 4096",
                       SEGMENT_SIZE_MIN);
    }
    return DM_OK;
}

enum dm_code dm_journal_open_file(struct dm_journal **journal,
                                  const struct dm_journal_options *options, struct dm_error *error)
{
    struct dm_journal_options checked = *options;
    enum dm_code code = check_options(&checked, error);
    if (code != DM_OK) {
        return code;
    }
    struct dm_file_journal *j = dm_xcalloc(1, sizeof *j);
    j->base = (struct dm_journal){.ops = &journal_ops, .order = &j->order};
    j->order.ops = &order_ops;
    j->options = checked;
    j->segments.disk = checked.disk;
    uint64_t room = checked.segment_size - DM_SEGMENT_HEADER_SIZE;
    /* With its first page and the end behind it, so that its memory stays a power of two. */
    size_t most = (size_t)DM_JOURNAL_BATCH_MAX - DM_BATCH_END_SIZE_MAX - DM_DISK_PAGE;
    j->batch_size_max = room < most ? (size_t)room : most;
    dm_writer_init(&j->writer, &checked);
    code = j->writer.event >= 0 ? dm_file_recover(j, error)
                                : dm_fail(error, DM_RESOURCE_EXHAUSTED,
                                          "the journal cannot have a descriptor for its event");
    if (code == DM_OK && !checked.manual && !dm_writer_start(&j->writer)) {
        code = dm_fail(error, DM_RESOURCE_EXHAUSTED, "the journal cannot start its thread");
    }
    if (code != DM_OK) {
        finish(j);
        return code;
    }
    j->last_lsn = j->flushed_lsn = j->durable.next_lsn - 1;
    j->last_seq = j->durable.next_seq - 1;
    *journal = &j->base;
    return DM_OK;
}
