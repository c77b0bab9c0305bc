#include "core/draft.h"

#include "base/assert.h"

/* Only a delete writes NONE. A contact that did not exist begins as everyone saw it before:
 * ACTIVE and never set. */
static void record_new(struct dm_record *record, uint64_t fence_floor)
{
    dm_record_clear(record);
    record->status = DM_STATUS_ACTIVE;
    record->reason = DM_REASON_NEVER_SET;
    record->fence = fence_floor;
}

struct dm_draft dm_draft_open(struct dm_step *out, const struct dm_record *before,
                              const struct dm_policy *policy, const struct dm_op *op)
{
    DM_ASSERT(out->transition_count < (int)(sizeof out->transitions / sizeof *out->transitions));
    struct dm_transition *next = &out->transitions[out->transition_count];
    if (dm_record_exists(before)) {
        next->from = before->status;
        dm_record_copy(&next->record, before);
    } else {
        next->from = DM_STATUS_NONE;
        record_new(&next->record, op->fence_floor);
    }
    next->event = false;
    next->previous_seq = 0;
    next->due_ms = 0;
    next->missed_inbound = 0;
    return (struct dm_draft){.next = next, .policy = policy, .now_ms = op->now_ms};
}

void dm_draft_become(struct dm_draft *draft, uint8_t status, int64_t until_ms, int64_t since_ms,
                     struct dm_cause cause)
{
    struct dm_record *record = &draft->next->record;
    DM_ASSERT(!draft->next->event);
    DM_ASSERT(status != record->status || until_ms != record->until_ms);
    DM_ASSERT(dm_state_valid(status, cause.reason, record->locked, until_ms));
    if (status == DM_STATUS_ACTIVE) {
        record->bot_messages = 0;
    }
    if (status == DM_STATUS_ACTIVE || record->status == DM_STATUS_ACTIVE) {
        record->missed_inbound = 0;
    }
    record->status = status;
    record->until_ms = until_ms;
    record->since_ms = since_ms;
    record->reason = cause.reason;
    dm_text64_set(&record->actor, cause.actor);
    draft->next->event = true;
}

/* A transition before this one was a wake, so it took one seq. */
void dm_draft_close(struct dm_draft *draft, struct dm_step *out, const struct dm_op *op)
{
    struct dm_record *record = &draft->next->record;
    if (!draft->next->event && !draft->write) {
        return;
    }
    record->revision++;
    if (draft->next->event) {
        record->fence++;
        draft->next->previous_seq = record->last_seq;
        record->last_seq = op->next_seq + (uint64_t)out->transition_count;
    }
    out->transition_count++;
}
