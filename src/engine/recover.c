#include "engine/internal.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "view/meta.h"

#include <inttypes.h>
#include <stdio.h>

/* What a replay is at. */
struct replay {
    struct dm_engine *engine;
    enum dm_code code; /* why it stopped, when that is not that the journal is damaged */
    struct dm_error error;
    struct dm_error view_error; /* why the view could not take what was replayed */
    /* After that, how full the overlay is when it is tried again. */
    size_t contacts_again, bytes_again;
};

/* What cannot be done without: everything hangs on it. */
static enum dm_code view_damaged(const char *what, struct dm_error *error)
{
    return dm_fail(error, DM_DATA_LOSS,
                   "the view is damaged: %s; take the data folder from a backup, or, if the "
                   "journal has everything from its first entry on, move the view away: it is "
                   "made anew from it",
                   what);
}

static enum dm_code row_failed(enum dm_code code, enum dm_table table, struct dm_slice key,
                               struct dm_error *error)
{
    const uint8_t *bytes = key.data;
    unsigned account = key.size < 4 ? 0 : dm_load_be32(bytes);
    unsigned bot = key.size < 8 ? 0 : dm_load_be32(bytes + 4);
    char row[64];
    if (code != DM_DATA_LOSS) {
        return dm_fail(error, code,
                       "no memory for the accounts, or more than %d of them, or of %d bots in "
                       "one, which are the limits; nothing is damaged",
                       DM_ACCOUNTS_MAX, DM_BOTS_MAX);
    }
    (void)snprintf(row, sizeof row,
                   table == DM_TABLE_ACCOUNTS ? "the row of account number %u"
                                              : "the row of account number %u, bot number %u",
                   account, bot);
    return view_damaged(row, error);
}

/* Reads one small table whole; rows come in order of their keys. */
static enum dm_code load_table(struct dm_engine *engine, enum dm_table table,
                               enum dm_code (*load)(struct dm_accounts *, struct dm_slice,
                                                    struct dm_slice),
                               struct dm_error *error)
{
    uint8_t at[8] = {0};
    struct dm_slice from = dm_slice(at, 4), key, value;
    bool exclusive = false;
    while (dm_store_seek(engine->store, table, from, exclusive, &key, &value)) {
        enum dm_code code =
            key.size > sizeof at ? DM_DATA_LOSS : load(&engine->accounts, key, value);
        if (code != DM_OK) {
            return row_failed(code, table, key, error);
        }
        memcpy(at, key.data, key.size);
        from = dm_slice(at, key.size);
        exclusive = true;
    }
    return DM_OK;
}

/* ---- room for what is replayed ----------------------------------------------------- */

/* A generation goes into the view as soon as it is half of what callers may fill. So while the
 * view can be written, a replay takes no more memory than they, however much there is, and
 * whatever the bound was when it was written. */
enum { REPLAYED_SHARE = 2, AGAIN_SHARE = 16 };

static bool no_room(struct replay *replay)
{
    const struct dm_engine *engine = replay->engine;
    replay->code = dm_fail(
        &replay->error, DM_RESOURCE_EXHAUSTED,
        "%u changed contacts of the journal fit neither into the overlay nor, now, into the "
        "view; nothing is damaged: start with a larger --overlay-max than %u, or see to "
        "the view: %s",
        dm_overlay_count(engine->overlay), engine->overlay_max, replay->view_error.message);
    return false;
}

/* For one more entry; all up to `lsn` is in the overlay or the view. */
static bool make_room(struct replay *replay, uint64_t lsn)
{
    struct dm_engine *engine = replay->engine;
    uint32_t contacts = dm_overlay_current_count(engine->overlay);
    size_t bytes = dm_overlay_current_used(engine->overlay) + engine->accounts.dirty_bytes;
    size_t bytes_max = dm_overlay_used_max(engine->overlay);
    if (contacts <= engine->overlay_max / REPLAYED_SHARE && bytes <= bytes_max / REPLAYED_SHARE) {
        return true;
    }
    if (contacts >= replay->contacts_again || bytes >= replay->bytes_again) {
        if (dm_engine_sweep_replayed(engine, lsn, &replay->view_error) == DM_OK) {
            replay->contacts_again = replay->bytes_again = 0;
            return true;
        }
        replay->contacts_again = contacts + engine->overlay_max / AGAIN_SHARE + 1;
        replay->bytes_again = bytes + bytes_max / AGAIN_SHARE;
    }
    return dm_engine_replay_fits(engine) || no_room(replay);
}

static bool no_memory(struct replay *replay, const char *what, uint64_t limit)
{
    replay->code = dm_fail(&replay->error, DM_RESOURCE_EXHAUSTED,
                           "no memory for another %s, or more than %" PRIu64
                           " of them, which is the limit; nothing is damaged",
                           what, limit);
    return false;
}

/* ---- entries ------------------------------------------------------------------------ */

static bool put(struct replay *replay, const struct dm_entry *entry, struct dm_slice record)
{
    struct dm_engine *engine = replay->engine;
    return dm_overlay_put(engine->overlay, dm_overlay_key(dm_key_slice(&engine->loaded.ref.key)),
                          record, entry->lsn) ||
           no_room(replay);
}

static bool replay_contact(struct replay *replay, const struct dm_entry *entry,
                           const struct dm_entry_contact *contact)
{
    struct dm_engine *engine = replay->engine;
    /* The whole of it, once: whoever reads it later takes it for granted. */
    if (contact->account == 0 || contact->account > engine->accounts.count ||
        contact->from >= DM_STATUS_COUNT ||
        !dm_record_decode(&engine->loaded.record, contact->record) ||
        !dm_answers_valid(&engine->loaded.record.answers)) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(&engine->accounts, contact->account);
    if (engine->loaded.record.bot >= account->bot_count) {
        return false;
    }
    dm_key_make(&engine->loaded.ref.key, contact->account, contact->contact);
    dm_accounts_count(&engine->accounts, account, contact->from, engine->loaded.record.status);
    return put(replay, entry, contact->record);
}

static bool replay_delete(struct replay *replay, const struct dm_entry *entry,
                          const struct dm_entry_delete *deleted)
{
    struct dm_engine *engine = replay->engine;
    if (deleted->account == 0 || deleted->account > engine->accounts.count ||
        deleted->from >= DM_STATUS_COUNT) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(&engine->accounts, deleted->account);
    dm_key_make(&engine->loaded.ref.key, deleted->account, deleted->contact);
    dm_accounts_count(&engine->accounts, account, deleted->from, DM_STATUS_NONE);
    account->fence_floor = deleted->fence_floor;
    dm_accounts_touch(&engine->accounts, account);
    return put(replay, entry, dm_slice(NULL, 0));
}

static bool replay_account(struct replay *replay, const struct dm_entry *entry,
                           const struct dm_entry_account *made)
{
    struct dm_engine *engine = replay->engine;
    if (made->account != engine->accounts.count + 1) {
        return false;
    }
    struct dm_account *account = dm_accounts_add(&engine->accounts, made->id);
    if (account == NULL) {
        return no_memory(replay, "account", DM_ACCOUNTS_MAX);
    }
    account->policy_lsn = entry->lsn;
    dm_accounts_touch(&engine->accounts, account);
    return true;
}

static bool replay_bot(struct replay *replay, const struct dm_entry_bot *changed)
{
    struct dm_accounts *accounts = &replay->engine->accounts;
    if (changed->account == 0 || changed->account > accounts->count) {
        return false;
    }
    struct dm_account *account = dm_accounts_at(accounts, changed->account);
    struct dm_policy policy;
    if (changed->bot > account->bot_count ||
        (changed->policy.size != 0 && !dm_policy_decode(&policy, changed->policy))) {
        return false;
    }
    if (changed->bot == account->bot_count &&
        dm_accounts_add_bot(accounts, account, changed->id) < 0) {
        return no_memory(replay, "bot of an account", DM_BOTS_MAX);
    }
    dm_accounts_touch_bot(accounts, account, changed->bot);
    return changed->policy.size == 0 ||
           dm_accounts_set_policy(accounts, account, changed->bot, &policy) ||
           no_memory(replay, "policy", DM_BOTS_MAX);
}

/* false: replay->code, or the entry is none of ours. */
static bool replay_entry(void *context, const struct dm_entry *entry)
{
    struct replay *replay = context;
    struct dm_entry_body body;
    if (!make_room(replay, entry->lsn - 1) || !dm_entry_decode(&body, entry->payload)) {
        return false;
    }
    switch (body.kind) {
    case DM_ENTRY_CONTACT:
        return replay_contact(replay, entry, &body.contact);
    case DM_ENTRY_DELETE:
        return replay_delete(replay, entry, &body.deleted);
    case DM_ENTRY_ACCOUNT:
        return replay_account(replay, entry, &body.account);
    case DM_ENTRY_BOT:
        return replay_bot(replay, &body.bot);
    }
    return false;
}

static enum dm_code load_tables(struct dm_engine *engine, struct dm_error *error)
{
    enum dm_code code = load_table(engine, DM_TABLE_ACCOUNTS, dm_accounts_load_account, error);
    if (code == DM_OK) {
        code = load_table(engine, DM_TABLE_POLICIES, dm_accounts_load_bot, error);
    }
    dm_store_read_end(engine->store);
    return code;
}

static enum dm_code replay_rest(struct dm_engine *engine, struct dm_error *error)
{
    struct replay replay = {.engine = engine};
    enum dm_code code =
        dm_journal_replay(engine->journal, engine->applied_lsn, replay_entry, &replay, error);
    engine->last_seq = dm_journal_durable_seq(engine->journal);
    return replay.code == DM_OK ? code : dm_fail(error, replay.code, "%s", replay.error.message);
}

/* ---- whose view it is ---------------------------------------------------------------- */

/* *adopts: the view knows of no log yet. */
static enum dm_code check_log(struct dm_engine *engine, struct dm_log_id *id, bool *adopts,
                              struct dm_error *error)
{
    struct dm_log_id its = {0};
    *id = dm_journal_log_id(engine->journal);
    enum dm_code code = dm_meta_log(engine->store, &its);
    if (code == DM_DATA_LOSS) { /* it only guards the rest */
        dm_engine_tell_damage(engine, "the row \"log\" of META", dm_slice_str("log"));
    }
    *adopts = code != DM_OK && dm_log_id_known(id);
    return code != DM_OK || dm_log_id_equal(&its, id)
               ? DM_OK
               : dm_fail(error, DM_FAILED_PRECONDITION,
                         "the view was made from another journal than this one");
}

/* From now on it is this log's alone. If that cannot be written, the next start tries again.
 * There is one writer at a time: what the replay brings into the view comes first. */
static void adopt_log(struct dm_engine *engine, const struct dm_log_id *id)
{
    struct dm_error error;
    enum dm_code code =
        engine->sweep.stage == DM_SWEEP_APPLIES ? dm_applier_wait(engine->applier, &error) : DM_OK;
    if (code != DM_OK || dm_meta_put_log(engine->store, id, &error) != DM_OK) {
        dm_log(DM_LOG_WARN, "view not marked as this journal's",
               DM_LOG_TEXT("reason", error.message));
    }
}

enum dm_code dm_engine_recover(struct dm_engine *engine, struct dm_error *error)
{
    struct dm_log_id id;
    bool adopts = false;
    enum dm_code code = check_log(engine, &id, &adopts, error);
    if (code == DM_OK && dm_meta_applied(engine->store, &engine->applied_lsn) == DM_DATA_LOSS) {
        code = view_damaged("the row \"applied\" of META", error);
    }
    if (code == DM_OK) {
        code = load_tables(engine, error);
    }
    if (code != DM_OK) {
        return code;
    }
    if (engine->applied_lsn > dm_journal_last(engine->journal)) {
        return dm_fail(error, DM_DATA_LOSS,
                       "the journal ends at %" PRIu64 ", before what the view holds (%" PRIu64
                       "): are both folders of the same data?",
                       dm_journal_last(engine->journal), engine->applied_lsn);
    }
    code = replay_rest(engine, error);
    if (code == DM_OK && adopts) {
        adopt_log(engine, &id);
    }
    return code;
}
