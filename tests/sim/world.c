#include "sim/sim.h"

#include "base/assert.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t segment_size = 65536;

void world_fill_view(struct sim *sim, bool full)
{
    sim->view_full = full;
    dm_store_memory_fail(sim->store, full ? INT_MAX : 0);
}

/* ---- opening and closing ------------------------------------------------------------ */

static enum dm_code open_journal(struct sim *sim)
{
    struct dm_error error = {0};
    const struct dm_journal_options options = {
        .disk = dm_sim_disk_port(sim->disk),
        .clock = virtual_clock_port(&sim->clock),
        .segment_size = segment_size,
        .retention_bytes = 1,
        .retention_ms = INT64_MAX / 2,
        .manual = true,
    };
    enum dm_code code = dm_journal_open_file(&sim->journal, &options, &error);
    if (code != DM_OK && code != DM_UNAVAILABLE) {
        sim_fail(sim, "the journal does not open: %s", error.message);
    }
    return code;
}

/* What the journal kept is a prefix of what was ordered, with all in it that anybody was
 * told of. */
static void cut_to_kept(struct sim *sim)
{
    uint64_t kept = dm_order_last(sim->journal->order);
    sim_say(sim, "    the journal kept %llu of %llu (acknowledged: %llu)", (unsigned long long)kept,
            (unsigned long long)sim->model->count, (unsigned long long)sim->acked_lsn);
    if (kept < sim->acked_lsn) {
        sim_fail(sim, "lsn %llu was acknowledged and is lost: the journal ends at %llu",
                 (unsigned long long)sim->acked_lsn, (unsigned long long)kept);
    }
    if (kept > sim->model->count) {
        sim_fail(sim, "the journal ends at lsn %llu, and only %llu were ordered",
                 (unsigned long long)kept, (unsigned long long)sim->model->count);
    }
    model_cut(sim->model, kept);
    sim_equal(sim, "the newest seq", "after opening", sim->model->event_count,
              dm_journal_committed_seq(sim->journal));
}

static void open_engine(struct sim *sim)
{
    struct dm_error error = {0};
    const struct dm_engine_options options = {
        .order = sim->journal->order,
        .journal = sim->journal,
        .store = sim->store,
        .clock = virtual_clock_port(&sim->clock),
        .horizon_ms = sim->config.horizon_ms,
        .overlay_max = sim->config.overlay_max,
        .sleepers_max = sim->config.sleepers_max,
        .apply_after_ms = sim->config.apply_after_ms,
        .contacts_per_txn = sim->config.contacts_per_txn,
        .manual_applier = true,
    };
    enum dm_code code = dm_engine_open(&sim->engine, &options, &error);
    if (code == DM_RESOURCE_EXHAUSTED && sim->view_full &&
        sim->config.overlay_max < sim->overlay_most &&
        strstr(error.message, "--overlay-max") != NULL) {
        sim_say(sim, "    refuses to start: %s", error.message);
        world_fill_view(sim, false);
        code = dm_engine_open(&sim->engine, &options, &error);
    }
    if (code != DM_OK) {
        sim_fail(sim, "the engine does not open: %s", error.message);
    }
    if (sim->config.overlay_max > sim->overlay_most) {
        sim->overlay_most = sim->config.overlay_max;
    }
    sim->wakes = 0;
    sim->stepped_back = false;
    sim->high_ms = sim->clock.wall_ms;
    sim->unacked_count = 0;
    sim->durable_lsn = dm_engine_durable(sim->engine);
}

static void open_all(struct sim *sim)
{
    if (open_journal(sim) != DM_OK) { /* no space, or a fault that was to come later */
        dm_sim_disk_set_capacity(sim->disk, 0);
        dm_sim_disk_crash(sim->disk, sim->model->count);
        if (open_journal(sim) != DM_OK) {
            sim_fail(sim, "the journal does not open although the disk works");
        }
    }
    cut_to_kept(sim);
    open_engine(sim);
    check_all(sim);
}

static void close_all(struct sim *sim)
{
    bulk_forget(sim);
    scan_forget(sim);
    for (unsigned i = 0; i < WATCHER_COUNT; i++) {
        dm_feed_close(sim->watchers[i].feed);
        sim->watchers[i].feed = NULL;
    }
    dm_engine_close(sim->engine);
    dm_journal_close(sim->journal);
    /* What was committed is all that the next process finds. */
    struct dm_store *kept = dm_store_memory_clone(sim->store);
    dm_store_close(sim->store);
    sim->store = kept;
    world_fill_view(sim, sim->view_full);
}

void world_create(struct sim *sim)
{
    sim->clock = (struct virtual_clock){.wall_ms = 1800000000000, .monotonic_ns = 1};
    sim->disk = dm_sim_disk_create();
    sim->store = dm_store_open_memory();
    sim->model = model_create(sim->config.contacts);
    for (unsigned c = 0; c < CONTACT_MAX; c++) { /* some too long to be kept with the timer */
        (void)snprintf(sim->names[c], NAME_MAX_SIZE,
                       c % 5 == 3 ? "somebody with a rather long name %03u" : "c%03u", c);
    }
    open_all(sim);
}

void world_destroy(struct sim *sim)
{
    close_all(sim);
    dm_store_close(sim->store);
    dm_sim_disk_destroy(sim->disk);
    model_destroy(sim->model);
}

void world_restart(struct sim *sim)
{
    close_all(sim);
    open_all(sim);
}

void world_resize(struct sim *sim, uint32_t overlay_max)
{
    close_all(sim);
    sim->config.overlay_max = overlay_max;
    open_all(sim);
}

void world_crash(struct sim *sim, uint64_t seed)
{
    sim_say(sim, "    the power is cut");
    uint64_t random = seed;
    dm_sim_disk_stop_at(sim->disk, 1);
    close_all(sim);
    dm_sim_disk_crash(sim->disk, dm_test_random(&random));
    if (chance(&random, 20)) { /* and again while it comes up, or soon after */
        dm_sim_disk_stop_at(sim->disk, 1 + pick(&random, 6));
    }
    open_all(sim);
}

/* ---- durability ------------------------------------------------------------------------ */

static void note_durable(struct sim *sim)
{
    uint64_t durable = dm_engine_durable(sim->engine);
    if (durable < sim->durable_lsn || durable > sim->model->count) {
        sim_fail(sim, "durable went from %llu to %llu of %llu",
                 (unsigned long long)sim->durable_lsn, (unsigned long long)durable,
                 (unsigned long long)sim->model->count);
    }
    sim->durable_lsn = durable;
    unsigned left = 0;
    for (unsigned i = 0; i < sim->unacked_count; i++) {
        struct unacked waits = sim->unacked[i];
        if (waits.barrier > durable) {
            sim->unacked[left++] = waits;
        } else if (waits.needed > sim->acked_lsn) {
            sim->acked_lsn = waits.needed;
        }
    }
    sim->unacked_count = left;
}

void world_ask(struct sim *sim)
{
    dm_engine_call_begin(sim->engine, 0);
}

void world_show(struct sim *sim, uint64_t needed, uint64_t barrier)
{
    if (barrier < needed && needed > dm_engine_durable(sim->engine)) {
        sim_fail(sim, "an answer that tells of lsn %llu may be shown at %llu, and %llu is durable",
                 (unsigned long long)needed, (unsigned long long)barrier,
                 (unsigned long long)dm_engine_durable(sim->engine));
    }
    if (barrier > sim->model->count) {
        sim_fail(sim, "barrier %llu is beyond the newest lsn %llu", (unsigned long long)barrier,
                 (unsigned long long)sim->model->count);
    }
    if (barrier <= dm_engine_durable(sim->engine)) {
        sim->acked_lsn = needed > sim->acked_lsn ? needed : sim->acked_lsn;
    } else if (sim->unacked_count < UNACKED_MAX) { /* past it a client has gone away */
        sim->unacked[sim->unacked_count++] = (struct unacked){needed, barrier};
    }
}

bool world_writable(struct sim *sim)
{
    return dm_order_state(sim->journal->order, NULL) == DM_ORDER_OK;
}

bool world_overlay_full(struct sim *sim)
{
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    return stats.overlay_contacts >= stats.overlay_contacts_max ||
           stats.overlay_used >= stats.overlay_used_max;
}

bool world_timers_out(struct sim *sim)
{
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    return stats.sleepers_max - stats.sleepers <= stats.sleepers_max / 64;
}

static void ignore_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static bool machine_gone(struct sim *sim)
{
    struct dm_disk *port = dm_sim_disk_port(sim->disk);
    return port->ops->list(port, ignore_name, NULL) != 0;
}

/* With a failed journal no answer comes any more; the process must restart. */
static void restart_failed(struct sim *sim, uint64_t *random)
{
    sim_say(sim, "    the journal has failed");
    uint64_t durable = dm_engine_durable(sim->engine);
    struct dm_error error = {0};
    if (dm_engine_writable(sim->engine, &error) != DM_UNAVAILABLE) {
        sim_fail(sim, "a failed journal is said to be writable");
    }
    (void)world_turn(sim);
    (void)dm_journal_work(sim->journal);
    sim_equal(sim, "durable", "of a failed journal", durable, dm_engine_durable(sim->engine));
    if (chance(random, 50)) {
        world_crash(sim, dm_test_random(random));
    } else {
        world_restart(sim);
    }
}

bool world_work(struct sim *sim, uint64_t *random)
{
    dm_engine_flush(sim->engine);
    bool did = dm_journal_work(sim->journal);
    note_durable(sim);
    if (machine_gone(sim)) {
        world_crash(sim, dm_test_random(random));
    } else if (dm_engine_failed(sim->engine, NULL)) {
        restart_failed(sim, random);
    }
    return did;
}

/* ---- turns ------------------------------------------------------------------------------- */

static int compare_found(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    return (left->lsn > right->lsn) - (left->lsn < right->lsn);
}

void sort_found(struct found *found, unsigned count)
{
    qsort(found, count, sizeof *found, compare_found);
}

/* What is not flushed yet shows its lsn as the barrier of a read. */
static bool changed(struct sim *sim, unsigned account, unsigned contact, struct found *found)
{
    struct dm_contact now;
    world_ask(sim);
    enum dm_code code =
        dm_engine_get(sim->engine, account_slice(account), contact_slice(sim, contact), &now, NULL);
    if (code != DM_OK && !sim_rotten(sim, account, contact)) {
        sim_fail(sim, "%s cannot be read", sim->names[contact]);
    }
    uint64_t lsn = dm_engine_barrier(sim->engine);
    *found = (struct found){account, contact, lsn};
    return lsn > sim->model->count;
}

unsigned find_changed(struct sim *sim, unsigned account, struct found *found)
{
    unsigned count = 0;
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        count += changed(sim, account, c, &found[count]);
    }
    sort_found(found, count);
    return count;
}

static bool is_due(const struct sim *sim, unsigned account, unsigned contact, int64_t now_ms)
{
    const struct dm_record *record = &sim->model->accounts[account].contacts[contact].record;
    return record->status == DM_STATUS_SNOOZED && record->until_ms <= now_ms;
}

/* The wakes of this turn: of those who were due. */
static void take_wakes(struct sim *sim)
{
    static struct found found[ACCOUNT_COUNT * CONTACT_MAX];
    unsigned count = 0;
    if (dm_order_last(sim->journal->order) == sim->model->count) {
        return;
    }
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        for (unsigned c = 0; c < sim->model->contact_count; c++) {
            count += is_due(sim, a, c, sim->clock.wall_ms) && changed(sim, a, c, &found[count]);
        }
    }
    sort_found(found, count);
    for (unsigned i = 0; i < count; i++) {
        unsigned a = found[i].account, c = found[i].contact;
        const struct dm_record *record = &sim->model->accounts[a].contacts[c].record;
        struct dm_op op = {.kind = DM_OP_WAKE_DUE, .now_ms = sim->clock.wall_ms};
        op.wake.fence = record->fence;
        sim_say(sim, "    wakes %s/%s (due %lld ms ago)", account_names[a], sim->names[c],
                (long long)(sim->clock.wall_ms - record->until_ms));
        model_step(sim->model, a, c, record->bot, &op, &sim->step);
        model_commit(sim->model, a, c, &op, &sim->step);
        sim_equal(sim, "the lsn of the wake", sim->names[c], sim->model->count, found[i].lsn);
        sim->wakes++;
    }
}

int world_turn(struct sim *sim)
{
    int64_t now_ms = sim->clock.wall_ms;
    int wait_ms = dm_engine_turn(sim->engine);
    bool set_back = now_ms < sim->high_ms - 1000;
    sim->high_ms = set_back || now_ms > sim->high_ms ? now_ms : sim->high_ms;
    take_wakes(sim);
    check_order(sim, "a turn");
    note_durable(sim);
    return wait_ms;
}

/* Wakes may be late: there is no room for them in the overlay, or there are too few timers. */
static bool may_be_late(struct sim *sim)
{
    enum { WAKE_BYTES_MAX = 4096 };
    struct dm_engine_stats stats;
    dm_engine_stats(sim->engine, dm_slice(NULL, 0), &stats);
    return stats.overlay_contacts >= stats.overlay_contacts_max * 9 / 8 ||
           stats.overlay_used + WAKE_BYTES_MAX > stats.overlay_used_max * 9 / 8 ||
           stats.sleepers_max - stats.sleepers <= stats.sleepers_max / 64 + stats.sleepers_max / 16;
}

/* Set back by up to a second, the clock is waited for. */
static void check_nobody_late(struct sim *sim, int wait_ms)
{
    int64_t behind_ms = sim->high_ms - sim->clock.wall_ms;
    bool behind = behind_ms > 0;
    for (unsigned a = 0; a < ACCOUNT_COUNT; a++) {
        for (unsigned c = 0; c < sim->model->contact_count; c++) {
            const struct dm_record *record = &sim->model->accounts[a].contacts[c].record;
            if (record->status != DM_STATUS_SNOOZED || sim_rotten(sim, a, c)) {
                continue;
            }
            int64_t left_ms = record->until_ms - sim->clock.wall_ms;
            if (left_ms <= 0 && !behind) {
                sim_fail(sim, "%s/%s is due since %lld ms and nothing is being done about it",
                         account_names[a], sim->names[c], (long long)-left_ms);
            }
            left_ms = left_ms < behind_ms ? behind_ms : left_ms;
            if (wait_ms > left_ms) {
                sim_fail(sim, "%s/%s is due in %lld ms and the engine wants to sleep %d ms",
                         account_names[a], sim->names[c], (long long)left_ms, wait_ms);
            }
        }
    }
}

void world_settle(struct sim *sim)
{
    int wait_ms = 0;
    for (int turns = 0; wait_ms == 0; turns++) {
        wait_ms = world_turn(sim);
        if (turns > 5000) {
            sim_fail(sim, "5,000 turns, and the engine still has something to do at once");
        }
    }
    if (world_writable(sim) && !may_be_late(sim)) {
        check_nobody_late(sim, wait_ms);
    }
}

void world_drain(struct sim *sim, uint64_t *random)
{
    bool more = true;
    for (int rounds = 0; more; rounds++) {
        world_settle(sim);
        more = world_work(sim, random);
        more |= dm_engine_apply_work(sim->engine);
        if (rounds > 20000 && more) {
            sim_fail(sim, "the journal or the applier never comes to rest");
        }
    }
    (void)world_turn(sim);
}
