#include "engine/internal.h"

#include "base/assert.h"
#include "base/limits.h"

void dm_engine_call_begin(struct dm_engine *engine, uint64_t barrier)
{
    engine->seen_lsn = barrier;
}

uint64_t dm_engine_barrier(struct dm_engine *engine)
{
    uint64_t seen = engine->seen_lsn;
    return seen > dm_journal_durable(engine->journal) ? seen : 0;
}

struct dm_account *dm_engine_known(struct dm_engine *engine, struct dm_slice account_id)
{
    struct dm_account *account = dm_accounts_find(&engine->accounts, account_id);
    if (account != NULL) {
        dm_engine_see(engine, account->policy_lsn);
    }
    return account;
}

bool dm_engine_walk(struct dm_engine *engine, struct dm_overlay_walk *walk,
                    struct dm_overlay_item *item)
{
    bool more = dm_overlay_walk(engine->overlay, walk, item);
    if (more) {
        dm_engine_see(engine, item->lsn);
    }
    return more;
}

/* What is in memory was encoded here, or looked at wholly when the journal was replayed; what
 * lies in the view is looked at each time. */
static enum dm_code newest(struct dm_engine *engine, struct dm_hashed_key key,
                           struct dm_slice *value, uint64_t *lsn)
{
    if (dm_overlay_get(engine->overlay, key, value, lsn)) {
        return value->size != 0 ? DM_OK : DM_NOT_FOUND;
    }
    *lsn = 0;
    if (dm_overlay_get_settled(engine->overlay, key, value)) {
        return value->size != 0 ? DM_OK : DM_NOT_FOUND;
    }
    if (!dm_store_get(engine->store, DM_TABLE_CONTACTS, key.key, value)) {
        return DM_NOT_FOUND;
    }
    return dm_engine_sound(engine, key.key, *value) ? DM_OK : DM_DATA_LOSS;
}

enum dm_code dm_engine_find(struct dm_engine *engine, struct dm_hashed_key key,
                            struct dm_slice *value, uint64_t *lsn)
{
    uint64_t tells;
    enum dm_code code = newest(engine, key, value, &tells);
    if (code == DM_NOT_FOUND) {
        uint64_t floor = dm_accounts_at(&engine->accounts, dm_key_account(key.key))->floor_lsn;
        tells = floor > tells ? floor : tells;
    }
    dm_engine_see(engine, tells);
    if (lsn != NULL) {
        *lsn = tells;
    }
    return code;
}

static void ref_make(struct dm_contact_ref *ref, struct dm_account *account,
                     struct dm_slice contact_id)
{
    ref->account = account;
    dm_key_make(&ref->key, account->number, contact_id);
    ref->hash = dm_keyed_hash_wide(ref->key.bytes, ref->key.size);
}

/* The record of what engine->loaded.ref names. */
static enum dm_code load_record(struct dm_engine *engine, const struct dm_loaded **contact,
                                struct dm_error *error)
{
    struct dm_loaded *loaded = &engine->loaded;
    struct dm_hashed_key key = dm_ref_key(&loaded->ref);
    struct dm_slice value;
    enum dm_code code = dm_engine_find(engine, key, &value, NULL);
    *contact = loaded;
    if (code == DM_OK && dm_record_decode(&loaded->record, value)) {
        return DM_OK;
    }
    dm_record_clear(&loaded->record);
    return code == DM_NOT_FOUND ? DM_OK : dm_engine_damaged(engine, key.key, error);
}

enum dm_code dm_engine_load(struct dm_engine *engine, const struct dm_contact_ref *ref,
                            const struct dm_loaded **contact, struct dm_error *error)
{
    struct dm_contact_ref *to = &engine->loaded.ref;
    to->account = ref->account;
    dm_key_copy(&to->key, &ref->key);
    to->hash = ref->hash;
    return load_record(engine, contact, error);
}

enum dm_code dm_engine_load_key(struct dm_engine *engine, struct dm_slice key,
                                const struct dm_loaded **contact, struct dm_error *error)
{
    struct dm_account *account = dm_accounts_at(&engine->accounts, dm_key_account(key));
    ref_make(&engine->loaded.ref, account, dm_key_contact(key));
    return load_record(engine, contact, error);
}

/* The next of those that were looked up ahead, if it is the one. */
static const struct dm_contact_ref *take_ahead(struct dm_engine *engine, struct dm_slice account_id,
                                               struct dm_slice contact_id)
{
    if (engine->ahead_taken >= engine->ahead_count) {
        return NULL;
    }
    const struct dm_contact_ref *ref = &engine->ahead[engine->ahead_taken];
    if (!dm_slice_equal(dm_slice(ref->account->id, ref->account->id_size), account_id) ||
        !dm_slice_equal(dm_key_contact(dm_key_slice(&ref->key)), contact_id)) {
        return NULL;
    }
    engine->ahead_taken++;
    return ref;
}

const struct dm_contact_ref *dm_engine_refer(struct dm_engine *engine, struct dm_slice account_id,
                                             struct dm_slice contact_id)
{
    const struct dm_contact_ref *ahead = take_ahead(engine, account_id, contact_id);
    if (ahead != NULL) {
        dm_engine_see(engine, ahead->account->policy_lsn);
        return ahead;
    }
    struct dm_account *account = dm_engine_known(engine, account_id);
    if (account == NULL) {
        return NULL;
    }
    ref_make(&engine->ref, account, contact_id);
    return &engine->ref;
}

/* The newest state of a contact, from where it stands; remembered when it is durable. */
static enum dm_code read_head(struct dm_engine *engine, const struct dm_contact_ref *ref,
                              struct dm_record_head *head, struct dm_error *error)
{
    struct dm_slice value;
    uint64_t lsn;
    enum dm_code code = dm_engine_find(engine, dm_ref_key(ref), &value, &lsn);
    if (code != DM_NOT_FOUND && (code != DM_OK || !dm_record_head(head, value))) {
        return dm_engine_damaged(engine, dm_key_slice(&ref->key), error);
    }
    if (lsn <= dm_journal_durable(engine->journal)) {
        dm_check_cache_put(&engine->cache, ref->hash, head);
    }
    return DM_OK;
}

enum dm_code dm_engine_check(struct dm_engine *engine, struct dm_slice account_id,
                             struct dm_slice contact_id, struct dm_effective *out,
                             struct dm_error *error)
{
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    const struct dm_contact_ref *ref = dm_engine_refer(engine, account_id, contact_id);
    if (ref == NULL) {
        dm_effective_at(out, NULL, 0, dm_policy_default(), now_ms);
        return DM_OK;
    }
    const struct dm_account *account = ref->account;
    struct dm_record_head head = {0};
    enum dm_code code = DM_OK;
    const struct dm_check_entry *known = dm_check_cache_find(&engine->cache, ref->hash);
    if (known != NULL) {
        head.status = known->status;
        head.reason = known->reason;
        head.bot = known->bot;
        head.bot_messages = known->bot_messages;
        head.fence = known->fence;
        head.until_ms = (int64_t)known->until_ms;
        /* Of one never written to, a delete may have raised the fence since. */
        dm_engine_see(engine, known->status == DM_STATUS_NONE ? account->floor_lsn : 0);
    } else {
        code = read_head(engine, ref, &head, error);
    }
    if (code == DM_OK) {
        dm_effective_at(out, &head, account->fence_floor, dm_account_policy(account, head.bot),
                        now_ms);
    }
    return code;
}

void dm_engine_prefetch(struct dm_engine *engine, const struct dm_contact_name *names, size_t count)
{
    size_t found = 0;
    bool changes = dm_overlay_count(engine->overlay) != 0;
    for (size_t i = 0; i < count && i < DM_PREFETCH_MAX; i++) {
        struct dm_account *account = dm_accounts_find(&engine->accounts, names[i].account_id);
        if (account == NULL || names[i].contact_id.size > DM_ID_SIZE_MAX) {
            continue;
        }
        struct dm_contact_ref *ref = &engine->ahead[found++];
        ref_make(ref, account, names[i].contact_id);
        dm_check_cache_prefetch(&engine->cache, ref->hash);
        if (changes) {
            dm_overlay_prefetch_bucket(engine->overlay, ref->hash.low);
        }
    }
    engine->ahead_count = found;
    engine->ahead_taken = 0;
    for (size_t i = 0; changes && i < found; i++) {
        dm_overlay_prefetch_entry(engine->overlay, engine->ahead[i].hash.low);
    }
    for (size_t i = 0; changes && i < found; i++) {
        dm_overlay_prefetch_value(engine->overlay, engine->ahead[i].hash.low);
    }
}

void dm_contact_show(struct dm_engine *engine, const struct dm_account *account,
                     struct dm_slice contact_id, const struct dm_record *record, int64_t now_ms,
                     struct dm_contact *out)
{
    dm_engine_see(engine, account->policy_lsn);
    const struct dm_record_head head = {
        .status = record->status,
        .reason = record->reason,
        .locked = record->locked,
        .bot = record->bot,
        .bot_messages = record->bot_messages,
        .missed_inbound = record->missed_inbound,
        .fence = record->fence,
        .revision = record->revision,
        .last_seq = record->last_seq,
        .since_ms = record->since_ms,
        .until_ms = record->until_ms,
    };
    const struct dm_bot *bot = &account->bots[record->bot];
    struct dm_effective now;
    dm_effective_at(&now, &head, account->fence_floor, dm_account_policy(account, record->bot),
                    now_ms);
    *out = (struct dm_contact){
        .account_id = dm_slice(account->id, account->id_size),
        .contact_id = contact_id,
        .bot_id = dm_slice(bot->id, bot->id_size),
        .actor = now.expired ? dm_slice_str("dormouse")
                             : dm_slice(record->actor.bytes, record->actor.size),
        .status = now.status,
        .reason = now.reason,
        .mode = now.mode,
        .locked = now.locked,
        .bot_messages = now.bot_messages,
        .missed_inbound = now.missed_inbound,
        .since_ms = now.since_ms,
        .until_ms = now.until_ms,
        .fence = now.fence,
        .revision = now.revision,
        .last_seq = now.last_seq,
    };
}

/* A contact of an account that nobody ever wrote to. */
static void show_unknown(struct dm_slice account_id, struct dm_slice contact_id, int64_t now_ms,
                         struct dm_contact *out)
{
    struct dm_effective now;
    dm_effective_at(&now, NULL, 0, dm_policy_default(), now_ms);
    *out = (struct dm_contact){
        .account_id = account_id,
        .contact_id = contact_id,
        .status = now.status,
        .reason = now.reason,
        .mode = now.mode,
    };
}

enum dm_code dm_engine_get(struct dm_engine *engine, struct dm_slice account_id,
                           struct dm_slice contact_id, struct dm_contact *out,
                           struct dm_error *error)
{
    int64_t now_ms = dm_clock_wall_ms(&engine->clock);
    const struct dm_contact_ref *ref = dm_engine_refer(engine, account_id, contact_id);
    if (ref == NULL) {
        show_unknown(account_id, contact_id, now_ms, out);
        return DM_OK;
    }
    const struct dm_loaded *contact;
    enum dm_code code = dm_engine_load(engine, ref, &contact, error);
    if (code == DM_OK) {
        dm_contact_show(engine, ref->account, contact_id, &contact->record, now_ms, out);
    }
    return code;
}

void dm_engine_policy(struct dm_engine *engine, struct dm_slice account_id, struct dm_slice bot_id,
                      struct dm_policy *out)
{
    const struct dm_account *account = dm_engine_known(engine, account_id);
    int64_t bot = account == NULL ? -1 : dm_account_bot(account, bot_id);
    *out = bot < 0 ? *dm_policy_default() : *dm_account_policy(account, (uint32_t)bot);
}

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
        if (!dm_overlay_get(engine->overlay, dm_overlay_key(dm_key_slice(&contact)), &newest,
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
    dm_engine_see(engine, dm_journal_last(engine->journal)); /* the counts are of all of it */
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
        .last_seq = dm_journal_durable_seq(engine->journal),
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
    dm_journal_stats(engine->journal, &out->journal);
    dm_applier_stats(engine->applier, &out->applier);
}
