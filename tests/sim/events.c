#include "sim/sim.h"

#include "base/assert.h"

#include <stdio.h>

/* ---- one event against the model's -------------------------------------------------------- */

static void compare_event(struct sim *sim, uint64_t seq, const struct dm_event *found)
{
    const struct m_entry *entry = model_event(sim->model, seq);
    char name[32];
    (void)snprintf(name, sizeof name, "event %llu", (unsigned long long)seq);
    sim_equal(sim, "seq", name, seq, found->seq);
    if (entry == NULL) {
        sim_fail(sim, "%s was never ordered", name);
    }
    const struct dm_transition *change = entry->change;
    const struct dm_record *record = &change->record;
    uint8_t from = change->from == DM_STATUS_NONE ? (uint8_t)DM_STATUS_ACTIVE : change->from;
    sim_equal(sim, "from", name, from, found->from);
    sim_equal(sim, "to", name, record->status, found->to);
    sim_equal(sim, "reason", name, record->reason, found->reason);
    sim_equal(sim, "fence", name, record->fence, found->fence);
    sim_equal(sim, "previous", name, change->previous_seq, found->previous_seq);
    sim_equal(sim, "at", name, (uint64_t)entry->at_ms, (uint64_t)found->at_ms);
    sim_equal(sim, "until", name, (uint64_t)record->until_ms, (uint64_t)found->until_ms);
    sim_equal(sim, "due", name, (uint64_t)change->due_ms, (uint64_t)found->due_ms);
    sim_equal(sim, "missed", name, change->missed_inbound, found->missed_inbound);
    if (!dm_slice_equal(found->account_id, account_slice(entry->account)) ||
        !dm_slice_equal(found->contact_id, contact_slice(sim, entry->contact)) ||
        !dm_slice_equal(found->actor, dm_slice(record->actor.bytes, record->actor.size))) {
        sim_fail(sim, "%s is of another contact or actor", name);
    }
    world_show(sim, sim->model->events[seq - 1], 0);
}

/* ---- watchers -------------------------------------------------------------------------------- */

/* false: nothing more for now. */
static bool watch_one(struct sim *sim, struct watcher *watcher, size_t budget)
{
    struct dm_event event;
    if (watcher->feed == NULL) {
        watcher->feed = dm_feed_open(sim->engine, watcher->cursor);
        DM_ASSERT(watcher->feed != NULL);
    }
    uint64_t oldest = dm_engine_oldest_seq(sim->engine);
    switch (dm_feed_next(watcher->feed, &event, &budget)) {
    case DM_NEXT_ITEM:
        compare_event(sim, watcher->cursor + 1, &event);
        watcher->cursor++;
        return true;
    case DM_NEXT_PENDING:
        return true;
    case DM_NEXT_END:
        sim_equal(sim, "the end of a feed", "a watcher", dm_engine_last_seq(sim->engine),
                  watcher->cursor);
        return false;
    case DM_NEXT_GONE: /* slower than the retention: begins anew at the oldest */
        if (watcher->cursor + 1 >= oldest) {
            sim_fail(sim, "seq %llu is said to be gone, and the oldest kept is %llu",
                     (unsigned long long)watcher->cursor + 1, (unsigned long long)oldest);
        }
        sim_say(sim, "    a watcher at %llu is too old, goes on after %llu",
                (unsigned long long)watcher->cursor, (unsigned long long)oldest - 1);
        dm_feed_close(watcher->feed);
        watcher->feed = NULL;
        watcher->cursor = oldest - 1;
        return true;
    default:
        sim_fail(sim, "a feed cannot read the journal");
    }
}

void watch_to_end(struct sim *sim, unsigned number, unsigned events_max)
{
    struct watcher *watcher = &sim->watchers[number];
    for (unsigned i = 0; i < events_max; i++) {
        if (!watch_one(sim, watcher, i % 3 == 0 ? 300 : 100000)) {
            return;
        }
    }
}

/* The first reads all there is, the second some, the third seldom anything. */
void do_watch(struct sim *sim, uint64_t *random)
{
    static const unsigned speeds[WATCHER_COUNT] = {100000, 20, 2};
    unsigned number = (unsigned)pick(random, WATCHER_COUNT);
    struct watcher *watcher = &sim->watchers[number];
    if (chance(random, 10) && watcher->feed != NULL) { /* it connects anew */
        dm_feed_close(watcher->feed);
        watcher->feed = NULL;
    }
    watch_to_end(sim, number, speeds[number]);
    sim_say(sim, "watcher %u is at %llu of %llu", number, (unsigned long long)watcher->cursor,
            (unsigned long long)dm_engine_last_seq(sim->engine));
}

/* ---- history -----------------------------------------------------------------------------------
 */

/* From `seq` back; `at` is where it begins to read. False: it waits for what is not durable. */
static bool check_chain(struct sim *sim, struct dm_history *history, uint64_t seq, uint64_t at)
{
    for (;;) {
        struct dm_event event;
        size_t budget = 500;
        uint64_t oldest = dm_engine_oldest_seq(sim->engine);
        switch (dm_history_next(history, &event, &budget)) {
        case DM_NEXT_ITEM:
            compare_event(sim, seq, &event);
            seq = at = event.previous_seq;
            break;
        case DM_NEXT_END:
            if (seq != 0 && seq >= oldest) {
                sim_fail(sim, "a history ends before event %llu", (unsigned long long)seq);
            }
            return true;
        case DM_NEXT_PENDING:
            if (at > dm_engine_last_seq(sim->engine)) {
                return false;
            }
            break;
        default:
            sim_fail(sim, "a history cannot be read");
        }
    }
}

/* A position that may be anybody's event shows nobody else's. */
static void check_foreign(struct sim *sim, struct dm_history *history, unsigned account,
                          unsigned contact)
{
    struct dm_event event;
    size_t budget = 100000;
    while (dm_history_next(history, &event, &budget) == DM_NEXT_ITEM) {
        if (!dm_slice_equal(event.account_id, account_slice(account)) ||
            !dm_slice_equal(event.contact_id, contact_slice(sim, contact))) {
            sim_fail(sim, "the history of %s/%s shows event %llu, which is another's",
                     account_names[account], sim->names[contact], (unsigned long long)event.seq);
        }
        compare_event(sim, event.seq, &event);
    }
}

void do_history(struct sim *sim, uint64_t *random)
{
    unsigned account = (unsigned)pick(random, ACCOUNT_COUNT);
    unsigned contact = (unsigned)pick(random, CONTACT_FEW);
    const struct dm_record *record = &sim->model->accounts[account].contacts[contact].record;
    uint64_t seq = record->last_seq, before = 0;
    bool foreign = chance(random, 25) && sim->model->event_count != 0;
    if (foreign) {
        before = 1 + pick(random, sim->model->event_count);
    } else if (chance(random, 40) && seq != 0) {
        before = seq;
        seq = model_event(sim->model, seq)->change->previous_seq;
    }
    sim_say(sim, "history of %s/%s before %llu", account_names[account], sim->names[contact],
            (unsigned long long)before);
    world_ask(sim);
    struct dm_history *history =
        dm_history_open(sim->engine, account_slice(account), contact_slice(sim, contact), before);
    if (foreign) {
        check_foreign(sim, history, account, contact);
    } else if (check_chain(sim, history, seq, before != 0 ? before : seq)) {
        world_show(sim, model_needed(sim->model, account, contact), dm_engine_barrier(sim->engine));
    }
    dm_history_close(history);
}
