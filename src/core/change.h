#ifndef DM_CORE_CHANGE_H
#define DM_CORE_CHANGE_H

#include "core/op.h"

/* The identity of a call for "same request_id, same answer": ids of different
 * methods never meet. 0 when `request_id` is empty; never 0 otherwise. `method` is
 * a small number that stays the same for ever (enum dm_request_method). */
enum dm_request_method {
    DM_REQUEST_COMMIT_REPLY = 1,
    DM_REQUEST_RECORD_ACTIVITY = 2,
    DM_REQUEST_SET_STATUS = 3,
    DM_REQUEST_BATCH_SET_STATUS = 4,
};
uint64_t dm_request_hash(enum dm_request_method method, struct dm_slice request_id);

/* What is wrong with a change whatever the contact's state: status, times, lock,
 * reason, actor. Field names in sentences begin with `change.`. */
enum dm_code dm_change_check(const struct dm_change *change, int64_t now_ms,
                             struct dm_error *error);

#endif
