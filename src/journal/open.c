#include "journal/file.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

/* Opening, when all is well: the names are read, every segment's header, and the whole
 * of the last segment: its good batches, and behind them nothing. Older segments are
 * not looked into: every batch of them was synced before the next segment was made.
 *
 * A journal from before there were ids gets one, with a new segment that has it. */

/* ---- headers ------------------------------------------------------------------------ */

static enum dm_code read_header(struct dm_disk *disk, uint64_t number,
                                struct dm_segment_header *header, struct dm_error *error)
{
    char name[DM_SEGMENT_NAME_SIZE];
    uint8_t block[DM_SEGMENT_HEADER_SIZE];
    dm_segment_name(name, number);
    int file = disk->ops->open(disk, name, false);
    if (file < 0) {
        return dm_file_cannot(error, "open", name, file);
    }
    int64_t got = disk->ops->pread(disk, file, block, sizeof block, 0);
    int64_t size = disk->ops->size(disk, file);
    disk->ops->close(disk, file);
    if (got < 0 || size < 0) {
        return dm_file_cannot(error, "read", name, (int)(got < 0 ? got : size));
    }
    if (got == (int64_t)sizeof block && dm_segment_header_newer(block)) {
        return dm_fail(error, DM_FAILED_PRECONDITION,
                       "the journal file %s was written by a newer version of this program: run "
                       "that one",
                       name);
    }
    if (got != (int64_t)sizeof block || !dm_segment_header_read(block, header) ||
        header->number != number || header->size > (uint64_t)size) {
        struct dm_place at = {.segment = number};
        return dm_file_damaged(error, &at, "the header is wrong, or the file was cut");
    }
    return DM_OK;
}

static enum dm_code add_segment(struct dm_file_journal *j, uint64_t number, struct dm_error *error)
{
    const struct dm_segment *before = dm_segments_last(&j->segments);
    if (before != NULL && before->header.number + 1 != number) {
        char name[DM_SEGMENT_NAME_SIZE];
        dm_segment_name(name, before->header.number + 1);
        return dm_fail(error, DM_DATA_LOSS, "the journal file %s is missing (offset 0)", name);
    }
    struct dm_segment_header header = {0};
    enum dm_code code = read_header(j->options.disk, number, &header, error);
    if (code != DM_OK) {
        return code;
    }
    if (dm_log_id_known(&j->log_id) && !dm_log_id_equal(&j->log_id, &header.log_id)) {
        struct dm_place at = {.segment = number};
        return dm_file_damaged(error, &at, "it is of another log than the file before it");
    }
    j->log_id = header.log_id;
    if (before != NULL && (header.first_lsn <= before->header.first_lsn ||
                           header.first_seq < before->header.first_seq ||
                           header.first_batch <= before->header.first_batch)) {
        struct dm_place at = {.segment = number};
        return dm_file_damaged(error, &at, "it does not follow the file before it");
    }
    dm_segments_add(&j->segments, &header);
    return DM_OK;
}

/* ---- whose log it is ---------------------------------------------------------------- */

/* Before anything is written: what lies there may be somebody else's. */
static enum dm_code check_log(const struct dm_file_journal *j, struct dm_error *error)
{
    const struct dm_log_id *wanted = &j->options.belongs_to;
    if (!dm_log_id_known(wanted) || dm_log_id_equal(wanted, &j->log_id)) {
        return DM_OK;
    }
    return dm_fail(error, DM_ABORTED,
                   j->segments.count == 0 ? "the journal is empty" : "the journal is another one");
}

static void begin_age(struct dm_file_journal *j)
{
    const struct dm_segment *last = dm_segments_last(&j->segments);
    int64_t known_ms = last == NULL ? 0 : last->header.seen_ms;
    int64_t kept_ms = dm_age_read(j->options.disk);
    dm_age_begin(&j->age, &j->options.clock, kept_ms > known_ms ? kept_ms : known_ms);
}

static enum dm_code create_first(struct dm_file_journal *j, struct dm_error *error)
{
    j->log_id = dm_log_id_make();
    struct dm_place at = {.batch = 1, .next_lsn = 1, .next_seq = 1};
    struct dm_segment_header header = dm_file_segment_header(j, &at, 1);
    if (!dm_writer_create(&j->writer, &header)) {
        return dm_fail(error, DM_UNAVAILABLE, "%s", j->writer.error.message);
    }
    dm_segments_add(&j->segments, &header);
    j->durable = dm_place_first(&header);
    return DM_OK;
}

/* The last segment, if nothing is in it, makes room for one of the same number. */
static enum dm_code adopt(struct dm_file_journal *j, struct dm_error *error)
{
    struct dm_segment *last = dm_segments_last(&j->segments);
    bool empty = j->durable.offset == DM_SEGMENT_HEADER_SIZE;
    j->log_id = dm_log_id_make();
    struct dm_segment_header header =
        dm_file_segment_header(j, &j->durable, last->header.number + (empty ? 0 : 1));
    if (!dm_writer_replace(&j->writer, &header)) {
        j->log_id = (struct dm_log_id){0};
        return dm_writer_state(&j->writer) == DM_ORDER_FAILED
                   ? dm_fail(error, DM_UNAVAILABLE, "%s", j->writer.error.message)
                   : DM_OK; /* no space: it serves without one, the next start tries again */
    }
    if (empty) {
        j->segments.kept_bytes += header.size - last->header.size;
        last->header = header;
    } else {
        dm_segments_add(&j->segments, &header);
    }
    j->durable = dm_place_first(&header);
    dm_log(DM_LOG_INFO, "journal got an id", DM_LOG_NUMBER("segment", header.number));
    return DM_OK;
}

static enum dm_code open_segments(struct dm_file_journal *j, struct dm_error *error)
{
    if (j->segments.count == 0) {
        return create_first(j, error);
    }
    enum dm_code code = dm_file_recover_last(j, error);
    return code == DM_OK && !dm_log_id_known(&j->log_id) ? adopt(j, error) : code;
}

enum dm_code dm_file_recover(struct dm_file_journal *j, struct dm_error *error)
{
    struct dm_listing listing;
    int failed = dm_listing_read(&listing, j->options.disk);
    enum dm_code code = failed == 0 ? DM_OK : dm_file_cannot(error, "list", "folder", failed);
    for (size_t i = 0; code == DM_OK && i < listing.segments.count; i++) {
        code = add_segment(j, listing.segments.items[i], error);
    }
    if (code == DM_OK) {
        code = check_log(j, error);
    }
    if (code == DM_OK) {
        begin_age(j);
        dm_listing_adopt_spares(&listing, &j->writer);
        code = open_segments(j, error);
    }
    dm_listing_finish(&listing);
    return code;
}
