#ifndef DM_CORE_EFFECTIVE_H
#define DM_CORE_EFFECTIVE_H

#include "core/policy.h"
#include "core/record.h"

/* A contact as everyone sees it at a time. An expired snooze reads as the wake
 * that will be committed: ACTIVE, SNOOZE_EXPIRED, since = its end, fence and
 * revision one higher, counters zero. */
struct dm_effective {
    uint8_t status; /* ACTIVE, SNOOZED or INACTIVE: never NONE */
    uint8_t reason; /* of the contact: never MODE_OFF */
    uint8_t mode;
    uint8_t decision;
    uint8_t decision_reason; /* `reason`, or MODE_OFF, or MESSAGE_LIMIT where the count alone
                                silences an ACTIVE contact (a limit lowered below the count) */
    bool locked;
    bool expired;           /* a wake is due and not committed */
    bool limited;           /* there is a message limit */
    uint32_t messages_left; /* when `limited` */
    uint32_t bot, bot_messages, missed_inbound;
    uint64_t fence, revision, last_seq;
    int64_t since_ms, until_ms; /* until_ms: 0 unless SNOOZED */
};

/* `head` NULL or status NONE: a contact never written to, whose fence is
 * `fence_floor` (see dm_op). */
void dm_effective_at(struct dm_effective *out, const struct dm_record_head *head,
                     uint64_t fence_floor, const struct dm_policy *policy, int64_t now_ms);

/* Expiry is judged when read: a snooze is over from its end on, woken or not. */
static inline bool dm_snooze_expired(uint8_t status, int64_t until_ms, int64_t now_ms)
{
    return status == DM_STATUS_SNOOZED && until_ms <= now_ms;
}

/* The count alone silences: is it at the policy's limit? */
bool dm_limit_reached(const struct dm_policy *policy, uint32_t bot_messages);

/* What the bot may do with a contact in this state, as it is (not expired). */
enum dm_decision dm_decide(const struct dm_policy *policy, uint8_t status, uint32_t bot_messages);

#endif
