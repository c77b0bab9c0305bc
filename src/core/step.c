#include "core/step.h"

#include "base/assert.h"
#include "core/draft.h"
#include "core/ident.h"
#include "core/rules.h"

/* When all goes well: a due snooze's wake becomes the first transition; the
 * operation works on a draft of the contact as it is then; the draft becomes the
 * second transition if there is anything to journal; the answer shows the contact
 * after all that and, under a request id, is kept with it.
 *
 * What differs: a known request id is answered as it was, and nothing else happens,
 * not even a wake. A refused SetStatus leaves only the wake. A WAKE_DUE whose snooze
 * is gone (its fence is) does nothing. A delete takes no wake along and no event. */

static void count_up(uint32_t *counter)
{
    *counter += *counter < UINT32_MAX ? 1 : 0;
}

/* ---- the operations -------------------------------------------------------- */

/* `since` is when the snooze ended, not when somebody noticed. So what was read of the expired
 * snooze does not change when its wake is committed. */
static void wake(struct dm_step *out, const struct dm_record *record,
                 const struct dm_policy *policy, const struct dm_op *op)
{
    DM_ASSERT(out->transition_count == 0);
    struct dm_draft draft = dm_draft_open(out, record, policy, op);
    draft.next->due_ms = record->until_ms;
    draft.next->missed_inbound = record->missed_inbound;
    dm_draft_become(&draft, DM_STATUS_ACTIVE, 0, record->until_ms,
                    (struct dm_cause){.reason = DM_REASON_SNOOZE_EXPIRED,
                                      .actor = dm_slice_str(DM_ACTOR_SELF)});
    dm_draft_close(&draft, out, op);
    DM_ASSERT(out->transition_count == 1);
}

static enum dm_code set_refused(const struct dm_draft *draft, const struct dm_op *op,
                                struct dm_error *error)
{
    const struct dm_record *record = &draft->next->record;
    if (op->set.has_if_revision && op->set.if_revision != record->revision) {
        return dm_fail(error, DM_ABORTED,
                       "if_revision: the contact has revision %llu, not %llu; read it again and "
                       "decide anew",
                       (unsigned long long)record->revision,
                       (unsigned long long)op->set.if_revision);
    }
    if (draft->policy->mode == DM_MODE_OFF) {
        return dm_fail(error, DM_FAILED_PRECONDITION,
                       "the bot of this account is off; set its policy's mode to MODE_SUGGESTIVE "
                       "or MODE_AUTO_PILOT first");
    }
    if (record->locked && !op->set.change.unlock) {
        return dm_fail(error, DM_FAILED_PRECONDITION,
                       "the contact is locked (opt-out); only a change with unlock may follow");
    }
    return DM_OK;
}

static void set_status(struct dm_draft *draft, const struct dm_op *op)
{
    const struct dm_change *change = &op->set.change;
    struct dm_record *record = &draft->next->record;
    bool locked = (record->locked && !change->unlock) || change->lock;
    uint32_t bot = change->has_bot ? change->bot : record->bot;
    int64_t until_ms = change->has_until ? change->until_ms
                       : change->has_for ? draft->now_ms + change->for_ms
                                         : 0;
    DM_ASSERT((change->status == DM_STATUS_SNOOZED) == (until_ms != 0));
    struct dm_cause cause = {
        .reason = change->reason != DM_REASON_UNSPECIFIED ? change->reason : (uint8_t)DM_REASON_SET,
        .actor = change->actor,
    };
    draft->write = locked != record->locked || bot != record->bot;
    record->locked = locked;
    record->bot = bot;
    if (change->status != record->status || until_ms != record->until_ms) {
        dm_draft_become(draft, change->status, until_ms, draft->now_ms, cause);
    } else if (draft->next->from == DM_STATUS_NONE) {
        /* it was ACTIVE, but nobody had said so. From now on it is listed, with the actor who
         * set it. The status does not change: no event, the same fence */
        record->reason = cause.reason;
        record->since_ms = draft->now_ms;
        dm_text64_set(&record->actor, cause.actor);
        draft->write = true;
    } else if (record->status == DM_STATUS_ACTIVE &&
               dm_limit_reached(draft->policy, record->bot_messages)) {
        /* ACTIVE in name, yet silent by its count: let it speak again */
        record->bot_messages = 0;
        draft->write = true;
    }
}

/* The bot's count stands at the limit: on_limit does what it may, once. */
static void limit_apply(struct dm_draft *draft)
{
    const struct dm_record *record = &draft->next->record;
    bool silenced = record->status != DM_STATUS_ACTIVE && record->reason == DM_REASON_MESSAGE_LIMIT;
    if (draft->policy->mode != DM_MODE_OFF && !silenced &&
        dm_limit_reached(draft->policy, record->bot_messages)) {
        dm_rule_apply(draft, &draft->policy->on_limit,
                      (struct dm_cause){.reason = DM_REASON_MESSAGE_LIMIT,
                                        .actor = dm_slice_str(DM_ACTOR_SELF)});
    }
}

/* Granted: the decision that this reply goes out under. The message that reaches the
 * limit is still granted, then the bot falls silent, in the same transition. */
static enum dm_decision commit_reply(struct dm_draft *draft, const struct dm_op *op)
{
    struct dm_record *record = &draft->next->record;
    if (op->commit.fence != record->fence) {
        return DM_DECISION_SILENT;
    }
    enum dm_decision decision = dm_decide(draft->policy, record->status, record->bot_messages);
    if (decision != DM_DECISION_SILENT) {
        count_up(&record->bot_messages);
        draft->write = true;
    }
    if (record->status == DM_STATUS_ACTIVE) {
        limit_apply(draft);
    }
    return decision;
}

/* Why a status is what its activity made it. */
static const uint8_t activity_reasons[DM_ACTIVITY_COUNT] = {
    [DM_ACTIVITY_INBOUND_MESSAGE] = DM_REASON_INBOUND_MESSAGE,
    [DM_ACTIVITY_MANUAL_MESSAGE] = DM_REASON_MANUAL_MESSAGE,
    [DM_ACTIVITY_WORKFLOW_MESSAGE] = DM_REASON_WORKFLOW_MESSAGE,
    [DM_ACTIVITY_CONVERSATION_READ] = DM_REASON_CONVERSATION_READ,
    [DM_ACTIVITY_STOP_KEYWORD] = DM_REASON_STOP_KEYWORD,
    [DM_ACTIVITY_HANDOVER_REQUESTED] = DM_REASON_HANDOVER_REQUESTED,
    [DM_ACTIVITY_APPOINTMENT_BOOKED] = DM_REASON_APPOINTMENT_BOOKED,
};

/* Messages are counted whatever the mode and the lock are; the rules come after that. */
static void activity_count(struct dm_draft *draft, uint8_t activity)
{
    struct dm_record *record = &draft->next->record;
    switch (activity) {
    case DM_ACTIVITY_INBOUND_MESSAGE:
        if (record->status != DM_STATUS_ACTIVE) {
            count_up(&record->missed_inbound);
            draft->write = true;
        }
        break;
    case DM_ACTIVITY_BOT_MESSAGE:
        count_up(&record->bot_messages);
        draft->write = true;
        break;
    case DM_ACTIVITY_CONVERSATION_READ:
        draft->write = record->bot_messages != 0;
        record->bot_messages = 0;
        break;
    default:
        break;
    }
}

static void record_activity(struct dm_draft *draft, const struct dm_op *op)
{
    uint8_t activity = op->activity.activity;
    activity_count(draft, activity);
    if (activity == DM_ACTIVITY_BOT_MESSAGE) {
        limit_apply(draft);
    } else if (draft->policy->mode != DM_MODE_OFF) {
        dm_rule_apply(
            draft, &draft->policy->rules[activity],
            (struct dm_cause){.reason = activity_reasons[activity], .actor = op->activity.actor});
    }
}

static enum dm_code activity_check(const struct dm_op *op, struct dm_error *error)
{
    if (op->activity.activity == DM_ACTIVITY_UNSPECIFIED ||
        op->activity.activity >= DM_ACTIVITY_COUNT) {
        return dm_fail(
            error, DM_INVALID_ARGUMENT,
            "activity: %d is not an Activity; say what happened, ACTIVITY_INBOUND_MESSAGE "
            "for one",
            op->activity.activity);
    }
    return dm_text_check(op->activity.actor, DM_ACTOR_SIZE_MAX, "actor", error);
}

/* ---- answers --------------------------------------------------------------- */

static bool repeat(struct dm_step *out, const struct dm_record *record, const struct dm_op *op)
{
    if (op->request == 0 || !dm_record_exists(record)) {
        return false;
    }
    out->repeated = dm_answers_find(&record->answers, op->request, &out->answer);
    return out->repeated;
}

static void answer_fill(struct dm_step *out, const struct dm_draft *draft, bool granted,
                        enum dm_decision decision, uint64_t request)
{
    DM_ASSERT(!granted || decision != DM_DECISION_SILENT);
    const struct dm_record *record = &draft->next->record;
    out->answer = (struct dm_answer){
        .request = request,
        .fence = record->fence,
        .revision = record->revision,
        .last_seq = record->last_seq,
        .since_ms = record->since_ms,
        .until_ms = record->until_ms,
        .bot = record->bot,
        .bot_messages = record->bot_messages,
        .missed_inbound = record->missed_inbound,
        .status = record->status,
        .reason = record->reason,
        .mode = draft->policy->mode,
        .decision = (uint8_t)decision,
        .locked = record->locked,
        .granted = granted,
        .changed = draft->next->event,
        .actor = record->actor,
    };
}

/* ---- the step -------------------------------------------------------------- */

static void step_mutation(struct dm_step *out, const struct dm_record *record,
                          const struct dm_policy *policy, const struct dm_op *op)
{
    if (op->kind == DM_OP_ACTIVITY) {
        out->code = activity_check(op, &out->error);
    }
    if (out->code != DM_OK || repeat(out, record, op)) {
        return;
    }
    if (dm_record_exists(record) &&
        dm_snooze_expired(record->status, record->until_ms, op->now_ms)) {
        wake(out, record, policy, op);
        record = &out->transitions[0].record;
    }
    struct dm_draft draft = dm_draft_open(out, record, policy, op);
    enum dm_decision decision = DM_DECISION_SILENT;
    switch (op->kind) {
    case DM_OP_SET_STATUS:
        out->code = set_refused(&draft, op, &out->error);
        if (out->code != DM_OK) {
            return;
        }
        set_status(&draft, op);
        break;
    case DM_OP_COMMIT_REPLY:
        decision = commit_reply(&draft, op);
        break;
    default:
        record_activity(&draft, op);
        break;
    }
    bool granted = decision != DM_DECISION_SILENT;
    if (op->kind != DM_OP_COMMIT_REPLY) {
        decision = dm_decide(policy, draft.next->record.status, draft.next->record.bot_messages);
    }
    draft.write = draft.write || op->request != 0; /* the answer is durable, too */
    dm_draft_close(&draft, out, op);
    answer_fill(out, &draft, granted, decision, op->request);
    if (op->request != 0) {
        DM_ASSERT(out->transition_count > 0); /* the answer is journaled with it */
        dm_answers_add(&draft.next->record.answers, &out->answer);
    }
}

static void step_wake_due(struct dm_step *out, const struct dm_record *record,
                          const struct dm_policy *policy, const struct dm_op *op)
{
    if (dm_record_exists(record) && record->fence == op->wake.fence &&
        dm_snooze_expired(record->status, record->until_ms, op->now_ms)) {
        wake(out, record, policy, op);
    }
}

/* A delete leaves an empty record with a fence. No fence of the contact that was ever read is
 * above it, not even that of a wake that is still to come (it may have been read before the
 * clock stepped back). Later fences must be above it. */
static void step_delete(struct dm_step *out, const struct dm_record *record,
                        const struct dm_policy *policy, const struct dm_op *op)
{
    out->existed = dm_record_exists(record);
    if (!out->existed) {
        return;
    }
    struct dm_draft draft = dm_draft_open(out, record, policy, op);
    dm_record_clear(&draft.next->record);
    draft.next->record.fence = record->fence + 1;
    out->transition_count = 1;
}

void dm_step(struct dm_step *out, const struct dm_record *record, const struct dm_policy *policy,
             const struct dm_op *op)
{
    out->code = DM_OK;
    out->repeated = false;
    out->existed = false;
    out->transition_count = 0;
    switch (op->kind) {
    case DM_OP_SET_STATUS:
    case DM_OP_COMMIT_REPLY:
    case DM_OP_ACTIVITY:
        step_mutation(out, record, policy, op);
        break;
    case DM_OP_WAKE_DUE:
        step_wake_due(out, record, policy, op);
        break;
    default:
        DM_ASSERT(op->kind == DM_OP_DELETE);
        step_delete(out, record, policy, op);
        break;
    }
}
