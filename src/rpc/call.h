#ifndef DM_RPC_CALL_H
#define DM_RPC_CALL_H

#include "rpc/state.h"

/* The life of a call. A handler gets it as a dm_inbound on the stack and either ends it at once
 * (dm_answer, dm_refuse), or goes on with it as a task (dm_call_begin). An answer whose barrier
 * is not durable yet waits in the release queue, linked to its sink by a dm_call. So a call that
 * is answered at once costs no allocation and no list.
 *
 * Who owns what: the pool owns every dm_call; a dm_call owns its task; the bytes of an answer
 * are copied into the queue or given to the sink, so they still belong to the caller. */

/* ---- for handlers ------------------------------------------------------------ */

/* Answers, messages and refusals alike wait until everything is durable that the call has read
 * or ordered in the engine so far. */

/* Ends a unary call with `message` (protobuf). */
void dm_answer(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice message);
void dm_refuse(struct dm_rpc *rpc, const struct dm_inbound *in, const struct dm_error *error);

/* Goes on with the call as a task, whose first step comes in the next turn. Takes over
 * `task`: ops->destroy frees it. */
struct dm_call *dm_call_begin(struct dm_rpc *rpc, const struct dm_inbound *in,
                              const struct dm_task_ops *ops, void *task);

/* ---- for tasks ---------------------------------------------------------------- */

/* Ends a unary call. The call may be gone when these return: `fail` and `end` always
 * end it. */
void dm_call_answer(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message);
void dm_call_fail(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error);
/* One message of a stream, in order. false: it could not be sent and the call has failed. */
bool dm_call_message(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message);
/* Ends a stream after its messages. */
void dm_call_end(struct dm_rpc *rpc, struct dm_call *call);
static inline size_t dm_call_room(const struct dm_call *call)
{
    return call->sink->ops->stream_room(call->sink, call->id);
}

#endif
