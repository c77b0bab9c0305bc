#include "rpc/convert.h"

#include "core/ident.h"

/* The ranges that the well-known types document: years 1 to 9999, and as many years
 * of seconds either way. */
#define TIMESTAMP_S_MIN (-62135596800LL)
#define TIMESTAMP_S_MAX 253402300799LL
#define DURATION_S_MAX 315576000000LL
#define NANOS_MAX 999999999
#define NANOS_PER_MS 1000000

_Static_assert(0 < DM_PAGE_SIZE_DEFAULT && DM_PAGE_SIZE_DEFAULT <= DM_PAGE_SIZE_MAX,
               "a page that nobody sized");
_Static_assert(DM_SNOOZE_MS_MAX / 1000 < DURATION_S_MAX, "every snooze is a Duration");

google_protobuf_Duration dm_duration(int64_t ms)
{
    return (google_protobuf_Duration){.seconds = ms / 1000,
                                      .nanos = (int32_t)(ms % 1000) * NANOS_PER_MS};
}

/* Division truncates towards zero: for negative numbers that is up. */
static int64_t ms_up(int64_t seconds, int32_t nanos)
{
    int32_t ms = nanos > 0 ? (nanos + NANOS_PER_MS - 1) / NANOS_PER_MS : nanos / NANOS_PER_MS;
    return seconds * 1000 + ms;
}

enum dm_code dm_timestamp_ms(const google_protobuf_Timestamp *from, const char *field, int64_t *ms,
                             struct dm_error *error)
{
    if (from->seconds < TIMESTAMP_S_MIN || from->seconds > TIMESTAMP_S_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.seconds: %lld is outside of the years 1 to 9999", field,
                       (long long)from->seconds);
    }
    if (from->nanos < 0 || from->nanos > NANOS_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "%s.nanos: %d is not within 0 to 999999999",
                       field, from->nanos);
    }
    *ms = ms_up(from->seconds, from->nanos);
    return DM_OK;
}

enum dm_code dm_duration_ms(const google_protobuf_Duration *from, const char *field, int64_t *ms,
                            struct dm_error *error)
{
    if (from->seconds < -DURATION_S_MAX || from->seconds > DURATION_S_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.seconds: %lld is beyond the 10,000 years of a Duration", field,
                       (long long)from->seconds);
    }
    bool mixed = (from->seconds > 0 && from->nanos < 0) || (from->seconds < 0 && from->nanos > 0);
    if (from->nanos < -NANOS_MAX || from->nanos > NANOS_MAX || mixed) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s.nanos: %d must be within -999999999 to 999999999 and have the sign of "
                       "the seconds",
                       field, from->nanos);
    }
    *ms = ms_up(from->seconds, from->nanos);
    return DM_OK;
}

void dm_event_to_proto(dormouse_v1_StatusEvent *to, const struct dm_event *from)
{
    *to = (dormouse_v1_StatusEvent){
        .seq = from->seq,
        .has_at = from->at_ms != 0,
        .at = dm_timestamp(from->at_ms),
        .account_id = from->account_id,
        .contact_id = from->contact_id,
        .from = (dormouse_v1_Status)from->from,
        .to = (dormouse_v1_Status)from->to,
        .reason = (dormouse_v1_Reason)from->reason,
        .actor = from->actor,
        .fence = from->fence,
        .has_snoozed_until = from->until_ms != 0,
        .snoozed_until = dm_timestamp(from->until_ms),
        .has_due = from->due_ms != 0,
        .due = dm_timestamp(from->due_ms),
        .missed_inbound = from->missed_inbound,
    };
}

static enum dm_code read_times(const dormouse_v1_StatusChange *message, struct dm_change *change,
                               struct dm_error *error)
{
    switch (message->which_wake) {
    case dormouse_v1_StatusChange_snooze_for_tag:
        change->has_for = true;
        return dm_duration_ms(&message->wake.snooze_for, "change.snooze_for", &change->for_ms,
                              error);
    case dormouse_v1_StatusChange_snooze_until_tag:
        change->has_until = true;
        return dm_timestamp_ms(&message->wake.snooze_until, "change.snooze_until",
                               &change->until_ms, error);
    default:
        return DM_OK;
    }
}

enum dm_code dm_change_read(const dormouse_v1_StatusChange *message, bool present, int64_t now_ms,
                            struct dm_change *change, struct dm_error *error)
{
    if (!present) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "change: is missing; say what to set");
    }
    *change = (struct dm_change){
        .status = dm_enum8((int64_t)message->status),
        .reason = dm_enum8((int64_t)message->reason),
        .lock = message->lock,
        .unlock = message->unlock,
        .has_bot = message->bot_id.data != NULL,
        .actor = message->actor,
    };
    enum dm_code code = read_times(message, change, error);
    if (code == DM_OK) {
        code = dm_change_check(change, now_ms, error);
    }
    if (code == DM_OK) {
        code = dm_text_check(message->bot_id, DM_ID_SIZE_MAX, "change.bot_id", error);
    }
    return code;
}

enum dm_code dm_contact_check(struct dm_slice account_id, struct dm_slice contact_id,
                              struct dm_error *error)
{
    enum dm_code code = dm_id_check(account_id, "account_id", error);
    return code != DM_OK ? code : dm_id_check(contact_id, "contact_id", error);
}

enum dm_code dm_request_id_check(struct dm_slice request_id, struct dm_error *error)
{
    return dm_text_check(request_id, DM_REQUEST_ID_SIZE_MAX, "request_id", error);
}

enum dm_code dm_page_size(uint32_t asked, uint32_t *size, struct dm_error *error)
{
    if (asked > DM_PAGE_SIZE_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "page_size: %u is more than the maximum, %d",
                       asked, DM_PAGE_SIZE_MAX);
    }
    *size = asked != 0 ? asked : DM_PAGE_SIZE_DEFAULT;
    return DM_OK;
}
