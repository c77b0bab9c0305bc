#ifndef DM_JOURNAL_FILE_H
#define DM_JOURNAL_FILE_H

#include "journal/age.h"
#include "journal/cache.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/writer.h"

#include <stddef.h>

/* The inside of the file journal, shared by file.c (append, flush), batch.c, retention.c (trim),
 * recover.c (open, replay), listing.c and cursor.c. All of it belongs to the loop's thread; the
 * writer has its own struct. */

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
    struct dm_order order;
    struct dm_journal_options options;
    struct dm_segments segments;
    struct dm_place durable; /* the end of what is durable: the next batch goes there */
    uint64_t last_lsn, last_seq;
    uint64_t flushed_lsn;         /* what the owner asked to be written */
    struct dm_batch *head, *tail; /* gathered, oldest first */
    struct dm_batch *in_flight;
    struct dm_place in_flight_end;
    struct dm_segment_header in_flight_segment;
    uint64_t jobs;      /* handed to the writer */
    bool roll, rolling; /* a new segment is wanted; is on its way without a batch */
    struct dm_log_id log_id;
    struct dm_age age;
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

static inline struct dm_file_journal *dm_file_journal_of_order(struct dm_order *order)
{
    return (struct dm_file_journal *)((char *)order - offsetof(struct dm_file_journal, order));
}

/* ---- batch.c ------------------------------------------------------------------- */

/* Zeros behind a batch: a header's, and up to the end of that page. */
#define DM_BATCH_END_SIZE_MAX (DM_BATCH_HEADER_SIZE + DM_DISK_PAGE)

static inline uint8_t *dm_batch_start(const struct dm_batch *batch)
{
    return batch->pages + batch->lead;
}

/* The batch that gathers, or a new one, if it takes `size` bytes more. */
struct dm_batch *dm_batch_with_room(struct dm_file_journal *journal, size_t size);
/* Memory for `size` bytes more, wherever the batch begins, and the end behind them. */
void dm_batch_reserve(struct dm_batch *batch, size_t size);
/* Remembers the place where the next entry goes, now and then. */
void dm_batch_mark(struct dm_batch *batch, uint64_t next_lsn, uint64_t next_seq);
void dm_batch_retire(struct dm_file_journal *journal, struct dm_batch *batch);
void dm_batches_free(struct dm_batch *batches); /* a list */

/* ---- file.c, retention.c -------------------------------------------------------- */

void dm_file_trim(struct dm_journal *journal, uint64_t applied_lsn);

/* Takes over what the writer finished. */
void dm_file_absorb(struct dm_file_journal *journal);

/* ---- open.c, recover.c, listing.c ------------------------------------------------ */

/* What is in the folder, by number: segments in order, and files on their way. */
struct dm_numbers {
    uint64_t *items;
    size_t count, capacity;
};
struct dm_listing {
    struct dm_numbers segments, spares, prepared;
};
/* 0 or -errno. To be finished in any case. */
int dm_listing_read(struct dm_listing *listing, struct dm_disk *disk);
void dm_listing_finish(struct dm_listing *listing);
/* Gives the writer its spares. What a crash left of files that were on their way is removed;
 * a failure to do so costs space only. */
void dm_listing_adopt_spares(const struct dm_listing *listing, struct dm_writer *writer);

/* The last segment: cuts a torn tail, sets `durable`, gives the writer its file. */
enum dm_code dm_file_recover_last(struct dm_file_journal *journal, struct dm_error *error);
enum dm_code dm_file_damaged(struct dm_error *error, const struct dm_place *at, const char *what);
enum dm_code dm_file_cannot(struct dm_error *error, const char *what, const char *name, int failed);

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
