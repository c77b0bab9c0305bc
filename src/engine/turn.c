#include "base/assert.h"
#include "base/limits.h"
#include "engine/lags.h"
#include "engine/sweep.h"
#include "engine/topup.h"
#include "engine/wakes.h"

/* The latest that the engine wants to be called again, so that steps of the wall clock
 * are seen. */
enum { TURN_MS_MAX = 1000 };
/* As far as the wall clock may go back and nothing needs to be done about it: no new snooze
 * is shorter than that, so none ends where the wheel has been. */
#define CLOCK_BACK_MS DM_SNOOZE_MS_MIN
_Static_assert(TURN_MS_MAX <= CLOCK_BACK_MS, "a step back is seen before a new snooze can be over");

/* One thread makes all calls. */
static void check_owner(struct dm_engine *engine)
{
    if (!engine->owned) {
        engine->owner = pthread_self();
        engine->owned = true;
    }
    DM_ASSERT(pthread_equal(engine->owner, pthread_self()));
}

int dm_engine_turn(struct dm_engine *engine)
{
    check_owner(engine);
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    if (now_ms < engine->clock_ms - CLOCK_BACK_MS) {
        dm_engine_set_back(engine, now_ms);
    }
    engine->clock_ms = now_ms > engine->clock_ms ? now_ms : engine->clock_ms;
    dm_engine_note_lags(engine, now_ms);
    bool more = dm_engine_topup(engine, now_ms);
    more |= dm_engine_sweep(engine, now_ms); /* first: what it applied is room for wakes */
    more |= dm_engine_fire(engine, now_ms);
    dm_store_read_end(engine->store);
    dm_order_flush(engine->order);
    if (more) {
        return 0;
    }
    int64_t wait_ms = dm_sleepers_next(engine->sleepers) - now_ms;
    if (wait_ms > TURN_MS_MAX) {
        return TURN_MS_MAX;
    }
    /* A timer that is due and was held back (no room, no disk) waits for a doorbell. */
    return wait_ms <= 0 ? 10 : (int)wait_ms;
}

void dm_engine_flush(struct dm_engine *engine)
{
    dm_store_read_end(engine->store);
    dm_order_flush(engine->order);
}

uint64_t dm_engine_durable(struct dm_engine *engine)
{
    return dm_order_durable(engine->order);
}

int dm_engine_event(struct dm_engine *engine)
{
    return dm_order_event(engine->order);
}

bool dm_engine_apply_work(struct dm_engine *engine)
{
    return dm_applier_work(engine->applier);
}

uint64_t dm_engine_last_seq(struct dm_engine *engine)
{
    return dm_journal_committed_seq(engine->journal);
}

uint64_t dm_engine_oldest_seq(struct dm_engine *engine)
{
    return dm_journal_oldest_seq(engine->journal);
}
