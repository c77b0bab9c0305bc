#include "journal/writer.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "journal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* When all goes well: a job is handed over, its batch is written and synced, `done`
 * moves, the event tells the owner. The disk does it by itself, and writes to the event;
 * what it cannot begin, or gives back, goes to the thread, which may wait. At the end of a
 * segment, the job names a new one: a spare file gets its header, is synced, renamed and the
 * folder synced, before the batch goes into it.
 *
 * No space is not final: the job stays and is tried again. Any other failure to write,
 * and every failed sync, is: nobody knows what is on disk then, only a restart reads it. */

#define RETRY_MS 1000
#define IDLE_MS 10

/* ---- state --------------------------------------------------------------- */

bool dm_writer_may_pass(int failed)
{
    return failed == -ENOSPC || failed == -EDQUOT || failed == -EMFILE || failed == -ENFILE ||
           failed == -ENOMEM || failed == -EFBIG;
}

static void set_state(struct dm_writer *w, enum dm_order_state state)
{
    atomic_store_explicit(&w->state, (int)state, memory_order_release);
}

static void notify(struct dm_writer *w)
{
    (void)eventfd_write(w->event, 1);
}

bool dm_writer_trouble(struct dm_writer *w, enum dm_order_state state, const char *what,
                       const char *name, int failed)
{
    char text[96];
    const char *why = failed == -EFBIG ? "larger than this process may make a file (ulimit -f)"
                                       : strerror_r(-failed, text, sizeof text);
    enum dm_order_state before = dm_writer_state(w);
    (void)pthread_mutex_lock(&w->mutex);
    dm_fail(&w->error, DM_UNAVAILABLE, "the journal cannot %s %s: %s", what, name, why);
    (void)pthread_mutex_unlock(&w->mutex);
    if (before == state || before == DM_ORDER_FAILED) {
        return false;
    }
    set_state(w, state);
    dm_log(DM_LOG_ERROR, state == DM_ORDER_FULL ? "journal full" : "journal failed",
           DM_LOG_TEXT("operation", what), DM_LOG_TEXT("file", name), DM_LOG_TEXT("error", why));
    notify(w);
    return false;
}

bool dm_writer_write_trouble(struct dm_writer *w, const char *what, const char *name, int failed)
{
    return dm_writer_trouble(w, dm_writer_may_pass(failed) ? DM_ORDER_FULL : DM_ORDER_FAILED, what,
                             name, failed);
}

/* Header durable, then the name: a segment that is there has a good header. */
static bool name_next(struct dm_writer *w, const struct dm_segment_header *header)
{
    uint8_t block[DM_SEGMENT_HEADER_SIZE + DM_DISK_PAGE] = {0}; /* and no batch behind it */
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, header->number);
    dm_segment_header_write(block, header);
    int failed = w->disk->ops->pwrite(w->disk, w->next_file, dm_slice(block, sizeof block), 0);
    if (failed != 0) {
        return dm_writer_write_trouble(w, "write", w->next_name, failed);
    }
    failed = w->disk->ops->fdatasync(w->disk, w->next_file);
    if (failed != 0) {
        return dm_writer_trouble(w, DM_ORDER_FAILED, "sync", w->next_name, failed);
    }
    failed = w->disk->ops->rename(w->disk, w->next_name, name);
    if (failed != 0) {
        return dm_writer_write_trouble(w, "rename to", name, failed);
    }
    failed = w->disk->ops->sync_folder(w->disk);
    if (failed != 0) {
        return dm_writer_trouble(w, DM_ORDER_FAILED, "sync the folder of", name, failed);
    }
    return true;
}

static bool enter_segment(struct dm_writer *w, const struct dm_segment_header *header)
{
    if (w->file >= 0 && w->segment == header->number) {
        return true;
    }
    if (!dm_writer_take_next(w) || !name_next(w, header)) {
        return false;
    }
    if (w->file >= 0) {
        w->disk->ops->close(w->disk, w->file);
    }
    w->file = w->next_file;
    w->next_file = -1;
    atomic_store_explicit(&w->segment, header->number, memory_order_release);
    atomic_store_explicit(&w->offset, DM_SEGMENT_HEADER_SIZE, memory_order_relaxed);
    w->prepare_failed = false;
    w->disk->ops->expect_pages(w->disk, w->file);
    return true;
}

bool dm_writer_create(struct dm_writer *w, const struct dm_segment_header *header)
{
    while (w->spare_count == 0 && dm_writer_prepare(w)) {
    }
    w->prepare_failed = false;
    return enter_segment(w, header);
}

bool dm_writer_replace(struct dm_writer *w, const struct dm_segment_header *header)
{
    uint64_t open = w->segment;
    w->segment = 0; /* whatever the number: another file */
    if (dm_writer_create(w, header)) {
        return true;
    }
    w->segment = open;
    if (dm_writer_state(w) == DM_ORDER_FULL) {
        set_state(w, DM_ORDER_OK);
    }
    return false;
}

/* ---- jobs ------------------------------------------------------------------ */

static bool write_batch(struct dm_writer *w, const struct dm_job *job)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, job->segment.number);
    int failed = w->disk->ops->pwrite(w->disk, w->file, job->bytes, job->offset);
    if (failed != 0) {
        return dm_writer_write_trouble(w, "write", name, failed);
    }
    failed = w->disk->ops->fdatasync(w->disk, w->file);
    if (failed != 0) {
        return dm_writer_trouble(w, DM_ORDER_FAILED, "sync", name, failed);
    }
    return true;
}

/* Its batch, if it has one, is durable. The next may be handed over from the last line on. */
static void end_job(struct dm_writer *w, uint64_t began_ns)
{
    const struct dm_job *job = &w->job;
    uint64_t ticket = job->ticket;
    uint64_t took_us = (dm_clock_monotonic_ns(&w->clock) - began_ns) / 1000;
    atomic_store_explicit(&w->offset, job->offset + job->bytes.size, memory_order_relaxed);
    atomic_store_explicit(&w->batch_size, job->bytes.size, memory_order_relaxed);
    (void)pthread_mutex_lock(&w->mutex);
    w->has_job = false;
    if (job->bytes.size > 0) {
        dm_histogram_add(&w->sync_us, took_us);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    atomic_store_explicit(&w->done, ticket, memory_order_release);
}

static bool run_job(struct dm_writer *w)
{
    uint64_t began_ns = dm_clock_monotonic_ns(&w->clock);
    if (w->job.bytes.size == 0 && w->spare_count == 0 && w->next_file < 0) {
        /* Nobody waits for this segment: it is not worth a full disk. */
        w->prepare_failed = false;
        end_job(w, began_ns);
        return true;
    }
    if (!enter_segment(w, &w->job.segment) || (w->job.bytes.size > 0 && !write_batch(w, &w->job))) {
        return false;
    }
    if (dm_writer_state(w) == DM_ORDER_FULL) {
        set_state(w, DM_ORDER_OK);
        dm_log(DM_LOG_INFO, "journal has space again");
    }
    end_job(w, began_ns);
    notify(w);
    return true;
}

/* To the thread, or to who steps. */
static void pass_job(struct dm_writer *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->has_job = true;
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_cond_signal(&w->wake); /* not before: it would wake only to wait for the mutex */
}

/* Where every batch comes back, it is not worth while to ask each time. */
static void note_refusal(struct dm_writer *w)
{
    if (w->refusals < DM_JOURNAL_REFUSALS_MAX) {
        w->refusals++;
    }
    w->unasked = w->refusals == DM_JOURNAL_REFUSALS_MAX ? DM_JOURNAL_REFUSED_BATCHES : 0;
}

static bool begin_job(struct dm_writer *w)
{
    if (w->unasked > 0) {
        w->unasked--;
        return false;
    }
    int failed = w->disk->ops->begin(w->disk, w->file, w->job.bytes, w->job.offset, w->event);
    if (failed != 0) {
        note_refusal(w);
    }
    return failed == 0;
}

void dm_writer_hand(struct dm_writer *w, const struct dm_job *job)
{
    DM_ASSERT(!w->begun);
    w->job = *job;
    w->began_ns = dm_clock_monotonic_ns(&w->clock);
    w->begun = w->segment == job->segment.number && begin_job(w);
    if (!w->begun) {
        pass_job(w);
    }
}

void dm_writer_poll(struct dm_writer *w, bool wait)
{
    int failed = w->begun ? w->disk->ops->finish(w->disk, wait) : -EINPROGRESS;
    if (failed == -EINPROGRESS) {
        return;
    }
    w->begun = false;
    if (failed == 0) {
        w->refusals = 0;
        end_job(w, w->began_ns);
    } else if (failed == -EAGAIN || dm_writer_may_pass(failed)) {
        note_refusal(w);
        pass_job(w);
    } else {
        char name[DM_SEGMENT_NAME_SIZE];
        dm_segment_name(name, w->job.segment.number);
        (void)dm_writer_trouble(w, DM_ORDER_FAILED, "write and sync", name, failed);
    }
}

/* ---- all of it ----------------------------------------------------------------- */

bool dm_writer_step(struct dm_writer *w, bool idle)
{
    if (dm_writer_state(w) == DM_ORDER_FAILED) {
        return false;
    }
    (void)pthread_mutex_lock(&w->mutex);
    bool has_job = w->has_job;
    (void)pthread_mutex_unlock(&w->mutex);
    bool did = has_job && run_job(w);
    if (dm_writer_state(w) == DM_ORDER_FAILED) {
        return false;
    }
    did = dm_writer_recycle(w) || did;
    did = dm_writer_note_age(w) || did;
    if (dm_writer_state(w) == DM_ORDER_OK && dm_writer_wants_spare(w) &&
        (dm_writer_behind(w) || (idle && !did))) {
        did = dm_writer_prepare(w) || did;
    }
    return did;
}

/* ---- the thread ------------------------------------------------------------------ */

/* With the mutex; true when the time passed without a wake. A wait, not a time: it
 * needs no given clock. */
static bool wait_ms(struct dm_writer *w, long ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return pthread_cond_timedwait(&w->wake, &w->mutex, &until) == ETIMEDOUT;
}

static bool has_work(const struct dm_writer *w)
{
    return w->has_job || w->retired_count > 0 || w->age_ms > w->age_kept_ms;
}

/* With the mutex: nothing is handed over. Prepares, slowly, or waits. */
static void rest(struct dm_writer *w)
{
    bool failed = atomic_load_explicit(&w->state, memory_order_relaxed) == DM_ORDER_FAILED;
    if (failed || (!dm_writer_wants_spare(w) && !w->prepare_failed)) {
        (void)pthread_cond_wait(&w->wake, &w->mutex);
        return;
    }
    bool paused = w->prepare_failed;
    bool pressed = !paused && dm_writer_behind(w);
    if ((!pressed && !wait_ms(w, paused ? RETRY_MS : IDLE_MS)) || has_work(w) || w->stop) {
        return;
    }
    if (paused) {
        w->prepare_failed = false;
        return;
    }
    (void)pthread_mutex_unlock(&w->mutex);
    (void)dm_writer_prepare(w);
    (void)pthread_mutex_lock(&w->mutex);
}

static void *writer_main(void *context)
{
    struct dm_writer *w = context;
    (void)pthread_mutex_lock(&w->mutex);
    while (!w->stop) {
        if (!has_work(w) || dm_writer_state(w) == DM_ORDER_FAILED) {
            rest(w);
            continue;
        }
        (void)pthread_mutex_unlock(&w->mutex);
        bool did = dm_writer_step(w, false);
        (void)pthread_mutex_lock(&w->mutex);
        bool full = dm_writer_state(w) == DM_ORDER_FULL;
        if (!did && !w->stop && (full || !w->has_job)) {
            (void)wait_ms(w, RETRY_MS);
        }
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return NULL;
}

bool dm_writer_start(struct dm_writer *w)
{
    w->running = pthread_create(&w->thread, NULL, writer_main, w) == 0;
    if (w->running) {
        (void)pthread_setname_np(w->thread, "journal");
    }
    return w->running;
}

void dm_writer_stop(struct dm_writer *w)
{
    if (!w->running) {
        return;
    }
    (void)pthread_mutex_lock(&w->mutex);
    w->stop = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL);
    w->running = false;
}

void dm_writer_init(struct dm_writer *w, const struct dm_journal_options *options)
{
    *w = (struct dm_writer){
        .disk = options->disk,
        .clock = options->clock,
        .segment_size = options->segment_size,
        .event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
        .file = -1,
        .next_file = -1,
        .preparing = -1,
        .next_number = 1,
    };
    (void)pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void dm_writer_finish(struct dm_writer *w)
{
    const int files[] = {w->file, w->next_file, w->preparing};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] >= 0) {
            w->disk->ops->close(w->disk, files[i]);
        }
    }
    if (w->event >= 0) {
        (void)close(w->event);
    }
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w->retired);
}
