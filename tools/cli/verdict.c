#include "cli/verdict.h"

#include "base/limits.h"

#include <dormouse/code.h>

static bool text_is(struct dormouse_text a, struct dormouse_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Would the row change nothing? A contact never written to is not the same as one that was set
 * ACTIVE: only the latter is listed. A snooze by its length ends at another time whenever it is
 * asked for. */
static bool is_same(const struct dormouse_change *change, const struct dormouse_contact *contact)
{
    bool locked = change->lock || (contact->locked && !change->unlock);
    return contact->revision > 0 && contact->status == change->status &&
           change->snooze_for_ms == 0 &&
           (change->status != DORMOUSE_SNOOZED ||
            contact->snoozed_until_ms == change->snooze_until_ms) &&
           contact->locked == locked &&
           (!change->has_bot_id || text_is(contact->bot_id, change->bot_id));
}

enum dm_verdict dm_verdict(const struct dormouse_change *change,
                           const struct dormouse_contact *contact, const struct dm_known *known)
{
    bool same = is_same(change, contact);
    bool untouched = known->has_own ? contact->last_seq == known->own_seq
                                    : contact->last_seq <= known->after_seq;
    if (untouched) {
        return same ? DM_VERDICT_SAME : DM_VERDICT_APPLY;
    }
    if (!known->asked) {
        return DM_VERDICT_ASK;
    }
    return same ? DM_VERDICT_SAME : DM_VERDICT_SKIP;
}

static const char *snooze_refusal(const struct dormouse_change *change, int64_t now_ms)
{
    int64_t length_ms =
        change->snooze_for_ms != 0 ? change->snooze_for_ms : change->snooze_until_ms - now_ms;
    if (length_ms <= 0) {
        return "the snooze ends in the past";
    }
    if (length_ms < DM_SNOOZE_MS_MIN) {
        return "the snooze is shorter than 1 s";
    }
    return length_ms > DM_SNOOZE_MS_MAX ? "the snooze is longer than 366 days" : NULL;
}

const char *dm_verdict_refusal(const struct dormouse_change *change,
                               const struct dormouse_contact *contact, int64_t now_ms, int *code)
{
    const char *why = NULL;
    *code = DORMOUSE_INVALID_ARGUMENT;
    if (change->status == DORMOUSE_SNOOZED) {
        why = snooze_refusal(change, now_ms);
    }
    if (why == NULL && change->lock && change->status != DORMOUSE_INACTIVE) {
        why = "locked goes with the status inactive only";
    }
    if (why == NULL && change->actor.size > DM_ACTOR_SIZE_MAX) {
        why = "the actor is longer than 64 bytes";
    }
    if (why != NULL) {
        return why;
    }
    *code = DORMOUSE_FAILED_PRECONDITION;
    if (contact->mode == DORMOUSE_MODE_OFF) {
        return "the bot of this account is off";
    }
    return contact->locked && !change->unlock ? "the contact is locked (opt-out); give --unlock"
                                              : NULL;
}
