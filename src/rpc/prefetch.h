#ifndef DM_RPC_PREFETCH_H
#define DM_RPC_PREFETCH_H

#include "base/slice.h"

#include <stddef.h>

struct dm_rpc;

/* Payloads of calls that are about to come, as far as they are known: a hint for the
 * processor's caches. */
void dm_rpc_prefetch(struct dm_rpc *rpc, const struct dm_slice *payloads, size_t count);

#endif
