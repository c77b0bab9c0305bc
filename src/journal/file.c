#include "journal/cursor.h"
#include "journal/each.h"
#include "journal/file_order.h"
#include "journal/journal.h"
#include "journal/recover.h"
#include "journal/retention.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

/* A log in files and the order that decides by writing into it: opened, closed and, without a
 * thread, worked as one. */

#define SEGMENT_SIZE_MIN 65536UL

static_assert(SEGMENT_SIZE_MIN % DM_DISK_PAGE == 0 && DM_SEGMENT_SIZE % DM_DISK_PAGE == 0 &&
                  DM_SEGMENT_SIZE >= SEGMENT_SIZE_MIN,
              "segments are made of whole pages");

struct file_journal {
    struct dm_file_log log; /* first: a dm_journal is the whole */
    struct dm_file_order order;
};

static struct file_journal *whole_of(struct dm_journal *journal)
{
    return (struct file_journal *)journal;
}

static bool file_work(struct dm_journal *journal)
{
    struct file_journal *j = whole_of(journal);
    DM_ASSERT(!j->log.writer.running);
    dm_file_order_next(&j->order);
    bool did = j->log.writer.begun;
    dm_writer_poll(&j->log.writer, true);
    did = dm_writer_step(&j->log.writer, true) || did;
    dm_file_log_absorb(&j->log);
    return did;
}

/* ---- questions --------------------------------------------------------------------- */

/* What is here was synced, and what is not synced is not here. */
static uint64_t file_committed(struct dm_journal *journal)
{
    struct dm_file_log *log = dm_file_log_of(journal);
    dm_file_log_absorb(log);
    return log->end.next_lsn - 1;
}

static uint64_t file_committed_seq(struct dm_journal *journal)
{
    struct dm_file_log *log = dm_file_log_of(journal);
    dm_file_log_absorb(log);
    return log->end.next_seq - 1;
}

static uint64_t file_oldest_seq(struct dm_journal *journal)
{
    return dm_file_log_of(journal)->segments.items[0].header.first_seq;
}

static void file_stats(struct dm_journal *journal, struct dm_journal_stats *stats)
{
    *stats = (struct dm_journal_stats){
        .committed_lsn = file_committed(journal),
        .committed_seq = file_committed_seq(journal),
        .synced_lsn = file_committed(journal),
        .oldest_seq = file_oldest_seq(journal),
        .kept_bytes = dm_file_log_of(journal)->segments.kept_bytes,
    };
}

static struct dm_log_id file_log_id(struct dm_journal *journal)
{
    return dm_file_log_of(journal)->log_id;
}

/* ---- opening and closing -------------------------------------------------------------- */

static void finish(struct file_journal *j)
{
    dm_file_order_finish(&j->order);
    dm_file_log_finish(&j->log);
    free(j);
}

static void file_close(struct dm_journal *journal)
{
    struct file_journal *j = whole_of(journal);
    struct dm_file_log *log = &j->log;
    dm_writer_stop(&log->writer);
    j->order.flushed_lsn = j->order.last_lsn;
    log->roll = false;
    dm_writer_keep_age(&log->writer, dm_age_now(&log->age));
    uint64_t before = 0;
    do {
        dm_file_order_next(&j->order);
        before = log->end.next_lsn;
        dm_writer_poll(&log->writer, true);
        (void)dm_writer_step(&log->writer, false); /* without a job, too: what was trimmed goes */
        dm_file_log_absorb(log);
    } while (log->end.next_lsn != before);
    size_t pending = dm_file_order_pending(&j->order);
    if (pending > 0) {
        dm_log(DM_LOG_ERROR, "journal closed with entries that are not durable",
               DM_LOG_NUMBER("durable_lsn", log->end.next_lsn - 1),
               DM_LOG_NUMBER("last_lsn", j->order.last_lsn), DM_LOG_NUMBER("bytes", pending));
    }
    finish(j);
}

static const struct dm_journal_ops file_ops = {
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
    .each = dm_file_each,
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
    if (options->segment_size < SEGMENT_SIZE_MIN || options->segment_size % DM_DISK_PAGE != 0) {
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
    struct file_journal *j = dm_xcalloc(1, sizeof *j);
    struct dm_file_log *log = &j->log;
    log->base = (struct dm_journal){.ops = &file_ops, .order = &j->order.base};
    log->options = checked;
    log->segments.disk = checked.disk;
    dm_writer_init(&log->writer, checked.disk, &checked.clock, checked.segment_size);
    code = log->writer.trouble.event >= 0
               ? dm_file_recover(log, error)
               : dm_fail(error, DM_RESOURCE_EXHAUSTED,
                         "the journal cannot have a descriptor for its event");
    if (code == DM_OK && !checked.manual && !dm_writer_start(&log->writer)) {
        code = dm_fail(error, DM_RESOURCE_EXHAUSTED, "the journal cannot start its thread");
    }
    if (code != DM_OK) {
        finish(j);
        return code;
    }
    dm_file_order_init(&j->order, log);
    *journal = &log->base;
    return DM_OK;
}
