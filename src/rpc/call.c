#include "rpc/call.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "json/json.h"

/* When all goes well: the answer's barrier is durable, and it goes from the handler
 * to the sink. Else a slot of the pool remembers whose it is, and the answer waits in
 * the release queue (release.c), or a task makes it in later turns (task.c).
 *
 * A call ends in one place, dm_call_close: after its answer, its failure, its deadline,
 * or when the caller is gone. */

enum { NS_PER_MS = 1000000, EXPIRE_PER_TURN = 1024, EXPIRE_CHUNK = 64, EXPIRE_BUDGET = 256 };

/* ---- the pool ------------------------------------------------------------------ */

static struct dm_call *at(const struct dm_rpc *rpc, uint32_t item)
{
    return dm_call_at(rpc, item - 1);
}

static uint32_t *index_link(void *context, uint32_t item)
{
    return &at(context, item)->link;
}

static uint64_t index_hash(void *context, uint32_t item)
{
    return at(context, item)->hash;
}

/* Ids are the client's choice: thousands of them must not fall into one bucket. */
static uint32_t hash_of(const struct dm_sink *sink, uint64_t id)
{
    const uint64_t key[] = {(uintptr_t)sink, id};
    return (uint32_t)dm_keyed_hash(key, sizeof key);
}

bool dm_calls_init(struct dm_rpc *rpc)
{
    if (!dm_region_init(&rpc->pool, DM_CALLS_MAX * sizeof(struct dm_call)) ||
        !dm_index_init(&rpc->by_id, DM_CALLS_MAX, index_link, index_hash, rpc)) {
        return false;
    }
    rpc->deadlines = dm_wheel_create(DM_CALLS_MAX, rpc->now_ns / NS_PER_MS);
    return rpc->deadlines != NULL;
}

void dm_calls_finish(struct dm_rpc *rpc)
{
    for (uint32_t i = 0; i < rpc->pool_used; i++) {
        struct dm_call *call = dm_call_at(rpc, i);
        if (call->sink != NULL) {
            dm_call_close(rpc, call);
        }
    }
    if (rpc->deadlines != NULL) {
        dm_wheel_destroy(rpc->deadlines);
    }
    dm_index_finish(&rpc->by_id);
    dm_region_finish(&rpc->pool);
}

/* Does it last as long as its client wants? */
static bool lasts(const struct dm_inbound *in)
{
    return in->method->server_stream || in->open;
}

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

enum dm_code dm_calls_admit(const struct dm_rpc *rpc, const struct dm_inbound *in,
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
    return lasts(in) ? admit_stream(rpc, in, error) : DM_OK;
}

struct dm_call *dm_call_open(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    uint32_t slot;
    if (rpc->pool_free != 0) {
        slot = rpc->pool_free - 1;
        rpc->pool_free = dm_call_at(rpc, slot)->next_free;
    } else {
        DM_ASSERT(rpc->pool_used < DM_CALLS_MAX);
        slot = rpc->pool_used++;
    }
    struct dm_call *call = dm_call_at(rpc, slot), *first = in->sink->private_calls;
    *call = (struct dm_call){
        .sink_next = first,
        .sink = in->sink,
        .method = in->method,
        .id = in->id,
        .start_ns = in->start_ns,
        .generation = call->generation,
        .hash = hash_of(in->sink, in->id),
        .protocol = in->protocol,
        .json = in->json,
        .lasts = lasts(in),
    };
    dm_index_insert(&rpc->by_id, slot + 1, call->hash);
    dm_list_init(&call->run);
    if (first != NULL) {
        first->sink_prev = call;
    }
    in->sink->private_calls = call;
    in->sink->private_count++;
    in->sink->private_streams += call->lasts ? 1 : 0;
    rpc->open_calls++;
    rpc->open_streams += call->lasts ? 1 : 0;
    if (in->deadline_ns != 0) {
        dm_wheel_arm(rpc->deadlines, slot, (in->deadline_ns + NS_PER_MS - 1) / NS_PER_MS);
    }
    return call;
}

void dm_call_close(struct dm_rpc *rpc, struct dm_call *call)
{
    uint32_t slot = dm_call_slot(rpc, call);
    DM_ASSERT(call->sink != NULL);
    dm_wheel_cancel(rpc->deadlines, slot);
    dm_index_remove(&rpc->by_id, slot + 1, call->hash);
    dm_list_remove(&call->run);
    if (call->sink_prev != NULL) {
        call->sink_prev->sink_next = call->sink_next;
    } else {
        call->sink->private_calls = call->sink_next;
    }
    if (call->sink_next != NULL) {
        call->sink_next->sink_prev = call->sink_prev;
    }
    call->sink->private_count--;
    call->sink->private_streams -= call->lasts ? 1 : 0;
    call->sink->waiting -= call->waiting ? 1 : 0;
    rpc->open_calls--;
    rpc->open_streams -= call->lasts ? 1 : 0;
    if (call->ops != NULL) {
        call->ops->destroy(rpc, call->task);
    }
    call->sink = NULL;
    call->generation++;
    call->next_free = rpc->pool_free;
    rpc->pool_free = slot + 1;
}

struct dm_call *dm_call_find(const struct dm_rpc *rpc, const struct dm_sink *sink, uint64_t id)
{
    uint32_t item = dm_index_first(&rpc->by_id, hash_of(sink, id));
    while (item != 0) {
        struct dm_call *call = at(rpc, item);
        if (call->sink == sink && call->id == id) {
            return call;
        }
        item = call->link;
    }
    return NULL;
}

/* ---- deadlines ------------------------------------------------------------------ */

bool dm_calls_expire(struct dm_rpc *rpc)
{
    static const struct dm_error late = {
        .code = DM_DEADLINE_EXCEEDED,
        .message = "the deadline passed before the answer could be given; what was asked for may "
                   "or may not have been done",
    };
    bool more = dm_wheel_count(rpc->deadlines) != 0;
    for (int done = 0; more && done < EXPIRE_PER_TURN; done += EXPIRE_CHUNK) {
        uint32_t expired[EXPIRE_CHUNK];
        size_t count = dm_wheel_advance(rpc->deadlines, rpc->now_ns / NS_PER_MS, EXPIRE_BUDGET,
                                        expired, EXPIRE_CHUNK, &more);
        for (size_t i = 0; i < count; i++) {
            dm_call_abort(rpc, dm_call_at(rpc, expired[i]), &late);
        }
    }
    return more;
}

/* ---- answers ---------------------------------------------------------------------- */

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
    struct dm_call *call = dm_call_open(rpc, in);
    call->ops = ops;
    call->task = task;
    call->barrier = dm_engine_barrier(rpc->engine);
    dm_list_push_back(&rpc->runnable, &call->run);
    return call;
}

void dm_call_abort(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error)
{
    dm_metrics_count(rpc, call->method, call->protocol, error->code, call->start_ns);
    call->sink->ops->fail(call->sink, call->id, error->code, error->message);
    dm_call_close(rpc, call);
}

void dm_call_fail(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error)
{
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
