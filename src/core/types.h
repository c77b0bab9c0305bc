#ifndef DM_CORE_TYPES_H
#define DM_CORE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* The contract's enumerations, with the contract's numbers (dormouse.proto), so
 * that nothing is translated between wire, core and disk. */

enum dm_status {
    DM_STATUS_NONE = 0, /* never written to; on the wire: unspecified */
    DM_STATUS_ACTIVE = 1,
    DM_STATUS_SNOOZED = 2,
    DM_STATUS_INACTIVE = 3,
};
#define DM_STATUS_COUNT 4

enum dm_mode {
    DM_MODE_UNSPECIFIED = 0,
    DM_MODE_OFF = 1,
    DM_MODE_SUGGESTIVE = 2,
    DM_MODE_AUTO_PILOT = 3,
};

enum dm_decision {
    DM_DECISION_UNSPECIFIED = 0,
    DM_DECISION_REPLY = 1,
    DM_DECISION_SUGGEST = 2,
    DM_DECISION_SILENT = 3,
};

enum dm_reason {
    DM_REASON_UNSPECIFIED = 0,
    DM_REASON_NEVER_SET = 1,
    DM_REASON_SET = 2,
    DM_REASON_BULK_SET = 3,
    DM_REASON_SNOOZE_EXPIRED = 4,
    DM_REASON_MANUAL_MESSAGE = 5,
    DM_REASON_WORKFLOW_MESSAGE = 6,
    DM_REASON_MESSAGE_LIMIT = 7,
    DM_REASON_INBOUND_MESSAGE = 8,
    DM_REASON_CONVERSATION_READ = 9,
    DM_REASON_STOP_KEYWORD = 10,
    DM_REASON_HANDOVER_REQUESTED = 11,
    DM_REASON_APPOINTMENT_BOOKED = 12,
    DM_REASON_MODE_OFF = 13,
};
#define DM_REASON_COUNT 14

enum dm_activity {
    DM_ACTIVITY_UNSPECIFIED = 0,
    DM_ACTIVITY_INBOUND_MESSAGE = 1,
    DM_ACTIVITY_BOT_MESSAGE = 2,
    DM_ACTIVITY_MANUAL_MESSAGE = 3,
    DM_ACTIVITY_WORKFLOW_MESSAGE = 4,
    DM_ACTIVITY_CONVERSATION_READ = 5,
    DM_ACTIVITY_STOP_KEYWORD = 6,
    DM_ACTIVITY_HANDOVER_REQUESTED = 7,
    DM_ACTIVITY_APPOINTMENT_BOOKED = 8,
};
#define DM_ACTIVITY_COUNT 9

enum dm_action {
    DM_ACTION_UNSPECIFIED = 0,
    DM_ACTION_NONE = 1,
    DM_ACTION_SNOOZE = 2,
    DM_ACTION_DEACTIVATE = 3,
    DM_ACTION_ACTIVATE = 4,
};

enum dm_repeat {
    DM_REPEAT_UNSPECIFIED = 0,
    DM_REPEAT_EXTEND = 1,
    DM_REPEAT_KEEP = 2,
    DM_REPEAT_REPLACE = 3,
};

/* What every contact obeys, as it is kept and as it was answered: only a snooze has an end,
 * only INACTIVE is locked, and MODE_OFF is nobody's reason. */
static inline bool dm_state_valid(uint8_t status, uint8_t reason, bool locked, int64_t until_ms)
{
    return status >= DM_STATUS_ACTIVE && status < DM_STATUS_COUNT &&
           reason >= DM_REASON_NEVER_SET && reason < DM_REASON_MODE_OFF &&
           (status == DM_STATUS_SNOOZED || until_ms == 0) &&
           (status == DM_STATUS_INACTIVE || !locked);
}

#endif
