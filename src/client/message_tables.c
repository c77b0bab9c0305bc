#include "client/message.h"

#include "dormouse/v1/dormouse.pb.h"

#include <dormouse/message.h>

/* The tables: our structs' fields by the numbers of the generated header. ROW_ is a plain
 * field, HAS_ one with a has_x, SUB_ a message inside, ARRAY_ a pointer with its count. */
#define TAG_(proto, name) dormouse_v1_##proto##_##name##_tag
#define ROW_(kind_, type, proto, field, name)                        \
    {                                                                \
        .kind = DM_FIELD_##kind_, .tag = TAG_(proto, name),          \
        .offset = offsetof(struct dormouse_##type, field), .has = -1 \
    }
#define HAS_(kind_, type, proto, field)                      \
    {                                                        \
        .kind = DM_FIELD_##kind_, .tag = TAG_(proto, field), \
        .offset = offsetof(struct dormouse_##type, field),   \
        .has = offsetof(struct dormouse_##type, has_##field) \
    }
#define SUB_(of, type, proto, field)                                  \
    {                                                                 \
        .kind = DM_FIELD_MESSAGE, .tag = TAG_(proto, field),          \
        .offset = offsetof(struct dormouse_##type, field), .has = -1, \
        .message = &dm_##of##_message                                 \
    }
#define HAS_SUB_(of, type, proto, field)                                                    \
    {                                                                                       \
        .kind = DM_FIELD_MESSAGE, .tag = TAG_(proto, field),                                \
        .offset = offsetof(struct dormouse_##type, field),                                  \
        .has = offsetof(struct dormouse_##type, has_##field), .message = &dm_##of##_message \
    }
#define ARRAY_(kind_, of, type, proto, field)                                     \
    {                                                                             \
        .kind = DM_FIELD_##kind_, .tag = TAG_(proto, field),                      \
        .offset = offsetof(struct dormouse_##type, field), .has = -1,             \
        .count = offsetof(struct dormouse_##type, field##_count), .message = (of) \
    }
#define MESSAGE_(type)                                                  \
    const struct dm_message dm_##type##_message = {                     \
        .fields = type##_fields,                                        \
        .fields_count = sizeof type##_fields / sizeof type##_fields[0], \
        .size = sizeof(struct dormouse_##type),                         \
    }

static const struct dm_field rule_fields[] = {
    ROW_(ENUM, rule, Rule, on, on),
    ROW_(ENUM, rule, Rule, action, action),
    ROW_(TIME_MS, rule, Rule, snooze_for_ms, snooze_for),
    ROW_(ENUM, rule, Rule, repeat, repeat),
    ROW_(BOOL, rule, Rule, lock, lock),
};
static MESSAGE_(rule);

static const struct dm_field contact_fields[] = {
    ROW_(TEXT, contact, Contact, account_id, account_id),
    ROW_(TEXT, contact, Contact, contact_id, contact_id),
    ROW_(ENUM, contact, Contact, status, status),
    ROW_(ENUM, contact, Contact, reason, reason),
    ROW_(TEXT, contact, Contact, actor, actor),
    ROW_(TIME_MS, contact, Contact, since_ms, since),
    ROW_(TIME_MS, contact, Contact, snoozed_until_ms, snoozed_until),
    ROW_(U64, contact, Contact, fence, fence),
    ROW_(U64, contact, Contact, revision, revision),
    ROW_(BOOL, contact, Contact, locked, locked),
    ROW_(U32, contact, Contact, bot_messages, bot_messages),
    ROW_(U32, contact, Contact, missed_inbound, missed_inbound),
    ROW_(TEXT, contact, Contact, bot_id, bot_id),
    ROW_(ENUM, contact, Contact, mode, mode),
    ROW_(U64, contact, Contact, last_seq, last_seq),
};
MESSAGE_(contact);

static const struct dm_field contact_key_fields[] = {
    ROW_(TEXT, contact_key, CheckRequest, account_id, account_id),
    ROW_(TEXT, contact_key, CheckRequest, contact_id, contact_id),
};
MESSAGE_(contact_key);

static const struct dm_field check_answer_fields[] = {
    ROW_(ENUM, check_answer, CheckResponse, decision, decision),
    ROW_(ENUM, check_answer, CheckResponse, status, status),
    ROW_(ENUM, check_answer, CheckResponse, reason, reason),
    ROW_(U64, check_answer, CheckResponse, fence, fence),
    ROW_(TIME_MS, check_answer, CheckResponse, valid_until_ms, valid_until),
    HAS_(U32, check_answer, CheckResponse, messages_left),
};
MESSAGE_(check_answer);

static const struct dm_field commit_reply_fields[] = {
    ROW_(TEXT, commit_reply, CommitReplyRequest, account_id, account_id),
    ROW_(TEXT, commit_reply, CommitReplyRequest, contact_id, contact_id),
    ROW_(U64, commit_reply, CommitReplyRequest, fence, fence),
    ROW_(TEXT, commit_reply, CommitReplyRequest, request_id, request_id),
};
MESSAGE_(commit_reply);

static const struct dm_field commit_reply_answer_fields[] = {
    ROW_(BOOL, commit_reply_answer, CommitReplyResponse, granted, granted),
    ROW_(ENUM, commit_reply_answer, CommitReplyResponse, decision, decision),
    SUB_(contact, commit_reply_answer, CommitReplyResponse, contact),
};
MESSAGE_(commit_reply_answer);

static const struct dm_field record_activity_fields[] = {
    ROW_(TEXT, record_activity, RecordActivityRequest, account_id, account_id),
    ROW_(TEXT, record_activity, RecordActivityRequest, contact_id, contact_id),
    ROW_(ENUM, record_activity, RecordActivityRequest, activity, activity),
    ROW_(TEXT, record_activity, RecordActivityRequest, actor, actor),
    ROW_(TEXT, record_activity, RecordActivityRequest, request_id, request_id),
};
MESSAGE_(record_activity);

static const struct dm_field record_activity_answer_fields[] = {
    SUB_(contact, record_activity_answer, RecordActivityResponse, contact),
    ROW_(ENUM, record_activity_answer, RecordActivityResponse, decision, decision),
    ROW_(BOOL, record_activity_answer, RecordActivityResponse, changed, changed),
};
MESSAGE_(record_activity_answer);

static const struct dm_field batch_get_fields[] = {
    ROW_(TEXT, batch_get, BatchGetContactsRequest, account_id, account_id),
    ARRAY_(TEXTS, NULL, batch_get, BatchGetContactsRequest, contact_ids),
};
MESSAGE_(batch_get);

static const struct dm_field batch_get_answer_fields[] = {
    ARRAY_(MESSAGES, &dm_contact_message, batch_get_answer, BatchGetContactsResponse, contacts),
};
MESSAGE_(batch_get_answer);

static const struct dm_field list_fields[] = {
    ROW_(TEXT, list, ListContactsRequest, account_id, account_id),
    ROW_(ENUM, list, ListContactsRequest, status, status),
    ROW_(U32, list, ListContactsRequest, page_size, page_size),
    ROW_(TEXT, list, ListContactsRequest, page_token, page_token),
    ROW_(ENUM, list, ListContactsRequest, order, order),
};
MESSAGE_(list);

static const struct dm_field list_answer_fields[] = {
    ARRAY_(MESSAGES, &dm_contact_message, list_answer, ListContactsResponse, contacts),
    ROW_(TEXT, list_answer, ListContactsResponse, next_page_token, next_page_token),
};
MESSAGE_(list_answer);

static const struct dm_field change_fields[] = {
    ROW_(ENUM, change, StatusChange, status, status),
    ROW_(TIME_MS, change, StatusChange, snooze_for_ms, snooze_for),
    ROW_(TIME_MS, change, StatusChange, snooze_until_ms, snooze_until),
    ROW_(TEXT, change, StatusChange, actor, actor),
    ROW_(ENUM, change, StatusChange, reason, reason),
    ROW_(BOOL, change, StatusChange, lock, lock),
    ROW_(BOOL, change, StatusChange, unlock, unlock),
    HAS_(TEXT, change, StatusChange, bot_id),
};
static MESSAGE_(change);

static const struct dm_field set_status_fields[] = {
    ROW_(TEXT, set_status, SetStatusRequest, account_id, account_id),
    ROW_(TEXT, set_status, SetStatusRequest, contact_id, contact_id),
    SUB_(change, set_status, SetStatusRequest, change),
    HAS_(U64, set_status, SetStatusRequest, if_revision),
    ROW_(TEXT, set_status, SetStatusRequest, request_id, request_id),
};
MESSAGE_(set_status);

static const struct dm_field set_status_answer_fields[] = {
    SUB_(contact, set_status_answer, SetStatusResponse, contact),
    ROW_(BOOL, set_status_answer, SetStatusResponse, changed, changed),
};
MESSAGE_(set_status_answer);

static const struct dm_field batch_set_status_fields[] = {
    ROW_(TEXT, batch_set_status, BatchSetStatusRequest, account_id, account_id),
    ARRAY_(TEXTS, NULL, batch_set_status, BatchSetStatusRequest, contact_ids),
    SUB_(change, batch_set_status, BatchSetStatusRequest, change),
    ROW_(TEXT, batch_set_status, BatchSetStatusRequest, request_id, request_id),
};
MESSAGE_(batch_set_status);

static const struct dm_field batch_set_result_fields[] = {
    ROW_(TEXT, batch_set_result, BatchSetStatusResponse_Result, contact_id, contact_id),
    ROW_(ENUM, batch_set_result, BatchSetStatusResponse_Result, code, code),
    ROW_(TEXT, batch_set_result, BatchSetStatusResponse_Result, message, message),
    SUB_(contact, batch_set_result, BatchSetStatusResponse_Result, contact),
};
static MESSAGE_(batch_set_result);

static const struct dm_field batch_set_status_answer_fields[] = {
    ARRAY_(MESSAGES, &dm_batch_set_result_message, batch_set_status_answer, BatchSetStatusResponse,
           results),
};
MESSAGE_(batch_set_status_answer);

static const struct dm_field bulk_set_status_fields[] = {
    ROW_(TEXT, bulk_set_status, BulkSetStatusRequest, account_id, account_id),
    ROW_(ENUM, bulk_set_status, BulkSetStatusRequest, if_status, if_status),
    ROW_(ENUM, bulk_set_status, BulkSetStatusRequest, if_reason, if_reason),
    SUB_(change, bulk_set_status, BulkSetStatusRequest, change),
    ROW_(BOOL, bulk_set_status, BulkSetStatusRequest, dry_run, dry_run),
};
MESSAGE_(bulk_set_status);

static const struct dm_field bulk_progress_fields[] = {
    ROW_(U64, bulk_progress, BulkSetStatusProgress, scanned, scanned),
    ROW_(U64, bulk_progress, BulkSetStatusProgress, matched, matched),
    ROW_(U64, bulk_progress, BulkSetStatusProgress, changed, changed),
    ROW_(U64, bulk_progress, BulkSetStatusProgress, skipped_locked, skipped_locked),
    ROW_(BOOL, bulk_progress, BulkSetStatusProgress, done, done),
};
MESSAGE_(bulk_progress);

static const struct dm_field delete_contact_answer_fields[] = {
    ROW_(BOOL, delete_contact_answer, DeleteContactResponse, existed, existed),
};
MESSAGE_(delete_contact_answer);

static const struct dm_field event_fields[] = {
    ROW_(U64, event, StatusEvent, seq, seq),
    ROW_(TIME_MS, event, StatusEvent, at_ms, at),
    ROW_(TEXT, event, StatusEvent, account_id, account_id),
    ROW_(TEXT, event, StatusEvent, contact_id, contact_id),
    ROW_(ENUM, event, StatusEvent, from, from),
    ROW_(ENUM, event, StatusEvent, to, to),
    ROW_(ENUM, event, StatusEvent, reason, reason),
    ROW_(TEXT, event, StatusEvent, actor, actor),
    ROW_(U64, event, StatusEvent, fence, fence),
    ROW_(TIME_MS, event, StatusEvent, snoozed_until_ms, snoozed_until),
    ROW_(TIME_MS, event, StatusEvent, due_ms, due),
    ROW_(U32, event, StatusEvent, missed_inbound, missed_inbound),
};
MESSAGE_(event);

static const struct dm_field history_fields[] = {
    ROW_(TEXT, history, GetHistoryRequest, account_id, account_id),
    ROW_(TEXT, history, GetHistoryRequest, contact_id, contact_id),
    ROW_(U32, history, GetHistoryRequest, page_size, page_size),
    ROW_(TEXT, history, GetHistoryRequest, page_token, page_token),
};
MESSAGE_(history);

static const struct dm_field history_answer_fields[] = {
    ARRAY_(MESSAGES, &dm_event_message, history_answer, GetHistoryResponse, events),
    ROW_(TEXT, history_answer, GetHistoryResponse, next_page_token, next_page_token),
};
MESSAGE_(history_answer);

static const struct dm_field watch_fields[] = {
    ROW_(TEXT, watch, WatchRequest, account_id, account_id),
    ARRAY_(TEXTS, NULL, watch, WatchRequest, contact_ids),
    ROW_(U64, watch, WatchRequest, after_seq, after_seq),
    ROW_(BOOL, watch, WatchRequest, from_start, from_start),
};
MESSAGE_(watch);

static const struct dm_field watch_message_fields[] = {
    HAS_SUB_(event, watch_message, WatchResponse, event),
    ROW_(U64, watch_message, WatchResponse, progress_seq, progress_seq),
};
MESSAGE_(watch_message);

static const struct dm_field policy_fields[] = {
    ROW_(TEXT, policy, Policy, account_id, account_id),
    ROW_(TEXT, policy, Policy, bot_id, bot_id),
    ROW_(ENUM, policy, Policy, mode, mode),
    ARRAY_(MESSAGES, &dm_rule_message, policy, Policy, rules),
    ROW_(U32, policy, Policy, message_limit, message_limit),
    HAS_SUB_(rule, policy, Policy, on_limit),
    ROW_(TIME_MS, policy, Policy, max_snooze_ms, max_snooze),
    ROW_(U64, policy, Policy, revision, revision),
};
MESSAGE_(policy);

static const struct dm_field get_policy_fields[] = {
    ROW_(TEXT, get_policy, GetPolicyRequest, account_id, account_id),
    ROW_(TEXT, get_policy, GetPolicyRequest, bot_id, bot_id),
};
MESSAGE_(get_policy);

static const struct dm_field set_policy_fields[] = {
    SUB_(policy, set_policy, SetPolicyRequest, policy),
    HAS_(U64, set_policy, SetPolicyRequest, if_revision),
};
MESSAGE_(set_policy);

static const struct dm_field get_stats_fields[] = {
    ROW_(TEXT, get_stats, GetStatsRequest, account_id, account_id),
};
MESSAGE_(get_stats);

static const struct dm_field stats_fields[] = {
    ROW_(U64, stats, GetStatsResponse, contacts, contacts),
    ROW_(U64, stats, GetStatsResponse, active, active),
    ROW_(U64, stats, GetStatsResponse, snoozed, snoozed),
    ROW_(U64, stats, GetStatsResponse, inactive, inactive),
    ROW_(U64, stats, GetStatsResponse, wakes, wakes),
    ROW_(TIME_MS, stats, GetStatsResponse, next_wake_ms, next_wake),
    ROW_(SPAN_US, stats, GetStatsResponse, wake_lag_p50_us, wake_lag_p50),
    ROW_(SPAN_US, stats, GetStatsResponse, wake_lag_p99_us, wake_lag_p99),
    ROW_(SPAN_US, stats, GetStatsResponse, wake_lag_max_us, wake_lag_max),
    ROW_(U64, stats, GetStatsResponse, last_seq, last_seq),
    ROW_(U64, stats, GetStatsResponse, oldest_seq, oldest_seq),
};
MESSAGE_(stats);
