#include "core/change.h"

#include "base/hash.h"
#include "core/ident.h"

uint64_t dm_request_hash(enum dm_request_method method, struct dm_slice request_id)
{
    if (request_id.size == 0) {
        return 0;
    }
    uint64_t hash = dm_hash(request_id.data, request_id.size, method);
    return hash != 0 ? hash : 1;
}

static enum dm_code snooze_until_check(int64_t until_ms, int64_t now_ms, struct dm_error *error)
{
    if (until_ms <= now_ms) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_until: is in the past; give a time 1 s to 366 days ahead");
    }
    if (until_ms < now_ms + DM_SNOOZE_MS_MIN) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_until: is less than 1 s ahead; a snooze takes at least 1 s");
    }
    if (until_ms > now_ms + DM_SNOOZE_MS_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_until: is more than 366 days ahead; use STATUS_INACTIVE for "
                       "longer");
    }
    return DM_OK;
}

static enum dm_code times_check(const struct dm_change *change, int64_t now_ms,
                                struct dm_error *error)
{
    if (change->status != DM_STATUS_SNOOZED) {
        if (!change->has_for && !change->has_until) {
            return DM_OK;
        }
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.%s: only STATUS_SNOOZED takes a time; leave it out",
                       change->has_for ? "snooze_for" : "snooze_until");
    }
    if (change->has_for == change->has_until) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_for: STATUS_SNOOZED needs exactly one of snooze_for and "
                       "snooze_until");
    }
    if (change->has_until) {
        return snooze_until_check(change->until_ms, now_ms, error);
    }
    if (change->for_ms < DM_SNOOZE_MS_MIN) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_for: is less than 1 s; a snooze takes at least 1 s");
    }
    if (change->for_ms > DM_SNOOZE_MS_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.snooze_for: is more than 366 days; use STATUS_INACTIVE for longer");
    }
    return DM_OK;
}

static enum dm_code reason_check(uint8_t reason, struct dm_error *error)
{
    if (reason >= DM_REASON_COUNT) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.reason: %d is not a Reason; leave it out for REASON_SET", reason);
    }
    if (reason == DM_REASON_NEVER_SET || reason == DM_REASON_SNOOZE_EXPIRED ||
        reason == DM_REASON_MODE_OFF) {
        return dm_fail(
            error, DM_INVALID_ARGUMENT,
            "change.reason: NEVER_SET, SNOOZE_EXPIRED and MODE_OFF are the server's own; "
            "leave it out for REASON_SET");
    }
    return DM_OK;
}

enum dm_code dm_change_check(const struct dm_change *change, int64_t now_ms, struct dm_error *error)
{
    if (change->status < DM_STATUS_ACTIVE || change->status >= DM_STATUS_COUNT) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "change.status: %d cannot be set; use STATUS_ACTIVE, STATUS_SNOOZED or "
                       "STATUS_INACTIVE",
                       change->status);
    }
    enum dm_code code = times_check(change, now_ms, error);
    if (code != DM_OK) {
        return code;
    }
    if (change->lock && change->status != DM_STATUS_INACTIVE) {
        return dm_fail(
            error, DM_INVALID_ARGUMENT,
            "change.lock: an opt-out goes with STATUS_INACTIVE; set that status or leave "
            "lock out");
    }
    code = reason_check(change->reason, error);
    if (code != DM_OK) {
        return code;
    }
    return dm_text_check(change->actor, DM_ACTOR_SIZE_MAX, "change.actor", error);
}
