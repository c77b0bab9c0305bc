#include "core/effective.h"

#include "base/assert.h"

/* The contact as it is, before the policy is asked. One that was never written to is ACTIVE, and
 * an expired snooze already reads as its wake (see wake in step.c). */
static void state_at(struct dm_effective *out, const struct dm_record_head *head,
                     uint64_t fence_floor, int64_t now_ms)
{
    if (head == NULL || head->status == DM_STATUS_NONE) {
        *out = (struct dm_effective){
            .status = DM_STATUS_ACTIVE, .reason = DM_REASON_NEVER_SET, .fence = fence_floor};
        return;
    }
    *out = (struct dm_effective){
        .status = head->status,
        .reason = head->reason,
        .locked = head->locked,
        .bot = head->bot,
        .bot_messages = head->bot_messages,
        .missed_inbound = head->missed_inbound,
        .fence = head->fence,
        .revision = head->revision,
        .last_seq = head->last_seq,
        .since_ms = head->since_ms,
        .until_ms = head->until_ms,
    };
    if (dm_snooze_expired(head->status, head->until_ms, now_ms)) {
        out->expired = true;
        out->status = DM_STATUS_ACTIVE;
        out->reason = DM_REASON_SNOOZE_EXPIRED;
        out->since_ms = head->until_ms;
        out->until_ms = 0;
        out->bot_messages = 0;
        out->missed_inbound = 0;
        out->fence++;
        out->revision++;
    }
}

/* The count alone silences: a lowered limit applies at once, and so does one whose
 * on_limit is ACTION_NONE. */
bool dm_limit_reached(const struct dm_policy *policy, uint32_t bot_messages)
{
    return policy->message_limit > 0 && bot_messages >= policy->message_limit;
}

enum dm_decision dm_decide(const struct dm_policy *policy, uint8_t status, uint32_t bot_messages)
{
    if (policy->mode == DM_MODE_OFF || status != DM_STATUS_ACTIVE ||
        dm_limit_reached(policy, bot_messages)) {
        return DM_DECISION_SILENT;
    }
    return policy->mode == DM_MODE_SUGGESTIVE ? DM_DECISION_SUGGEST : DM_DECISION_REPLY;
}

static uint8_t decision_reason(const struct dm_policy *policy, const struct dm_effective *state)
{
    if (policy->mode == DM_MODE_OFF) {
        return DM_REASON_MODE_OFF;
    }
    if (state->status == DM_STATUS_ACTIVE && dm_limit_reached(policy, state->bot_messages)) {
        return DM_REASON_MESSAGE_LIMIT;
    }
    return state->reason;
}

void dm_effective_at(struct dm_effective *out, const struct dm_record_head *head,
                     uint64_t fence_floor, const struct dm_policy *policy, int64_t now_ms)
{
    state_at(out, head, fence_floor, now_ms);
    DM_ASSERT(dm_state_valid(out->status, out->reason, out->locked, out->until_ms));
    DM_ASSERT(policy->mode >= DM_MODE_OFF && policy->mode <= DM_MODE_AUTO_PILOT);
    out->mode = policy->mode;
    out->decision = (uint8_t)dm_decide(policy, out->status, out->bot_messages);
    out->decision_reason = decision_reason(policy, out);
    out->limited = policy->message_limit > 0;
    if (out->limited && !dm_limit_reached(policy, out->bot_messages)) {
        out->messages_left = policy->message_limit - out->bot_messages;
    }
}
