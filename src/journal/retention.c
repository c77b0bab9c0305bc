#include "journal/retention.h"

#include "base/assert.h"
#include "base/limits.h"

#include <assert.h>

/* What the journal keeps. An event is as old as the time that the journal has been open since
 * the segment after the event's was begun (see journal/age.h). So that it can grow old on a
 * server where little happens, a segment that is in use for a part of the retention makes
 * room for the next one, full or not. */

static_assert(DM_RETENTION_MS / DM_SEGMENT_AGE_PARTS > DM_JOURNAL_AGE_KEPT_MS,
              "what a crash takes from the age is less than what a segment may have of it");

static bool too_old(const struct dm_file_log *log, int64_t now_ms)
{
    /* The segment after it was begun later than its newest entry was written. */
    return now_ms - log->segments.items[1].header.seen_ms > log->options.retention_ms;
}

static void drop_old(struct dm_file_log *log, uint64_t applied_lsn, int64_t now_ms)
{
    while (log->segments.count > 1 && log->segments.items[1].header.first_lsn <= applied_lsn + 1) {
        struct dm_segment_header oldest = log->segments.items[0].header;
        bool by_age = too_old(log, now_ms);
        if (!by_age && log->segments.kept_bytes <= (uint64_t)log->options.retention_bytes) {
            return;
        }
        /* First out of sight: the file is about to become another one, or nothing. What is dropped
         * for its age must not stay on the disk until somebody needs the file. */
        dm_segments_drop_first(&log->segments);
        const struct dm_retired retired = {
            .number = oldest.number, .size = oldest.size, .recycle = !by_age};
        dm_writer_retire(&log->writer, &retired);
    }
}

static bool wants_roll(const struct dm_file_log *log, int64_t now_ms)
{
    const struct dm_segment *newest = dm_segments_last(&log->segments);
    bool empty = log->end.offset == DM_SEGMENT_HEADER_SIZE;
    return !empty && log->in_flight == NULL && !log->rolling &&
           now_ms - newest->header.seen_ms > log->options.retention_ms / DM_SEGMENT_AGE_PARTS;
}

void dm_file_trim(struct dm_journal *journal, uint64_t applied_lsn)
{
    struct dm_file_log *log = dm_file_log_of(journal);
    dm_file_log_absorb(log);
    DM_ASSERT(applied_lsn < log->end.next_lsn); /* the view is made from what is here */
    int64_t now_ms = dm_age_now(&log->age);
    drop_old(log, applied_lsn, now_ms);
    log->roll = log->roll || wants_roll(log, now_ms);
    if (now_ms - log->age.kept_ms >= DM_JOURNAL_AGE_KEPT_MS) {
        log->age.kept_ms = now_ms;
        dm_writer_keep_age(&log->writer, now_ms);
    }
}
