#ifndef DM_CORE_OP_H
#define DM_CORE_OP_H

#include "base/code.h"
#include "core/policy.h"
#include "core/record.h"

/* What goes into a step and what comes out of it (see step.h). */

enum dm_op_kind {
    DM_OP_SET_STATUS = 1, /* SetStatus, BatchSetStatus, BulkSetStatus */
    DM_OP_COMMIT_REPLY,
    DM_OP_ACTIVITY,
    DM_OP_WAKE_DUE, /* a timer fired */
    DM_OP_DELETE,
};

/* StatusChange, decoded. At most one of `for_ms` and `until_ms` is set; has_for and has_until
 * tell which. */
struct dm_change {
    uint8_t status; /* as on the wire, unchecked */
    uint8_t reason; /* 0: REASON_SET (REASON_BULK_SET for a bulk) */
    bool has_for, has_until, lock, unlock, has_bot;
    int64_t for_ms;   /* a duration below 1 ms resolution is rounded up */
    int64_t until_ms; /* likewise */
    uint32_t bot;     /* with has_bot: its number */
    struct dm_slice actor;
};

struct dm_op {
    uint8_t kind; /* enum dm_op_kind */
    int64_t now_ms;
    uint64_t request;     /* dm_request_hash, or 0: no request_id */
    uint64_t next_seq;    /* the seq that the first event of this step would take */
    uint64_t fence_floor; /* the fence of a contact never written to: 0, or above every fence of a
                             deleted contact of the account, so that no fence is ever seen twice */
    union {
        struct {
            struct dm_change change;
            bool has_if_revision;
            uint64_t if_revision;
        } set;
        struct {
            uint64_t fence;
        } commit;
        struct {
            uint8_t activity;
            struct dm_slice actor;
        } activity;
        struct {
            uint64_t fence; /* of the snooze that the timer was armed for */
        } wake;
    };
};

/* One new state to journal, in order. */
struct dm_transition {
    struct dm_record record; /* after; after a delete, status NONE and zero but for `fence`: no
                                fence above it was ever read, so fence_floor must be from now on */
    uint8_t from;            /* status before; NONE: it did not exist (and read as ACTIVE) */
    bool event;              /* a change of status: takes record.last_seq as its seq */
    uint64_t previous_seq;   /* with event: the contact's event before it, 0: none */
    int64_t due_ms;          /* of a wake: when it was due; else 0 */
    uint32_t missed_inbound; /* of a wake: what came in during the snooze */
};

struct dm_step {
    enum dm_code code; /* not OK: `error` says why (and only a due wake may be in transitions) */
    struct dm_error error;
    bool repeated; /* a known request id: `answer` is the one given then, nothing to journal */
    bool existed;  /* DELETE */
    int transition_count; /* 0 to 2: an expired snooze's wake first, then the operation */
    struct dm_transition transitions[2];
    struct dm_answer answer; /* what to answer a SET_STATUS, COMMIT_REPLY or ACTIVITY with code OK:
                                the contact after, mode, granted, changed (by the operation itself,
                                not by the wake before it), decision (of a COMMIT_REPLY: for this
                                reply; else: from now on); request is 0 where no id came */
};

#endif
