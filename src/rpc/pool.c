#include "rpc/pool.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "rpc/metrics.h"

enum { NS_PER_MS = 1000000, EXPIRE_PER_TURN = 1024, EXPIRE_CHUNK = 64, EXPIRE_BUDGET = 256 };

_Static_assert(sizeof(struct dm_call) <= 128, "two cache lines a call");
_Static_assert(DM_CALLS_MAX < UINT32_MAX, "a slot's number and one more have 32 bits");
_Static_assert(EXPIRE_PER_TURN % EXPIRE_CHUNK == 0 && EXPIRE_CHUNK <= EXPIRE_BUDGET,
               "a turn expires whole chunks");
_Static_assert(DM_CALLS_PER_CONNECTION_MAX <= DM_CALLS_MAX, "one connection's share of all");

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
    DM_ASSERT(rpc->open_calls == 0 && rpc->open_streams == 0);
    if (rpc->deadlines != NULL) {
        dm_wheel_destroy(rpc->deadlines);
    }
    dm_index_finish(&rpc->by_id);
    dm_region_finish(&rpc->pool);
}

struct dm_call *dm_call_open(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    uint32_t slot;
    DM_ASSERT(in->method != NULL && rpc->open_calls < DM_CALLS_MAX);
    DM_ASSERT(in->sink->private_count < DM_CALLS_PER_CONNECTION_MAX);
    if (rpc->pool_free != 0) {
        slot = rpc->pool_free - 1;
        rpc->pool_free = dm_call_at(rpc, slot)->next_free;
    } else {
        DM_ASSERT(rpc->pool_used < DM_CALLS_MAX);
        slot = rpc->pool_used++;
    }
    struct dm_call *call = dm_call_at(rpc, slot), *first = in->sink->private_calls;
    DM_ASSERT(call->sink == NULL && call->queued == 0);
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
        .timed = in->deadline_ns != 0,
        .lasts = dm_call_lasts(in),
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
    if (call->timed) {
        dm_wheel_arm(rpc->deadlines, slot, (in->deadline_ns + NS_PER_MS - 1) / NS_PER_MS);
    }
    return call;
}

void dm_call_close(struct dm_rpc *rpc, struct dm_call *call)
{
    uint32_t slot = dm_call_slot(rpc, call);
    DM_ASSERT(call->sink != NULL);
    DM_ASSERT(rpc->open_calls > 0 && call->sink->private_count > 0);
    if (call->timed) {
        dm_wheel_cancel(rpc->deadlines, slot);
    }
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
    rpc->open_calls--;
    if (call->lasts) {
        DM_ASSERT(rpc->open_streams > 0 && call->sink->private_streams > 0);
        call->sink->private_streams--;
        rpc->open_streams--;
    }
    if (call->waiting) {
        DM_ASSERT(call->sink->waiting > 0);
        call->sink->waiting--;
    }
    if (call->ops != NULL) {
        call->ops->destroy(rpc, call->task);
    }
    call->sink = NULL;
    call->queued = 0;
    call->generation++;
    call->next_free = rpc->pool_free;
    rpc->pool_free = slot + 1;
}

void dm_call_abort(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error)
{
    DM_ASSERT(error->code != DM_OK);
    dm_metrics_count(rpc, call->method, call->protocol, error->code, call->start_ns);
    call->sink->ops->fail(call->sink, call->id, error->code, error->message);
    dm_call_close(rpc, call);
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
            DM_ASSERT(dm_call_at(rpc, expired[i])->timed);
            dm_call_abort(rpc, dm_call_at(rpc, expired[i]), &late);
        }
    }
    return more;
}
