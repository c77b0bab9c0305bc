#ifndef DM_RPC_POOL_H
#define DM_RPC_POOL_H

#include "rpc/state.h"

/* The open calls. Each has a slot of the pool, is linked to its sink, is found by its id, and
 * ends at its deadline. All of them end in dm_call_close. */

bool dm_calls_init(struct dm_rpc *rpc);
void dm_calls_finish(struct dm_rpc *rpc);

/* There is a slot for every call that was admitted (admit.h). */
struct dm_call *dm_call_open(struct dm_rpc *rpc, const struct dm_inbound *in);
/* Fails it at once, for a reason that has nothing to do with what it read. */
void dm_call_abort(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error);
/* Nothing is said to the sink any more. */
void dm_call_close(struct dm_rpc *rpc, struct dm_call *call);

struct dm_call *dm_call_find(const struct dm_rpc *rpc, const struct dm_sink *sink, uint64_t id);
static inline struct dm_call *dm_call_at(const struct dm_rpc *rpc, uint32_t slot)
{
    return (struct dm_call *)rpc->pool.base + slot;
}
static inline uint32_t dm_call_slot(const struct dm_rpc *rpc, const struct dm_call *call)
{
    return (uint32_t)(call - (const struct dm_call *)rpc->pool.base);
}

/* Does such a call last as long as its client wants? */
static inline bool dm_call_lasts(const struct dm_inbound *in)
{
    return in->method->server_stream || in->open;
}

/* Ends calls past their deadline; true: more are due. */
bool dm_calls_expire(struct dm_rpc *rpc);

#endif
