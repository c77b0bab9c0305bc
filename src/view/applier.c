#include "view/applier.h"

#include "base/assert.h"
#include "base/log.h"
#include "view/pass.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* When all goes well: begin hands a generation over, the thread sorts it and applies it
 * transaction by transaction, says done, and later frees what is buried.
 *
 * How it fails: a transaction that did not commit changed nothing, so the sweep stays
 * where it was and tries the same range again after a pause. */

enum {
    CONTACTS_PER_TXN = 10000,
    RETRY_PAUSE_S = 1,
    BACKGROUND_NICE = 10,
};

/* Two threads take turns, a transaction each: one in the background of the machine, one
 * (in a hurry) with the same claim to a processor as the loop. A thread cannot be given
 * its priority back without a privilege, so there are two. */
struct worker {
    struct dm_applier *applier;
    pthread_t thread;
    bool hurried, running;
};

struct dm_applier {
    struct dm_store *store;
    uint32_t contacts_per_txn;
    void (*notify)(void *context);
    void *notify_context;
    struct dm_clock clock;
    bool manual;
    struct dm_pass pass; /* what the thread is at (with `manual`: the caller) */
    uint64_t sweep_begun_ns;

    struct worker workers[2];
    pthread_mutex_t mutex; /* guards all below, and the pass while nobody is working */
    pthread_cond_t wake;   /* begun, buried, hurry, one has worked, or quitting */
    struct dm_generation *begun;
    bool busy, done, quit;
    bool hurry, working;
    struct dm_generation *graves; /* to be freed or emptied */
    enum dm_code state;
    struct dm_error error;
    struct dm_applier_stats stats;
};

/* ---- a sweep -------------------------------------------------------------- */

/* One transaction of the sweep under way. */
static enum dm_code sweep_step(struct dm_applier *applier, struct dm_error *error)
{
    size_t contacts = 0;
    enum dm_code code = dm_pass_write(&applier->pass, applier->store, &contacts, error);
    if (code != DM_OK) {
        return code;
    }
    uint64_t commit_begun_ns = dm_clock_monotonic_ns(&applier->clock);
    code = dm_pass_commit(&applier->pass, applier->store, contacts, error);
    uint64_t commit_us = (dm_clock_monotonic_ns(&applier->clock) - commit_begun_ns) / 1000;
    if (code != DM_OK) {
        return code;
    }
    pthread_mutex_lock(&applier->mutex);
    applier->stats.transactions++;
    applier->stats.contacts += contacts;
    if (commit_us > applier->stats.longest_commit_us) {
        applier->stats.longest_commit_us = commit_us;
    }
    pthread_mutex_unlock(&applier->mutex);
    return DM_OK;
}

static void sweep_begin(struct dm_applier *applier)
{
    applier->sweep_begun_ns = dm_clock_monotonic_ns(&applier->clock);
    dm_pass_begin(&applier->pass, applier->begun, applier->contacts_per_txn);
    applier->begun = NULL;
}

static void notify(const struct dm_applier *applier)
{
    if (applier->notify != NULL) {
        applier->notify(applier->notify_context);
    }
}

static void sweep_end(struct dm_applier *applier)
{
    uint64_t took_ns = dm_clock_monotonic_ns(&applier->clock) - applier->sweep_begun_ns;
    size_t contacts = applier->pass.count;
    dm_pass_end(&applier->pass);
    pthread_mutex_lock(&applier->mutex);
    DM_ASSERT(applier->busy && !applier->done);
    applier->stats.sweeps++;
    applier->stats.last_sweep_contacts = contacts;
    applier->stats.last_sweep_us = took_ns / 1000;
    applier->busy = false;
    applier->done = true;
    pthread_mutex_unlock(&applier->mutex);
    notify(applier);
}

static void state_set(struct dm_applier *applier, enum dm_code code, const struct dm_error *error)
{
    pthread_mutex_lock(&applier->mutex);
    bool changed = applier->state != code;
    applier->state = code;
    if (code != DM_OK) {
        applier->error = *error;
        applier->stats.failures++;
        pthread_cond_broadcast(&applier->wake); /* who waits for the end hears of it */
    }
    pthread_mutex_unlock(&applier->mutex);
    if (!changed) {
        return;
    }
    if (code == DM_OK) {
        dm_log(DM_LOG_INFO, "view can be written again");
    } else {
        dm_log(DM_LOG_ERROR, "view cannot be written", DM_LOG_TEXT("reason", error->message));
    }
    notify(applier);
}

/* One transaction, told and counted. false when it failed and wants a pause. */
static bool sweep_work(struct dm_applier *applier)
{
    struct dm_error error = {0};
    enum dm_code code = sweep_step(applier, &error);
    state_set(applier, code, &error);
    if (code == DM_RESOURCE_EXHAUSTED) {
        dm_pass_halve(&applier->pass);
    }
    if (code == DM_OK && dm_pass_done(&applier->pass)) {
        sweep_end(applier);
    }
    return code == DM_OK;
}

/* ---- the thread ----------------------------------------------------------- */

/* With the mutex held, which it lets go meanwhile. */
static void graves_empty(struct dm_applier *applier)
{
    while (applier->graves != NULL) {
        struct dm_generation *generation = applier->graves;
        struct dm_grave grave = *dm_generation_grave(generation);
        applier->graves = grave.next;
        pthread_mutex_unlock(&applier->mutex);
        if (grave.keep) {
            dm_generation_recycle(generation);
        } else {
            dm_generation_destroy(generation);
        }
        pthread_mutex_lock(&applier->mutex);
    }
}

/* With the mutex held: waits for the pause's end or for destroy. */
static void pause_before_retry(struct dm_applier *applier)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_PAUSE_S;
    int timed_out = 0;
    while (!applier->quit && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&applier->wake, &applier->mutex, &until);
    }
}

static bool has_work(const struct dm_applier *applier)
{
    return applier->graves != NULL || applier->begun != NULL || applier->pass.generation != NULL;
}

/* With the mutex held, which it lets go meanwhile: graves, or one transaction. */
static void work_once(struct dm_applier *applier)
{
    graves_empty(applier);
    if (applier->begun != NULL) {
        sweep_begin(applier);
    }
    if (applier->pass.generation == NULL) {
        return;
    }
    pthread_mutex_unlock(&applier->mutex);
    bool ok = sweep_work(applier);
    pthread_mutex_lock(&applier->mutex);
    if (!ok) {
        pause_before_retry(applier);
    }
}

static void *worker_run(void *context)
{
    const struct worker *worker = context;
    struct dm_applier *applier = worker->applier;
    if (!worker->hurried) {
        (void)setpriority(PRIO_PROCESS, 0, BACKGROUND_NICE); /* on Linux: of this thread */
    }
    pthread_mutex_lock(&applier->mutex);
    while (!applier->quit) {
        if (applier->working || applier->hurry != worker->hurried || !has_work(applier)) {
            pthread_cond_wait(&applier->wake, &applier->mutex);
            continue;
        }
        DM_ASSERT(!applier->working); /* one at a time has the pass */
        applier->working = true;
        work_once(applier);
        applier->working = false;
        pthread_cond_broadcast(&applier->wake);
    }
    pthread_mutex_unlock(&applier->mutex);
    return NULL;
}

static bool worker_start(struct dm_applier *applier, bool hurried)
{
    struct worker *worker = &applier->workers[hurried];
    *worker = (struct worker){.applier = applier, .hurried = hurried};
    worker->running = pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
    if (worker->running) {
        (void)pthread_setname_np(worker->thread, hurried ? "applier-hurry" : "applier");
    }
    return worker->running;
}

static void worker_join(const struct worker *worker)
{
    if (worker->running) {
        (void)pthread_join(worker->thread, NULL);
    }
}

static void applier_sync_init(struct dm_applier *applier)
{
    pthread_condattr_t attributes;
    int failed = pthread_mutex_init(&applier->mutex, NULL);
    failed |= pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&applier->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    DM_ASSERT(failed == 0);
}

struct dm_applier *dm_applier_create(const struct dm_applier_options *options)
{
    struct dm_applier *applier = dm_xcalloc(1, sizeof *applier);
    applier->store = options->store;
    applier->contacts_per_txn =
        options->contacts_per_txn == 0 ? CONTACTS_PER_TXN : options->contacts_per_txn;
    applier->notify = options->notify;
    applier->notify_context = options->notify_context;
    applier->clock = options->clock != NULL ? *options->clock : dm_clock_system();
    applier->manual = options->manual;
    dm_pass_init(&applier->pass, applier->contacts_per_txn);
    applier_sync_init(applier);
    if (!applier->manual && (!worker_start(applier, false) || !worker_start(applier, true))) {
        dm_applier_destroy(applier);
        return NULL;
    }
    return applier;
}

void dm_applier_begin(struct dm_applier *applier, struct dm_generation *generation)
{
    pthread_mutex_lock(&applier->mutex);
    DM_ASSERT(generation != NULL && !applier->busy);
    applier->busy = true;
    applier->done = false;
    applier->begun = generation;
    pthread_cond_broadcast(&applier->wake);
    pthread_mutex_unlock(&applier->mutex);
}

void dm_applier_hurry(struct dm_applier *applier, bool hurry)
{
    pthread_mutex_lock(&applier->mutex);
    applier->hurry = hurry;
    pthread_cond_broadcast(&applier->wake);
    pthread_mutex_unlock(&applier->mutex);
}

bool dm_applier_busy(struct dm_applier *applier)
{
    pthread_mutex_lock(&applier->mutex);
    bool busy = applier->busy;
    pthread_mutex_unlock(&applier->mutex);
    return busy;
}

bool dm_applier_done(struct dm_applier *applier)
{
    pthread_mutex_lock(&applier->mutex);
    bool done = applier->done;
    pthread_mutex_unlock(&applier->mutex);
    return done;
}

void dm_applier_bury(struct dm_applier *applier, struct dm_generation *generation, bool keep)
{
    if (applier->manual) {
        dm_generation_destroy(generation);
        return;
    }
    struct dm_grave *grave = dm_generation_grave(generation);
    pthread_mutex_lock(&applier->mutex);
    *grave = (struct dm_grave){.next = applier->graves, .keep = keep};
    applier->graves = generation;
    pthread_cond_broadcast(&applier->wake);
    pthread_mutex_unlock(&applier->mutex);
}

enum dm_code dm_applier_state(struct dm_applier *applier, struct dm_error *error)
{
    pthread_mutex_lock(&applier->mutex);
    enum dm_code code = applier->state;
    if (code != DM_OK && error != NULL) {
        *error = applier->error;
    }
    pthread_mutex_unlock(&applier->mutex);
    return code;
}

enum dm_code dm_applier_wait(struct dm_applier *applier, struct dm_error *error)
{
    if (applier->manual) {
        while (dm_applier_work(applier) && dm_applier_state(applier, NULL) == DM_OK) {
        }
    }
    pthread_mutex_lock(&applier->mutex);
    while (applier->busy && applier->state == DM_OK) {
        pthread_cond_wait(&applier->wake, &applier->mutex);
    }
    enum dm_code code = applier->busy ? applier->state : DM_OK;
    if (code != DM_OK) {
        *error = applier->error;
    }
    pthread_mutex_unlock(&applier->mutex);
    return code;
}

void dm_applier_stats(struct dm_applier *applier, struct dm_applier_stats *stats)
{
    pthread_mutex_lock(&applier->mutex);
    *stats = applier->stats;
    pthread_mutex_unlock(&applier->mutex);
}

bool dm_applier_work(struct dm_applier *applier)
{
    DM_ASSERT(applier->manual);
    if (applier->begun != NULL) {
        sweep_begin(applier);
    }
    if (applier->pass.generation == NULL) {
        return false;
    }
    (void)sweep_work(applier);
    return applier->pass.generation != NULL;
}

void dm_applier_destroy(struct dm_applier *applier)
{
    if (applier == NULL) {
        return;
    }
    if (!applier->manual) {
        pthread_mutex_lock(&applier->mutex);
        applier->quit = true;
        pthread_cond_broadcast(&applier->wake);
        pthread_mutex_unlock(&applier->mutex);
        worker_join(&applier->workers[false]);
        worker_join(&applier->workers[true]);
        pthread_mutex_lock(&applier->mutex);
        graves_empty(applier);
        pthread_mutex_unlock(&applier->mutex);
    }
    pthread_cond_destroy(&applier->wake);
    pthread_mutex_destroy(&applier->mutex);
    dm_pass_finish(&applier->pass);
    free(applier);
}
