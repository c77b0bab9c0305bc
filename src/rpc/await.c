#include "rpc/await.h"

#include "rpc/call.h"
#include "rpc/pool.h"
#include "wheel/wheel.h"

/* ttrpc lets a call begin without a message: the first one comes later, as input. Until then the
 * call is open like any other. Its deadline holds, it counts, and it ends with its connection.
 * When the message has come, the call goes on as if it had been in the request. */

enum { NS_PER_MS = 1000000 };

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    (void)budget;
    if (rpc->draining) {
        struct dm_error error;
        (void)dm_fail(&error, DM_UNAVAILABLE, "the server is stopping; ask another one");
        dm_call_fail(rpc, call, &error);
        return DM_TASK_DONE;
    }
    return DM_TASK_QUIET;
}

static void input(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload)
{
    uint32_t slot = dm_call_slot(rpc, call);
    const struct dm_inbound in = {
        .sink = call->sink,
        .method = call->method,
        .payload = payload,
        .id = call->id,
        .start_ns = call->start_ns,
        .deadline_ns = dm_wheel_armed(rpc->deadlines, slot)
                           ? dm_wheel_tick(rpc->deadlines, slot) * NS_PER_MS
                           : 0,
        .protocol = call->protocol,
        .json = call->json,
        .open = true,
    };
    dm_call_close(rpc, call);
    in.method->handler(rpc, &in);
}

static void input_end(struct dm_rpc *rpc, struct dm_call *call)
{
    struct dm_error error;
    (void)dm_fail(&error, DM_INVALID_ARGUMENT, "the call ended without a message");
    dm_call_fail(rpc, call, &error);
}

static void destroy(struct dm_rpc *rpc, void *task)
{
    (void)rpc;
    (void)task;
}

void dm_call_await(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    static const struct dm_task_ops ops = {
        .step = step,
        .destroy = destroy,
        .input = input,
        .input_end = input_end,
    };
    (void)dm_call_begin(rpc, in, &ops, NULL);
}
