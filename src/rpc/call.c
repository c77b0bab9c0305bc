#include "rpc/call.h"

#include "base/assert.h"
#include "base/limits.h"
#include "rpc/metrics.h"
#include "rpc/pool.h"
#include "rpc/release.h"
#include "json/json.h"

/* When all goes well, the answer's barrier is durable and the answer goes from the handler to
 * the sink. Otherwise a slot of the pool remembers whose answer it is. The answer waits in the
 * release queue (release.c), or a task makes it in later turns (task.c). */

/* What the caller is to get for `message`: itself, or its JSON. */
static enum dm_code shape(struct dm_rpc *rpc, bool json, const struct dm_method *method,
                          struct dm_slice *message, struct dm_error *error)
{
    if (json) {
        dm_buf_reset(&rpc->json_out, DM_OUTPUT_LOW);
        enum dm_code code = dm_proto_to_json(method->response, *message, &rpc->json_out, error);
        if (code != DM_OK) {
            return code;
        }
        *message = dm_buf_slice(&rpc->json_out);
    }
    if (message->size > DM_MESSAGE_SIZE_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the answer has %zu bytes, at most %u can be sent; ask for less at once",
                       message->size, DM_MESSAGE_SIZE_MAX);
    }
    return DM_OK;
}

static void no_memory(struct dm_rpc *rpc, struct dm_call *call)
{
    struct dm_error error;
    (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED,
                  "no memory for the answer; ask again with the same request_id");
    dm_call_abort(rpc, call, &error);
}

void dm_refuse(struct dm_rpc *rpc, const struct dm_inbound *in, const struct dm_error *error)
{
    DM_ASSERT(error->code != DM_OK);
    if (dm_engine_barrier(rpc->engine) != 0) {
        dm_call_fail(rpc, dm_call_open(rpc, in), error);
        return;
    }
    (void)dm_rpc_read_clock(rpc);
    dm_metrics_count(rpc, in->method, in->protocol, error->code, in->start_ns);
    in->sink->ops->fail(in->sink, in->id, error->code, error->message);
}

void dm_answer(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice message)
{
    DM_ASSERT(!in->method->server_stream);
    if (dm_engine_barrier(rpc->engine) != 0) {
        dm_call_answer(rpc, dm_call_open(rpc, in), message);
        return;
    }
    struct dm_error error;
    if (shape(rpc, in->json, in->method, &message, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    in->sink->ops->reply(in->sink, in->id, message);
    (void)dm_rpc_read_clock(rpc);
    dm_metrics_count(rpc, in->method, in->protocol, DM_OK, in->start_ns);
}

struct dm_call *dm_call_begin(struct dm_rpc *rpc, const struct dm_inbound *in,
                              const struct dm_task_ops *ops, void *task)
{
    DM_ASSERT(ops->step != NULL && ops->destroy != NULL);
    struct dm_call *call = dm_call_open(rpc, in);
    call->ops = ops;
    call->task = task;
    call->barrier = dm_engine_barrier(rpc->engine);
    dm_list_push_back(&rpc->runnable, &call->run);
    return call;
}

void dm_call_fail(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error)
{
    DM_ASSERT(error->code != DM_OK);
    uint64_t barrier = dm_engine_barrier(rpc->engine);
    struct dm_slice text = dm_slice(error->message, strlen(error->message) + 1);
    if (barrier == 0) {
        dm_call_abort(rpc, call, error);
    } else if (!dm_release_push(rpc, call, DM_RELEASE_FAIL, error->code, text, barrier)) {
        no_memory(rpc, call);
    }
}

void dm_call_answer(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message)
{
    DM_ASSERT(!call->method->server_stream && call->queued == 0);
    struct dm_error error;
    if (shape(rpc, call->json, call->method, &message, &error) != DM_OK) {
        dm_call_fail(rpc, call, &error);
        return;
    }
    uint64_t barrier = dm_engine_barrier(rpc->engine);
    if (barrier != 0) {
        if (!dm_release_push(rpc, call, DM_RELEASE_REPLY, DM_OK, message, barrier)) {
            no_memory(rpc, call);
        }
        return;
    }
    dm_metrics_count(rpc, call->method, call->protocol, DM_OK, call->start_ns);
    call->sink->ops->reply(call->sink, call->id, message);
    dm_call_close(rpc, call);
}

bool dm_call_message(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message)
{
    DM_ASSERT(call->method->server_stream);
    struct dm_error error;
    if (shape(rpc, call->json, call->method, &message, &error) != DM_OK) {
        dm_call_fail(rpc, call, &error);
        return false;
    }
    uint64_t barrier = dm_engine_barrier(rpc->engine);
    if (call->queued == 0 && barrier == 0) {
        call->sink->ops->stream_message(call->sink, call->id, message);
        return true;
    }
    if (!dm_release_push(rpc, call, DM_RELEASE_MESSAGE, DM_OK, message, barrier)) {
        no_memory(rpc, call);
        return false;
    }
    return true;
}

void dm_call_end(struct dm_rpc *rpc, struct dm_call *call)
{
    DM_ASSERT(call->method->server_stream);
    if (call->queued != 0) {
        if (!dm_release_push(rpc, call, DM_RELEASE_END, DM_OK, dm_slice(NULL, 0), 0)) {
            no_memory(rpc, call);
        }
        return;
    }
    dm_metrics_count(rpc, call->method, call->protocol, DM_OK, call->start_ns);
    call->sink->ops->stream_end(call->sink, call->id);
    dm_call_close(rpc, call);
}
