#include "engine/room.h"

#include "base/limits.h"

/* Who may still fill the overlay, and how far. `max` is its bound for callers
 * (dm_overlay_contacts_max, dm_overlay_used_max):
 *
 * - callers up to `max`, each by at most CALL_BYTES more;
 * - wakes up to an eighth beyond: a snooze must end also when callers are refused. Past that
 *   they stay due, and reads judge them by the time;
 * - rows of accounts and bots that changed are counted as if they were there already, so that
 *   putting them there takes nothing;
 * - a replay, up to the overlay's end.
 *
 * So all together is at most L = 9/8 max + CALL_BYTES. A replay puts into one generation what
 * may have been in two. Each contact takes one row there instead of two. Where its value
 * outgrows that, the row that replaces it has half as much again, for a value that had a
 * row as large as itself before. So a replay takes at most 3/2 L, which is 27/16 max and a
 * bit, and the overlay goes to 2 max and more: what was there before a restart finds room
 * after it, even if nothing can be applied. */

enum {
    ROW_HEAD = 32, /* and what is rounded up */
    CONTACT_BYTES = ROW_HEAD + DM_KEY_SIZE_MAX + DM_RECORD_SIZE_MAX * 3 / 2,
    ACCOUNT_BYTES = ROW_HEAD + 4 + DM_ACCOUNT_ROW_MAX,
    BOT_BYTES = ROW_HEAD + 8 + DM_BOT_ROW_MAX,
    /* A wake, or the delete of a damaged record, and a change that meets it: of one contact. */
    CALL_BYTES = 2 * CONTACT_BYTES + ACCOUNT_BYTES + 2 * BOT_BYTES,
    WAKE_BYTES = CONTACT_BYTES + ACCOUNT_BYTES,
    WAKES_SHARE = 8, /* of `max`, beyond it */
    /* Of all timers, those that rules of policies may still take when callers are refused. */
    TIMERS_FOR_RULES_SHARE = 64,
};
_Static_assert(DM_OVERLAY_CONTACTS_MIN / WAKES_SHARE >= DM_WAKES_PER_TURN,
               "the smallest overlay has room for a turn's wakes, too");
_Static_assert(CALL_BYTES >= ROW_HEAD + 8 + DM_BOT_ROW_MAX && CALL_BYTES >= WAKE_BYTES,
               "a replay that has room for a call has room for any entry");
_Static_assert(DM_OVERLAY_BEYOND >= 2 * CALL_BYTES, "3/2 of a call fit beyond twice `max`");
_Static_assert(3 * (WAKES_SHARE + 1) <= 4 * WAKES_SHARE, "3/2 of all is at most twice `max`");

size_t dm_engine_used(const struct dm_engine *engine)
{
    return dm_overlay_used(engine->overlay) + engine->accounts.dirty_bytes;
}

bool dm_engine_over_share(const struct dm_engine *engine, uint32_t share)
{
    return dm_overlay_count(engine->overlay) > engine->overlay_max / share ||
           dm_engine_used(engine) > dm_overlay_used_max(engine->overlay) / share;
}

size_t dm_engine_wakes_room(const struct dm_engine *engine)
{
    size_t contacts = dm_overlay_count(engine->overlay), bytes = dm_engine_used(engine);
    size_t contacts_max = engine->overlay_max + (size_t)engine->overlay_max / WAKES_SHARE;
    size_t bytes_max = dm_overlay_used_max(engine->overlay);
    bytes_max += bytes_max / WAKES_SHARE;
    if (contacts >= contacts_max || bytes >= bytes_max) {
        return 0;
    }
    size_t wakes = contacts_max - contacts;
    size_t by_bytes = (bytes_max - bytes) / WAKE_BYTES;
    return wakes < by_bytes ? wakes : by_bytes;
}

bool dm_engine_replay_fits(const struct dm_engine *engine)
{
    return dm_overlay_count(engine->overlay) < dm_overlay_contacts_end(engine->overlay) &&
           dm_engine_used(engine) + CALL_BYTES <= dm_overlay_used_end(engine->overlay);
}

static enum dm_code overlay_full(const struct dm_engine *engine, struct dm_error *error)
{
    struct dm_error why = {0};
    if (dm_applier_state(engine->applier, &why) != DM_OK) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "overloaded: %u changed contacts wait to be applied (try again later), and "
                       "%s",
                       dm_overlay_count(engine->overlay), why.message);
    }
    return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                   "overloaded: %u changed contacts wait to be applied (at most %u, of %zu MiB "
                   "with what else changed); try again later",
                   dm_overlay_count(engine->overlay), engine->overlay_max,
                   dm_overlay_used_max(engine->overlay) >> 20);
}

enum dm_code dm_engine_writable(struct dm_engine *engine, struct dm_error *error)
{
    struct dm_error why;
    enum dm_order_state state = dm_order_state(engine->order, &why);
    if (state == DM_ORDER_OK) {
        return DM_OK;
    }
    return dm_fail(error, DM_UNAVAILABLE, "the journal cannot be written (%.160s); %s", why.message,
                   state == DM_ORDER_FULL ? "free some space, then try again"
                                          : "the server is stopping");
}

bool dm_engine_failed(struct dm_engine *engine, struct dm_error *error)
{
    return dm_order_state(engine->order, error) == DM_ORDER_FAILED;
}

enum dm_code dm_engine_admit(struct dm_engine *engine, struct dm_error *error)
{
    if (dm_overlay_count(engine->overlay) >= engine->overlay_max ||
        dm_engine_used(engine) >= dm_overlay_used_max(engine->overlay)) {
        return overlay_full(engine, error);
    }
    if (dm_order_pending(engine->order) > DM_JOURNAL_PENDING_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "overloaded: more than %u bytes wait for the disk; try again later",
                       DM_JOURNAL_PENDING_MAX);
    }
    return dm_engine_writable(engine, error);
}

/* ---- timers ------------------------------------------------------------------------ */

uint32_t dm_engine_timers_for_rules(const struct dm_engine *engine)
{
    return engine->sleepers_max / TIMERS_FOR_RULES_SHARE;
}

enum dm_code dm_engine_admit_snooze(struct dm_engine *engine, const struct dm_change *change,
                                    const struct dm_key *key, struct dm_error *error)
{
    if (change->status != DM_STATUS_SNOOZED ||
        dm_sleepers_room(engine->sleepers) > dm_engine_timers_for_rules(engine)) {
        return DM_OK;
    }
    int64_t until_ms =
        change->has_for ? dm_clock_wall_ms(&engine->clock) + change->for_ms : change->until_ms;
    if (until_ms > engine->armed_until_ms ||
        (key != NULL && dm_sleepers_has(engine->sleepers, dm_key_hashed(dm_key_slice(key))))) {
        return DM_OK; /* it needs no timer yet, or has one */
    }
    return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                   "overloaded: the snoozes of %u contacts end soon, and no more of them can be "
                   "timed; try again later, or snooze for longer (a server with a shorter "
                   "--horizon times fewer at once)",
                   dm_sleepers_count(engine->sleepers));
}
