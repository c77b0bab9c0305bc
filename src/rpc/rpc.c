#include "rpc/rpc.h"

#include "base/assert.h"
#include "rpc/admit.h"
#include "rpc/await.h"
#include "rpc/call.h"
#include "rpc/methods.h"
#include "rpc/metrics.h"
#include "rpc/pool.h"
#include "rpc/ready.h"
#include "rpc/release.h"
#include "rpc/task.h"
#include "rpc/watch.h"
#include "json/json.h"

#include <stdlib.h>

/* A request comes in and is admitted, its JSON becomes protobuf, and its handler runs. Once a
 * turn, answers that became durable are released, late calls end, and tasks take a step. */

enum { NS_PER_MS = 1000000, KEEP = 64 * 1024 };

struct dm_rpc *dm_rpc_create(struct dm_engine *engine, struct dm_clock clock)
{
    struct dm_rpc *rpc = dm_xcalloc(1, sizeof *rpc);
    rpc->engine = engine;
    rpc->clock = clock;
    rpc->serving = true;
    rpc->now_ns = dm_clock_monotonic_ns(&clock);
    rpc->counters = dm_xcalloc(dm_methods.count + 1, sizeof *rpc->counters);
    rpc->latency_us = dm_xcalloc(dm_methods.count, sizeof *rpc->latency_us);
    dm_method_table_init(&rpc->methods, &dm_methods);
    dm_list_init(&rpc->runnable);
    dm_list_init(&rpc->blocked);
    dm_list_init(&rpc->idle);
    dm_list_init(&rpc->quiet);
    dm_list_init(&rpc->watches);
    if (!dm_calls_init(rpc)) {
        dm_rpc_destroy(rpc);
        return NULL;
    }
    return rpc;
}

void dm_rpc_destroy(struct dm_rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    dm_calls_finish(rpc);
    DM_ASSERT(rpc->watch_count == 0 && rpc->task_bytes == 0);
    dm_buf_finish(&rpc->queue);
    dm_buf_finish(&rpc->json_in);
    dm_buf_finish(&rpc->json_out);
    free(rpc->counters);
    free(rpc->latency_us);
    free(rpc);
}

/* ---- a request comes in --------------------------------------------------------- */

static enum dm_code from_json(struct dm_rpc *rpc, const struct dm_method *method,
                              struct dm_slice *payload, struct dm_error *error)
{
    dm_buf_reset(&rpc->json_in, KEEP);
    enum dm_code code = dm_json_to_proto(method->request, *payload, &rpc->json_in, error);
    *payload = dm_buf_slice(&rpc->json_in);
    return code;
}

static uint64_t deadline(uint64_t now_ns, int64_t timeout_ns)
{
    if (timeout_ns <= 0) {
        return 0;
    }
    uint64_t end = now_ns + (uint64_t)timeout_ns;
    return end >= now_ns ? end : UINT64_MAX;
}

void dm_rpc_call(struct dm_rpc *rpc, struct dm_sink *sink, const struct dm_rpc_request *request)
{
    dm_engine_call_begin(rpc->engine, 0);
    /* The clock is read once for each call: the end of one call is the start of the next. */
    uint64_t now_ns = rpc->now_stale ? dm_rpc_read_clock(rpc) : rpc->now_ns;
    struct dm_inbound in = {
        .sink = sink,
        .method = dm_method_find(&rpc->methods, request->service, request->method),
        .payload = request->payload,
        .id = request->id,
        .start_ns = now_ns,
        .deadline_ns = deadline(now_ns, request->timeout_ns),
        .protocol = dm_metrics_protocol(rpc, sink->protocol),
        .json = request->json,
        .open = request->open,
        .awaiting = request->awaiting,
    };
    struct dm_error error;
    if (dm_admit(rpc, &in, request, &error) != DM_OK ||
        (in.json && !in.awaiting && from_json(rpc, in.method, &in.payload, &error) != DM_OK)) {
        dm_refuse(rpc, &in, &error);
        return;
    }
    if (in.awaiting && !in.method->client_stream) {
        dm_call_await(rpc, &in);
        return;
    }
    in.method->handler(rpc, &in);
}

void dm_rpc_input(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    struct dm_call *call = dm_call_find(rpc, sink, id);
    if (call == NULL) {
        return;
    }
    dm_engine_call_begin(rpc->engine, call->barrier);
    struct dm_error error;
    if (call->ops == NULL || call->ops->input == NULL) {
        (void)dm_fail(&error, DM_INVALID_ARGUMENT, "this call takes one message only");
        dm_call_fail(rpc, call, &error);
        return;
    }
    DM_ASSERT(call->method->handler != NULL);
    if (call->json && from_json(rpc, call->method, &payload, &error) != DM_OK) {
        dm_call_fail(rpc, call, &error);
        return;
    }
    call->ops->input(rpc, call, payload);
}

void dm_rpc_input_end(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    struct dm_call *call = dm_call_find(rpc, sink, id);
    if (call != NULL && call->ops != NULL && call->ops->input_end != NULL) {
        dm_engine_call_begin(rpc->engine, call->barrier);
        call->ops->input_end(rpc, call);
    }
}

/* ---- a caller goes ----------------------------------------------------------------- */

static void drop(struct dm_rpc *rpc, struct dm_call *call)
{
    dm_metrics_count(rpc, call->method, call->protocol, DM_CANCELLED, call->start_ns);
    dm_call_close(rpc, call);
}

void dm_rpc_cancel(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    struct dm_call *call = dm_call_find(rpc, sink, id);
    if (call != NULL) {
        drop(rpc, call);
    }
}

void dm_rpc_sink_gone(struct dm_rpc *rpc, struct dm_sink *sink)
{
    while (sink->private_calls != NULL) {
        drop(rpc, sink->private_calls);
    }
    DM_ASSERT(sink->private_count == 0 && sink->private_streams == 0);
    DM_ASSERT(sink->private_bytes == 0 && sink->waiting == 0);
}

/* ---- a turn -------------------------------------------------------------------------- */

/* The shorter of two delays; -1 means none. */
static int sooner(int a, int b)
{
    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }
    return a < b ? a : b;
}

static int deadline_ms(const struct dm_rpc *rpc)
{
    uint64_t next = dm_wheel_next(rpc->deadlines);
    if (next == UINT64_MAX) {
        return -1;
    }
    uint64_t now = rpc->now_ns / NS_PER_MS;
    uint64_t left = next > now ? next - now : 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

static void check_state(struct dm_rpc *rpc)
{
    struct dm_error why;
    bool failed = dm_engine_failed(rpc->engine, &why);
    if (failed) {
        why.code = DM_UNAVAILABLE;
        dm_release_abandon(rpc, &why);
    }
    bool serving = dm_rpc_ready(rpc, NULL) == DM_OK;
    if (serving != rpc->serving) {
        rpc->serving = serving;
        dm_tasks_wake_all(rpc);
    }
}

int dm_rpc_turn(struct dm_rpc *rpc)
{
    (void)dm_rpc_read_clock(rpc);
    dm_release_turn(rpc);
    check_state(rpc);
    bool more_late = dm_calls_expire(rpc);
    dm_watches_turn(rpc);
    if (dm_tasks_turn(rpc)) {
        dm_engine_flush(rpc->engine);
    }
    rpc->now_stale = true;
    if (more_late || dm_release_ready(rpc)) {
        return 0;
    }
    return sooner(sooner(dm_tasks_next_ms(rpc), dm_watches_next_ms(rpc)), deadline_ms(rpc));
}

uint32_t dm_rpc_open_calls(const struct dm_rpc *rpc)
{
    return rpc->open_calls;
}

bool dm_rpc_known_service(struct dm_slice service)
{
    return dm_method_service_known(&dm_methods, service);
}

bool dm_rpc_client_streaming(struct dm_slice service, struct dm_slice method)
{
    return dm_method_client_streaming(&dm_methods, service, method);
}
