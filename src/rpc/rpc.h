#ifndef DM_RPC_RPC_H
#define DM_RPC_RPC_H

#include "base/clock.h"
#include "base/slice.h"
#include "rpc/request.h"
#include "rpc/sink.h"

#include <stdbool.h>
#include <stdint.h>

/* Calls: from a method's name and a message's bytes to an answer that may be shown. Knows
 * nothing of protocols and sockets; answers go to a sink. All calls on the loop. The rest of the
 * interface: ready.h, prefetch.h, and for /metrics metrics.h and watch.h. */

struct dm_rpc;
struct dm_engine; /* engine/engine.h */

/* NULL when there is no address space for the calls. `engine` is borrowed. */
struct dm_rpc *dm_rpc_create(struct dm_engine *engine, struct dm_clock clock);
/* Open calls are dropped without a word to their sinks, which must still be there. */
void dm_rpc_destroy(struct dm_rpc *rpc); /* NULL: no effect */

/* Begins a call; the answer may come before this returns, or later. */
void dm_rpc_call(struct dm_rpc *rpc, struct dm_sink *sink, const struct dm_rpc_request *request);
void dm_rpc_input(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id, struct dm_slice payload);
void dm_rpc_input_end(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id);
void dm_rpc_cancel(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id);
/* The connection is gone: all its calls are dropped, no function of it is called again. */
void dm_rpc_sink_gone(struct dm_rpc *rpc, struct dm_sink *sink);

/* Once a loop turn, after the sockets: releases what became durable, ends calls past their
 * deadline, gives every stream and long call a bounded step. Returns in how many
 * milliseconds it wants to be called again (0: at once; -1: when something happens). */
int dm_rpc_turn(struct dm_rpc *rpc);

uint32_t dm_rpc_open_calls(const struct dm_rpc *rpc);

/* A known service ("dormouse.v1.BotStatus", health, reflection)? */
bool dm_rpc_known_service(struct dm_slice service);
/* A known method that takes a stream of requests (reflection)? */
bool dm_rpc_client_streaming(struct dm_slice service, struct dm_slice method);

#endif
