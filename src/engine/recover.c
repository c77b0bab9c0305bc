#include "engine/internal.h"

#include "base/bytes.h"

#include <inttypes.h>

/* Reads one small table whole; rows come in order of their keys. */
static bool load_table(struct dm_engine *engine, enum dm_table table,
                       bool (*load)(struct dm_accounts *, struct dm_slice, struct dm_slice))
{
    uint8_t at[8] = {0};
    struct dm_slice from = dm_slice(at, 4), key, value;
    bool exclusive = false;
    while (engine->store->ops->seek(engine->store, table, from, exclusive, &key, &value)) {
        if (key.size > sizeof at || !load(&engine->accounts, key, value)) {
            return false;
        }
        memcpy(at, key.data, key.size);
        from = dm_slice(at, key.size);
        exclusive = true;
    }
    return true;
}

static bool replay_contact(struct dm_engine *engine, const struct dm_entry *entry,
                           const struct dm_entry_contact *contact)
{
    /* The whole of it, once: whoever reads it later takes it for granted. */
    if (contact->account == 0 || contact->account > engine->accounts.count ||
        contact->from >= DM_STATUS_COUNT || !dm_record_decode(&engine->record, contact->record) ||
        !dm_answers_valid(&engine->record.answers)) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(&engine->accounts, contact->account);
    if (engine->record.bot >= account->bot_count) {
        return false;
    }
    dm_key_make(&engine->key, contact->account, contact->contact);
    dm_accounts_count(&engine->accounts, account, contact->from, engine->record.status);
    return dm_overlay_put(engine->overlay, dm_overlay_key(dm_key_slice(&engine->key)),
                          contact->record, entry->lsn);
}

static bool replay_delete(struct dm_engine *engine, const struct dm_entry *entry,
                          const struct dm_entry_delete *deleted)
{
    if (deleted->account == 0 || deleted->account > engine->accounts.count ||
        deleted->from >= DM_STATUS_COUNT) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(&engine->accounts, deleted->account);
    dm_key_make(&engine->key, deleted->account, deleted->contact);
    dm_accounts_count(&engine->accounts, account, deleted->from, DM_STATUS_NONE);
    account->fence_floor = deleted->fence_floor;
    dm_accounts_touch(&engine->accounts, account);
    return dm_overlay_put(engine->overlay, dm_overlay_key(dm_key_slice(&engine->key)),
                          dm_slice(NULL, 0), entry->lsn);
}

static bool replay_account(struct dm_engine *engine, const struct dm_entry *entry,
                           const struct dm_entry_account *made)
{
    if (made->account != engine->accounts.count + 1) {
        return false;
    }
    struct dm_account *account = dm_accounts_add(&engine->accounts, made->id);
    if (account == NULL) {
        return false;
    }
    account->policy_lsn = entry->lsn;
    dm_accounts_touch(&engine->accounts, account);
    return true;
}

static bool replay_bot(struct dm_engine *engine, const struct dm_entry_bot *changed)
{
    if (changed->account == 0 || changed->account > engine->accounts.count) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(&engine->accounts, changed->account);
    if (changed->bot > account->bot_count ||
        (changed->bot == account->bot_count && dm_account_add_bot(account, changed->id) < 0)) {
        return false;
    }
    dm_accounts_touch(&engine->accounts, account);
    account->bots[changed->bot].dirty = true;
    struct dm_policy policy;
    if (changed->policy.size == 0) {
        return true;
    }
    if (!dm_policy_decode(&policy, changed->policy)) {
        return false;
    }
    dm_account_set_policy(account, changed->bot, &policy);
    return true;
}

static bool replay(void *context, const struct dm_entry *entry)
{
    struct dm_engine *engine = context;
    struct dm_entry_body body;
    if (!dm_entry_decode(&body, entry->payload)) {
        return false;
    }
    switch (body.kind) {
    case DM_ENTRY_CONTACT:
        return replay_contact(engine, entry, &body.contact);
    case DM_ENTRY_DELETE:
        return replay_delete(engine, entry, &body.deleted);
    case DM_ENTRY_ACCOUNT:
        return replay_account(engine, entry, &body.account);
    case DM_ENTRY_BOT:
        return replay_bot(engine, &body.bot);
    }
    return false;
}

enum dm_code dm_engine_recover(struct dm_engine *engine, struct dm_error *error)
{
    struct dm_slice value;
    const struct dm_store_ops *store = engine->store->ops;
    if (store->get(engine->store, DM_TABLE_META, dm_slice_str("applied"), &value)) {
        if (value.size != 8) {
            return dm_fail(error, DM_DATA_LOSS, "the view is damaged: meta \"applied\"");
        }
        engine->applied_lsn = dm_load_le64(value.data);
    }
    if (!load_table(engine, DM_TABLE_ACCOUNTS, dm_accounts_load_account) ||
        !load_table(engine, DM_TABLE_POLICIES, dm_accounts_load_bot)) {
        return dm_fail(error, DM_DATA_LOSS, "the view is damaged: a row of accounts or policies");
    }
    store->read_end(engine->store);
    if (engine->applied_lsn > dm_journal_last(engine->journal)) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal ends at %" PRIu64 ", before what the view holds (%" PRIu64
                       "): are both folders of the same data?",
                       dm_journal_last(engine->journal), engine->applied_lsn);
    }
    enum dm_code code =
        dm_journal_replay(engine->journal, engine->applied_lsn, replay, engine, error);
    engine->last_seq = dm_journal_durable_seq(engine->journal);
    return code;
}
