#ifndef DM_JOURNAL_FILE_H
#define DM_JOURNAL_FILE_H

#include "journal/cache.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/writer.h"

/* The inside of the file journal, shared by file.c (append, flush, trim), recover.c
 * (open, replay) and cursor.c. All of it belongs to the loop's thread; the writer has
 * its own struct. */

/* A batch being gathered or written: room for its header, then entries. It lies in its
 * memory as it will in its pages on disk, behind what the first of them has already. */
struct dm_batch {
    struct dm_batch *next;
    uint8_t *pages; /* aligned to DM_DISK_PAGE */
    size_t lead;    /* bytes of the first page that are not the batch's */
    size_t size;    /* of the batch */
    size_t capacity;
    uint64_t first_lsn, first_seq;
    uint32_t entries, events;
    struct dm_place *marks; /* inside, offsets from its start: for the index */
    size_t mark_count, mark_capacity;
};

struct dm_file_journal {
    struct dm_journal base;
    struct dm_journal_options options;
    struct dm_segments segments;
    struct dm_place durable; /* the end of what is durable: the next batch goes there */
    uint64_t last_lsn, last_seq;
    uint64_t flushed_lsn;         /* what the owner asked to be written */
    struct dm_batch *head, *tail; /* gathered, oldest first */
    struct dm_batch *in_flight;
    struct dm_place in_flight_end;
    struct dm_segment_header in_flight_segment;
    uint8_t page[DM_DISK_PAGE]; /* the last one handed over, as far as a batch fills it */
    struct dm_batch *unused;    /* a list, for their memory */
    size_t unused_count;
    size_t batch_size_max;
    size_t pending;
    uint64_t appended_bytes, batches;
    struct dm_histogram batch_entries;
    struct dm_cache cache;
    struct dm_writer writer;
};

static inline struct dm_file_journal *dm_file_journal_of(struct dm_journal *journal)
{
    return (struct dm_file_journal *)journal;
}

/* Takes over what the writer finished. */
void dm_file_absorb(struct dm_file_journal *journal);

/* Names and checks the segments, cuts a torn tail, sets `durable`, gives the writer
 * its file and its spares. */
enum dm_code dm_file_recover(struct dm_file_journal *journal, struct dm_error *error);
enum dm_code dm_file_replay(struct dm_journal *journal, uint64_t after_lsn,
                            bool (*each)(void *context, const struct dm_entry *entry),
                            void *context, struct dm_error *error);

struct dm_cursor *dm_file_cursor(struct dm_journal *journal, uint64_t after_seq);
void dm_file_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq);
enum dm_cursor_result dm_file_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                          size_t *budget);
void dm_file_cursor_close(struct dm_cursor *cursor);

/* The header of a segment that comes at this place (its offset aside). */
struct dm_segment_header dm_file_segment_header(struct dm_file_journal *journal,
                                                const struct dm_place *at, uint64_t number);

#endif
