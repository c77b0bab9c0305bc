#include "engine/wakes.h"

#include "base/assert.h"
#include "engine/read.h"
#include "engine/room.h"
#include "engine/timers.h"
#include "engine/topup.h"
#include "engine/write.h"

/* One timer has gone off. If its fence is old, something was done to the contact since, and the
 * timer does nothing. But a snooze that is over is ended even so: the index may have held a wrong
 * fence. A snooze that is not over yet (the wall clock was set back) is armed again. */
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
        dm_engine_time(engine, dm_ref_key(&contact->ref), record, DM_STATUS_SNOOZED);
        return;
    }
    struct dm_op op = {.kind = DM_OP_WAKE_DUE, .now_ms = now_ms};
    op.wake.fence = record->fence;
    dm_engine_run(engine, contact, record->bot, &op);
    DM_ASSERT(engine->step.transition_count != 0);
}

bool dm_engine_fire(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_sleeper due[DM_WAKES_PER_TURN];
    size_t room = dm_engine_wakes_room(engine);
    if (room == 0 || dm_order_state(engine->order, NULL) != DM_ORDER_OK ||
        dm_order_pending(engine->order) > DM_JOURNAL_PENDING_MAX) {
        return false; /* they stay due; reads judge them by the time anyway */
    }
    bool more;
    bool crowded = engine->crowded && !dm_engine_wants_topup(engine, now_ms);
    size_t count = dm_sleepers_expired(engine->sleepers, now_ms, due,
                                       room < DM_WAKES_PER_TURN ? room : DM_WAKES_PER_TURN, &more);
    for (size_t i = 0; i < count; i++) {
        fire_one(engine, &due[i], now_ms);
    }
    /* Timers are free again, and a snooze that had to wait for one may be over by now. */
    return more || (crowded && dm_engine_wants_topup(engine, now_ms));
}
