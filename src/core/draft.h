#ifndef DM_CORE_DRAFT_H
#define DM_CORE_DRAFT_H

#include "core/op.h"

/* Inside core only: a transition while it is being made. It starts as a copy of the contact. The
 * operation and the rules work on the copy. It counts only if there is something to journal in
 * the end. */
struct dm_draft {
    struct dm_transition *next; /* `record` is the copy; `event` once its status changed */
    const struct dm_policy *policy;
    int64_t now_ms;
    bool write; /* worth journaling although the status may not have changed */
};

/* Who or what makes a change, and why. */
struct dm_cause {
    uint8_t reason; /* enum dm_reason */
    struct dm_slice actor;
};

/* The actor of what the server does by itself: wakes, and the message limit. */
#define DM_ACTOR_SELF "dormouse"

static inline bool dm_record_exists(const struct dm_record *record)
{
    return record != NULL && record->status != DM_STATUS_NONE;
}

/* A draft of the contact after `before` (NULL or NONE: never written to) in the next
 * free transition of *out, which counts only once dm_draft_close found that the draft
 * holds something to journal. Every write grows the revision, every event the fence
 * and takes a seq. */
struct dm_draft dm_draft_open(struct dm_step *out, const struct dm_record *before,
                              const struct dm_policy *policy, const struct dm_op *op);
void dm_draft_close(struct dm_draft *draft, struct dm_step *out, const struct dm_op *op);

/* The only place where a status or the end of a snooze changes, at most once in a
 * draft. What follows from the change follows here: counters, the event. `until_ms`
 * is 0 unless SNOOZED. */
void dm_draft_become(struct dm_draft *draft, uint8_t status, int64_t until_ms, int64_t since_ms,
                     struct dm_cause cause);

#endif
