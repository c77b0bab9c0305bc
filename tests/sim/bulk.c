#include "sim/sim.h"

/* A bulk change runs in steps between everything else. What a step changed is found by
 * asking for every contact of the account; each must have matched, and have become what
 * the core makes of it. */

static bool matches(const struct sim *sim, unsigned contact)
{
    const struct bulk_run *run = &sim->bulk;
    struct dm_effective now;
    if (!model_exists(sim->model, run->account, contact)) {
        return false;
    }
    model_effective(sim->model, run->account, contact, sim->clock.wall_ms, &now);
    return (run->if_status == 0 || run->if_status == now.status) &&
           (run->if_reason == 0 || run->if_reason == now.reason);
}

static uint32_t bot_of(const struct sim *sim, unsigned contact)
{
    const struct bulk_run *run = &sim->bulk;
    return run->change.has_bot ? run->change.bot
                               : sim->model->accounts[run->account].contacts[contact].record.bot;
}

/* What the change would make of the contact now, into sim->step. */
static struct dm_op try_change(struct sim *sim, unsigned contact)
{
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .now_ms = sim->clock.wall_ms};
    op.set.change = sim->bulk.change;
    model_step(sim->model, sim->bulk.account, contact, bot_of(sim, contact), &op, &sim->step);
    return op;
}

void bulk_forget(struct sim *sim)
{
    if (sim->bulk.bulk != NULL) {
        dm_bulk_close(sim->bulk.bulk);
        sim->bulk.bulk = NULL;
    }
}

/* ---- a step ------------------------------------------------------------------------------- */

static void take_changes(struct sim *sim)
{
    static struct found found[CONTACT_MAX];
    struct bulk_run *run = &sim->bulk;
    unsigned count = find_changed(sim, run->account, found);
    for (unsigned i = 0; i < count; i++) {
        unsigned c = found[i].contact;
        if (!matches(sim, c)) {
            sim_fail(sim, "a bulk changed %s, which does not match", sim->names[c]);
        }
        struct dm_op op = try_change(sim, c);
        model_commit(sim->model, run->account, c, &op, &sim->step);
        for (int t = 0; t < sim->step.transition_count; t++) {
            sim->wakes += sim->step.transitions[t].due_ms != 0;
        }
        run->changed += sim->step.code == DM_OK && sim->step.answer.changed;
        run->last_lsn = sim->model->count;
        sim_equal(sim, "the lsn of a bulk's change", sim->names[c], sim->model->count,
                  found[i].lsn);
        sim_say(sim, "    bulk changes %s/%s", account_names[run->account], sim->names[c]);
    }
}

/* Who was there all along and was written by nobody is as it was: it was met, then. (A
 * policy set meanwhile may have forbidden what would be done now.) */
static void check_nobody_missed(struct sim *sim)
{
    struct bulk_run *run = &sim->bulk;
    if (sim->model->accounts[run->account].policy_lsn > run->start_lsn) {
        return;
    }
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        const struct m_contact *contact = &sim->model->accounts[run->account].contacts[c];
        if (!run->matched_at_start[c] || contact->lsn > run->start_lsn || !matches(sim, c) ||
            (sim->stepped_back && contact->record.status == DM_STATUS_SNOOZED)) {
            continue;
        }
        (void)try_change(sim, c);
        if (sim->step.code == DM_OK && sim->step.transition_count != 0) {
            sim_fail(sim, "a bulk missed %s/%s", account_names[run->account], sim->names[c]);
        }
    }
}

static void check_end(struct sim *sim, const struct dm_bulk_progress *progress)
{
    struct bulk_run *run = &sim->bulk;
    uint64_t made = 0, deleted = 0;
    for (uint64_t lsn = run->start_lsn + 1; lsn <= sim->model->count; lsn++) {
        const struct m_entry *entry = &sim->model->entries[lsn - 1];
        if (entry->account == run->account) {
            made += entry->kind == M_CONTACT && entry->change->from == DM_STATUS_NONE;
            deleted += entry->kind == M_DELETE;
        }
    }
    if (progress->scanned + deleted < run->existed || progress->scanned > run->existed + made) {
        sim_fail(sim, "a bulk looked at %llu of %llu contacts (%llu made, %llu deleted meanwhile)",
                 (unsigned long long)progress->scanned, (unsigned long long)run->existed,
                 (unsigned long long)made, (unsigned long long)deleted);
    }
    if (!run->dry_run) {
        check_nobody_missed(sim);
    }
}

static void step(struct sim *sim, size_t budget)
{
    struct bulk_run *run = &sim->bulk;
    struct dm_bulk_progress progress;
    struct dm_error error = {0};
    bool writable = world_writable(sim);
    dm_engine_call_begin(sim->engine, run->barrier);
    enum dm_next next = dm_bulk_step(run->bulk, &progress, budget, &error);
    run->barrier = dm_engine_barrier(sim->engine);
    take_changes(sim);
    check_order(sim, "a step of a bulk");
    sim_equal(sim, "changed", "a bulk", run->changed, progress.changed);
    world_show(sim, run->last_lsn, run->barrier);
    if (next == DM_NEXT_PENDING) {
        return;
    }
    if (next == DM_NEXT_FAILED && writable) {
        sim_fail(sim, "a bulk failed: %s", error.message);
    }
    if (next == DM_NEXT_END) {
        sim_say(sim, "    bulk: %llu scanned, %llu matched, %llu changed",
                (unsigned long long)progress.scanned, (unsigned long long)progress.matched,
                (unsigned long long)progress.changed);
        check_end(sim, &progress);
        world_show(sim, run->needed, run->barrier);
    }
    bulk_forget(sim);
}

/* ---- the start ------------------------------------------------------------------------------ */

static void remember_start(struct sim *sim)
{
    struct bulk_run *run = &sim->bulk;
    run->start_lsn = sim->model->count;
    run->existed = 0;
    run->needed = newest_lsn(sim, run->account);
    for (unsigned c = 0; c < sim->model->contact_count; c++) {
        run->existed += model_exists(sim->model, run->account, c);
        run->matched_at_start[c] = matches(sim, c);
    }
}

/* As dm_bulk_open does it. The code that is to come. */
static enum dm_code prepare(struct sim *sim)
{
    struct bulk_run *run = &sim->bulk;
    const struct m_account *account = &sim->model->accounts[run->account];
    if (run->change.reason == 0) {
        run->change.reason = DM_REASON_BULK_SET;
    }
    if (run->change.has_for) {
        run->change.has_for = false;
        run->change.has_until = true;
        run->change.until_ms = sim->clock.wall_ms + run->change.for_ms;
    }
    if (account->number == 0) {
        return DM_OK;
    }
    if (run->change.has_bot) {
        int bot = model_bot(sim->model, run->account, (unsigned)run->bot_name);
        if (bot < 0 && !run->dry_run) {
            bot = (int)model_meet_bot(sim->model, run->account, (unsigned)run->bot_name);
        }
        run->change.bot = bot < 0 ? 0 : (uint32_t)bot;
    }
    bool off = model_policy(sim->model, run->account, run->change.bot)->mode == DM_MODE_OFF;
    return off && !run->dry_run ? DM_FAILED_PRECONDITION : DM_OK;
}

static void start(struct sim *sim, uint64_t *random)
{
    struct bulk_run *run = &sim->bulk;
    struct dm_error error = {0};
    *run = (struct bulk_run){
        .account = (unsigned)pick(random, 2),
        .dry_run = chance(random, 15),
        .bot_name = chance(random, 15) ? (int)pick(random, BOT_COUNT) : -1,
        .if_status = (uint8_t)(chance(random, 50) ? 0 : pick(random, DM_STATUS_COUNT)),
        .if_reason = (uint8_t)(chance(random, 80) ? 0 : DM_REASON_SNOOZE_EXPIRED),
    };
    pick_change(sim, random, &run->change);
    if (run->change.has_until || run->change.has_for) { /* not over before it is done */
        run->change.until_ms += run->change.has_until ? 600000 : 0;
        run->change.for_ms += run->change.has_for ? 600000 : 0;
    }
    run->change.lock = false;
    run->change.has_bot = run->bot_name >= 0;
    const struct dm_bulk_options options = {
        .account_id = account_slice(run->account),
        .bot_id = dm_slice_str(run->bot_name < 0 ? "" : bot_names[run->bot_name]),
        .if_status = run->if_status,
        .if_reason = run->if_reason,
        .change = run->change,
        .dry_run = run->dry_run,
    };
    bool full = world_overlay_full(sim);
    bool admits = run->dry_run || (world_writable(sim) && !full);
    enum dm_code expected = full ? DM_RESOURCE_EXHAUSTED : DM_UNAVAILABLE;
    world_ask(sim);
    enum dm_code code = dm_bulk_open(&run->bulk, sim->engine, &options, &error);
    run->barrier = dm_engine_barrier(sim->engine);
    sim_say(sim, "bulk on %s: if %u/%u set %u: %s", account_names[run->account], run->if_status,
            run->if_reason, run->change.status, dm_code_name((int)code));
    if (admits) {
        expected = prepare(sim);
    }
    sim_equal(sim, "the code", "a bulk's start", expected, code);
    if (admits) {
        world_show(sim, sim->model->accounts[run->account].policy_lsn, run->barrier);
    }
    check_order(sim, "a bulk's start");
    remember_start(sim);
}

void do_bulk(struct sim *sim, uint64_t *random)
{
    if (sim->bulk.bulk == NULL) {
        start(sim, random);
    }
    if (sim->bulk.bulk != NULL) {
        step(sim, 1 + pick(random, chance(random, 50) ? 6 : 100));
    }
}

void bulk_finish(struct sim *sim, uint64_t *random)
{
    while (sim->bulk.bulk != NULL) {
        step(sim, 1 + pick(random, 50));
        bool timers_out = world_timers_out(sim); /* it waits until snoozes end, which may be long */
        if (timers_out || world_overlay_full(sim)) {
            virtual_clock_advance(&sim->clock, timers_out ? 1000 : sim->config.apply_after_ms);
            world_drain(sim, random);
        }
    }
}
