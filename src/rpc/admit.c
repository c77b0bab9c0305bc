#include "rpc/admit.h"

#include "base/limits.h"
#include "rpc/handlers.h"
#include "rpc/methods.h"
#include "rpc/pool.h"

/* A call begins only if there will be room for all of it. One that is refused here has cost
 * nothing yet. */

_Static_assert(DM_WATCHES_MAX < DM_STREAMS_MAX, "a share for Watch, and one for all");
_Static_assert(DM_STREAMS_MAX < DM_CALLS_MAX, "streams leave room for calls");
_Static_assert(DM_STREAMS_PER_CONNECTION_MAX <= DM_CALLS_PER_CONNECTION_MAX,
               "streams are calls of their connection");

static enum dm_code admit_stream(const struct dm_rpc *rpc, const struct dm_inbound *in,
                                 struct dm_error *error)
{
    if (in->sink->private_streams >= DM_STREAMS_PER_CONNECTION_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "this connection has %u streams open already, the most it may; end some, or "
                       "open another connection",
                       in->sink->private_streams);
    }
    bool watch = in->method->handler == dm_handle_bot_status_watch;
    if (rpc->open_streams >= DM_STREAMS_MAX - (watch ? 0 : DM_WATCHES_MAX)) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the server has %u streams open already; try again later",
                       rpc->open_streams);
    }
    return DM_OK;
}

static enum dm_code admit_call(const struct dm_rpc *rpc, const struct dm_inbound *in,
                               struct dm_error *error)
{
    const struct dm_sink *sink = in->sink;
    if (sink->private_count >= DM_CALLS_PER_CONNECTION_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "this connection has %u calls open already; wait for answers",
                       sink->private_count);
    }
    if (rpc->open_calls >= DM_CALLS_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the server has %u calls open already; try again later", rpc->open_calls);
    }
    if (dm_buf_size(&rpc->queue) >= DM_ANSWERS_PENDING_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "too many answers wait for the disk; try again later");
    }
    return dm_call_lasts(in) ? admit_stream(rpc, in, error) : DM_OK;
}

static enum dm_code unknown_method(const struct dm_rpc_request *request, struct dm_error *error)
{
    if (dm_method_service_known(&dm_methods, request->service)) {
        return dm_fail(error, DM_UNIMPLEMENTED,
                       "this service has no such method; ask reflection for the list");
    }
    return dm_fail(error, DM_UNIMPLEMENTED,
                   "there is no such service here; dormouse.v1.BotStatus is");
}

enum dm_code dm_admit(const struct dm_rpc *rpc, const struct dm_inbound *in,
                      const struct dm_rpc_request *request, struct dm_error *error)
{
    const struct dm_method *method = in->method;
    if (method == NULL) {
        return unknown_method(request, error);
    }
    if (request->unary_only && method->server_stream) {
        return dm_fail(error, DM_UNIMPLEMENTED,
                       "%s answers with a stream: call it by gRPC, gRPC-Web, ttrpc, or as a "
                       "Connect stream (application/connect+json)",
                       (const char *)method->name.data);
    }
    if (request->stream_only && !method->server_stream) {
        return dm_fail(error, DM_UNIMPLEMENTED, "%s is a unary method; call it as one",
                       (const char *)method->name.data);
    }
    if (request->get && !method->no_side_effects) {
        return dm_fail(error, DM_UNIMPLEMENTED, "%s changes things; call it by POST",
                       (const char *)method->name.data);
    }
    bool health = method->handler == dm_handle_health_check;
    if (rpc->draining && !health) {
        return dm_fail(error, DM_UNAVAILABLE, "the server is stopping; ask another one");
    }
    if (request->payload.size > DM_MESSAGE_SIZE_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the request has %zu bytes; at most %u are allowed", request->payload.size,
                       DM_MESSAGE_SIZE_MAX);
    }
    if (request->timeout_ns < 0) {
        return dm_fail(error, DM_DEADLINE_EXCEEDED,
                       "the deadline had passed before the call began; nothing was done");
    }
    return admit_call(rpc, in, error);
}
