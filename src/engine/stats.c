#include "base/limits.h"
#include "engine/damage.h"
#include "engine/read.h"
#include "engine/room.h"

/* The first wake of an account that is in the view's index and holds, as far as a small
 * number of stale entries lets it be found; INT64_MAX: none. */
static int64_t first_indexed(struct dm_engine *engine, const struct dm_account *account)
{
    enum { LOOKED_AT_MAX = 64 };
    struct dm_view_key at;
    struct dm_slice key, value;
    struct dm_key first;
    dm_key_make(&first, account->number, dm_slice(NULL, 0));
    at.size = dm_wake_key_make(at.bytes, dm_key_slice(&first), 0);
    for (int i = 0; i < LOOKED_AT_MAX; i++) {
        struct dm_wake_key wake;
        if (!dm_store_seek(engine->store, DM_TABLE_WAKES, dm_view_key_slice(&at), i > 0, &key,
                           &value) ||
            !dm_key_belongs(key, account->number) || !dm_view_key_set(&at, key)) {
            return INT64_MAX;
        }
        if (!dm_wake_key_read(&wake, key)) {
            continue; /* told when it is loaded */
        }
        struct dm_key contact;
        struct dm_slice newest;
        uint64_t lsn;
        dm_key_make(&contact, wake.account, wake.contact);
        if (!dm_overlay_get(engine->overlay, dm_key_hashed(dm_key_slice(&contact)), &newest,
                            &lsn)) {
            return wake.until_ms;
        }
    }
    return INT64_MAX;
}

static int64_t next_wake(struct dm_engine *engine, const struct dm_account *account)
{
    int64_t next = first_indexed(engine, account);
    struct dm_overlay_walk walk = {.account = account->number};
    struct dm_overlay_item item;
    for (int i = 0; i < DM_SCAN_PER_TURN; i++) {
        struct dm_record_head head;
        if (!dm_overlay_walk(engine->overlay, &walk, &item)) {
            break;
        }
        if (item.newest && item.value.size != 0 && dm_record_head(&head, item.value) &&
            head.status == DM_STATUS_SNOOZED && head.until_ms < next) {
            next = head.until_ms;
        }
    }
    return next;
}

/* Of the whole server, by the wheel: everybody who sleeps within the horizon is on it, or will be
 * in some turns. Beyond it, a bound that may be of one who was woken since. */
static int64_t next_wake_of_all(const struct dm_engine *engine)
{
    int64_t next = dm_sleepers_earliest(engine->sleepers);
    return next != INT64_MAX ? next : engine->far_wake_ms;
}

void dm_engine_stats(struct dm_engine *engine, struct dm_slice account_id,
                     struct dm_engine_stats *out)
{
    static const uint64_t none[DM_STATUS_COUNT];
    const struct dm_account *account =
        account_id.size == 0 ? NULL : dm_engine_known(engine, account_id);
    dm_engine_see(engine, dm_order_last(engine->order)); /* the counts are of all of it */
    const uint64_t *counts = account_id.size == 0 ? engine->accounts.totals
                             : account != NULL    ? account->counts
                                                  : none;
    int64_t next = account != NULL        ? next_wake(engine, account)
                   : account_id.size != 0 ? INT64_MAX
                                          : next_wake_of_all(engine);
    *out = (struct dm_engine_stats){
        .counts = {.contacts = counts[1] + counts[2] + counts[3],
                   .active = counts[DM_STATUS_ACTIVE],
                   .snoozed = counts[DM_STATUS_SNOOZED],
                   .inactive = counts[DM_STATUS_INACTIVE]},
        .next_wake_ms = next == INT64_MAX ? 0 : next,
        .wakes = engine->wakes,
        .last_seq = dm_journal_committed_seq(engine->journal),
        .oldest_seq = dm_journal_oldest_seq(engine->journal),
        .accounts = engine->accounts.count,
        .sleepers = dm_sleepers_count(engine->sleepers),
        .overlay_contacts = dm_overlay_count(engine->overlay),
        .overlay_contacts_max = engine->overlay_max,
        .sleepers_max = engine->sleepers_max,
        .overlay_used = dm_engine_used(engine),
        .overlay_used_max = dm_overlay_used_max(engine->overlay),
        .overlay_bytes = dm_overlay_memory(engine->overlay),
        .sleeper_bytes = dm_sleepers_memory(engine->sleepers),
        .cache_bytes = dm_check_cache_memory(&engine->cache),
        .cache_hits = engine->cache.hits,
        .cache_misses = engine->cache.misses,
        .view_bytes = dm_store_bytes(engine->store),
        .applied_lsn = engine->applied_lsn,
        .damage = engine->damage.met,
        .wake_lag_ms = &engine->wake_lag_ms,
    };
    dm_order_stats(engine->order, &out->order);
    dm_journal_stats(engine->journal, &out->journal);
    dm_applier_stats(engine->applier, &out->applier);
}
