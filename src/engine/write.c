#include "engine/write.h"

#include "base/assert.h"
#include "base/limits.h"
#include "engine/damage.h"
#include "engine/enact.h"
#include "engine/lags.h"
#include "engine/read.h"
#include "engine/room.h"

_Static_assert(DM_ENTRY_SIZE_MAX <= DM_JOURNAL_RECORD_MAX, "the journal takes every entry");

/* Gives the entry its place in the order, and enacts it. Who calls this has made sure that
 * nothing is in its way: memory for an account or a bot is reserved, and the overlay has room for
 * whoever was admitted (see room.c). */
static uint64_t order(struct dm_engine *engine, struct dm_ordered *ordered)
{
    size_t size = dm_entry_encode(ordered->body, engine->entry);
    DM_ASSERT(size <= sizeof engine->entry);
    struct dm_slice entry = dm_slice(engine->entry, size);
    ordered->lsn = dm_order_append(engine->order, entry, ordered->seq);
    dm_engine_see(engine, ordered->lsn);
    enum dm_code code = dm_engine_enact(engine, ordered, NULL);
    DM_ASSERT(code == DM_OK);
    return ordered->lsn;
}

struct dm_account *dm_engine_account(struct dm_engine *engine, struct dm_slice account_id)
{
    struct dm_account *account = dm_engine_known(engine, account_id);
    if (account != NULL || !dm_accounts_reserve(&engine->accounts)) {
        return account;
    }
    struct dm_entry_body body = {.kind = DM_ENTRY_ACCOUNT};
    body.account.account = engine->accounts.count + 1;
    body.account.id = account_id;
    (void)order(engine, &(struct dm_ordered){.body = &body});
    return dm_accounts_at(&engine->accounts, engine->accounts.count);
}

/* A bot gets its number, or a policy (NULL: it keeps what it has); what it takes is reserved. */
static void put_bot(struct dm_engine *engine, const struct dm_account *account, uint32_t bot,
                    struct dm_slice bot_id, const struct dm_policy *policy)
{
    uint8_t bytes[DM_POLICY_SIZE];
    struct dm_entry_body body = {.kind = DM_ENTRY_BOT};
    body.bot = (struct dm_entry_bot){
        .account = account->number,
        .bot = bot,
        .id = bot_id,
        .policy = dm_slice(bytes, policy == NULL ? 0 : dm_policy_encode(policy, bytes)),
    };
    (void)order(engine, &(struct dm_ordered){.body = &body});
}

static enum dm_code no_bot(const struct dm_account *account, const char *field,
                           struct dm_error *error)
{
    return account->bot_count == DM_BOTS_MAX
               ? dm_fail(error, DM_RESOURCE_EXHAUSTED,
                         "%s: the account has %d bots, which is the limit", field, DM_BOTS_MAX)
               : dm_fail(error, DM_RESOURCE_EXHAUSTED, "%s: no memory for another bot", field);
}

enum dm_code dm_engine_meet_bot(struct dm_engine *engine, struct dm_account *account,
                                struct dm_slice bot_id, struct dm_change *change,
                                struct dm_error *error)
{
    int64_t number = dm_account_bot(account, bot_id);
    if (number >= 0) {
        change->bot = (uint32_t)number;
        return DM_OK;
    }
    if (!dm_account_reserve_bot(account)) {
        return no_bot(account, "change.bot_id", error);
    }
    change->bot = account->bot_count;
    put_bot(engine, account, change->bot, bot_id, NULL);
    return DM_OK;
}

static enum dm_code no_account(const struct dm_engine *engine, const char *field,
                               struct dm_error *error)
{
    return engine->accounts.count == DM_ACCOUNTS_MAX
               ? dm_fail(error, DM_RESOURCE_EXHAUSTED,
                         "%s: the server keeps %d accounts, which is the limit", field,
                         DM_ACCOUNTS_MAX)
               : dm_fail(error, DM_RESOURCE_EXHAUSTED, "%s: no memory for another account", field);
}

/* A contact that is no more. Its fences are used up: those never written to begin above
 * them, so that no answer of before can be mistaken for one of after. */
static uint64_t commit_delete(struct dm_engine *engine, const struct dm_contact_ref *ref,
                              const struct dm_transition *change, int64_t now_ms)
{
    uint64_t floor = ref->account->fence_floor;
    struct dm_entry_body body = {.kind = DM_ENTRY_DELETE};
    body.deleted = (struct dm_entry_delete){
        .account = ref->account->number,
        .from = change->from,
        .at_ms = now_ms,
        .fence_floor = change->record.fence >= floor ? change->record.fence + 1 : floor,
        .contact = dm_key_contact(dm_key_slice(&ref->key)),
    };
    return order(engine, &(struct dm_ordered){.body = &body, .ref = ref});
}

static uint64_t commit_record(struct dm_engine *engine, const struct dm_contact_ref *ref,
                              const struct dm_transition *change, int64_t now_ms)
{
    struct dm_entry_body body = {.kind = DM_ENTRY_CONTACT};
    body.contact = (struct dm_entry_contact){
        .account = ref->account->number,
        .from = change->from,
        .missed_inbound = change->missed_inbound,
        .at_ms = now_ms,
        .due_ms = change->due_ms,
        .previous_seq = change->previous_seq,
        .contact = dm_key_contact(dm_key_slice(&ref->key)),
        .record = dm_slice(engine->encoded, dm_record_encode(&change->record, engine->encoded)),
    };
    return order(engine, &(struct dm_ordered){
                             .seq = change->event ? change->record.last_seq : 0,
                             .body = &body,
                             .ref = ref,
                             .record = &change->record,
                         });
}

void dm_engine_run(struct dm_engine *engine, const struct dm_loaded *contact, uint32_t policy_bot,
                   struct dm_op *op)
{
    struct dm_step *step = &engine->step;
    const struct dm_account *account = contact->ref.account;
    dm_engine_see(engine, account->policy_lsn);
    op->next_seq = engine->last_seq + 1;
    op->fence_floor = account->fence_floor;
    dm_step(step, &contact->record, dm_account_policy(account, policy_bot), op);
    DM_ASSERT(step->transition_count >= 0 && step->transition_count <= 2);
    for (int i = 0; i < step->transition_count; i++) {
        const struct dm_transition *change = &step->transitions[i];
        uint64_t lsn = change->record.status == DM_STATUS_NONE
                           ? commit_delete(engine, &contact->ref, change, op->now_ms)
                           : commit_record(engine, &contact->ref, change, op->now_ms);
        if (change->due_ms != 0) {
            dm_engine_note_wake(engine, lsn, change->due_ms);
        }
    }
}

/* false: what was remembered names a bot that there is not. */
static bool show_answer(const struct dm_engine *engine, const struct dm_account *account,
                        struct dm_slice contact_id, struct dm_outcome *out)
{
    const struct dm_answer *answer = &engine->step.answer;
    if (answer->bot >= account->bot_count) {
        return false;
    }
    const struct dm_bot *bot = &account->bots[answer->bot];
    out->decision = answer->decision;
    out->granted = answer->granted;
    out->changed = answer->changed;
    out->contact = (struct dm_contact){
        .account_id = dm_slice(account->id, account->id_size),
        .contact_id = contact_id,
        .bot_id = dm_slice(bot->id, bot->id_size),
        .actor = dm_slice(answer->actor.bytes, answer->actor.size),
        .status = answer->status,
        .reason = answer->reason,
        .mode = answer->mode,
        .locked = answer->locked,
        .bot_messages = answer->bot_messages,
        .missed_inbound = answer->missed_inbound,
        .since_ms = answer->since_ms,
        .until_ms = answer->until_ms,
        .fence = answer->fence,
        .revision = answer->revision,
        .last_seq = answer->last_seq,
    };
    return true;
}

/* May this be done to a contact whose record is damaged? What needs nothing of it. */
static bool sets_anew(const struct dm_op *op)
{
    return op->kind == DM_OP_DELETE ||
           (op->kind == DM_OP_SET_STATUS && op->set.change.unlock && !op->set.has_if_revision);
}

/* A delete comes first, in the journal, too: what follows is done to a contact that is not
 * there. Unless it is refused: then nothing is changed. */
static enum dm_code discard(struct dm_engine *engine, const struct dm_loaded *contact,
                            uint32_t policy_bot, const struct dm_op *op, struct dm_error *error)
{
    struct dm_step *step = &engine->step;
    dm_step(step, &contact->record, dm_account_policy(contact->ref.account, policy_bot), op);
    if (step->code != DM_OK) {
        return dm_fail(error, step->code, "%s", step->error.message);
    }
    struct dm_transition *change = &step->transitions[0];
    dm_engine_discard(engine, &contact->ref, change);
    (void)commit_delete(engine, &contact->ref, change, op->now_ms);
    return DM_OK;
}

/* A delete of what is not there makes no account. */
static enum dm_code delete_nothing(struct dm_outcome *out)
{
    *out = (struct dm_outcome){.existed = false};
    return DM_OK;
}

enum dm_code dm_engine_mutate(struct dm_engine *engine, struct dm_slice account_id,
                              struct dm_slice contact_id, struct dm_slice bot_id, struct dm_op *op,
                              struct dm_outcome *out, struct dm_error *error)
{
    enum dm_code code = dm_engine_admit(engine, error);
    if (code != DM_OK) {
        return code;
    }
    const struct dm_contact_ref *ref = dm_engine_refer(engine, account_id, contact_id);
    if (ref == NULL && op->kind == DM_OP_DELETE) {
        return delete_nothing(out);
    }
    if (op->kind == DM_OP_SET_STATUS) {
        code =
            dm_engine_admit_snooze(engine, &op->set.change, ref == NULL ? NULL : &ref->key, error);
        if (code != DM_OK) {
            return code;
        }
    }
    if (ref == NULL && dm_engine_account(engine, account_id) != NULL) {
        ref = dm_engine_refer(engine, account_id, contact_id);
    }
    if (ref == NULL) {
        return no_account(engine, "account_id", error);
    }
    struct dm_account *account = ref->account;
    const struct dm_loaded *contact;
    code = dm_engine_load(engine, ref, &contact, error);
    bool damaged = code != DM_OK;
    if (damaged && !sets_anew(op)) {
        return code;
    }
    uint32_t policy_bot = contact->record.bot;
    if (op->kind == DM_OP_SET_STATUS && op->set.change.has_bot) {
        code = dm_engine_meet_bot(engine, account, bot_id, &op->set.change, error);
        if (code != DM_OK) {
            return code;
        }
        policy_bot = op->set.change.bot;
    }
    op->now_ms = dm_clock_wall_ms(&engine->clock);
    if (damaged && (code = discard(engine, contact, policy_bot, op, error)) != DM_OK) {
        return code;
    }
    dm_engine_run(engine, contact, policy_bot, op);
    if (engine->step.code != DM_OK) {
        if (error != NULL) {
            *error = engine->step.error;
        }
        return engine->step.code;
    }
    out->existed = engine->step.existed || damaged;
    if (op->kind != DM_OP_DELETE && !show_answer(engine, account, contact_id, out)) {
        return dm_engine_damaged(engine, dm_key_slice(&contact->ref.key), error);
    }
    return DM_OK;
}

enum dm_code dm_engine_set_policy(struct dm_engine *engine, struct dm_slice account_id,
                                  struct dm_slice bot_id, struct dm_policy *policy,
                                  bool has_if_revision, uint64_t if_revision,
                                  struct dm_error *error)
{
    enum dm_code code = dm_engine_admit(engine, error);
    if (code != DM_OK) {
        return code;
    }
    const struct dm_account *known = dm_engine_known(engine, account_id);
    int64_t bot = known == NULL ? -1 : dm_account_bot(known, bot_id);
    uint64_t revision = bot < 0 ? 0 : dm_account_policy(known, (uint32_t)bot)->revision;
    if (has_if_revision && if_revision != revision) {
        return dm_fail(error, DM_ABORTED,
                       "if_revision: the policy has revision %llu, not %llu; read it again",
                       (unsigned long long)revision, (unsigned long long)if_revision);
    }
    struct dm_account *account = dm_engine_account(engine, account_id);
    if (account == NULL) {
        return no_account(engine, "policy.account_id", error);
    }
    bot = bot < 0 ? dm_account_bot(account, bot_id) : bot;
    if (bot < 0 && !dm_account_reserve_bot(account)) {
        return no_bot(account, "policy.bot_id", error);
    }
    if (!dm_accounts_reserve_policy(&engine->accounts)) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "policy: no memory for another one");
    }
    policy->revision = revision + 1;
    put_bot(engine, account, bot < 0 ? account->bot_count : (uint32_t)bot, bot_id, policy);
    return DM_OK;
}
