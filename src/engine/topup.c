#include "engine/topup.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"
#include "engine/damage.h"
#include "engine/room.h"
#include "engine/timers.h"

/* The part of all timers that must be free before the snoozes that were left for later are
 * looked for again, which goes through the whole overlay and all accounts. */
enum { FREE_AGAIN_SHARE = 16 };

bool dm_engine_wants_topup(const struct dm_engine *engine, int64_t now_ms)
{
    if (engine->armed_until_ms - now_ms >= engine->horizon_ms / 4 * 3) {
        return false;
    }
    return !engine->crowded ||
           dm_sleepers_room(engine->sleepers) >
               dm_engine_timers_for_rules(engine) + engine->sleepers_max / FREE_AGAIN_SHARE;
}

void dm_engine_topup_begin(struct dm_engine *engine, int64_t from_ms, int64_t now_ms)
{
    int64_t to_ms = now_ms + engine->horizon_ms;
    DM_ASSERT(engine->horizon_ms > 0 && from_ms < to_ms);
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

/* The wheel cannot go back. A snooze that ends before the time where the wheel stands would have
 * to wait until the clock is there again. So a new wheel begins at the new time, and is loaded
 * as at the start. */
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
            dm_engine_load_timer(engine, dm_key_hashed(item.key), head.until_ms, head.fence);
        } else if (head.until_ms > topup->to_ms) {
            dm_engine_note_far(engine, head.until_ms);
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
        dm_engine_note_far(engine, wake.until_ms);
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
    struct dm_hashed_key hashed = dm_key_hashed(dm_key_slice(&contact));
    /* If the overlay has the contact, its record there is newer, and was seen there or armed its
     * own timer. */
    if (!dm_overlay_get(engine->overlay, hashed, &newest, &lsn)) {
        dm_engine_load_timer(engine, hashed, wake.until_ms, fence);
    }
    return true;
}

static void topup_from_index(struct dm_engine *engine)
{
    struct dm_topup *topup = &engine->topup;
    DM_ASSERT(topup->to_ms >= engine->armed_until_ms || engine->crowded);
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
        if (dm_engine_wants_topup(engine, now_ms)) {
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
    return engine->topup.stage != DM_TOPUP_IDLE || dm_engine_wants_topup(engine, now_ms);
}
