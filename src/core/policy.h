#ifndef DM_CORE_POLICY_H
#define DM_CORE_POLICY_H

#include "base/code.h"
#include "base/slice.h"
#include "core/types.h"

#include <stdbool.h>
#include <stdint.h>

struct dm_rule {
    uint8_t action; /* enum dm_action, never UNSPECIFIED in a policy in force */
    uint8_t repeat; /* enum dm_repeat, likewise */
    bool lock;
    int64_t snooze_ms; /* for ACTION_SNOOZE, else 0 */
};

/* One bot's policy in force: the defaults are filled in. */
struct dm_policy {
    uint8_t mode;                            /* enum dm_mode */
    struct dm_rule rules[DM_ACTIVITY_COUNT]; /* by enum dm_activity; [0] is unused */
    uint16_t explicit_rules;                 /* bit per activity: set by SetPolicy, not defaulted */
    bool explicit_on_limit;
    struct dm_rule on_limit;
    uint32_t message_limit; /* 0: none */
    int64_t max_snooze_ms;  /* 0: no cap */
    uint64_t revision;      /* 0: never set */
};

/* The policy of a bot that set none (DESIGN: AUTO_PILOT; MANUAL and WORKFLOW
 * snooze 2 h, EXTEND; STOP_KEYWORD deactivates with lock; HANDOVER deactivates;
 * CONVERSATION_READ activates what the limit silenced; no limit; on_limit
 * snoozes 24 h). */
const struct dm_policy *dm_policy_default(void);

/* Checks a policy as it is about to come in force (modes, actions, repeats in
 * range; a snooze needs 1 s to 366 days, the others none; lock only with
 * DEACTIVATE; no rule but NONE on BOT_MESSAGE: that is what on_limit is for;
 * on_limit silences, so no ACTIVATE; max_snooze 0 or 1 s to 366 days). The
 * sentence names the field, e.g. "policy.rules[2].snooze_for". `names` gives the
 * index in the request of each activity's rule, -1 for defaults; NULL: none. */
enum dm_code dm_policy_check(const struct dm_policy *policy, const int8_t names[DM_ACTIVITY_COUNT],
                             struct dm_error *error);

enum { DM_POLICY_SIZE = 132 };

/* Fixed-size encoding for journal and view, version 1; returns the size written
 * (DM_POLICY_SIZE). decode: false when the bytes are no policy of a known version
 * that dm_policy_check would let in; *policy is then undefined. */
size_t dm_policy_encode(const struct dm_policy *policy, uint8_t out[DM_POLICY_SIZE]);
bool dm_policy_decode(struct dm_policy *policy, struct dm_slice bytes);

#endif
