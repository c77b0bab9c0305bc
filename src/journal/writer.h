#ifndef DM_JOURNAL_WRITER_H
#define DM_JOURNAL_WRITER_H

#include "base/clock.h"
#include "base/histogram.h"
#include "journal/disk.h"
#include "journal/format.h"
#include "journal/spares.h"
#include "journal/trouble.h"

#include <pthread.h>
#include <stdatomic.h>

/* The writing side: one job at a time is handed over, to be written and synced. Where the
 * disk can do that by itself it is only begun, and dm_writer_poll sees its end; else, and
 * when it opens a segment, it is done in the thread or, without one, by dm_writer_step.
 * Between jobs, the thread (or the step) prepares the file of the next segment and drops the
 * segments that were retired. */

struct dm_job {
    struct dm_segment_header segment; /* where it goes; created when it is a new one */
    uint64_t offset;                  /* of a page, and the bytes are whole pages */
    uint64_t ticket;                  /* what `done` is when it has ended; grows */
    struct dm_slice bytes;            /* empty: only the segment is wanted, if a spare is there */
};

struct dm_retired {
    uint64_t number, size;
    bool recycle; /* else its blocks go back to the file system */
};

struct dm_writer {
    struct dm_disk *disk;
    struct dm_clock clock;
    struct dm_trouble trouble; /* anybody's */

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;

    /* under the mutex */
    bool stop;
    bool has_job;
    struct dm_job job; /* stays as it is while has_job */
    struct dm_retired *retired;
    size_t retired_count, retired_capacity;
    struct dm_histogram sync_us;
    int64_t age_ms, age_kept_ms; /* to be noted in the file "age"; noted last */

    _Atomic uint64_t done; /* ticket of the newest job that has ended */

    /* of the owner */
    bool running; /* there is a thread: it may read this, and nothing else here */
    bool begun;   /* `job` is on its way without the thread, which does not look at it */
    uint64_t began_ns;
    unsigned refusals; /* of the disk, in a row, to take a batch without waiting */
    unsigned unasked;  /* batches that go to the thread before it is asked again */

    /* of the job: the owner's or the thread's, whose turn it is */
    int file; /* of the newest segment; -1: none yet */
    _Atomic uint64_t segment;
    _Atomic uint64_t offset;   /* the end of the last batch */
    _Atomic size_t batch_size; /* of it */

    struct dm_spares spares; /* of whoever steps */
};

void dm_writer_init(struct dm_writer *writer, struct dm_disk *disk, const struct dm_clock *clock,
                    uint64_t segment_size);
bool dm_writer_start(struct dm_writer *writer);
/* Ends the thread, if there is one. A job that it had not begun is left over. */
void dm_writer_stop(struct dm_writer *writer);
void dm_writer_finish(struct dm_writer *writer);

/* Only when the job before is done. Bytes stay the caller's, and in place until then. */
void dm_writer_hand(struct dm_writer *writer, const struct dm_job *job);
/* Takes note of a job that was begun and has ended. `wait`: waits until it has. */
void dm_writer_poll(struct dm_writer *writer, bool wait);
/* The segment is needed no more. In order, oldest first. */
void dm_writer_retire(struct dm_writer *writer, const struct dm_retired *retired);
/* A copy: how long batches took. */
void dm_writer_sync_us(struct dm_writer *writer, struct dm_histogram *sync_us);
/* The journal's age, to be noted soon in the file "age". */
void dm_writer_keep_age(struct dm_writer *writer, int64_t age_ms);

/* Does what the thread would do now. `idle`: nothing is expected soon. true: something was
 * done. */
bool dm_writer_step(struct dm_writer *writer, bool idle);

/* Before the thread runs: goes on at the end of an open segment, which is the writer's now. */
void dm_writer_resume(struct dm_writer *writer, int file, const struct dm_place *end);

/* Before the thread runs: makes this segment, zeroed, and goes on at its start. false:
 * see writer->trouble. */
bool dm_writer_create(struct dm_writer *writer, const struct dm_segment_header *header);

/* The same in place of the open segment, or behind it. false: nothing has changed, and a lack of
 * space does not count as trouble. */
bool dm_writer_replace(struct dm_writer *writer, const struct dm_segment_header *header);

/* ---- state ------------------------------------------------------------------------ */

/* The newest segment that is there, and open for writing. */
static inline uint64_t dm_writer_segment(struct dm_writer *writer)
{
    return atomic_load_explicit(&writer->segment, memory_order_acquire);
}

static inline enum dm_order_state dm_writer_state(struct dm_writer *writer)
{
    return dm_trouble_state(&writer->trouble);
}

#endif
