#include "engine/internal.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"

#include <stdlib.h>

static void note_far(struct dm_engine *engine, int64_t until_ms)
{
    if (until_ms < engine->far_wake_ms) {
        engine->far_wake_ms = until_ms;
    }
}

/* Timers have run out. The snooze stays in overlay and index, from where it is loaded when
 * there is room again; until then it counts, with all that end later, as beyond what is armed,
 * also for a loading that is under way. */
static void leave_for_later(struct dm_engine *engine, int64_t until_ms)
{
    note_far(engine, until_ms);
    if (until_ms > engine->armed_until_ms) {
        return;
    }
    engine->armed_until_ms = until_ms - 1;
    if (engine->topup.to_ms > engine->armed_until_ms) {
        engine->topup.to_ms = engine->armed_until_ms;
    }
    engine->crowded = true;
    if (!engine->crowded_told) {
        engine->crowded_told = true;
        dm_log(DM_LOG_WARN,
               "more snoozes end soon than can be timed: wakes may come late, and a "
               "shorter --horizon would time fewer at once",
               DM_LOG_NUMBER("timers", engine->sleepers_max));
    }
}

static void arm(struct dm_engine *engine, struct dm_slice key, int64_t until_ms, uint64_t fence)
{
    if (!dm_sleepers_set(engine->sleepers, key, until_ms, fence)) {
        leave_for_later(engine, until_ms);
    }
}

/* Of one that was found by a loading: those that are set meanwhile come first. */
static void load_timer(struct dm_engine *engine, struct dm_slice key, int64_t until_ms,
                       uint64_t fence)
{
    if (dm_sleepers_room(engine->sleepers) > dm_engine_timers_for_rules(engine) ||
        dm_sleepers_has(engine->sleepers, key)) {
        arm(engine, key, until_ms, fence);
    } else {
        leave_for_later(engine, until_ms);
    }
}

void dm_engine_time(struct dm_engine *engine, struct dm_slice key, const struct dm_record *record,
                    uint8_t from)
{
    if (record->status == DM_STATUS_SNOOZED && record->until_ms <= engine->armed_until_ms) {
        arm(engine, key, record->until_ms, record->fence);
        return;
    }
    if (record->status == DM_STATUS_SNOOZED) {
        note_far(engine, record->until_ms);
    }
    if (from == DM_STATUS_SNOOZED) {
        dm_sleepers_clear(engine->sleepers, key);
    }
}

void dm_engine_note_wake(struct dm_engine *engine, uint64_t lsn, int64_t due_ms)
{
    struct dm_lag_ring *ring = &engine->lags;
    if (ring->count == ring->capacity) {
        uint32_t capacity = ring->capacity == 0 ? 1024 : ring->capacity * 2;
        struct dm_lag *items = malloc((size_t)capacity * sizeof *items);
        if (items == NULL) {
            engine->wakes++; /* its lag stays unknown */
            return;
        }
        for (uint32_t i = 0; i < ring->count; i++) {
            items[i] = ring->items[(ring->head + i) & (ring->capacity - 1)];
        }
        free(ring->items);
        *ring = (struct dm_lag_ring){.items = items, .count = ring->count, .capacity = capacity};
    }
    ring->items[(ring->head + ring->count++) & (ring->capacity - 1)] =
        (struct dm_lag){.lsn = lsn, .due_ms = due_ms};
}

void dm_engine_note_lags(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_lag_ring *ring = &engine->lags;
    uint64_t durable = dm_journal_durable(engine->journal);
    while (ring->count != 0 && ring->items[ring->head].lsn <= durable) {
        int64_t lag_ms = now_ms - ring->items[ring->head].due_ms;
        dm_histogram_add(&engine->wake_lag_ms, lag_ms < 0 ? 0 : (uint64_t)lag_ms);
        engine->wakes++;
        ring->head = (ring->head + 1) & (ring->capacity - 1);
        ring->count--;
    }
}

/* One timer has gone off. The fence decides: whatever was done since, an old timer does
 * nothing; but a snooze that is over is over, whatever the index said of its fence. One that
 * is not over yet (the wall clock was set back) is armed again. */
static void fire_one(struct dm_engine *engine, const struct dm_sleeper *sleeper, int64_t now_ms)
{
    const struct dm_loaded *contact;
    struct dm_slice key = dm_key_slice(&sleeper->key);
    if (dm_engine_load_key(engine, key, &contact, NULL) != DM_OK) {
        return; /* told; there is nothing to wake any more */
    }
    const struct dm_record *record = &contact->record;
    bool over = record->until_ms <= now_ms;
    if (record->status != DM_STATUS_SNOOZED ||
        (!over && (uint32_t)record->fence != sleeper->fence)) {
        return;
    }
    if (!over) {
        dm_engine_time(engine, key, record, DM_STATUS_SNOOZED);
        return;
    }
    struct dm_op op = {.kind = DM_OP_WAKE_DUE, .now_ms = now_ms};
    op.wake.fence = record->fence;
    dm_engine_run(engine, contact, record->bot, &op);
    DM_ASSERT(engine->step.transition_count != 0);
}

/* Of all timers, those that must be free before what was left for later is looked for again:
 * that goes through the whole overlay and all accounts. */
enum { FREE_AGAIN_SHARE = 16 };

/* Well ahead of the time when the first of those not loaded may be due. */
static bool wants_topup(const struct dm_engine *engine, int64_t now_ms)
{
    if (engine->armed_until_ms - now_ms >= engine->horizon_ms / 4 * 3) {
        return false;
    }
    return !engine->crowded ||
           dm_sleepers_room(engine->sleepers) >
               dm_engine_timers_for_rules(engine) + engine->sleepers_max / FREE_AGAIN_SHARE;
}

bool dm_engine_fire(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sleeper due[DM_WAKES_PER_TURN];
    size_t room = dm_engine_wakes_room(engine);
    if (room == 0 || dm_journal_state(engine->journal, NULL) != DM_JOURNAL_OK ||
        dm_journal_pending(engine->journal) > DM_JOURNAL_PENDING_MAX) {
        return false; /* they stay due; reads judge them by the time anyway */
    }
    bool more;
    bool crowded = engine->crowded && !wants_topup(engine, now_ms);
    size_t count = dm_sleepers_expired(engine->sleepers, now_ms, due,
                                       room < DM_WAKES_PER_TURN ? room : DM_WAKES_PER_TURN, &more);
    for (size_t i = 0; i < count; i++) {
        fire_one(engine, &due[i], now_ms);
    }
    /* Timers that are free again: whoever waits for one may be due by now. */
    return more || (crowded && wants_topup(engine, now_ms));
}

/* ---- loading what sleeps within the horizon -------------------------------------- */

void dm_engine_topup_begin(struct dm_engine *engine, int64_t from_ms, int64_t now_ms)
{
    int64_t to_ms = now_ms + engine->horizon_ms;
    engine->topup = (struct dm_topup){
        .stage = DM_TOPUP_OVERLAY,
        .from_ms = from_ms,
        .to_ms = to_ms,
        .account = 1,
    };
    /* From here on a new snooze that ends before `to` arms its own timer, so whatever is
     * written while the loading goes on cannot be missed by it. */
    engine->armed_until_ms = to_ms;
    engine->crowded = false;
    engine->far_wake_ms = INT64_MAX;
}

/* The wheel cannot go back: what is to end before the time where it stands would have to
 * wait for that. So another wheel begins at the new time, and is loaded as at the start. */
void dm_engine_set_back(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sleepers *sleepers = dm_sleepers_create(engine->sleepers_max, now_ms);
    if (sleepers == NULL) {
        return; /* no address space now: the next turn tries again, nothing is early */
    }
    dm_log(DM_LOG_WARN, "wall clock set back", DM_LOG_NUMBER("by_ms", engine->clock_ms - now_ms));
    dm_sleepers_destroy(engine->sleepers);
    engine->sleepers = sleepers;
    engine->clock_ms = now_ms;
    engine->sweep.due_ms = now_ms + engine->apply_after_ms;
    engine->trim_due_ms = now_ms;
    dm_engine_topup_begin(engine, INT64_MIN, now_ms);
}

static void topup_from_overlay(struct dm_engine *engine)
{
    struct dm_topup *topup = &engine->topup;
    for (int i = 0; i < DM_TOPUP_PER_TURN; i++) {
        struct dm_overlay_item item;
        struct dm_record_head head;
        if (!dm_overlay_walk_all(engine->overlay, &topup->walk, &item)) {
            topup->stage = DM_TOPUP_INDEX;
            return;
        }
        if (!item.newest || item.value.size == 0 || !dm_record_head(&head, item.value) ||
            head.status != DM_STATUS_SNOOZED) {
            continue;
        }
        if (head.until_ms > topup->from_ms && head.until_ms <= topup->to_ms) {
            load_timer(engine, item.key, head.until_ms, head.fence);
        } else if (head.until_ms > topup->to_ms) {
            note_far(engine, head.until_ms);
        }
    }
}

/* Where the next step of the index begins. */
static struct dm_slice topup_place(struct dm_engine *engine, uint8_t out[DM_WAKE_KEY_SIZE_MAX])
{
    struct dm_topup *topup = &engine->topup;
    if (topup->cursor.size != 0) {
        return dm_view_key_slice(&topup->cursor);
    }
    struct dm_key account;
    int64_t first_ms = topup->from_ms < 0 ? 0 : topup->from_ms + 1;
    dm_key_make(&account, topup->account, dm_slice(NULL, 0));
    return dm_slice(out, dm_wake_key_make(out, dm_key_slice(&account), first_ms));
}

/* One entry of the index. false: this account has no more of them in the range. */
static bool topup_one(struct dm_engine *engine)
{
    struct dm_topup *topup = &engine->topup;
    uint8_t place[DM_WAKE_KEY_SIZE_MAX];
    struct dm_slice key, value;
    struct dm_wake_key wake;
    if (!dm_store_seek(engine->store, DM_TABLE_WAKES, topup_place(engine, place),
                       topup->cursor.size != 0, &key, &value) ||
        !dm_key_belongs(key, topup->account)) {
        return false;
    }
    bool sound = dm_wake_key_read(&wake, key);
    if (sound && wake.until_ms > topup->to_ms) {
        note_far(engine, wake.until_ms);
        return false;
    }
    uint64_t fence;
    if (!sound || value.size != sizeof fence) {
        dm_engine_tell_damage(engine, "wake", key);
        return dm_view_key_set(&topup->cursor, key);
    }
    (void)dm_view_key_set(&topup->cursor, key);
    struct dm_key contact;
    struct dm_slice newest;
    uint64_t lsn;
    fence = dm_load_le64(value.data);
    dm_key_make(&contact, wake.account, wake.contact);
    /* What is in the overlay has a newer say, and was seen there or armed itself. */
    if (!dm_overlay_get(engine->overlay, dm_overlay_key(dm_key_slice(&contact)), &newest, &lsn)) {
        load_timer(engine, dm_key_slice(&contact), wake.until_ms, fence);
    }
    return true;
}

static void topup_from_index(struct dm_engine *engine)
{
    struct dm_topup *topup = &engine->topup;
    for (int i = 0; i < DM_TOPUP_PER_TURN; i++) {
        if (topup->account > engine->accounts.count) {
            topup->stage = DM_TOPUP_IDLE;
            engine->crowded_told = engine->crowded;
            return;
        }
        if (!topup_one(engine)) {
            topup->account++;
            topup->cursor.size = 0;
        }
    }
}

bool dm_engine_topup(struct dm_engine *engine, int64_t now_ms)
{
    switch (engine->topup.stage) {
    case DM_TOPUP_IDLE:
        if (wants_topup(engine, now_ms)) {
            dm_engine_topup_begin(engine, engine->armed_until_ms, now_ms);
        }
        break;
    case DM_TOPUP_OVERLAY:
        topup_from_overlay(engine);
        break;
    case DM_TOPUP_INDEX:
        topup_from_index(engine);
        break;
    }
    /* The clock may have been set forward during a loading: then another one follows. */
    return engine->topup.stage != DM_TOPUP_IDLE || wants_topup(engine, now_ms);
}
