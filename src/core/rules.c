#include "core/rules.h"

#include "base/assert.h"

/* Automatic rules: what activities and the message limit do to a status. They
 * never weaken. An opt-out (locked) they leave alone; INACTIVE and a running snooze
 * they end or shorten only where this table says so:
 *
 *              on ACTIVE    on SNOOZED                     on INACTIVE
 *   SNOOZE     snooze       KEEP: nothing                  nothing
 *                           EXTEND: to the later end
 *                           REPLACE: to the new end
 *   DEACTIVATE off          off                            nothing
 *   ACTIVATE   nothing      ends with REPLACE, unless      nothing, unless the limit
 *                           the limit set it               set it
 *
 * What the message limit set, CONVERSATION_READ with ACTIVATE ends, and no other
 * activity does. DEACTIVATE with lock locks what was already INACTIVE: an opt-out
 * must stick. */

/* When a snooze of this rule ends that began at `since_ms`. The policy caps what automatic
 * snoozes may add up to. */
static int64_t snooze_end(const struct dm_draft *draft, const struct dm_rule *rule,
                          int64_t since_ms)
{
    DM_ASSERT(rule->snooze_ms >= DM_SNOOZE_MS_MIN && rule->snooze_ms <= DM_SNOOZE_MS_MAX);
    int64_t end = draft->now_ms + rule->snooze_ms;
    int64_t cap = since_ms + draft->policy->max_snooze_ms;
    return draft->policy->max_snooze_ms > 0 && cap < end ? cap : end;
}

/* The cap never shortens a snooze under EXTEND, and never ends one at once under REPLACE. */
static void prolong(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause)
{
    const struct dm_record *record = &draft->next->record;
    int64_t end = snooze_end(draft, rule, record->since_ms);
    DM_ASSERT(record->until_ms > draft->now_ms); /* what had expired was woken before */
    bool later = end > record->until_ms;
    bool replaces = rule->repeat == DM_REPEAT_REPLACE && end > draft->now_ms;
    if ((rule->repeat == DM_REPEAT_EXTEND && later) || (replaces && end != record->until_ms)) {
        /* `since` stays: it is still the same snooze, and the cap counts from there */
        dm_draft_become(draft, DM_STATUS_SNOOZED, end, record->since_ms, cause);
    }
}

static void snooze(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause)
{
    switch (draft->next->record.status) {
    case DM_STATUS_ACTIVE:
        dm_draft_become(draft, DM_STATUS_SNOOZED, snooze_end(draft, rule, draft->now_ms),
                        draft->now_ms, cause);
        break;
    case DM_STATUS_SNOOZED:
        prolong(draft, rule, cause);
        break;
    default:
        break;
    }
}

static void deactivate(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause)
{
    struct dm_record *record = &draft->next->record;
    if (record->status != DM_STATUS_INACTIVE) {
        dm_draft_become(draft, DM_STATUS_INACTIVE, 0, draft->now_ms, cause);
    }
    if (rule->lock) {
        record->locked = true;
        draft->write = true;
    }
}

static void activate(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause)
{
    const struct dm_record *record = &draft->next->record;
    bool ends = record->reason == DM_REASON_MESSAGE_LIMIT
                    ? cause.reason == DM_REASON_CONVERSATION_READ
                    : record->status == DM_STATUS_SNOOZED && rule->repeat == DM_REPEAT_REPLACE;
    if (record->status != DM_STATUS_ACTIVE && ends) {
        dm_draft_become(draft, DM_STATUS_ACTIVE, 0, draft->now_ms, cause);
    }
}

void dm_rule_apply(struct dm_draft *draft, const struct dm_rule *rule, struct dm_cause cause)
{
    if (draft->next->record.locked) {
        return;
    }
    DM_ASSERT(cause.reason > DM_REASON_SET && cause.reason < DM_REASON_MODE_OFF);
    switch (rule->action) {
    case DM_ACTION_SNOOZE:
        snooze(draft, rule, cause);
        break;
    case DM_ACTION_DEACTIVATE:
        deactivate(draft, rule, cause);
        break;
    case DM_ACTION_ACTIVATE:
        activate(draft, rule, cause);
        break;
    default:
        DM_ASSERT(rule->action == DM_ACTION_NONE);
        break;
    }
}
