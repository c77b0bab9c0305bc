#include "engine/timers.h"

#include "base/assert.h"
#include "base/log.h"
#include "engine/room.h"

void dm_engine_note_far(struct dm_engine *engine, int64_t until_ms)
{
    if (until_ms < engine->far_wake_ms) {
        engine->far_wake_ms = until_ms;
    }
}

/* There is no timer left. The snooze stays in the overlay or the index, and is loaded from there
 * when a timer is free again. Until then it counts as beyond what is armed, and so do all that
 * end later, for a loading that is under way, too. */
static void leave_for_later(struct dm_engine *engine, int64_t until_ms)
{
    dm_engine_note_far(engine, until_ms);
    if (until_ms > engine->armed_until_ms) {
        return;
    }
    DM_ASSERT(dm_sleepers_room(engine->sleepers) <= dm_engine_timers_for_rules(engine));
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

static void arm(struct dm_engine *engine, struct dm_hashed_key key, int64_t until_ms,
                uint64_t fence)
{
    if (!dm_sleepers_set(engine->sleepers, key, until_ms, fence)) {
        leave_for_later(engine, until_ms);
    }
}

void dm_engine_load_timer(struct dm_engine *engine, struct dm_hashed_key key, int64_t until_ms,
                          uint64_t fence)
{
    if (dm_sleepers_room(engine->sleepers) > dm_engine_timers_for_rules(engine) ||
        dm_sleepers_has(engine->sleepers, key)) {
        arm(engine, key, until_ms, fence);
    } else {
        leave_for_later(engine, until_ms);
    }
}

void dm_engine_time(struct dm_engine *engine, struct dm_hashed_key key,
                    const struct dm_record *record, uint8_t from)
{
    DM_ASSERT(record->status != DM_STATUS_NONE && from < DM_STATUS_COUNT);
    if (record->status == DM_STATUS_SNOOZED && record->until_ms <= engine->armed_until_ms) {
        arm(engine, key, record->until_ms, record->fence);
        return;
    }
    if (record->status == DM_STATUS_SNOOZED) {
        dm_engine_note_far(engine, record->until_ms);
    }
    if (from == DM_STATUS_SNOOZED) {
        dm_sleepers_clear(engine->sleepers, key);
    }
}
