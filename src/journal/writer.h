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
    uint64_t ticket;                  /* what `done` is when it has ended; grows */
    struct dm_slice bytes;            /* empty: only the segment is wanted, if a spare is there */
};

struct dm_retired {
    uint64_t number, size;
    bool recycle; /* else its blocks go back to the file system */
};

#define DM_SPARES_MAX 3

struct dm_writer {
    struct dm_disk *disk;
    struct dm_clock clock;
    uint64_t segment_size;
    int event; /* an eventfd; what it tells: dm_order_event. -1: there was none to be had */

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
    int64_t age_ms, age_kept_ms; /* to be noted in the file "age"; noted */

    _Atomic uint64_t done; /* ticket of the newest job that has ended */
    _Atomic int state;     /* enum dm_order_state */

    /* of the owner */
    bool begun; /* `job` is on its way without the thread, which does not look at it */
    uint64_t began_ns;
    unsigned refusals; /* of the disk, in a row, to take a batch without waiting */
    unsigned unasked;  /* batches that go to the thread before it is asked again */

    /* of the job: the owner's or the thread's, whose turn it is */
    int file; /* of the newest segment; -1: none yet */
    _Atomic uint64_t segment;
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
void dm_writer_retire(struct dm_writer *writer, const struct dm_retired *retired);
/* The journal is that old: to be noted soon. */
void dm_writer_keep_age(struct dm_writer *writer, int64_t age_ms);

/* The thread's work in one go; `idle`: nothing is expected soon. true: something was
 * done. */
bool dm_writer_step(struct dm_writer *writer, bool idle);

/* Before the thread runs: makes this segment, zeroed, and goes on at its start. false:
 * see writer->error. */
bool dm_writer_create(struct dm_writer *writer, const struct dm_segment_header *header);

/* Likewise, in place of the segment that is open, or behind it, if there is a file for it.
 * false: nothing is changed, and a lack of space is no state of the journal's. */
bool dm_writer_replace(struct dm_writer *writer, const struct dm_segment_header *header);

/* ---- inside: writer.c, prepare.c and retire.c ---------------------------------------------- */

/* Out of something that may come back? */
bool dm_writer_may_pass(int failed);
/* Notes it and tells of it. Always false. */
bool dm_writer_trouble(struct dm_writer *writer, enum dm_order_state state, const char *what,
                       const char *name, int failed);
/* Of a write or an allocation. */
bool dm_writer_write_trouble(struct dm_writer *writer, const char *what, const char *name,
                             int failed);
void dm_writer_spare_name(char name[32], uint64_t number);
/* One slice of work on a file ahead of its use. Its failures cost speed only. */
bool dm_writer_prepare(struct dm_writer *writer);
bool dm_writer_wants_spare(const struct dm_writer *writer);
bool dm_writer_behind(const struct dm_writer *writer);
/* Sets next_file and next_name, from the best that is there. */
bool dm_writer_take_next(struct dm_writer *writer);

/* Of retired segments and of the age, what there is to do. true: something was done. */
bool dm_writer_recycle(struct dm_writer *writer);
bool dm_writer_note_age(struct dm_writer *writer);

/* ---- state ------------------------------------------------------------------------ */

/* The newest segment that is there, and open for writing. */
static inline uint64_t dm_writer_segment(struct dm_writer *writer)
{
    return atomic_load_explicit(&writer->segment, memory_order_acquire);
}

static inline enum dm_order_state dm_writer_state(struct dm_writer *writer)
{
    return (enum dm_order_state)atomic_load_explicit(&writer->state, memory_order_acquire);
}

#endif
