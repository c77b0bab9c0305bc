#include "cli/show.h"

#include "cli/when.h"
#include "cli/words.h"

#include <inttypes.h>

enum { STATUS_WIDTH = 8, REASON_WIDTH = 18 };

static enum dm_colour colour_of(int32_t status)
{
    return status == 1 ? DM_GREEN : status == 2 ? DM_YELLOW : status == 3 ? DM_RED : DM_PLAIN;
}

static void status(struct dm_out *out, int32_t value, size_t width)
{
    dm_out_colour(out, colour_of(value));
    dm_out_padded(out, dormouse_text(dm_word(&dm_status_words, value)), width);
    dm_out_colour(out, DM_PLAIN);
}

/* "  NAME value" when there is a value. */
static void named(struct dm_out *out, const char *name, struct dormouse_text value)
{
    if (value.size > 0) {
        dm_out_format(out, "  %s ", name);
        (void)dm_out_safe(out, value);
    }
}

static void until(struct dm_out *out, const char *name, int64_t ms, int64_t now_ms)
{
    if (ms == 0) {
        return;
    }
    dm_out_format(out, "  %s ", name);
    dm_time_print(out, ms);
    dm_out_str(out, " (");
    dm_time_print_relative(out, ms, now_ms);
    dm_out_str(out, ")");
}

void dm_show_contact(struct dm_out *out, const struct dormouse_contact *contact, int64_t now_ms)
{
    status(out, contact->status, STATUS_WIDTH);
    until(out, "until", contact->snoozed_until_ms, now_ms);
    named(out, "by", contact->actor);
    named(out, "reason", dormouse_text(dm_word(&dm_reason_words, contact->reason)));
    dm_out_format(out, "  fence %" PRIu64, contact->fence);
    if (contact->locked) {
        dm_out_str(out, "  locked");
    }
    named(out, "bot", contact->bot_id);
    if (contact->mode == DORMOUSE_MODE_OFF || contact->mode == DORMOUSE_MODE_SUGGESTIVE) {
        named(out, "mode", dormouse_text(dm_word(&dm_mode_words, contact->mode)));
    }
    if (contact->bot_messages > 0) {
        dm_out_format(out, "  bot-messages %" PRIu32, contact->bot_messages);
    }
    if (contact->missed_inbound > 0) {
        dm_out_format(out, "  missed %" PRIu32, contact->missed_inbound);
    }
}

void dm_show_contact_line(struct dm_out *out, const struct dormouse_contact *contact, size_t width,
                          int64_t now_ms)
{
    dm_out_padded(out, contact->contact_id, width);
    dm_out_str(out, "  ");
    dm_show_contact(out, contact, now_ms);
}

void dm_show_check(struct dm_out *out, const struct dormouse_check_answer *answer, int64_t now_ms)
{
    static const enum dm_colour colours[] = {DM_PLAIN, DM_GREEN, DM_YELLOW, DM_RED};
    bool known = answer->decision >= 0 && answer->decision < 4;
    dm_out_colour(out, known ? colours[answer->decision] : DM_PLAIN);
    dm_out_padded(out, dormouse_text(dm_word(&dm_decision_words, answer->decision)), 7);
    dm_out_colour(out, DM_PLAIN);
    dm_out_str(out, "  ");
    status(out, answer->status, STATUS_WIDTH);
    until(out, "until", answer->valid_until_ms, now_ms);
    named(out, "reason", dormouse_text(dm_word(&dm_reason_words, answer->reason)));
    dm_out_format(out, "  fence %" PRIu64, answer->fence);
    if (answer->has_messages_left) {
        dm_out_format(out, "  messages-left %" PRIu32, answer->messages_left);
    }
}

void dm_show_event(struct dm_out *out, const struct dormouse_event *event, bool account)
{
    dm_out_format(out, "%-8" PRIu64 "  ", event->seq);
    dm_time_print(out, event->at_ms);
    dm_out_str(out, "  ");
    if (account) {
        (void)dm_out_safe(out, event->account_id);
        dm_out_str(out, "/");
    }
    (void)dm_out_safe(out, event->contact_id);
    dm_out_str(out, "  ");
    status(out, event->from, STATUS_WIDTH);
    dm_out_str(out, " -> ");
    status(out, event->to, STATUS_WIDTH);
    if (event->snoozed_until_ms != 0) {
        dm_out_str(out, "  until ");
        dm_time_print(out, event->snoozed_until_ms);
    }
    named(out, "by", event->actor);
    named(out, "reason", dormouse_text(dm_word(&dm_reason_words, event->reason)));
    dm_out_format(out, "  fence %" PRIu64, event->fence);
    if (event->due_ms != 0 && event->at_ms > event->due_ms) {
        dm_out_format(out, "  late %" PRId64 " ms", event->at_ms - event->due_ms);
    }
    if (event->missed_inbound > 0) {
        dm_out_format(out, "  missed %" PRIu32, event->missed_inbound);
    }
}

void dm_show_rule(struct dm_out *out, const struct dormouse_rule *rule)
{
    dm_out_str(out, dm_word(&dm_action_words, rule->action));
    if (rule->action == DORMOUSE_ACTION_SNOOZE) {
        dm_out_str(out, ":");
        dm_duration_print(out, rule->snooze_for_ms);
        int32_t repeat = rule->repeat == 0 ? DORMOUSE_REPEAT_EXTEND : rule->repeat;
        dm_out_format(out, ":%s", dm_word(&dm_repeat_words, repeat));
    }
    dm_out_str(out, rule->lock ? ":lock" : "");
}

void dm_show_policy(struct dm_out *out, const struct dormouse_policy *policy)
{
    dm_out_str(out, "account      ");
    (void)dm_out_safe(out, policy->account_id);
    dm_out_str(out, "\nbot          ");
    (void)dm_out_safe(out, policy->bot_id.size > 0 ? policy->bot_id : dormouse_text("(default)"));
    dm_out_format(out, "\nmode         %s", dm_word(&dm_mode_words, policy->mode));
    dm_out_str(out, "\nlimit        ");
    if (policy->message_limit == 0) {
        dm_out_str(out, "none");
    } else {
        dm_out_format(out, "%" PRIu32 " messages", policy->message_limit);
    }
    if (policy->on_limit != NULL) {
        dm_out_str(out, "\non-limit     ");
        dm_show_rule(out, policy->on_limit);
    }
    dm_out_str(out, "\nmax-snooze   ");
    if (policy->max_snooze_ms == 0) {
        dm_out_str(out, "none");
    } else {
        dm_duration_print(out, policy->max_snooze_ms);
    }
    for (size_t i = 0; i < policy->rules_count; i++) {
        dm_out_str(out, i == 0 ? "\nrules        " : "\n             ");
        dm_out_padded(out, dormouse_text(dm_word(&dm_activity_words, policy->rules[i]->on)),
                      REASON_WIDTH);
        dm_out_str(out, "  ");
        dm_show_rule(out, policy->rules[i]);
    }
    dm_out_format(out, "\nrevision     %" PRIu64, policy->revision);
}

static void counted(struct dm_out *out, const char *name, uint64_t count)
{
    dm_out_format(out, "%-10s", name);
    dm_out_count(out, count);
    dm_out_str(out, "\n");
}

static void lag(struct dm_out *out, const char *name, int64_t us)
{
    dm_out_format(out, "%s%" PRId64 ".%03" PRId64 " ms", name, us / 1000, us % 1000);
}

void dm_show_stats(struct dm_out *out, const struct dormouse_stats *stats, int64_t now_ms)
{
    counted(out, "contacts", stats->contacts);
    counted(out, "active", stats->active);
    counted(out, "snoozed", stats->snoozed);
    counted(out, "inactive", stats->inactive);
    counted(out, "wakes", stats->wakes);
    dm_out_str(out, "next wake ");
    if (stats->next_wake_ms == 0) {
        dm_out_str(out, "none");
    } else {
        dm_time_print(out, stats->next_wake_ms);
        dm_out_str(out, " (");
        dm_time_print_relative(out, stats->next_wake_ms, now_ms);
        dm_out_str(out, ")");
    }
    if (stats->wakes == 0) {
        dm_out_str(out, "\nwake lag  none yet");
    } else {
        lag(out, "\nwake lag  p50 ", stats->wake_lag_p50_us);
        lag(out, "  p99 ", stats->wake_lag_p99_us);
        lag(out, "  max ", stats->wake_lag_max_us);
    }
    dm_out_format(out, "\nevents    %" PRIu64 " to %" PRIu64, stats->oldest_seq, stats->last_seq);
}

void dm_show_bulk(struct dm_out *out, const struct dormouse_bulk_progress *progress, bool dry_run)
{
    dm_out_str(out, "scanned ");
    dm_out_count(out, progress->scanned);
    dm_out_str(out, "  matched ");
    dm_out_count(out, progress->matched);
    if (!dry_run) {
        dm_out_str(out, "  changed ");
        dm_out_count(out, progress->changed);
    }
    dm_out_str(out, "  skipped (locked) ");
    dm_out_count(out, progress->skipped_locked);
}
