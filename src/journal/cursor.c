#include "journal/cursor.h"

#include "base/assert.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

/* A cursor walks: from a place that the index knows, over batches and entries, to the
 * next committed event. It stands between two entries, so it needs to remember only its
 * place and the last event; a place that retention took away is looked up again. */

struct file_cursor {
    struct dm_cursor base;
    uint64_t after_seq;
    bool placed;
    bool failed; /* logged already */
    struct dm_place place;
    uint8_t *entry; /* the last one returned, header and payload */
    size_t entry_capacity;
};

struct dm_cursor *dm_file_cursor(struct dm_journal *journal, uint64_t after_seq)
{
    struct file_cursor *cursor = dm_xcalloc(1, sizeof *cursor);
    cursor->base.journal = journal;
    cursor->after_seq = after_seq;
    return &cursor->base;
}

void dm_file_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq)
{
    struct file_cursor *c = (struct file_cursor *)cursor;
    c->after_seq = after_seq;
    c->placed = false;
    c->failed = false;
}

void dm_file_cursor_close(struct dm_cursor *cursor)
{
    struct file_cursor *c = (struct file_cursor *)cursor;
    free(c->entry);
    free(c);
}

static void spend(size_t *budget, uint64_t bytes)
{
    *budget = bytes < *budget ? *budget - (size_t)bytes : 0;
}

static enum dm_cursor_result fail(struct file_cursor *c, const char *what)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, c->place.segment);
    dm_log(DM_LOG_ERROR, "journal unreadable", DM_LOG_TEXT("reason", what),
           DM_LOG_TEXT("file", name), DM_LOG_NUMBER("offset", c->place.offset),
           DM_LOG_NUMBER("lsn", c->place.next_lsn));
    c->failed = true;
    return DM_CURSOR_FAILED;
}

static bool read_at(struct file_cursor *c, struct dm_segment *segment, size_t size, void *to)
{
    struct dm_file_log *log = dm_file_log_of(c->base.journal);
    uint64_t limit =
        segment->header.number == log->end.segment ? log->end.offset : segment->header.size;
    return dm_blocks_read(&log->blocks, &log->segments, segment, limit, c->place.offset, size,
                          to) == 0;
}

/* One step from between two batches: into the next one, over it when it holds nothing
 * new, or into the next segment. */
static const char *step_batch(struct file_cursor *c, struct dm_segment *segment, size_t *budget)
{
    struct dm_file_log *log = dm_file_log_of(c->base.journal);
    const struct dm_segment *next = dm_segments_find(&log->segments, c->place.segment + 1);
    if (next != NULL && c->place.batch == next->header.first_batch) {
        bool goes_on = c->place.next_lsn == next->header.first_lsn &&
                       c->place.next_seq == next->header.first_seq;
        c->place = dm_place_first(&next->header);
        return goes_on ? NULL : "the file does not go on from the one before";
    }
    uint8_t bytes[DM_BATCH_HEADER_SIZE];
    struct dm_batch_header header;
    if (!read_at(c, segment, sizeof bytes, bytes)) {
        return "the file cannot be read";
    }
    if (!dm_batch_header_read(bytes, &header, segment->header.salt, c->place.offset)) {
        return "a batch is damaged";
    }
    bool nothing_new = header.first_seq + header.events <= c->after_seq + 1;
    bool good = nothing_new ? dm_place_skip(&c->place, &header, segment->header.size)
                            : dm_place_enter(&c->place, &header, segment->header.size);
    /* Skipping costs at most the block that has the next header. */
    uint64_t skipped = nothing_new ? header.bytes : 0;
    spend(budget, sizeof bytes + (skipped < DM_BLOCK_SIZE ? skipped : DM_BLOCK_SIZE));
    return good ? NULL : "a batch is not the one that belongs here";
}

/* Reads the whole entry at the cursor's place into the cursor's memory. */
static const char *read_entry(struct file_cursor *c, struct dm_segment *segment,
                              const struct dm_entry_header *header)
{
    size_t size = DM_ENTRY_HEADER_SIZE + header->size;
    if (size > c->entry_capacity) {
        c->entry_capacity = size < 512 ? 512 : size;
        c->entry = dm_xrealloc(c->entry, c->entry_capacity);
    }
    if (!read_at(c, segment, size, c->entry)) {
        return "the file cannot be read";
    }
    return dm_entry_intact(c->entry, header->size) ? NULL : "an entry is damaged";
}

/* One step inside a batch: over an entry. *found: it is the one looked for. */
static const char *step_entry(struct file_cursor *c, struct dm_segment *segment, size_t *budget,
                              struct dm_entry_header *header, bool *found)
{
    uint8_t bytes[DM_ENTRY_HEADER_SIZE];
    if (!read_at(c, segment, sizeof bytes, bytes)) {
        return "the file cannot be read";
    }
    *header = dm_entry_header_read(bytes);
    struct dm_place after = c->place;
    if (!dm_place_take(&after, header)) {
        return "an entry is not the one that belongs here";
    }
    *found = header->seq > c->after_seq;
    const char *wrong = *found ? read_entry(c, segment, header) : NULL;
    if (wrong != NULL) {
        return wrong;
    }
    c->place = after;
    spend(budget, dm_entry_footprint(header->size));
    return NULL;
}

static bool at_end(const struct dm_file_log *log, const struct dm_place *place)
{
    return place->segment == log->end.segment && place->offset == log->end.offset;
}

/* Finds a place to walk from. END when it need not walk now. */
static enum dm_cursor_result put_in_place(struct file_cursor *c)
{
    struct dm_file_log *log = dm_file_log_of(c->base.journal);
    uint64_t durable_seq = log->end.next_seq - 1;
    if (c->after_seq > durable_seq) {
        return DM_CURSOR_END;
    }
    if (c->after_seq + 1 < log->segments.items[0].header.first_seq) {
        return DM_CURSOR_GONE;
    }
    c->place =
        c->after_seq == durable_seq ? log->end : dm_segments_place(&log->segments, c->after_seq);
    c->placed = true;
    return DM_CURSOR_ENTRY;
}

static enum dm_cursor_result walk(struct file_cursor *c, struct dm_entry *entry, size_t *budget)
{
    struct dm_file_log *log = dm_file_log_of(c->base.journal);
    while (!at_end(log, &c->place)) {
        if (*budget == 0) {
            return DM_CURSOR_PENDING;
        }
        struct dm_segment *segment = dm_segments_find(&log->segments, c->place.segment);
        DM_ASSERT(segment != NULL && c->place.segment <= log->end.segment);
        DM_ASSERT(c->place.next_seq <= c->after_seq + 1); /* no event is passed over */
        struct dm_entry_header header = {0};
        bool found = false;
        dm_segment_note(segment, &c->place);
        const char *wrong = c->place.batch_end == 0
                                ? step_batch(c, segment, budget)
                                : step_entry(c, segment, budget, &header, &found);
        if (wrong != NULL) {
            return fail(c, wrong);
        }
        if (found) {
            c->after_seq = header.seq;
            *entry = (struct dm_entry){.lsn = header.lsn,
                                       .seq = header.seq,
                                       .payload =
                                           dm_slice(c->entry + DM_ENTRY_HEADER_SIZE, header.size)};
            return DM_CURSOR_ENTRY;
        }
    }
    return DM_CURSOR_END;
}

enum dm_cursor_result dm_file_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                          size_t *budget)
{
    struct file_cursor *c = (struct file_cursor *)cursor;
    struct dm_file_log *log = dm_file_log_of(cursor->journal);
    if (c->failed) {
        return DM_CURSOR_FAILED;
    }
    dm_file_log_absorb(log);
    if (c->placed && dm_segments_find(&log->segments, c->place.segment) == NULL) {
        c->placed = false;
    }
    if (!c->placed) {
        enum dm_cursor_result result = put_in_place(c);
        if (result != DM_CURSOR_ENTRY) {
            return result;
        }
    }
    return walk(c, entry, budget);
}
