#ifndef DM_JOURNAL_WRITER_H
#define DM_JOURNAL_WRITER_H

#include "base/clock.h"
#include "base/histogram.h"
#include "journal/format.h"
#include "journal/journal.h"

#include <pthread.h>
#include <stdatomic.h>

/* The writing side: one job at a time is handed over, to be written and synced. Where the
 * disk can do that by itself it is only begun, and dm_writer_poll sees its end; else, and
 * when it opens a segment, it is done in the thread or, without one, by dm_writer_step.
 * Beside the jobs, thread or step prepare the segment file that comes next and recycle those
 * that were retired.
 *
 * Files beside the segments: "prepare-N" is being allocated and zeroed, and worth
 * nothing after a restart; "spare-N" is a file of full size, ready to become a segment. */

struct dm_job {
    struct dm_segment_header segment; /* where it goes; created when it is a new one */
    uint64_t offset;                  /* of a page, and the bytes are whole pages */
    uint64_t batch;                   /* number */
    struct dm_slice bytes;
};

struct dm_retired {
    uint64_t number, size;
};

#define DM_SPARES_MAX 3

struct dm_writer {
    struct dm_disk *disk;
    struct dm_clock clock;
    uint64_t segment_size;
    int event; /* an eventfd; what it tells: dm_journal_event. -1: there was none to be had */

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;

    /* under the mutex */
    bool running, stop;
    bool has_job;
    struct dm_job job; /* stays as it is while has_job */
    struct dm_retired *retired;
    size_t retired_count, retired_capacity;
    struct dm_error error;
    struct dm_histogram sync_us;

    _Atomic uint64_t done; /* newest batch that is durable */
    _Atomic int state;     /* enum dm_journal_state */

    /* of the owner */
    bool begun; /* `job` is on its way without the thread, which does not look at it */
    uint64_t began_ns;
    unsigned refusals; /* of the disk, in a row, to take a batch without waiting */
    unsigned unasked;  /* batches that go to the thread before it is asked again */

    /* of the job: the owner's or the thread's, whose turn it is */
    int file; /* of the newest segment; -1: none yet */
    uint64_t segment;
    _Atomic uint64_t offset;   /* the end of the last batch */
    _Atomic size_t batch_size; /* of it */

    /* of whoever steps */
    uint64_t spares[DM_SPARES_MAX];
    size_t spare_count;
    uint64_t next_number; /* for the name of the next file */
    int next_file;        /* is becoming the next segment; -1: none */
    char next_name[32];
    int preparing; /* file being zeroed; -1: none */
    uint64_t preparing_number, prepared;
    bool prepare_failed; /* pause */
};

void dm_writer_init(struct dm_writer *writer, const struct dm_journal_options *options);
bool dm_writer_start(struct dm_writer *writer);
/* Ends the thread, if there is one. A job that it had not begun is left over. */
void dm_writer_stop(struct dm_writer *writer);
void dm_writer_finish(struct dm_writer *writer);

/* Only when the job before is done. Bytes stay the caller's, and in place until then. */
void dm_writer_hand(struct dm_writer *writer, const struct dm_job *job);
/* Takes note of a job that was begun and has ended. `wait`: until it has. */
void dm_writer_poll(struct dm_writer *writer, bool wait);
/* The segment is needed no more. In order, oldest first. */
void dm_writer_retire(struct dm_writer *writer, uint64_t number, uint64_t size);

/* The thread's work in one go; `idle`: nothing is expected soon. true: something was
 * done. */
bool dm_writer_step(struct dm_writer *writer, bool idle);

/* Before the thread runs: makes this segment, zeroed, and goes on at its start. false:
 * see writer->error. */
bool dm_writer_create(struct dm_writer *writer, const struct dm_segment_header *header);

static inline enum dm_journal_state dm_writer_state(struct dm_writer *writer)
{
    return (enum dm_journal_state)atomic_load_explicit(&writer->state, memory_order_acquire);
}

#endif
