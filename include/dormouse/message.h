#ifndef DORMOUSE_MESSAGE_H
#define DORMOUSE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The messages of dormouse.v1.BotStatus as plain structs; what they mean stands in
 * dormouse.proto. A zeroed struct is an empty message. Times are UTC milliseconds since
 * 1970, 0: unset. A field `x` that may also be absent has a `has_x`. */

/* Text or bytes, not NUL-terminated. In a request: yours, copied before the call returns.
 * In an answer: the client's, valid until the callback returns. */
struct dormouse_text {
    const char *data;
    size_t size;
};

static inline struct dormouse_text dormouse_text(const char *terminated)
{
    struct dormouse_text text;
    text.data = terminated;
    text.size = terminated == NULL ? 0 : strlen(terminated);
    return text;
}

enum dormouse_status {
    DORMOUSE_STATUS_UNSPECIFIED = 0,
    DORMOUSE_ACTIVE = 1,
    DORMOUSE_SNOOZED = 2,
    DORMOUSE_INACTIVE = 3
};

enum dormouse_mode {
    DORMOUSE_MODE_UNSPECIFIED = 0,
    DORMOUSE_MODE_OFF = 1,
    DORMOUSE_MODE_SUGGESTIVE = 2,
    DORMOUSE_MODE_AUTO_PILOT = 3
};

enum dormouse_decision {
    DORMOUSE_DECISION_UNSPECIFIED = 0,
    DORMOUSE_REPLY = 1,
    DORMOUSE_SUGGEST = 2,
    DORMOUSE_SILENT = 3
};

enum dormouse_reason {
    DORMOUSE_REASON_UNSPECIFIED = 0,
    DORMOUSE_REASON_NEVER_SET = 1,
    DORMOUSE_REASON_SET = 2,
    DORMOUSE_REASON_BULK_SET = 3,
    DORMOUSE_REASON_SNOOZE_EXPIRED = 4,
    DORMOUSE_REASON_MANUAL_MESSAGE = 5,
    DORMOUSE_REASON_WORKFLOW_MESSAGE = 6,
    DORMOUSE_REASON_MESSAGE_LIMIT = 7,
    DORMOUSE_REASON_INBOUND_MESSAGE = 8,
    DORMOUSE_REASON_CONVERSATION_READ = 9,
    DORMOUSE_REASON_STOP_KEYWORD = 10,
    DORMOUSE_REASON_HANDOVER_REQUESTED = 11,
    DORMOUSE_REASON_APPOINTMENT_BOOKED = 12,
    DORMOUSE_REASON_MODE_OFF = 13
};

enum dormouse_activity {
    DORMOUSE_ACTIVITY_UNSPECIFIED = 0,
    DORMOUSE_INBOUND_MESSAGE = 1,
    DORMOUSE_BOT_MESSAGE = 2,
    DORMOUSE_MANUAL_MESSAGE = 3,
    DORMOUSE_WORKFLOW_MESSAGE = 4,
    DORMOUSE_CONVERSATION_READ = 5,
    DORMOUSE_STOP_KEYWORD = 6,
    DORMOUSE_HANDOVER_REQUESTED = 7,
    DORMOUSE_APPOINTMENT_BOOKED = 8
};

enum dormouse_action {
    DORMOUSE_ACTION_UNSPECIFIED = 0,
    DORMOUSE_ACTION_NONE = 1,
    DORMOUSE_ACTION_SNOOZE = 2,
    DORMOUSE_ACTION_DEACTIVATE = 3,
    DORMOUSE_ACTION_ACTIVATE = 4
};

enum dormouse_repeat {
    DORMOUSE_REPEAT_UNSPECIFIED = 0,
    DORMOUSE_REPEAT_EXTEND = 1,
    DORMOUSE_REPEAT_KEEP = 2,
    DORMOUSE_REPEAT_REPLACE = 3
};

enum dormouse_list_order { DORMOUSE_BY_CONTACT_ID = 0, DORMOUSE_BY_WAKE_TIME = 1 };

/* Values of the enums above are kept as int32_t: a newer server may send more. */

struct dormouse_contact {
    struct dormouse_text account_id, contact_id;
    int32_t status, reason;
    struct dormouse_text actor;
    int64_t since_ms, snoozed_until_ms;
    uint64_t fence, revision;
    bool locked;
    uint32_t bot_messages, missed_inbound;
    struct dormouse_text bot_id;
    int32_t mode;
    uint64_t last_seq;
};

/* Names one contact: CheckRequest, GetContactRequest, DeleteContactRequest. */
struct dormouse_contact_key {
    struct dormouse_text account_id, contact_id;
};

struct dormouse_check_answer {
    int32_t decision, status, reason;
    uint64_t fence;
    int64_t valid_until_ms;
    bool has_messages_left; /* false: no limit */
    uint32_t messages_left;
};

struct dormouse_commit_reply {
    struct dormouse_text account_id, contact_id;
    uint64_t fence; /* from the check */
    struct dormouse_text request_id;
};
struct dormouse_commit_reply_answer {
    bool granted;
    int32_t decision;
    struct dormouse_contact contact;
};

struct dormouse_record_activity {
    struct dormouse_text account_id, contact_id;
    int32_t activity;
    struct dormouse_text actor, request_id;
};
struct dormouse_record_activity_answer {
    struct dormouse_contact contact;
    int32_t decision;
    bool changed;
};

struct dormouse_batch_get {
    struct dormouse_text account_id;
    const struct dormouse_text *contact_ids;
    size_t contact_ids_count;
};
struct dormouse_batch_get_answer {
    const struct dormouse_contact *contacts;
    size_t contacts_count;
};

struct dormouse_list {
    struct dormouse_text account_id;
    int32_t status;
    uint32_t page_size;
    struct dormouse_text page_token;
    int32_t order;
};
struct dormouse_list_answer {
    const struct dormouse_contact *contacts;
    size_t contacts_count;
    struct dormouse_text next_page_token; /* empty: that was the last page */
};

/* SNOOZED wants exactly one of the two times, the others none. */
struct dormouse_change {
    int32_t status;
    int64_t snooze_for_ms, snooze_until_ms;
    struct dormouse_text actor;
    int32_t reason;
    bool lock, unlock;
    bool has_bot_id;
    struct dormouse_text bot_id;
};

struct dormouse_set_status {
    struct dormouse_text account_id, contact_id;
    struct dormouse_change change;
    bool has_if_revision;
    uint64_t if_revision;
    struct dormouse_text request_id;
};
struct dormouse_set_status_answer {
    struct dormouse_contact contact;
    bool changed;
};

struct dormouse_batch_set_status {
    struct dormouse_text account_id;
    const struct dormouse_text *contact_ids;
    size_t contact_ids_count;
    struct dormouse_change change;
    struct dormouse_text request_id;
};
struct dormouse_batch_set_result {
    struct dormouse_text contact_id;
    int32_t code; /* enum dormouse_code */
    struct dormouse_text message;
    struct dormouse_contact contact;
};
struct dormouse_batch_set_status_answer {
    const struct dormouse_batch_set_result *results;
    size_t results_count;
};

struct dormouse_bulk_set_status {
    struct dormouse_text account_id;
    int32_t if_status, if_reason;
    struct dormouse_change change;
    bool dry_run;
};
struct dormouse_bulk_progress {
    uint64_t scanned, matched, changed, skipped_locked;
    bool done;
};

struct dormouse_delete_contact_answer {
    bool existed;
};

struct dormouse_event {
    uint64_t seq;
    int64_t at_ms;
    struct dormouse_text account_id, contact_id;
    int32_t from, to, reason;
    struct dormouse_text actor;
    uint64_t fence;
    int64_t snoozed_until_ms;
    int64_t due_ms;          /* of a wake */
    uint32_t missed_inbound; /* of a wake */
};

struct dormouse_history {
    struct dormouse_text account_id, contact_id;
    uint32_t page_size;
    struct dormouse_text page_token;
};
struct dormouse_history_answer {
    const struct dormouse_event *events;
    size_t events_count;
    struct dormouse_text next_page_token;
};

struct dormouse_watch {
    struct dormouse_text account_id;         /* empty: all accounts */
    const struct dormouse_text *contact_ids; /* none: all contacts */
    size_t contact_ids_count;
    uint64_t after_seq;
    bool from_start;
};
/* Either an event, or only how far all was looked at. */
struct dormouse_watch_message {
    bool has_event;
    struct dormouse_event event;
    uint64_t progress_seq; /* without an event */
};

struct dormouse_rule {
    int32_t on, action;
    int64_t snooze_for_ms;
    int32_t repeat;
    bool lock;
};

struct dormouse_policy {
    struct dormouse_text account_id, bot_id;
    int32_t mode;
    const struct dormouse_rule *rules;
    size_t rules_count;
    uint32_t message_limit;
    bool has_on_limit;
    struct dormouse_rule on_limit;
    int64_t max_snooze_ms;
    uint64_t revision;
};

struct dormouse_get_policy {
    struct dormouse_text account_id, bot_id;
};
struct dormouse_set_policy {
    struct dormouse_policy policy;
    bool has_if_revision;
    uint64_t if_revision;
};

struct dormouse_get_stats {
    struct dormouse_text account_id; /* empty: the whole server */
};
struct dormouse_stats {
    uint64_t contacts, active, snoozed, inactive;
    uint64_t wakes;
    int64_t next_wake_ms;
    int64_t wake_lag_p50_us, wake_lag_p99_us, wake_lag_max_us;
    uint64_t last_seq, oldest_seq;
};

#ifdef __cplusplus
}
#endif

#endif
