#include "journal/each.h"

#include "journal/scan.h"

#include <inttypes.h>

static enum dm_code outcome_code(enum dm_scan_outcome outcome, const struct dm_scan *scan,
                                 const struct dm_place *at, struct dm_error *error)
{
    switch (outcome) {
    case DM_SCAN_GOOD:
        return DM_OK;
    case DM_SCAN_UNREADABLE:
        return dm_segment_cannot(error, "read", at->segment, scan->failed);
    case DM_SCAN_REFUSED:
        return dm_segment_damaged(error, at, "the entry makes no sense");
    case DM_SCAN_BAD:
        break;
    }
    return dm_segment_damaged(error, at, "a checksum or a number is wrong");
}

static enum dm_code each_of_segment(struct dm_file_log *log, struct dm_segment *segment,
                                    const struct dm_scan_visitor *visitor, struct dm_error *error)
{
    const struct dm_segment *next = dm_segments_find(&log->segments, segment->header.number + 1);
    int file = dm_segment_file(&log->segments, segment);
    if (file < 0) {
        return dm_segment_cannot(error, "read", segment->header.number, file);
    }
    struct dm_scan scan;
    dm_scan_init(&scan, log->options.disk, file,
                 next != NULL ? segment->header.size : log->end.offset);
    uint64_t end_batch = next != NULL ? next->header.first_batch : log->end.batch;
    struct dm_place place = dm_place_first(&segment->header);
    enum dm_scan_outcome outcome = DM_SCAN_GOOD;
    while (outcome == DM_SCAN_GOOD && place.batch != end_batch) {
        outcome = dm_scan_batch(&scan, segment, &place, visitor);
    }
    dm_scan_finish(&scan);
    if (outcome == DM_SCAN_GOOD && next != NULL &&
        (place.next_lsn != next->header.first_lsn || place.next_seq != next->header.first_seq)) {
        return dm_segment_damaged(error, &place, "the next file does not go on from here");
    }
    return outcome_code(outcome, &scan, &place, error);
}

enum dm_code dm_file_each(struct dm_journal *journal, uint64_t after_lsn,
                          bool (*each)(void *context, const struct dm_entry *entry), void *context,
                          struct dm_error *error)
{
    struct dm_file_log *log = dm_file_log_of(journal);
    uint64_t last = log->end.next_lsn - 1;
    uint64_t first = log->segments.items[0].header.first_lsn;
    if (after_lsn > last) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal ends at lsn %" PRIu64 ", but %" PRIu64 " was applied already",
                       last, after_lsn);
    }
    if (after_lsn + 1 < first) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal begins at lsn %" PRIu64 ", but %" PRIu64
                       " is needed: put back its older files, or take the data folder from a "
                       "backup",
                       first, after_lsn + 1);
    }
    if (after_lsn == last) {
        return DM_OK;
    }
    struct dm_scan_visitor visitor = {.after_lsn = after_lsn, .each = each, .context = context};
    struct dm_segment *segment = dm_segments_of_lsn(&log->segments, after_lsn + 1);
    enum dm_code code = DM_OK;
    while (code == DM_OK && segment != NULL) {
        code = each_of_segment(log, segment, &visitor, error);
        segment = dm_segments_find(&log->segments, segment->header.number + 1);
    }
    return code;
}
