#include "cli/show.h"
#include "cli/when.h"
#include "cli/words.h"

#include <inttypes.h>

/* "{" for the first member, "," before each other one: told apart by what stands there. */
static void name(struct dm_out *out, const char *text)
{
    const uint8_t *bytes = dm_buf_head(&out->buf);
    size_t size = dm_buf_size(&out->buf);
    bool first = size > 0 && bytes[size - 1] == '{';
    dm_out_format(out, "%s\"%s\":", first ? "" : ",", text);
}

static void text(struct dm_out *out, const char *member, struct dormouse_text value)
{
    name(out, member);
    dm_out_json(out, value);
}

static void word(struct dm_out *out, const char *member, const struct dm_words *words,
                 int32_t value)
{
    name(out, member);
    dm_word_json(out, words, value);
}

static void u64(struct dm_out *out, const char *member, uint64_t value)
{
    name(out, member);
    dm_out_format(out, "\"%" PRIu64 "\"", value);
}

static void u32(struct dm_out *out, const char *member, uint32_t value)
{
    name(out, member);
    dm_out_format(out, "%" PRIu32, value);
}

static void flag(struct dm_out *out, const char *member, bool value)
{
    name(out, member);
    dm_out_str(out, value ? "true" : "false");
}

static void time_of(struct dm_out *out, const char *member, int64_t ms)
{
    if (ms == 0) {
        return;
    }
    name(out, member);
    dm_out_str(out, "\"");
    dm_time_print_rfc3339(out, ms);
    dm_out_str(out, "\"");
}

static void span(struct dm_out *out, const char *member, int64_t us)
{
    name(out, member);
    dm_duration_print_json(out, us);
}

void dm_json_contact(struct dm_out *out, const struct dormouse_contact *contact)
{
    dm_out_str(out, "{");
    text(out, "accountId", contact->account_id);
    text(out, "contactId", contact->contact_id);
    word(out, "status", &dm_status_words, contact->status);
    word(out, "reason", &dm_reason_words, contact->reason);
    text(out, "actor", contact->actor);
    time_of(out, "since", contact->since_ms);
    time_of(out, "snoozedUntil", contact->snoozed_until_ms);
    u64(out, "fence", contact->fence);
    u64(out, "revision", contact->revision);
    flag(out, "locked", contact->locked);
    u32(out, "botMessages", contact->bot_messages);
    u32(out, "missedInbound", contact->missed_inbound);
    text(out, "botId", contact->bot_id);
    word(out, "mode", &dm_mode_words, contact->mode);
    u64(out, "lastSeq", contact->last_seq);
    dm_out_str(out, "}");
}

void dm_json_check(struct dm_out *out, const struct dormouse_check_answer *answer)
{
    dm_out_str(out, "{");
    word(out, "decision", &dm_decision_words, answer->decision);
    word(out, "status", &dm_status_words, answer->status);
    word(out, "reason", &dm_reason_words, answer->reason);
    u64(out, "fence", answer->fence);
    time_of(out, "validUntil", answer->valid_until_ms);
    if (answer->has_messages_left) {
        u32(out, "messagesLeft", answer->messages_left);
    }
    dm_out_str(out, "}");
}

void dm_json_commit(struct dm_out *out, const struct dormouse_commit_reply_answer *answer)
{
    dm_out_str(out, "{");
    flag(out, "granted", answer->granted);
    word(out, "decision", &dm_decision_words, answer->decision);
    name(out, "contact");
    dm_json_contact(out, &answer->contact);
    dm_out_str(out, "}");
}

void dm_json_activity(struct dm_out *out, const struct dormouse_record_activity_answer *answer)
{
    dm_out_str(out, "{");
    name(out, "contact");
    dm_json_contact(out, &answer->contact);
    word(out, "decision", &dm_decision_words, answer->decision);
    flag(out, "changed", answer->changed);
    dm_out_str(out, "}");
}

void dm_json_set(struct dm_out *out, const struct dormouse_contact *contact, bool changed)
{
    dm_out_str(out, "{");
    name(out, "contact");
    dm_json_contact(out, contact);
    flag(out, "changed", changed);
    dm_out_str(out, "}");
}

void dm_json_event(struct dm_out *out, const struct dormouse_event *event)
{
    dm_out_str(out, "{");
    u64(out, "seq", event->seq);
    time_of(out, "at", event->at_ms);
    text(out, "accountId", event->account_id);
    text(out, "contactId", event->contact_id);
    word(out, "from", &dm_status_words, event->from);
    word(out, "to", &dm_status_words, event->to);
    word(out, "reason", &dm_reason_words, event->reason);
    text(out, "actor", event->actor);
    u64(out, "fence", event->fence);
    time_of(out, "snoozedUntil", event->snoozed_until_ms);
    time_of(out, "due", event->due_ms);
    u32(out, "missedInbound", event->missed_inbound);
    dm_out_str(out, "}");
}

static void rule(struct dm_out *out, const struct dormouse_rule *value)
{
    dm_out_str(out, "{");
    word(out, "on", &dm_activity_words, value->on);
    word(out, "action", &dm_action_words, value->action);
    if (value->snooze_for_ms != 0) {
        span(out, "snoozeFor", value->snooze_for_ms * 1000);
    }
    word(out, "repeat", &dm_repeat_words, value->repeat);
    flag(out, "lock", value->lock);
    dm_out_str(out, "}");
}

void dm_json_policy(struct dm_out *out, const struct dormouse_policy *policy)
{
    dm_out_str(out, "{");
    text(out, "accountId", policy->account_id);
    text(out, "botId", policy->bot_id);
    word(out, "mode", &dm_mode_words, policy->mode);
    name(out, "rules");
    dm_out_str(out, "[");
    for (size_t i = 0; i < policy->rules_count; i++) {
        dm_out_str(out, i > 0 ? "," : "");
        rule(out, &policy->rules[i]);
    }
    dm_out_str(out, "]");
    u32(out, "messageLimit", policy->message_limit);
    if (policy->has_on_limit) {
        name(out, "onLimit");
        rule(out, &policy->on_limit);
    }
    if (policy->max_snooze_ms != 0) {
        span(out, "maxSnooze", policy->max_snooze_ms * 1000);
    }
    u64(out, "revision", policy->revision);
    dm_out_str(out, "}");
}

void dm_json_stats(struct dm_out *out, const struct dormouse_stats *stats)
{
    dm_out_str(out, "{");
    u64(out, "contacts", stats->contacts);
    u64(out, "active", stats->active);
    u64(out, "snoozed", stats->snoozed);
    u64(out, "inactive", stats->inactive);
    u64(out, "wakes", stats->wakes);
    time_of(out, "nextWake", stats->next_wake_ms);
    span(out, "wakeLagP50", stats->wake_lag_p50_us);
    span(out, "wakeLagP99", stats->wake_lag_p99_us);
    span(out, "wakeLagMax", stats->wake_lag_max_us);
    u64(out, "lastSeq", stats->last_seq);
    u64(out, "oldestSeq", stats->oldest_seq);
    dm_out_str(out, "}");
}

void dm_json_bulk(struct dm_out *out, const struct dormouse_bulk_progress *progress)
{
    dm_out_str(out, "{");
    u64(out, "scanned", progress->scanned);
    u64(out, "matched", progress->matched);
    u64(out, "changed", progress->changed);
    u64(out, "skippedLocked", progress->skipped_locked);
    flag(out, "done", progress->done);
    dm_out_str(out, "}");
}

void dm_json_batch_result(struct dm_out *out, const struct dormouse_batch_set_result *result)
{
    dm_out_str(out, "{");
    text(out, "contactId", result->contact_id);
    name(out, "code");
    dm_out_format(out, "%" PRId32, result->code);
    text(out, "message", result->message);
    if (result->code == 0) {
        name(out, "contact");
        dm_json_contact(out, &result->contact);
    }
    dm_out_str(out, "}");
}

void dm_json_deleted(struct dm_out *out, struct dormouse_text contact_id, bool existed)
{
    dm_out_str(out, "{");
    text(out, "contactId", contact_id);
    flag(out, "existed", existed);
    dm_out_str(out, "}");
}
