#ifndef DM_RPC_AWAIT_H
#define DM_RPC_AWAIT_H

#include "rpc/state.h"

/* A call whose first message is still to come; its handler is called with that. */
void dm_call_await(struct dm_rpc *rpc, const struct dm_inbound *in);

#endif
