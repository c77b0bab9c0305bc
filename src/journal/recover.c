#include "journal/file.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Reading segments front to back: the last one when the journal is opened, to find its end,
 * and whatever a replay needs.
 *
 * A bad batch at the end with nothing good behind it was being written when the machine
 * went down: nobody was told that it is durable, and it is cut. */

#define WINDOW_SIZE 1048576UL

/* ---- reading a file front to back ------------------------------------------- */

struct window {
    struct dm_disk *disk;
    int file;
    uint64_t limit; /* nothing is looked at from here on */
    uint8_t *bytes; /* WINDOW_SIZE */
    uint64_t start;
    size_t size;
    int failed; /* -errno of a read */
};

static void window_init(struct window *w, struct dm_disk *disk, int file, uint64_t limit)
{
    *w = (struct window){.disk = disk, .file = file, .limit = limit};
    w->bytes = dm_xmalloc(WINDOW_SIZE);
}

static void window_finish(struct window *w)
{
    free(w->bytes);
}

/* The bytes, good until the next call; NULL past the limit, or failed. */
static const uint8_t *look(struct window *w, uint64_t offset, size_t size)
{
    DM_ASSERT(size <= WINDOW_SIZE);
    if (w->failed != 0 || offset + size > w->limit) {
        return NULL;
    }
    if (offset < w->start || offset + size > w->start + w->size) {
        uint64_t left = w->limit - offset;
        size_t wanted = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
        int64_t got = w->disk->ops->pread(w->disk, w->file, w->bytes, wanted, offset);
        w->start = offset;
        w->size = got < 0 ? 0 : (size_t)got;
        if (got < 0 || w->size < size) {
            w->failed = got < 0 ? (int)got : -EIO;
            return NULL;
        }
    }
    return w->bytes + (offset - w->start);
}

struct visitor {
    uint64_t after_lsn;
    bool (*each)(void *context, const struct dm_entry *entry);
    void *context;
};

enum outcome { GOOD, BAD, UNREADABLE, REFUSED };

static enum outcome not_seen(const struct window *w)
{
    return w->failed != 0 ? UNREADABLE : BAD;
}

static enum outcome walk_entry(struct window *w, struct dm_segment *segment, struct dm_place *place,
                               const struct visitor *visitor)
{
    const uint8_t *bytes = look(w, place->offset, DM_ENTRY_HEADER_SIZE);
    if (bytes == NULL) {
        return not_seen(w);
    }
    struct dm_entry_header header = dm_entry_header_read(bytes);
    struct dm_place after = *place;
    if (!dm_place_take(&after, &header)) {
        return BAD;
    }
    bytes = look(w, place->offset, DM_ENTRY_HEADER_SIZE + header.size);
    if (bytes == NULL) {
        return not_seen(w);
    }
    if (!dm_entry_intact(bytes, header.size)) {
        return BAD;
    }
    dm_segment_note(segment, place);
    struct dm_entry entry = {.lsn = header.lsn,
                             .seq = header.seq,
                             .payload = dm_slice(bytes + DM_ENTRY_HEADER_SIZE, header.size)};
    if (visitor != NULL && header.lsn > visitor->after_lsn &&
        !visitor->each(visitor->context, &entry)) {
        return REFUSED;
    }
    *place = after;
    return GOOD;
}

/* Over one batch. Unless GOOD, *place is where it went wrong. */
static enum outcome walk_batch(struct window *w, struct dm_segment *segment, struct dm_place *place,
                               const struct visitor *visitor)
{
    struct dm_batch_header header;
    const uint8_t *bytes = look(w, place->offset, DM_BATCH_HEADER_SIZE);
    if (bytes == NULL) {
        return not_seen(w);
    }
    if (!dm_batch_header_read(bytes, &header, segment->header.salt, place->offset)) {
        return BAD;
    }
    dm_segment_note(segment, place);
    if (visitor != NULL && header.first_lsn + header.entries <= visitor->after_lsn + 1) {
        return dm_place_skip(place, &header, w->limit) ? GOOD : BAD;
    }
    if (!dm_place_enter(place, &header, w->limit)) {
        return BAD;
    }
    enum outcome outcome = GOOD;
    while (outcome == GOOD && place->batch_end != 0) {
        outcome = walk_entry(w, segment, place, visitor);
    }
    return outcome;
}

enum dm_code dm_file_damaged(struct dm_error *error, const struct dm_place *at, const char *what)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, at->segment);
    return dm_fail(error, DM_DATA_LOSS, "the journal file %s is damaged at offset %" PRIu64 ": %s",
                   name, at->offset, what);
}

enum dm_code dm_file_cannot(struct dm_error *error, const char *what, const char *name, int failed)
{
    char text[96];
    return dm_fail(error, DM_UNAVAILABLE, "cannot %s the journal file %s: %s", what, name,
                   strerror_r(-failed, text, sizeof text));
}

static enum dm_code cannot_read(struct dm_error *error, uint64_t segment, int failed)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment);
    return dm_file_cannot(error, "read", name, failed);
}

/* ---- replay ------------------------------------------------------------------- */

static enum dm_code outcome_code(enum outcome outcome, const struct window *w,
                                 const struct dm_place *at, struct dm_error *error)
{
    switch (outcome) {
    case GOOD:
        return DM_OK;
    case UNREADABLE:
        return cannot_read(error, at->segment, w->failed);
    case REFUSED:
        return dm_file_damaged(error, at, "the entry makes no sense");
    case BAD:
        break;
    }
    return dm_file_damaged(error, at, "a checksum or a number is wrong");
}

static enum dm_code replay_segment(struct dm_file_journal *j, struct dm_segment *segment,
                                   const struct visitor *visitor, struct dm_error *error)
{
    const struct dm_segment *next = dm_segments_find(&j->segments, segment->header.number + 1);
    int file = dm_segment_file(&j->segments, segment);
    if (file < 0) {
        return cannot_read(error, segment->header.number, file);
    }
    struct window w;
    window_init(&w, j->options.disk, file, next != NULL ? segment->header.size : j->durable.offset);
    uint64_t end_batch = next != NULL ? next->header.first_batch : j->durable.batch;
    struct dm_place place = dm_place_first(&segment->header);
    enum outcome outcome = GOOD;
    while (outcome == GOOD && place.batch != end_batch) {
        outcome = walk_batch(&w, segment, &place, visitor);
    }
    window_finish(&w);
    if (outcome == GOOD && next != NULL &&
        (place.next_lsn != next->header.first_lsn || place.next_seq != next->header.first_seq)) {
        return dm_file_damaged(error, &place, "the next file does not go on from here");
    }
    return outcome_code(outcome, &w, &place, error);
}

enum dm_code dm_file_replay(struct dm_journal *journal, uint64_t after_lsn,
                            bool (*each)(void *context, const struct dm_entry *entry),
                            void *context, struct dm_error *error)
{
    struct dm_file_journal *j = dm_file_journal_of(journal);
    uint64_t last = j->durable.next_lsn - 1;
    uint64_t first = j->segments.items[0].header.first_lsn;
    if (after_lsn > last) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal ends at lsn %" PRIu64 ", but %" PRIu64 " was applied already",
                       last, after_lsn);
    }
    if (after_lsn + 1 < first) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal begins at lsn %" PRIu64 ", but %" PRIu64 " is needed", first,
                       after_lsn + 1);
    }
    if (after_lsn == last) {
        return DM_OK;
    }
    struct visitor visitor = {.after_lsn = after_lsn, .each = each, .context = context};
    struct dm_segment *segment = dm_segments_of_lsn(&j->segments, after_lsn + 1);
    enum dm_code code = DM_OK;
    while (code == DM_OK && segment != NULL) {
        code = replay_segment(j, segment, &visitor, error);
        segment = dm_segments_find(&j->segments, segment->header.number + 1);
    }
    return code;
}

/* ---- the last segment ----------------------------------------------------------------- */

struct tail {
    struct dm_place last_batch; /* where the last good batch begins; batch_end 0: none */
    bool any;
    struct dm_place end;   /* behind it */
    struct dm_place wrong; /* where the scan stopped inside what follows */
};

static bool later_at(struct window *w, const uint8_t *bytes, size_t left, uint64_t offset,
                     uint64_t salt, uint64_t number)
{
    if (dm_load_le32(bytes) != DM_BATCH_MAGIC) {
        return false;
    }
    uint8_t copy[DM_BATCH_HEADER_SIZE];
    if (left < sizeof copy) {
        /* Across the chunk's end: read aside, the window stays. */
        if (w->disk->ops->pread(w->disk, w->file, copy, sizeof copy, offset) !=
            (int64_t)sizeof copy) {
            return false;
        }
        bytes = copy;
    }
    struct dm_batch_header header;
    return dm_batch_header_read(bytes, &header, salt, offset) && header.number > number;
}

/* Is there a good header of a batch after `number` anywhere from `from` on? */
static bool find_later(struct window *w, uint64_t from, uint64_t salt, uint64_t number,
                       uint64_t *found)
{
    uint64_t offset = from;
    while (offset + DM_BATCH_HEADER_SIZE <= w->limit) {
        uint64_t left = w->limit - offset;
        size_t size = left < WINDOW_SIZE ? (size_t)(left & ~(uint64_t)7) : WINDOW_SIZE;
        const uint8_t *bytes = look(w, offset, size);
        if (bytes == NULL) {
            return false;
        }
        for (size_t i = 0; i < size; i += 8) {
            if (later_at(w, bytes + i, size - i, offset + i, salt, number)) {
                *found = offset + i;
                return true;
            }
        }
        offset += size;
    }
    return false;
}

static enum dm_code scan_tail(struct window *w, struct dm_segment *segment, struct tail *tail,
                              struct dm_error *error)
{
    *tail = (struct tail){.end = dm_place_first(&segment->header)};
    enum outcome outcome = GOOD;
    while (outcome == GOOD) {
        size_t known = segment->count;
        tail->wrong = tail->end;
        outcome = walk_batch(w, segment, &tail->wrong, NULL);
        if (outcome == GOOD) {
            tail->any = true;
            tail->last_batch = tail->end;
            tail->end = tail->wrong;
        } else {
            segment->count = known;
        }
    }
    uint64_t found = 0;
    bool later = find_later(w, tail->end.offset, segment->header.salt, tail->end.batch, &found);
    if (w->failed != 0) {
        return cannot_read(error, segment->header.number, w->failed);
    }
    if (later) {
        char what[64];
        (void)snprintf(what, sizeof what, "there is a later batch at offset %" PRIu64, found);
        return dm_file_damaged(error, &tail->wrong, what);
    }
    return DM_OK;
}

static void log_torn(struct window *w, const struct dm_segment *segment, const struct tail *tail)
{
    static const uint8_t zeros[DM_BATCH_HEADER_SIZE];
    const uint8_t *bytes = look(w, tail->end.offset, sizeof zeros);
    if (bytes == NULL || memcmp(bytes, zeros, sizeof zeros) == 0) {
        return;
    }
    struct dm_batch_header header;
    bool known = dm_batch_header_read(bytes, &header, segment->header.salt, tail->end.offset);
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    dm_log(DM_LOG_WARN, "journal cut a torn batch", DM_LOG_TEXT("file", name),
           DM_LOG_NUMBER("offset", tail->end.offset),
           DM_LOG_NUMBER("bytes", known ? sizeof zeros + header.bytes : sizeof zeros));
}

/* Zeroes what a batch may have left behind the end. */
static int clear_rest(struct window *w, uint64_t from)
{
    uint64_t end = from + (uint64_t)DM_JOURNAL_BATCH_MAX + DM_BATCH_HEADER_SIZE;
    end = end < w->limit ? end : w->limit;
    uint8_t *zeros = dm_xcalloc(1, WINDOW_SIZE);
    int failed = 0;
    for (uint64_t offset = from; failed == 0 && offset < end;) {
        size_t size = end - offset < WINDOW_SIZE ? (size_t)(end - offset) : WINDOW_SIZE;
        const uint8_t *bytes = look(w, offset, size);
        if (bytes == NULL) {
            failed = w->failed;
        } else if (memcmp(bytes, zeros, size) != 0) {
            failed = w->disk->ops->pwrite(w->disk, w->file, dm_slice(zeros, size), offset);
        }
        offset += size;
    }
    free(zeros);
    return failed;
}

/* The last batch may be in the machine's cache only (after a killed process), or, after
 * a sync that failed, be taken there for written: it is written again. */
static int rewrite_last(struct window *w, const struct tail *tail)
{
    if (!tail->any) {
        return 0;
    }
    size_t size = (size_t)(tail->end.offset - tail->last_batch.offset);
    uint8_t *bytes = dm_xmalloc(size);
    int64_t got = w->disk->ops->pread(w->disk, w->file, bytes, size, tail->last_batch.offset);
    int failed = got == (int64_t)size ? 0 : got < 0 ? (int)got : -EIO;
    if (failed == 0) {
        failed =
            w->disk->ops->pwrite(w->disk, w->file, dm_slice(bytes, size), tail->last_batch.offset);
    }
    free(bytes);
    return failed;
}

static enum dm_code settle_tail(struct window *w, const struct dm_segment *segment,
                                const struct tail *tail, struct dm_error *error)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    log_torn(w, segment, tail);
    int failed = clear_rest(w, tail->end.offset);
    if (failed == 0) {
        failed = rewrite_last(w, tail);
    }
    if (failed == 0) {
        failed = w->disk->ops->fdatasync(w->disk, w->file);
    }
    if (failed == 0) {
        failed = w->disk->ops->sync_folder(w->disk);
    }
    return failed == 0 ? DM_OK : dm_file_cannot(error, "settle", name, failed);
}

/* The next batch is written with the page that it begins in. */
static enum dm_code begin_page(struct dm_file_journal *j, struct dm_error *error)
{
    struct dm_disk *disk = j->options.disk;
    size_t lead = (size_t)(j->durable.offset % DM_DISK_PAGE);
    int64_t got = disk->ops->pread(disk, j->writer.file, j->page, lead, j->durable.offset - lead);
    if (got != (int64_t)lead) {
        return cannot_read(error, j->durable.segment, got < 0 ? (int)got : -EIO);
    }
    disk->ops->expect_pages(disk, j->writer.file);
    return DM_OK;
}

enum dm_code dm_file_recover_last(struct dm_file_journal *j, struct dm_error *error)
{
    struct dm_segment *segment = dm_segments_last(&j->segments);
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, segment->header.number);
    int file = j->options.disk->ops->open(j->options.disk, name, false);
    if (file < 0) {
        return dm_file_cannot(error, "open", name, file);
    }
    struct window w;
    struct tail tail;
    window_init(&w, j->options.disk, file, segment->header.size);
    enum dm_code code = scan_tail(&w, segment, &tail, error);
    if (code == DM_OK) {
        code = settle_tail(&w, segment, &tail, error);
    }
    window_finish(&w);
    j->durable = tail.end;
    j->writer.file = file;
    j->writer.segment = segment->header.number;
    j->writer.offset = tail.end.offset;
    if (code == DM_OK) {
        code = begin_page(j, error);
    }
    return code;
}
