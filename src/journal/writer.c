#include "journal/writer.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "journal/age.h"
#include "journal/segment.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* When all goes well: a job is handed over, its batch is written and synced, `done`
 * moves, the event tells the owner. The disk does it by itself, and writes to the event;
 * what it cannot begin, or gives back, goes to the thread, which may wait. At the end of a
 * segment, the job names a new one: a spare file gets its header, is synced, renamed and the
 * folder synced, before the batch goes into it. */

#define RETRY_MS 1000
#define IDLE_MS 10

static_assert(DM_JOURNAL_REFUSALS_MAX > 0 && DM_JOURNAL_REFUSED_BATCHES > DM_JOURNAL_REFUSALS_MAX,
              "a disk that refuses is asked less often than one that does not");

/* What this thread writes for, if it is a writer's. */
static _Thread_local const struct dm_writer *this_thread;

/* Does the writer's work belong to who asks: to its thread, or to the owner where none runs? */
static bool may_step(const struct dm_writer *w)
{
    return w->running ? this_thread == w : this_thread == NULL;
}

/* ---- segments ------------------------------------------------------------------ */

static bool enter_segment(struct dm_writer *w, const struct dm_segment_header *header)
{
    if (w->file >= 0 && w->segment == header->number) {
        return true;
    }
    int file = dm_spares_become(&w->spares, header);
    if (file < 0) {
        return false;
    }
    if (w->file >= 0) {
        w->disk->ops->close(w->disk, w->file);
    }
    w->file = file;
    atomic_store_explicit(&w->segment, header->number, memory_order_release);
    w->offset = DM_SEGMENT_HEADER_SIZE;
    w->disk->ops->expect_pages(w->disk, w->file);
    return true;
}

void dm_writer_resume(struct dm_writer *w, int file, const struct dm_place *end)
{
    DM_ASSERT(w->file < 0 && !w->running);
    w->file = file;
    w->segment = end->segment;
    w->offset = end->offset;
}

bool dm_writer_create(struct dm_writer *w, const struct dm_segment_header *header)
{
    while (w->spares.count == 0 && dm_spares_prepare(&w->spares, 0)) {
    }
    w->spares.failed = false;
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
    (void)dm_trouble_over(&w->trouble);
    return false;
}

/* ---- jobs ------------------------------------------------------------------ */

static bool write_batch(struct dm_writer *w, const struct dm_job *job)
{
    char name[DM_SEGMENT_NAME_SIZE];
    dm_segment_name(name, job->segment.number);
    int failed = w->disk->ops->pwrite(w->disk, w->file, job->bytes, job->offset);
    if (failed != 0) {
        return dm_trouble_write(&w->trouble, "write", name, failed);
    }
    failed = w->disk->ops->fdatasync(w->disk, w->file);
    if (failed != 0) {
        return dm_trouble_note(&w->trouble, DM_ORDER_FAILED, "sync", name, failed);
    }
    return true;
}

/* Its batch, if it has one, is durable. The next may be handed over from the last line on. */
static void end_job(struct dm_writer *w, uint64_t began_ns)
{
    const struct dm_job *job = &w->job;
    DM_ASSERT(job->ticket > atomic_load_explicit(&w->done, memory_order_relaxed));
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
    if (w->job.bytes.size == 0 && !dm_spares_ready(&w->spares)) {
        /* Nobody waits for this segment: it is not worth a full disk. */
        w->spares.failed = false;
        end_job(w, began_ns);
        return true;
    }
    if (!enter_segment(w, &w->job.segment) || (w->job.bytes.size > 0 && !write_batch(w, &w->job))) {
        return false;
    }
    if (dm_trouble_over(&w->trouble)) {
        dm_log(DM_LOG_INFO, "journal has space again");
    }
    end_job(w, began_ns);
    dm_trouble_ring(&w->trouble);
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
    int failed =
        w->disk->ops->begin(w->disk, w->file, w->job.bytes, w->job.offset, w->trouble.event);
    if (failed != 0) {
        note_refusal(w);
    }
    return failed == 0;
}

void dm_writer_hand(struct dm_writer *w, const struct dm_job *job)
{
    DM_ASSERT(this_thread == NULL && !w->begun);
    DM_ASSERT(job->ticket == 1 + atomic_load_explicit(&w->done, memory_order_acquire));
    DM_ASSERT(job->offset % DM_DISK_PAGE == 0 && job->bytes.size % DM_DISK_PAGE == 0);
    DM_ASSERT((uintptr_t)job->bytes.data % DM_DISK_PAGE == 0);
    DM_ASSERT(job->segment.number >= w->segment);
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
    } else if (failed == -EAGAIN || dm_trouble_may_pass(failed)) {
        note_refusal(w);
        pass_job(w);
    } else {
        char name[DM_SEGMENT_NAME_SIZE];
        dm_segment_name(name, w->job.segment.number);
        (void)dm_trouble_note(&w->trouble, DM_ORDER_FAILED, "write and sync", name, failed);
    }
}

void dm_writer_sync_us(struct dm_writer *w, struct dm_histogram *sync_us)
{
    (void)pthread_mutex_lock(&w->mutex);
    *sync_us = w->sync_us;
    (void)pthread_mutex_unlock(&w->mutex);
}

/* ---- for retention ----------------------------------------------------------------- */

static bool drop_retired(struct dm_writer *w)
{
    bool did = false;
    (void)pthread_mutex_lock(&w->mutex);
    while (w->retired_count > 0) {
        struct dm_retired retired = w->retired[0];
        (void)pthread_mutex_unlock(&w->mutex);
        bool gone = dm_spares_drop(&w->spares, retired.number, retired.size, retired.recycle);
        (void)pthread_mutex_lock(&w->mutex);
        if (!gone) {
            break;
        }
        did = true;
        w->retired_count--;
        memmove(w->retired, w->retired + 1, w->retired_count * sizeof *w->retired);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return did;
}

static bool note_age(struct dm_writer *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    int64_t age_ms = w->age_ms;
    bool wanted = age_ms > w->age_kept_ms;
    w->age_kept_ms = age_ms; /* also if it fails: the next time comes */
    (void)pthread_mutex_unlock(&w->mutex);
    int failed = wanted ? dm_age_write(w->disk, age_ms) : 0;
    if (failed != 0) {
        dm_log(DM_LOG_WARN, "journal could not note its age", DM_LOG_NUMBER("errno", -failed));
    }
    return wanted;
}

void dm_writer_keep_age(struct dm_writer *w, int64_t age_ms)
{
    (void)pthread_mutex_lock(&w->mutex);
    DM_ASSERT(age_ms >= w->age_ms);
    w->age_ms = age_ms;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
}

void dm_writer_retire(struct dm_writer *w, const struct dm_retired *retired)
{
    (void)pthread_mutex_lock(&w->mutex);
    if (w->retired_count == w->retired_capacity) {
        w->retired_capacity = w->retired_capacity == 0 ? 8 : w->retired_capacity * 2;
        w->retired = dm_xrealloc(w->retired, w->retired_capacity * sizeof *w->retired);
    }
    DM_ASSERT(w->retired_count == 0 ||
              w->retired[w->retired_count - 1].number + 1 == retired->number);
    w->retired[w->retired_count] = *retired;
    w->retired_count++;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
}

/* ---- all of it ------------------------------------------------------------------- */

static bool wants_spare(const struct dm_writer *w)
{
    return w->file >= 0 && dm_spares_wanted(&w->spares);
}

static bool behind(const struct dm_writer *w)
{
    return dm_spares_behind(&w->spares, atomic_load_explicit(&w->offset, memory_order_relaxed));
}

static bool prepare(struct dm_writer *w)
{
    return dm_spares_prepare(&w->spares,
                             atomic_load_explicit(&w->batch_size, memory_order_relaxed));
}

bool dm_writer_step(struct dm_writer *w, bool idle)
{
    DM_ASSERT(may_step(w));
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
    did = drop_retired(w) || did;
    did = note_age(w) || did;
    if (dm_writer_state(w) == DM_ORDER_OK && wants_spare(w) && (behind(w) || (idle && !did))) {
        did = prepare(w) || did;
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
    bool failed = dm_writer_state(w) == DM_ORDER_FAILED;
    if (failed || (!wants_spare(w) && !w->spares.failed)) {
        (void)pthread_cond_wait(&w->wake, &w->mutex);
        return;
    }
    bool paused = w->spares.failed;
    bool pressed = !paused && behind(w);
    if ((!pressed && !wait_ms(w, paused ? RETRY_MS : IDLE_MS)) || has_work(w) || w->stop) {
        return;
    }
    if (paused) {
        w->spares.failed = false;
        return;
    }
    (void)pthread_mutex_unlock(&w->mutex);
    (void)prepare(w);
    (void)pthread_mutex_lock(&w->mutex);
}

static void *writer_main(void *context)
{
    struct dm_writer *w = context;
    this_thread = w;
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
    DM_ASSERT(!w->running && !w->has_job && !w->begun);
    w->running = true; /* before there is somebody who reads it */
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        w->running = false;
        return false;
    }
    (void)pthread_setname_np(w->thread, "journal");
    return true;
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

void dm_writer_init(struct dm_writer *w, struct dm_disk *disk, const struct dm_clock *clock,
                    uint64_t segment_size)
{
    *w = (struct dm_writer){.disk = disk, .clock = *clock, .file = -1};
    dm_trouble_init(&w->trouble);
    dm_spares_init(&w->spares, disk, &w->trouble, segment_size);
    (void)pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void dm_writer_finish(struct dm_writer *w)
{
    if (w->file >= 0) {
        w->disk->ops->close(w->disk, w->file);
    }
    dm_spares_finish(&w->spares);
    dm_trouble_finish(&w->trouble);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w->retired);
}
