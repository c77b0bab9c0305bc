#include "cli/show.h"
#include "client/message.h"
#include "json/json.h"

#include <stdio.h>

/* Answers as JSON: their structs become messages again, and those ProtoJSON. */

static void put(struct dm_out *out, const char *type, const struct dm_message *message,
                const void *from)
{
    struct dm_buf proto = {0}, json = {0};
    struct dm_error error = {.message = "no memory for an answer"};
    bool fine = dm_message_encode(&proto, message, from) &&
                dm_proto_to_json_shown(type, dm_buf_slice(&proto), &json, &error) == DM_OK;
    if (fine) {
        dm_out_bytes(out, dm_buf_head(&json), dm_buf_size(&json));
    } else { /* a time that no calendar has, say */
        (void)fprintf(stderr, "dormouse: %s\n", error.message);
        dm_out_str(out, "null");
    }
    dm_buf_finish(&json);
    dm_buf_finish(&proto);
}

void dm_json_contact(struct dm_out *out, const struct dormouse_contact *contact)
{
    put(out, "dormouse.v1.Contact", &dm_contact_message, contact);
}

void dm_json_check(struct dm_out *out, const struct dormouse_check_answer *answer)
{
    put(out, "dormouse.v1.CheckResponse", &dm_check_answer_message, answer);
}

void dm_json_commit(struct dm_out *out, const struct dormouse_commit_reply_answer *answer)
{
    put(out, "dormouse.v1.CommitReplyResponse", &dm_commit_reply_answer_message, answer);
}

void dm_json_activity(struct dm_out *out, const struct dormouse_record_activity_answer *answer)
{
    put(out, "dormouse.v1.RecordActivityResponse", &dm_record_activity_answer_message, answer);
}

void dm_json_set(struct dm_out *out, const struct dormouse_contact *contact, bool changed)
{
    const struct dormouse_set_status_answer answer = {.contact = contact, .changed = changed};
    put(out, "dormouse.v1.SetStatusResponse", &dm_set_status_answer_message, &answer);
}

void dm_json_event(struct dm_out *out, const struct dormouse_event *event)
{
    put(out, "dormouse.v1.StatusEvent", &dm_event_message, event);
}

void dm_json_policy(struct dm_out *out, const struct dormouse_policy *policy)
{
    put(out, "dormouse.v1.Policy", &dm_policy_message, policy);
}

void dm_json_stats(struct dm_out *out, const struct dormouse_stats *stats)
{
    put(out, "dormouse.v1.GetStatsResponse", &dm_stats_message, stats);
}

void dm_json_bulk(struct dm_out *out, const struct dormouse_bulk_progress *progress)
{
    put(out, "dormouse.v1.BulkSetStatusProgress", &dm_bulk_progress_message, progress);
}

void dm_json_batch_result(struct dm_out *out, const struct dormouse_batch_set_result *result)
{
    put(out, "dormouse.v1.BatchSetStatusResponse.Result", &dm_batch_set_result_message, result);
}

void dm_json_deleted(struct dm_out *out, struct dormouse_text contact_id, bool existed)
{
    dm_out_str(out, "{\"contactId\":");
    dm_out_json(out, contact_id);
    dm_out_format(out, ",\"existed\":%s}", existed ? "true" : "false");
}
