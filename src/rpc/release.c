#include "rpc/release.h"

#include "base/assert.h"
#include "base/limits.h"
#include "rpc/metrics.h"
#include "rpc/pool.h"

/* Answers that wait until what they tell is on disk. The queue is one run of bytes: of each
 * entry its head, then its text. Entries leave in the order in which they came. So an entry may
 * wait for a later barrier than its own; both are on their way to the disk already. When the
 * call of an entry is gone (deadline, cancel, connection), its generation tells, and the entry
 * is skipped. */

enum { KEEP = 1024 * 1024 };

struct entry {
    uint64_t barrier;
    uint32_t slot, generation, size;
    uint8_t kind; /* enum dm_release_kind */
    uint8_t code;
};

_Static_assert(sizeof(struct entry) == 24, "what an answer costs beside its text");
_Static_assert(DM_CODE_COUNT <= UINT8_MAX, "a code has a byte");
_Static_assert(DM_MESSAGE_SIZE_MAX <= UINT32_MAX, "a text's size has 32 bits");
_Static_assert(DM_ANSWERS_PENDING_MAX >= 2 * DM_TASKS_PER_CONNECTION_MAX,
               "one connection never has all of it");

bool dm_release_push(struct dm_rpc *rpc, struct dm_call *call, enum dm_release_kind kind,
                     enum dm_code code, struct dm_slice bytes, uint64_t barrier)
{
    DM_ASSERT(call->sink != NULL);
    struct entry entry = {
        .barrier = barrier > rpc->queue_barrier ? barrier : rpc->queue_barrier,
        .slot = dm_call_slot(rpc, call),
        .generation = call->generation,
        .size = (uint32_t)bytes.size,
        .kind = (uint8_t)kind,
        .code = (uint8_t)code,
    };
    uint8_t *to = dm_buf_reserve(&rpc->queue, sizeof entry + bytes.size);
    if (to == NULL) {
        return false;
    }
    memcpy(to, &entry, sizeof entry);
    if (bytes.size != 0) {
        memcpy(to + sizeof entry, bytes.data, bytes.size);
    }
    dm_buf_commit(&rpc->queue, sizeof entry + bytes.size);
    rpc->queue_barrier = entry.barrier;
    call->queued++;
    if (!call->waiting && (kind == DM_RELEASE_REPLY || kind == DM_RELEASE_FAIL)) {
        call->waiting = true;
        call->sink->waiting++;
    }
    return true;
}

static bool front(const struct dm_rpc *rpc, struct entry *entry)
{
    if (dm_buf_size(&rpc->queue) == 0) {
        return false;
    }
    memcpy(entry, dm_buf_head(&rpc->queue), sizeof *entry);
    return true;
}

static void pop(struct dm_rpc *rpc, const struct entry *entry)
{
    dm_buf_consume(&rpc->queue, sizeof *entry + entry->size);
    if (dm_buf_size(&rpc->queue) == 0) {
        dm_buf_reset(&rpc->queue, KEEP);
    }
}

static struct dm_call *call_of(const struct dm_rpc *rpc, const struct entry *entry)
{
    struct dm_call *call = dm_call_at(rpc, entry->slot);
    return call->generation == entry->generation ? call : NULL;
}

static void say(struct dm_rpc *rpc, struct dm_call *call, const struct entry *entry)
{
    const uint8_t *text = dm_buf_head(&rpc->queue) + sizeof *entry;
    struct dm_sink *sink = call->sink;
    DM_ASSERT(sink != NULL && call->queued > 0);
    call->queued--;
    switch ((enum dm_release_kind)entry->kind) {
    case DM_RELEASE_MESSAGE:
        sink->ops->stream_message(sink, call->id, dm_slice(text, entry->size));
        return;
    case DM_RELEASE_REPLY:
        sink->ops->reply(sink, call->id, dm_slice(text, entry->size));
        break;
    case DM_RELEASE_END:
        sink->ops->stream_end(sink, call->id);
        break;
    case DM_RELEASE_FAIL:
        sink->ops->fail(sink, call->id, (enum dm_code)entry->code, (const char *)text);
        break;
    }
    dm_metrics_count(rpc, call->method, call->protocol, (enum dm_code)entry->code, call->start_ns);
    dm_call_close(rpc, call);
}

void dm_release_turn(struct dm_rpc *rpc)
{
    struct entry entry;
    uint64_t upto = dm_engine_durable(rpc->engine);
    while (front(rpc, &entry) && entry.barrier <= upto) {
        struct dm_call *call = call_of(rpc, &entry);
        if (call != NULL) {
            say(rpc, call, &entry);
        }
        pop(rpc, &entry);
    }
}

void dm_release_abandon(struct dm_rpc *rpc, const struct dm_error *why)
{
    struct entry entry;
    while (front(rpc, &entry)) {
        struct dm_call *call = call_of(rpc, &entry);
        if (call != NULL) {
            dm_call_abort(rpc, call, why);
        }
        pop(rpc, &entry);
    }
}

bool dm_release_ready(const struct dm_rpc *rpc)
{
    struct entry entry;
    return front(rpc, &entry) && entry.barrier <= dm_engine_durable(rpc->engine);
}
