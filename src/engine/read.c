#include "engine/read.h"

#include "base/assert.h"
#include "base/limits.h"
#include "engine/damage.h"

void dm_engine_call_begin(struct dm_engine *engine, uint64_t barrier)
{
    engine->seen_lsn = barrier;
}

uint64_t dm_engine_barrier(struct dm_engine *engine)
{
    uint64_t seen = engine->seen_lsn;
    DM_ASSERT(seen <= engine->last_lsn); /* nobody sees what was not ordered */
    return seen > dm_order_durable(engine->order) ? seen : 0;
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

/* A record in memory needs no check: it was encoded here, or checked wholly when the journal was
 * replayed. One from the view is checked each time. */
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
    dm_ref_make(&engine->loaded.ref, account, dm_key_contact(key));
    return load_record(engine, contact, error);
}

/* The next contact that was looked up ahead, if it is the one that is asked for. */
static const struct dm_contact_ref *take_ahead(struct dm_engine *engine, struct dm_slice account_id,
                                               struct dm_slice contact_id)
{
    DM_ASSERT(engine->ahead_taken <= engine->ahead_count && engine->ahead_count <= DM_PREFETCH_MAX);
    if (engine->ahead_taken == engine->ahead_count) {
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
    dm_ref_make(&engine->ref, account, contact_id);
    return &engine->ref;
}

/* The newest state of a contact, from overlay or view. Check's cache gets it if it is durable. */
static enum dm_code read_head(struct dm_engine *engine, const struct dm_contact_ref *ref,
                              struct dm_record_head *head, struct dm_error *error)
{
    struct dm_slice value;
    uint64_t lsn;
    enum dm_code code = dm_engine_find(engine, dm_ref_key(ref), &value, &lsn);
    if (code != DM_NOT_FOUND && (code != DM_OK || !dm_record_head(head, value))) {
        return dm_engine_damaged(engine, dm_key_slice(&ref->key), error);
    }
    if (lsn <= dm_order_durable(engine->order)) {
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
        /* A delete may have raised the fence of contacts never written to since then. */
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
        dm_ref_make(ref, account, names[i].contact_id);
        dm_check_cache_prefetch(&engine->cache, ref->hash);
        if (changes) {
            dm_overlay_prefetch_bucket(engine->overlay, ref->hash.low);
        }
    }
    engine->ahead_count = found;
    engine->ahead_taken = 0;
    for (size_t i = 0; changes && i < found; i++) {
        dm_overlay_prefetch_row(engine->overlay, engine->ahead[i].hash.low);
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
