#include "journal/file_log.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"

#include <assert.h>
#include <string.h>

/* When all goes well: put decides where in which segment a batch goes, and hands it to the
 * writer; absorb sees that it is synced. One batch is on its way at a time. A batch that does
 * not fit into the rest of its segment opens the next one. */

static_assert(DM_SEGMENT_HEADER_SIZE % DM_DISK_PAGE == 0, "a segment's first batch begins a page");
static_assert(DM_JOURNAL_BATCH_MAX >= DM_DISK_PAGE + DM_BATCH_HEADER_SIZE + DM_ENTRY_HEADER_SIZE +
                                          DM_JOURNAL_RECORD_MAX + DM_BATCH_END_SIZE_MAX,
              "a batch has room for the largest record, with its first page and its end");
static_assert(DM_SEGMENT_SIZE >= DM_SEGMENT_HEADER_SIZE + DM_JOURNAL_BATCH_MAX,
              "a segment has room for the largest batch");

struct dm_segment_header dm_file_log_header(struct dm_file_log *log, const struct dm_place *at,
                                            uint64_t number)
{
    int64_t now_ms = dm_clock_wall_ms(&log->options.clock);
    uint64_t seed[] = {number, (uint64_t)now_ms, dm_clock_monotonic_ns(&log->options.clock)};
    return (struct dm_segment_header){
        .number = number,
        .first_lsn = at->next_lsn,
        .first_seq = at->next_seq,
        .first_batch = at->batch,
        .size = log->options.segment_size,
        .salt = dm_hash(seed, sizeof seed, at->next_lsn),
        .created_ms = now_ms,
        .log_id = log->log_id,
        .seen_ms = dm_age_now(&log->age),
    };
}

static size_t end_size(uint64_t offset, uint64_t segment_size)
{
    uint64_t end = offset + DM_BATCH_HEADER_SIZE + DM_DISK_PAGE - 1;
    end -= end % DM_DISK_PAGE;
    return (size_t)((end < segment_size ? end : segment_size) - offset);
}

uint64_t dm_file_log_next_offset(const struct dm_file_log *log)
{
    return log->in_flight != NULL ? log->in_flight_end.offset : log->end.offset;
}

void dm_file_log_put(struct dm_file_log *log, struct dm_batch *batch)
{
    DM_ASSERT(log->in_flight == NULL && !log->rolling && batch->next == NULL);
    DM_ASSERT(batch->entries > 0 && batch->events <= batch->entries);
    DM_ASSERT(batch->first_lsn == log->end.next_lsn && batch->first_seq == log->end.next_seq);
    struct dm_place at = log->end;
    struct dm_segment_header segment = dm_segments_last(&log->segments)->header;
    if (at.offset + batch->size > segment.size || log->roll) {
        segment = dm_file_log_header(log, &at, segment.number + 1);
        at = dm_place_first(&segment);
    }
    log->roll = false;
    struct dm_batch_header header = {
        .number = at.batch,
        .first_lsn = batch->first_lsn,
        .first_seq = batch->first_seq,
        .entries = batch->entries,
        .events = batch->events,
        .bytes = (uint32_t)(batch->size - DM_BATCH_HEADER_SIZE),
    };
    dm_batch_move(batch, at.offset, log->page);
    dm_batch_header_write(dm_batch_start(batch), &header, segment.salt, at.offset);
    size_t end = end_size(at.offset + batch->size, segment.size);
    memset(dm_batch_start(batch) + batch->size, 0, end);
    struct dm_job job = {
        .segment = segment,
        .offset = at.offset - batch->lead,
        .ticket = ++log->jobs,
        .bytes = dm_slice(batch->pages, batch->lead + batch->size + end),
    };
    dm_batch_last_page(batch, log->page);
    log->in_flight = batch;
    log->in_flight_segment = segment;
    log->in_flight_end = at;
    bool fits = dm_place_skip(&log->in_flight_end, &header, segment.size);
    DM_ASSERT(fits);
    dm_writer_hand(&log->writer, &job);
}

void dm_file_log_roll(struct dm_file_log *log)
{
    DM_ASSERT(log->in_flight == NULL && !log->rolling && log->roll);
    struct dm_segment_header last = dm_segments_last(&log->segments)->header;
    log->roll = false;
    log->rolling = true;
    log->in_flight_segment = dm_file_log_header(log, &log->end, last.number + 1);
    const struct dm_job job = {
        .segment = log->in_flight_segment,
        .offset = DM_SEGMENT_HEADER_SIZE,
        .ticket = ++log->jobs,
    };
    dm_writer_hand(&log->writer, &job);
}

static void absorb_roll(struct dm_file_log *log)
{
    log->rolling = false;
    if (dm_writer_segment(&log->writer) == log->in_flight_segment.number) {
        dm_segments_add(&log->segments, &log->in_flight_segment);
        log->end = dm_place_first(&log->in_flight_segment);
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

void dm_file_log_absorb(struct dm_file_log *log)
{
    struct dm_batch *batch = log->in_flight;
    if (batch == NULL && !log->rolling) {
        return;
    }
    dm_writer_poll(&log->writer, false);
    if (atomic_load_explicit(&log->writer.done, memory_order_acquire) != log->jobs) {
        return;
    }
    if (batch == NULL) {
        absorb_roll(log);
        return;
    }
    uint64_t number = log->in_flight_end.batch - 1;
    struct dm_segment *segment = dm_segments_last(&log->segments);
    if (segment->header.number != log->in_flight_segment.number) {
        segment = dm_segments_add(&log->segments, &log->in_flight_segment);
    }
    DM_ASSERT(log->in_flight_end.next_lsn == log->end.next_lsn + batch->entries);
    DM_ASSERT(log->in_flight_end.next_seq == log->end.next_seq + batch->events);
    log->end = log->in_flight_end;
    dm_blocks_put(&log->blocks, segment->header.number, log->end.offset - batch->size,
                  dm_slice(dm_batch_start(batch), batch->size));
    index_batch(segment, batch, log->end.offset - batch->size, number);
    log->batch_bytes += batch->size - DM_BATCH_HEADER_SIZE;
    log->batches++;
    dm_histogram_add(&log->batch_entries, batch->entries);
    log->in_flight = NULL;
    dm_batch_give(&log->pool, batch);
}

bool dm_file_log_idle(struct dm_file_log *log)
{
    dm_file_log_absorb(log);
    return log->in_flight == NULL && !log->rolling &&
           dm_writer_state(&log->writer) != DM_ORDER_FAILED;
}

void dm_file_log_finish(struct dm_file_log *log)
{
    dm_batches_free(log->in_flight);
    dm_batch_pool_finish(&log->pool);
    dm_blocks_finish(&log->blocks);
    dm_segments_finish(&log->segments);
    dm_writer_finish(&log->writer);
}
