#include "engine/enact.h"

#include "base/assert.h"
#include "base/limits.h"
#include "engine/timers.h"

/* What is found wrong here is told by who asked: with the entry's lsn, or as a broken
 * invariant. */
static enum dm_code cannot_follow(struct dm_error *error)
{
    return dm_fail(error, DM_DATA_LOSS,
                   "an entry of the journal does not follow from those before");
}

static enum dm_code no_memory(const char *what, int limit, struct dm_error *error)
{
    return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                   "no memory for another %s, or more than %d of them, which is the limit; nothing "
                   "is damaged",
                   what, limit);
}

/* The newest state of a contact: what is remembered of an older one goes first. */
static enum dm_code put(struct dm_engine *engine, const struct dm_ordered *ordered,
                        struct dm_slice value, struct dm_error *error)
{
    dm_check_cache_forget(&engine->cache, ordered->ref->hash);
    if (!dm_overlay_put(engine->overlay, dm_ref_key(ordered->ref), value, ordered->lsn)) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "the overlay is full");
    }
    return DM_OK;
}

static enum dm_code enact_contact(struct dm_engine *engine, const struct dm_ordered *ordered,
                                  struct dm_error *error)
{
    const struct dm_entry_contact *contact = &ordered->body->contact;
    const struct dm_record *record = ordered->record;
    struct dm_account *account = ordered->ref->account;
    if (contact->from >= DM_STATUS_COUNT || record->status == DM_STATUS_NONE ||
        record->bot >= account->bot_count ||
        (ordered->seq != 0 && ordered->seq != record->last_seq)) {
        return cannot_follow(error);
    }
    enum dm_code code = put(engine, ordered, contact->record, error);
    if (code == DM_OK) {
        dm_accounts_count(&engine->accounts, account, contact->from, record->status);
        dm_engine_time(engine, dm_ref_key(ordered->ref), record, contact->from);
    }
    return code;
}

/* Its timer goes whatever it was counted as: its record may have been damaged. */
static enum dm_code enact_delete(struct dm_engine *engine, const struct dm_ordered *ordered,
                                 struct dm_error *error)
{
    const struct dm_entry_delete *deleted = &ordered->body->deleted;
    struct dm_account *account = ordered->ref->account;
    if (deleted->from >= DM_STATUS_COUNT || deleted->fence_floor < account->fence_floor) {
        return cannot_follow(error);
    }
    enum dm_code code = put(engine, ordered, dm_slice(NULL, 0), error);
    if (code == DM_OK) {
        account->fence_floor = deleted->fence_floor;
        account->floor_lsn = ordered->lsn;
        dm_accounts_touch(&engine->accounts, account);
        dm_accounts_count(&engine->accounts, account, deleted->from, DM_STATUS_NONE);
        dm_sleepers_clear(engine->sleepers, dm_ref_key(ordered->ref));
    }
    return code;
}

static enum dm_code enact_account(struct dm_engine *engine, const struct dm_ordered *ordered,
                                  struct dm_error *error)
{
    const struct dm_entry_account *made = &ordered->body->account;
    if (made->account != engine->accounts.count + 1 || made->id.size == 0) {
        return cannot_follow(error);
    }
    struct dm_account *account = dm_accounts_add(&engine->accounts, made->id);
    if (account == NULL) {
        return no_memory("account", DM_ACCOUNTS_MAX, error);
    }
    account->policy_lsn = ordered->lsn;
    dm_accounts_touch(&engine->accounts, account);
    return DM_OK;
}

static enum dm_code enact_bot(struct dm_engine *engine, const struct dm_ordered *ordered,
                              struct dm_error *error)
{
    const struct dm_entry_bot *changed = &ordered->body->bot;
    struct dm_accounts *accounts = &engine->accounts;
    if (changed->account == 0 || changed->account > accounts->count) {
        return cannot_follow(error);
    }
    struct dm_account *account = dm_accounts_at(accounts, changed->account);
    struct dm_policy policy;
    if (changed->bot > account->bot_count ||
        (changed->policy.size != 0 && !dm_policy_decode(&policy, changed->policy))) {
        return cannot_follow(error);
    }
    bool is_new = changed->bot == account->bot_count, sets_policy = changed->policy.size != 0;
    if (is_new && !dm_account_reserve_bot(account)) {
        return no_memory("bot of an account", DM_BOTS_MAX, error);
    }
    if (sets_policy && !dm_accounts_reserve_policy(accounts)) {
        return no_memory("policy of an account", DM_BOTS_MAX, error);
    }
    bool done = (!is_new || dm_accounts_add_bot(accounts, account, changed->id) >= 0) &&
                (!sets_policy || dm_accounts_set_policy(accounts, account, changed->bot, &policy));
    DM_ASSERT(done); /* it was reserved */
    dm_accounts_touch_bot(accounts, account, changed->bot);
    account->policy_lsn = ordered->lsn;
    return DM_OK;
}

static enum dm_code enact_kind(struct dm_engine *engine, const struct dm_ordered *ordered,
                               struct dm_error *error)
{
    switch (ordered->body->kind) {
    case DM_ENTRY_CONTACT:
        return enact_contact(engine, ordered, error);
    case DM_ENTRY_DELETE:
        return enact_delete(engine, ordered, error);
    case DM_ENTRY_ACCOUNT:
        return enact_account(engine, ordered, error);
    case DM_ENTRY_BOT:
        return enact_bot(engine, ordered, error);
    }
    return cannot_follow(error);
}

enum dm_code dm_engine_enact(struct dm_engine *engine, const struct dm_ordered *ordered,
                             struct dm_error *error)
{
    if (ordered->lsn != engine->last_lsn + 1 ||
        (ordered->seq != 0 && ordered->seq <= engine->last_seq)) {
        return cannot_follow(error);
    }
    enum dm_code code = enact_kind(engine, ordered, error);
    if (code == DM_OK) {
        engine->last_lsn = ordered->lsn;
        engine->last_seq = ordered->seq != 0 ? ordered->seq : engine->last_seq;
    }
    return code;
}

/* ---- as it lies in a journal -------------------------------------------------------- */

static bool refer(struct dm_engine *engine, uint32_t account, struct dm_slice contact)
{
    if (account == 0 || account > engine->accounts.count || contact.size == 0) {
        return false;
    }
    dm_ref_make(&engine->loaded.ref, dm_accounts_at(&engine->accounts, account), contact);
    return true;
}

static bool load(struct dm_engine *engine, const struct dm_entry_body *body)
{
    struct dm_record *record = &engine->loaded.record;
    switch (body->kind) {
    case DM_ENTRY_CONTACT:
        return refer(engine, body->contact.account, body->contact.contact) &&
               dm_record_decode(record, body->contact.record) && dm_answers_valid(&record->answers);
    case DM_ENTRY_DELETE:
        return refer(engine, body->deleted.account, body->deleted.contact);
    case DM_ENTRY_ACCOUNT:
    case DM_ENTRY_BOT:
        return true;
    }
    return false;
}

enum dm_code dm_engine_enact_entry(struct dm_engine *engine, const struct dm_entry *entry,
                                   struct dm_error *error)
{
    struct dm_entry_body body;
    if (!dm_entry_decode(&body, entry->payload) || !load(engine, &body)) {
        return cannot_follow(error);
    }
    const struct dm_ordered ordered = {
        .lsn = entry->lsn,
        .seq = entry->seq,
        .body = &body,
        .ref = &engine->loaded.ref,
        .record = &engine->loaded.record,
    };
    return dm_engine_enact(engine, &ordered, error);
}
