#include "journal/recover.h"

#include "base/assert.h"
#include "base/log.h"
#include "journal/listing.h"
#include "journal/tail.h"

#include <errno.h>
#include <string.h>

/* Opening, when all is well: the names are read, every segment's header, and the whole
 * of the last segment: its good batches, and behind them nothing. Older segments are
 * not looked into: every batch of them was synced before the next segment was made.
 *
 * A journal that is older than ids gets one, in the header of a new segment. */

/* ---- headers ------------------------------------------------------------------------ */

/* Could it have been written by this program, if it is whole? */
static bool sensible(const struct dm_segment_header *header, uint64_t number, uint64_t file_size)
{
    const uint64_t most = INT64_MAX; /* what counts up never comes there */
    return header->number == number && header->size <= file_size &&
           header->size >= DM_SEGMENT_HEADER_SIZE + DM_DISK_PAGE &&
           header->size % DM_DISK_PAGE == 0 && header->first_lsn > 0 && header->first_lsn < most &&
           header->first_seq > 0 && header->first_seq < most && header->first_batch > 0 &&
           header->first_batch < most && header->seen_ms >= 0 && header->seen_ms <= DM_AGE_MS_MAX;
}

static enum dm_code read_header(struct dm_disk *disk, uint64_t number,
                                struct dm_segment_header *header, struct dm_error *error)
{
    char name[DM_SEGMENT_NAME_SIZE];
    uint8_t block[DM_SEGMENT_HEADER_SIZE];
    dm_segment_name(name, number);
    int file = disk->ops->open(disk, name, false);
    if (file < 0) {
        return dm_segment_cannot(error, "open", number, file);
    }
    int64_t got = disk->ops->pread(disk, file, block, sizeof block, 0);
    int64_t size = disk->ops->size(disk, file);
    disk->ops->close(disk, file);
    if (got < 0 || size < 0) {
        return dm_segment_cannot(error, "read", number, (int)(got < 0 ? got : size));
    }
    if (got == (int64_t)sizeof block && dm_segment_header_newer(block)) {
        return dm_fail(error, DM_FAILED_PRECONDITION,
                       "the journal file %s was written by a newer version of this program: run "
                       "that one",
                       name);
    }
    if (got != (int64_t)sizeof block || !dm_segment_header_read(block, header) ||
        !sensible(header, number, (uint64_t)size)) {
        struct dm_place at = {.segment = number};
        return dm_segment_damaged(error, &at, "the header is wrong, or the file was cut");
    }
    return DM_OK;
}

static enum dm_code add_segment(struct dm_file_log *log, uint64_t number, struct dm_error *error)
{
    const struct dm_segment *before = dm_segments_last(&log->segments);
    if (before != NULL && before->header.number + 1 != number) {
        char name[DM_SEGMENT_NAME_SIZE];
        dm_segment_name(name, before->header.number + 1);
        return dm_fail(error, DM_DATA_LOSS, "the journal file %s is missing (offset 0)", name);
    }
    struct dm_segment_header header = {0};
    enum dm_code code = read_header(log->options.disk, number, &header, error);
    if (code != DM_OK) {
        return code;
    }
    if (dm_log_id_known(&log->log_id) && !dm_log_id_equal(&log->log_id, &header.log_id)) {
        struct dm_place at = {.segment = number};
        return dm_segment_damaged(error, &at, "it is of another log than the file before it");
    }
    log->log_id = header.log_id;
    if (before != NULL && (header.first_lsn <= before->header.first_lsn ||
                           header.first_seq < before->header.first_seq ||
                           header.first_batch <= before->header.first_batch)) {
        struct dm_place at = {.segment = number};
        return dm_segment_damaged(error, &at, "it does not follow the file before it");
    }
    dm_segments_add(&log->segments, &header);
    return DM_OK;
}

/* ---- the last segment ----------------------------------------------------------------- */

/* The next batch is written with the page that it begins in. */
static enum dm_code begin_page(struct dm_file_log *log, struct dm_error *error)
{
    struct dm_disk *disk = log->options.disk;
    size_t lead = (size_t)(log->end.offset % DM_DISK_PAGE);
    int64_t got = disk->ops->pread(disk, log->writer.file, log->page, lead, log->end.offset - lead);
    if (got != (int64_t)lead) {
        return dm_segment_cannot(error, "read", log->end.segment, got < 0 ? (int)got : -EIO);
    }
    disk->ops->expect_pages(disk, log->writer.file);
    return DM_OK;
}

static enum dm_code recover_last(struct dm_file_log *log, struct dm_error *error)
{
    struct dm_segment *segment = dm_segments_last(&log->segments);
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    int file = log->options.disk->ops->open(log->options.disk, name, false);
    if (file < 0) {
        return dm_segment_cannot(error, "open", segment->header.number, file);
    }
    enum dm_code code = dm_tail_settle(log->options.disk, file, segment, &log->end, error);
    dm_writer_resume(&log->writer, file, &log->end);
    return code == DM_OK ? begin_page(log, error) : code;
}

/* ---- whose log it is ---------------------------------------------------------------- */

/* Before anything is written: what lies there may be somebody else's. */
static enum dm_code check_log(const struct dm_file_log *log, struct dm_error *error)
{
    const struct dm_log_id *wanted = &log->options.belongs_to;
    if (!dm_log_id_known(wanted) || dm_log_id_equal(wanted, &log->log_id)) {
        return DM_OK;
    }
    return dm_fail(error, DM_ABORTED,
                   log->segments.count == 0 ? "the journal is empty"
                                            : "the journal is another one");
}

static void begin_age(struct dm_file_log *log)
{
    const struct dm_segment *last = dm_segments_last(&log->segments);
    int64_t known_ms = last == NULL ? 0 : last->header.seen_ms;
    int64_t kept_ms = dm_age_read(log->options.disk);
    dm_age_begin(&log->age, &log->options.clock, kept_ms > known_ms ? kept_ms : known_ms);
}

static enum dm_code writer_failed(struct dm_file_log *log, struct dm_error *error)
{
    dm_trouble_error(&log->writer.trouble, error);
    return error->code;
}

static enum dm_code create_first(struct dm_file_log *log, struct dm_error *error)
{
    log->log_id = dm_log_id_make();
    struct dm_place at = {.batch = 1, .next_lsn = 1, .next_seq = 1};
    struct dm_segment_header header = dm_file_log_header(log, &at, 1);
    if (!dm_writer_create(&log->writer, &header)) {
        return writer_failed(log, error);
    }
    dm_segments_add(&log->segments, &header);
    log->end = dm_place_first(&header);
    return DM_OK;
}

/* If the last segment is empty, one with the same number takes its place. */
static enum dm_code adopt(struct dm_file_log *log, struct dm_error *error)
{
    struct dm_segment *last = dm_segments_last(&log->segments);
    bool empty = log->end.offset == DM_SEGMENT_HEADER_SIZE;
    log->log_id = dm_log_id_make();
    struct dm_segment_header header =
        dm_file_log_header(log, &log->end, last->header.number + (empty ? 0 : 1));
    if (!dm_writer_replace(&log->writer, &header)) {
        log->log_id = (struct dm_log_id){0};
        return dm_writer_state(&log->writer) == DM_ORDER_FAILED
                   ? writer_failed(log, error)
                   : DM_OK; /* no space: it serves without one, the next start tries again */
    }
    if (empty) {
        log->segments.kept_bytes += header.size - last->header.size;
        last->header = header;
    } else {
        dm_segments_add(&log->segments, &header);
    }
    log->end = dm_place_first(&header);
    dm_log(DM_LOG_INFO, "journal got an id", DM_LOG_NUMBER("segment", header.number));
    return DM_OK;
}

static void adopt_spares(const struct dm_listing *listing, struct dm_spares *spares)
{
    for (size_t i = 0; i < listing->prepared.count; i++) {
        dm_spares_discard(spares, listing->prepared.items[i]);
    }
    for (size_t i = 0; i < listing->spares.count; i++) {
        dm_spares_adopt(spares, listing->spares.items[i]);
    }
}

static enum dm_code open_segments(struct dm_file_log *log, struct dm_error *error)
{
    if (log->segments.count == 0) {
        return create_first(log, error);
    }
    enum dm_code code = recover_last(log, error);
    return code == DM_OK && !dm_log_id_known(&log->log_id) ? adopt(log, error) : code;
}

static enum dm_code cannot_list(struct dm_error *error, int failed)
{
    char text[96];
    return dm_fail(error, DM_UNAVAILABLE, "cannot list the journal's folder: %s",
                   strerror_r(-failed, text, sizeof text));
}

enum dm_code dm_file_recover(struct dm_file_log *log, struct dm_error *error)
{
    struct dm_listing listing;
    int failed = dm_listing_read(&listing, log->options.disk);
    enum dm_code code = failed == 0 ? DM_OK : cannot_list(error, failed);
    for (size_t i = 0; code == DM_OK && i < listing.segments.count; i++) {
        code = add_segment(log, listing.segments.items[i], error);
    }
    if (code == DM_OK) {
        code = check_log(log, error);
    }
    if (code == DM_OK) {
        begin_age(log);
        adopt_spares(&listing, &log->writer.spares);
        code = open_segments(log, error);
    }
    dm_listing_finish(&listing);
    DM_ASSERT(code != DM_OK ||
              (log->end.segment == dm_segments_last(&log->segments)->header.number &&
               log->end.segment == dm_writer_segment(&log->writer)));
    return code;
}
