#ifndef DM_RPC_CONVERT_H
#define DM_RPC_CONVERT_H

#include "dormouse/v1/dormouse.pb.h"
#include "engine/engine.h"
#include "rpc/message.h"

/* Converts between the messages and the structs of core and engine. Enumerations have the same
 * numbers on both sides; times are whole milliseconds inside, rounded up. */

static inline google_protobuf_Timestamp dm_timestamp(int64_t ms)
{
    int64_t rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
    }
    return (google_protobuf_Timestamp){.seconds = (ms - rest) / 1000,
                                       .nanos = (int32_t)rest * 1000000};
}

google_protobuf_Duration dm_duration(int64_t ms);
/* INVALID_ARGUMENT naming `field` when it is outside of what the type allows. */
enum dm_code dm_timestamp_ms(const google_protobuf_Timestamp *from, const char *field, int64_t *ms,
                             struct dm_error *error);
enum dm_code dm_duration_ms(const google_protobuf_Duration *from, const char *field, int64_t *ms,
                            struct dm_error *error);

/* Texts are referred to, not copied: `from` outlives `to`. */
static inline dormouse_v1_CheckResponse dm_check_to_proto(const struct dm_effective *from)
{
    return (dormouse_v1_CheckResponse){
        .decision = (dormouse_v1_Decision)from->decision,
        .status = (dormouse_v1_Status)from->status,
        .reason = (dormouse_v1_Reason)from->decision_reason,
        .fence = from->fence,
        .has_valid_until = from->until_ms != 0,
        .valid_until = dm_timestamp(from->until_ms),
        .has_messages_left = from->limited,
        .messages_left = from->messages_left,
    };
}

static inline dormouse_v1_Contact dm_contact_to_proto(const struct dm_contact *from)
{
    return (dormouse_v1_Contact){
        .account_id = from->account_id,
        .contact_id = from->contact_id,
        .status = (dormouse_v1_Status)from->status,
        .reason = (dormouse_v1_Reason)from->reason,
        .actor = from->actor,
        .has_since = from->since_ms != 0,
        .since = dm_timestamp(from->since_ms),
        .has_snoozed_until = from->until_ms != 0,
        .snoozed_until = dm_timestamp(from->until_ms),
        .fence = from->fence,
        .revision = from->revision,
        .locked = from->locked,
        .bot_messages = from->bot_messages,
        .missed_inbound = from->missed_inbound,
        .bot_id = from->bot_id,
        .mode = (dormouse_v1_Mode)from->mode,
        .last_seq = from->last_seq,
    };
}

void dm_event_to_proto(dormouse_v1_StatusEvent *to, const struct dm_event *from);

/* Reads a StatusChange and checks all of it except what depends on the contact. `present`: the
 * field was set. */
enum dm_code dm_change_read(const dormouse_v1_StatusChange *message, bool present, int64_t now_ms,
                            struct dm_change *change, struct dm_error *error);

/* account_id and contact_id, which nearly all requests have. */
enum dm_code dm_contact_check(struct dm_slice account_id, struct dm_slice contact_id,
                              struct dm_error *error);
enum dm_code dm_request_id_check(struct dm_slice request_id, struct dm_error *error);

/* `asked` 0: the default. INVALID_ARGUMENT when it is more than the maximum. */
enum dm_code dm_page_size(uint32_t asked, uint32_t *size, struct dm_error *error);

#endif
