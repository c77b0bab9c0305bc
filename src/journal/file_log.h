#ifndef DM_JOURNAL_FILE_LOG_H
#define DM_JOURNAL_FILE_LOG_H

#include "journal/age.h"
#include "journal/batch.h"
#include "journal/blocks.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/writer.h"

/* The log as segment files: what was decided is put here, batch by batch, and is read from here.
 * A batch can be read once it is synced, so both marks of the port are `end`.
 * All of it belongs to the loop's thread; the writer has its own struct. */
struct dm_file_log {
    struct dm_journal base;
    struct dm_journal_options options; /* checked */
    struct dm_log_id log_id;
    struct dm_segments segments;
    struct dm_place end;        /* of what is here, which is synced: the next batch goes there */
    uint8_t page[DM_DISK_PAGE]; /* the last one handed over, as far as a batch fills it */

    uint64_t jobs; /* handed to the writer */
    struct dm_batch *in_flight;
    struct dm_place in_flight_end;
    struct dm_segment_header in_flight_segment;
    bool roll, rolling; /* a new segment is wanted; is on its way without a batch */

    uint64_t batches, batch_bytes; /* that have come here since it was opened */
    struct dm_histogram batch_entries;
    struct dm_batch_pool pool; /* memory for batches to come */
    struct dm_blocks blocks;
    struct dm_age age;
    struct dm_writer writer;
};

static inline struct dm_file_log *dm_file_log_of(struct dm_journal *journal)
{
    return (struct dm_file_log *)journal;
}

/* Takes over what the writer has finished: it is here from now on. */
void dm_file_log_absorb(struct dm_file_log *log);

/* Is nothing on its way to the disk, and can something be? */
bool dm_file_log_idle(struct dm_file_log *log);

/* Only when idle: puts the batch that was decided, the one after the last. It is the log's from
 * now on, and goes into its pool in the end. */
void dm_file_log_put(struct dm_file_log *log, struct dm_batch *batch);

/* Only when idle: a new segment although no batch needs one (see dm_file_trim). */
void dm_file_log_roll(struct dm_file_log *log);

/* Where the batch after all that were put begins, if it does not begin a segment. */
uint64_t dm_file_log_next_offset(const struct dm_file_log *log);

/* The header of a segment that comes at this place (its offset aside). */
struct dm_segment_header dm_file_log_header(struct dm_file_log *log, const struct dm_place *at,
                                            uint64_t number);

void dm_file_log_finish(struct dm_file_log *log);

#endif
