#ifndef DM_RPC_RELEASE_H
#define DM_RPC_RELEASE_H

#include "rpc/state.h"

/* Answers that wait until what they tell is on disk. */

/* What an entry of the release queue says to the sink. */
enum dm_release_kind { DM_RELEASE_REPLY, DM_RELEASE_MESSAGE, DM_RELEASE_END, DM_RELEASE_FAIL };
bool dm_release_push(struct dm_rpc *rpc, struct dm_call *call, enum dm_release_kind kind,
                     enum dm_code code, struct dm_slice bytes, uint64_t barrier);
void dm_release_turn(struct dm_rpc *rpc);
/* The journal has failed: all that waits becomes UNAVAILABLE. */
void dm_release_abandon(struct dm_rpc *rpc, const struct dm_error *why);
/* Is the first one durable already? */
bool dm_release_ready(const struct dm_rpc *rpc);

#endif
