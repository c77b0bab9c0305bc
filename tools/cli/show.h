#ifndef DM_CLI_SHOW_H
#define DM_CLI_SHOW_H

#include "cli/out.h"

/* Answers as lines for people, without the line's end. */
void dm_show_contact(struct dm_out *out, const struct dormouse_contact *contact, int64_t now_ms);
/* The contact's id before it, in a column of `width`. */
void dm_show_contact_line(struct dm_out *out, const struct dormouse_contact *contact, size_t width,
                          int64_t now_ms);
void dm_show_check(struct dm_out *out, const struct dormouse_check_answer *answer, int64_t now_ms);
/* `account`: the event's account is part of the line. */
void dm_show_event(struct dm_out *out, const struct dormouse_event *event, bool account);
void dm_show_policy(struct dm_out *out, const struct dormouse_policy *policy);
void dm_show_stats(struct dm_out *out, const struct dormouse_stats *stats, int64_t now_ms);
void dm_show_bulk(struct dm_out *out, const struct dormouse_bulk_progress *progress, bool dry_run);
/* "snooze:2h:extend", as policy set --rule reads it. */
void dm_show_rule(struct dm_out *out, const struct dormouse_rule *rule);

/* The same as one JSON object, names and shapes as ProtoJSON has them. What is no message and
 * has no value (a time, an optional number) is left out; all else is always there. */
void dm_json_contact(struct dm_out *out, const struct dormouse_contact *contact);
void dm_json_check(struct dm_out *out, const struct dormouse_check_answer *answer);
void dm_json_commit(struct dm_out *out, const struct dormouse_commit_reply_answer *answer);
void dm_json_activity(struct dm_out *out, const struct dormouse_record_activity_answer *answer);
void dm_json_set(struct dm_out *out, const struct dormouse_contact *contact, bool changed);
void dm_json_event(struct dm_out *out, const struct dormouse_event *event);
void dm_json_policy(struct dm_out *out, const struct dormouse_policy *policy);
void dm_json_stats(struct dm_out *out, const struct dormouse_stats *stats);
void dm_json_bulk(struct dm_out *out, const struct dormouse_bulk_progress *progress);
void dm_json_batch_result(struct dm_out *out, const struct dormouse_batch_set_result *result);
void dm_json_deleted(struct dm_out *out, struct dormouse_text contact_id, bool existed);

#endif
