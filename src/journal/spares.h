#ifndef DM_JOURNAL_SPARES_H
#define DM_JOURNAL_SPARES_H

#include "journal/format.h"
#include "journal/trouble.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The files that become segments: made, allocated and zeroed ahead of their use, in small
 * pieces, so that no batch waits for them; or segments that retention has dropped.
 *
 * Files beside the segments: "prepare-N" is being allocated and zeroed, and worth nothing
 * after a restart; "spare-N" is a file of full size, ready to become a segment.
 *
 * All of it belongs to whoever does the writer's work: its thread or, without one, the owner. */

#define DM_SPARES_MAX 3

struct dm_disk;

struct dm_spares {
    struct dm_disk *disk;
    struct dm_trouble *trouble;
    uint64_t segment_size;
    uint64_t ready[DM_SPARES_MAX]; /* numbers of spares */
    size_t count;
    uint64_t next_number; /* for the name of the next file */
    int next_file;        /* is becoming the next segment; -1: none */
    char next_name[32];
    int preparing; /* file being zeroed; -1: none */
    uint64_t preparing_number, prepared;
    bool failed; /* no file could be prepared: a pause before the next try */
};

void dm_spares_init(struct dm_spares *spares, struct dm_disk *disk, struct dm_trouble *trouble,
                    uint64_t segment_size);
void dm_spares_finish(struct dm_spares *spares);

/* Of the files that a start finds: a spare is used again if it is whole and there is room for it,
 * one that was being prepared is removed. A failure to do so costs space only. */
void dm_spares_adopt(struct dm_spares *spares, uint64_t number);
void dm_spares_discard(struct dm_spares *spares, uint64_t number);

/* Is there one that can be used at once? */
static inline bool dm_spares_ready(const struct dm_spares *spares)
{
    return spares->count > 0 || spares->next_file >= 0;
}

static inline bool dm_spares_wanted(const struct dm_spares *spares)
{
    return !dm_spares_ready(spares) && !spares->failed;
}

/* Should more be done for the next one, now that the segment in use is filled up to `offset`? */
bool dm_spares_behind(const struct dm_spares *spares, uint64_t offset);

/* One slice of work on the next spare; larger where batches are, to keep pace with them. A
 * failure (false) costs speed only. */
bool dm_spares_prepare(struct dm_spares *spares, size_t batch_size);

/* The best file that there is becomes this segment, with a header and no batch, durably: its
 * handle. -1: see `trouble`. */
int dm_spares_become(struct dm_spares *spares, const struct dm_segment_header *header);

/* Drops a segment that is needed no more: it becomes a spare, if that is wanted and there is
 * room for it, or nothing. Durable when it returns; false: it is still there. */
bool dm_spares_drop(struct dm_spares *spares, uint64_t segment, uint64_t size, bool recycle);

#endif
