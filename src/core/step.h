#ifndef DM_CORE_STEP_H
#define DM_CORE_STEP_H

#include "core/change.h"
#include "core/effective.h"
#include "core/op.h"

/* The pure heart: what a contact is at a time, and what an operation makes of it.
 * No I/O, no clock, no allocation; `now` comes in with the question. */

/* Runs `op` on `record` (NULL or NONE: never written to; not a part of *out) under
 * `policy` (for SET_STATUS with a bot: that bot's). Fills *out; touches only the
 * parts of it in use. A SET_STATUS must have passed dm_change_check; an ACTIVITY is
 * checked here (INVALID_ARGUMENT). WAKE_DUE and DELETE have no request ids and
 * leave `answer` alone. */
void dm_step(struct dm_step *out, const struct dm_record *record, const struct dm_policy *policy,
             const struct dm_op *op);

#endif
