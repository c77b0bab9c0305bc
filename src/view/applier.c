#include "view/applier.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"
#include "core/record.h"
#include "view/meta.h"
#include "view/wake_key.h"

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
    CONTACTS_PER_TXN_MIN = 256, /* how far a too large transaction is cut */
    RETRY_PAUSE_S = 1,
    BACKGROUND_NICE = 10,
};

/* A change of the wake index, found while contacts are applied and done after them, in
 * its own key order. */
struct wake_change {
    size_t entry; /* the sweep's entry that has the contact's key */
    int64_t until_ms;
    uint64_t fence;
    bool put; /* else delete */
};

/* What the thread is at (with `manual`: the caller). */
struct sweep {
    struct dm_generation *generation; /* NULL: nothing under way */
    struct dm_generation_entry *entries;
    size_t count, next;
    bool sorted;
    uint64_t begun_ns;
    uint32_t txn_max;          /* contacts of the next transaction at most */
    struct wake_change *wakes; /* room for two a contact of a transaction */
    size_t wake_count;
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
    struct sweep sweep;

    struct worker workers[2];
    pthread_mutex_t mutex; /* guards all below, and the sweep while nobody is working */
    pthread_cond_t wake;   /* begun, buried, hurry, one has worked, or quitting */
    struct dm_generation *begun;
    bool busy, done, quit;
    bool hurry, working;
    struct dm_generation *graves; /* to be freed or emptied */
    enum dm_code state;
    struct dm_error error;
    struct dm_applier_stats stats;
};

/* ---- one transaction ------------------------------------------------------ */

static void wake_add(struct sweep *sweep, const struct dm_record_head *head, bool put)
{
    sweep->wakes[sweep->wake_count++] = (struct wake_change){
        .entry = sweep->next, .until_ms = head->until_ms, .fence = head->fence, .put = put};
}

/* A zeroed head for what is not there. What is damaged was told to who read it; its entry of
 * the wake index goes if the bytes still say where it is. If it stays, it is harmless: the
 * contact's record is asked before anything is done. */
static struct dm_record_head head_of(struct dm_slice bytes)
{
    struct dm_record_head head = {0};
    return dm_record_head(&head, bytes) ? head : dm_record_left(bytes);
}

static void wake_note(struct sweep *sweep, struct dm_slice old_bytes, struct dm_slice new_bytes)
{
    struct dm_record_head old = head_of(old_bytes);
    struct dm_record_head new = head_of(new_bytes);
    bool was = old.status == DM_STATUS_SNOOZED;
    bool is = new.status == DM_STATUS_SNOOZED;
    if (was && (!is || old.until_ms != new.until_ms)) {
        wake_add(sweep, &old, false);
    }
    if (is && (!was || old.until_ms != new.until_ms || old.fence != new.fence)) {
        wake_add(sweep, &new, true);
    }
}

static void apply_contact(struct dm_store *store, struct sweep *sweep)
{
    const struct dm_generation_entry *entry = &sweep->entries[sweep->next];
    struct dm_slice old = {0};
    bool exists = dm_store_txn_get(store, DM_TABLE_CONTACTS, entry->key, &old);
    if (exists ? dm_slice_equal(old, entry->value) : entry->value.size == 0) {
        return; /* applied before a crash, or come and gone within the generation */
    }
    wake_note(sweep, old, entry->value);
    if (entry->value.size == 0) {
        dm_store_txn_delete(store, DM_TABLE_CONTACTS, entry->key);
    } else {
        dm_store_txn_put(store, DM_TABLE_CONTACTS, entry->key, entry->value);
    }
}

/* The order of the keys that dm_wake_key_make makes. The sweep's entries are sorted, so
 * within an account their positions stand for the contacts. */
static int wake_order(const void *left, const void *right, void *context)
{
    const struct wake_change *a = left, *b = right;
    const struct dm_generation_entry *entries = context;
    uint32_t account_a = dm_load_be32(entries[a->entry].key.data);
    uint32_t account_b = dm_load_be32(entries[b->entry].key.data);
    if (account_a != account_b) {
        return account_a < account_b ? -1 : 1;
    }
    uint64_t until_a = (uint64_t)a->until_ms, until_b = (uint64_t)b->until_ms;
    if (until_a != until_b) {
        return until_a < until_b ? -1 : 1;
    }
    return (a->entry > b->entry) - (a->entry < b->entry);
}

static void apply_wakes(struct dm_store *store, struct sweep *sweep)
{
    if (sweep->wake_count > 1) {
        qsort_r(sweep->wakes, sweep->wake_count, sizeof *sweep->wakes, wake_order, sweep->entries);
    }
    for (size_t i = 0; i < sweep->wake_count; i++) {
        const struct wake_change *wake = &sweep->wakes[i];
        uint8_t key_bytes[DM_WAKE_KEY_SIZE_MAX];
        size_t size = dm_wake_key_make(key_bytes, sweep->entries[wake->entry].key, wake->until_ms);
        struct dm_slice key = dm_slice(key_bytes, size);
        if (wake->put) {
            uint8_t fence[8];
            dm_store_le64(fence, wake->fence);
            dm_store_txn_put(store, DM_TABLE_WAKES, key, dm_slice(fence, sizeof fence));
        } else {
            dm_store_txn_delete(store, DM_TABLE_WAKES, key);
        }
    }
}

static void apply_sides(struct dm_store *store, const struct dm_generation *generation)
{
    enum dm_table table;
    struct dm_slice key, value;
    uint32_t place = 0;
    while (dm_generation_side(generation, &place, &table, &key, &value)) {
        if (value.size == 0) {
            dm_store_txn_delete(store, table, key);
        } else {
            dm_store_txn_put(store, table, key, value);
        }
    }
    dm_meta_put_applied(store, dm_generation_lsn(generation));
}

/* Changes are counted as if each had a page of its own: a transaction of txn_max
 * contacts and as many changes of wakes stays under LMDB's limit of dirty pages. */
static void apply_range(struct dm_store *store, struct sweep *sweep)
{
    size_t from = sweep->next;
    size_t changes_max = 2 * (size_t)sweep->txn_max;
    sweep->wake_count = 0;
    while (sweep->next < sweep->count && sweep->next - from < sweep->txn_max &&
           sweep->next - from + sweep->wake_count < changes_max) {
        apply_contact(store, sweep);
        sweep->next++;
    }
    apply_wakes(store, sweep);
    if (sweep->next == sweep->count) {
        apply_sides(store, sweep->generation);
    }
}

/* ---- a sweep -------------------------------------------------------------- */

static enum dm_code sweep_sort(struct sweep *sweep, struct dm_error *error)
{
    sweep->entries = dm_generation_sorted(sweep->generation, &sweep->count);
    if (sweep->entries == NULL && dm_generation_count(sweep->generation) > 0) {
        return dm_fail(error, DM_UNAVAILABLE, "no memory to sort %u contacts for the view",
                       dm_generation_count(sweep->generation));
    }
    sweep->sorted = true;
    return DM_OK;
}

static enum dm_code sweep_step(struct dm_applier *applier, struct dm_error *error)
{
    struct dm_store *store = applier->store;
    struct sweep *sweep = &applier->sweep;
    if (!sweep->sorted) {
        enum dm_code code = sweep_sort(sweep, error);
        if (code != DM_OK) {
            return code;
        }
    }
    enum dm_code code = dm_store_txn_begin(store, error);
    if (code != DM_OK) {
        return code;
    }
    size_t from = sweep->next;
    apply_range(store, sweep);
    uint64_t commit_begun_ns = dm_clock_monotonic_ns(&applier->clock);
    code = dm_store_txn_commit(store, error);
    uint64_t commit_us = (dm_clock_monotonic_ns(&applier->clock) - commit_begun_ns) / 1000;
    if (code != DM_OK) {
        sweep->next = from;
        return code;
    }
    pthread_mutex_lock(&applier->mutex);
    applier->stats.transactions++;
    applier->stats.contacts += sweep->next - from;
    if (commit_us > applier->stats.longest_commit_us) {
        applier->stats.longest_commit_us = commit_us;
    }
    pthread_mutex_unlock(&applier->mutex);
    return DM_OK;
}

static void sweep_begin(struct dm_applier *applier, struct dm_generation *generation)
{
    struct sweep *sweep = &applier->sweep;
    sweep->generation = generation;
    sweep->entries = NULL;
    sweep->count = sweep->next = 0;
    sweep->sorted = false;
    sweep->begun_ns = dm_clock_monotonic_ns(&applier->clock);
    sweep->txn_max = applier->contacts_per_txn;
}

static void notify(const struct dm_applier *applier)
{
    if (applier->notify != NULL) {
        applier->notify(applier->notify_context);
    }
}

static void sweep_end(struct dm_applier *applier)
{
    struct sweep *sweep = &applier->sweep;
    uint64_t took_ns = dm_clock_monotonic_ns(&applier->clock) - sweep->begun_ns;
    free(sweep->entries);
    sweep->entries = NULL;
    sweep->generation = NULL;
    pthread_mutex_lock(&applier->mutex);
    applier->stats.sweeps++;
    applier->stats.last_sweep_contacts = sweep->count;
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

/* One transaction of the sweep under way. false when it failed and wants a pause. */
static bool sweep_work(struct dm_applier *applier)
{
    struct sweep *sweep = &applier->sweep;
    struct dm_error error = {0};
    enum dm_code code = sweep_step(applier, &error);
    state_set(applier, code, &error);
    if (code == DM_RESOURCE_EXHAUSTED && sweep->txn_max / 2 >= CONTACTS_PER_TXN_MIN) {
        sweep->txn_max /= 2;
    }
    if (code == DM_OK && sweep->next == sweep->count) {
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
    return applier->graves != NULL || applier->begun != NULL || applier->sweep.generation != NULL;
}

/* With the mutex held, which it lets go meanwhile: graves, or one transaction. */
static void work_once(struct dm_applier *applier)
{
    graves_empty(applier);
    if (applier->begun != NULL) {
        sweep_begin(applier, applier->begun);
        applier->begun = NULL;
    }
    if (applier->sweep.generation == NULL) {
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
    /* The last contact of a transaction may add two where one more was allowed. */
    applier->sweep.wakes =
        dm_xmalloc((2 * (size_t)applier->contacts_per_txn + 1) * sizeof(struct wake_change));
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
    DM_ASSERT(!applier->busy);
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
        sweep_begin(applier, applier->begun);
        applier->begun = NULL;
    }
    if (applier->sweep.generation == NULL) {
        return false;
    }
    (void)sweep_work(applier);
    return applier->sweep.generation != NULL;
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
    free(applier->sweep.entries);
    free(applier->sweep.wakes);
    free(applier);
}
