#include "rpc/task.h"

#include "base/assert.h"
#include "base/limits.h"
#include "rpc/call.h"

/* Calls that take more than one turn: scans, batches, streams. Those that can go on
 * stand in `runnable` and take turns; a turn spends DM_TURN_BUDGET on them. The others
 * cost nothing while they wait: `idle` for new events, `quiet` for input, `blocked`
 * for a slow reader (asked again each turn, some at a time). */

enum { BLOCKED_PER_TURN = 1024, STALLED_MS = 10 };

_Static_assert(DM_STEP_BUDGET <= DM_TURN_BUDGET / 2, "many take turns in one turn of the loop");
_Static_assert(DM_COST_MUTATE <= DM_STEP_BUDGET, "a step gets somewhere");

static void place(struct dm_rpc *rpc, struct dm_call *call, enum dm_task_result result)
{
    DM_ASSERT(result == DM_TASK_DONE || dm_list_empty(&call->run));
    switch (result) {
    case DM_TASK_MORE:
        dm_list_push_back(&rpc->runnable, &call->run);
        break;
    case DM_TASK_ROOM:
        dm_list_push_back(&rpc->blocked, &call->run);
        break;
    case DM_TASK_STALLED:
        rpc->stalled = true;
        dm_list_push_back(&rpc->blocked, &call->run);
        break;
    case DM_TASK_IDLE:
        dm_list_push_back(&rpc->idle, &call->run);
        break;
    case DM_TASK_QUIET:
        dm_list_push_back(&rpc->quiet, &call->run);
        break;
    case DM_TASK_DONE: /* it may be gone */
        break;
    }
}

/* A single answer may be a thousand times its question: who does not read what he asked for
 * before gets none made. Streams ask for room themselves, before each message. */
static enum dm_task_result take_step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    if (!call->method->server_stream && dm_call_room(call) == 0) {
        return DM_TASK_ROOM;
    }
    return call->ops->step(rpc, call, budget);
}

static void step(struct dm_rpc *rpc, struct dm_list *link, size_t *budget)
{
    struct dm_call *call = DM_CONTAINER_OF(link, struct dm_call, run);
    DM_ASSERT(call->sink != NULL && call->ops != NULL);
    size_t share = *budget < DM_STEP_BUDGET ? *budget : DM_STEP_BUDGET, left = share;
    dm_list_remove(link);
    dm_engine_call_begin(rpc->engine, call->barrier);
    enum dm_task_result result = take_step(rpc, call, &left);
    if (result != DM_TASK_DONE) {
        uint64_t barrier = dm_engine_barrier(rpc->engine);
        DM_ASSERT(barrier >= call->barrier || barrier == 0); /* 0: all of it is durable */
        call->barrier = barrier;
        place(rpc, call, result);
    }
    DM_ASSERT(left <= share);
    size_t cost = share - left + DM_COST_STEP;
    *budget -= cost < *budget ? cost : *budget;
}

/* The first ones of `blocked` get a chance to see whether there is room now. */
static void unblock(struct dm_rpc *rpc)
{
    rpc->stalled = false;
    for (int i = 0; i < BLOCKED_PER_TURN && !dm_list_empty(&rpc->blocked); i++) {
        struct dm_list *link = rpc->blocked.next;
        dm_list_remove(link);
        dm_list_push_back(&rpc->runnable, link);
    }
    rpc->blocked_left = !dm_list_empty(&rpc->blocked);
}

bool dm_tasks_turn(struct dm_rpc *rpc)
{
    uint64_t newest = dm_engine_last_seq(rpc->engine);
    if (newest != rpc->seen_seq) {
        rpc->seen_seq = newest;
        dm_list_splice(&rpc->runnable, &rpc->idle);
    }
    unblock(rpc);
    struct dm_list round;
    dm_list_init(&round);
    dm_list_splice(&round, &rpc->runnable);
    if (dm_list_empty(&round)) {
        return false;
    }
    size_t budget = DM_TURN_BUDGET;
    while (!dm_list_empty(&round) && budget > 0) {
        step(rpc, round.next, &budget);
    }
    /* those that had no step are first in the next turn */
    dm_list_splice(&round, &rpc->runnable);
    dm_list_splice(&rpc->runnable, &round);
    return true;
}

void dm_tasks_wake_all(struct dm_rpc *rpc)
{
    dm_list_splice(&rpc->runnable, &rpc->idle);
    dm_list_splice(&rpc->runnable, &rpc->blocked);
    dm_list_splice(&rpc->runnable, &rpc->quiet);
}

int dm_tasks_next_ms(const struct dm_rpc *rpc)
{
    if (!dm_list_empty(&rpc->runnable)) {
        return 0;
    }
    if (rpc->stalled || rpc->blocked_left) {
        return STALLED_MS;
    }
    return -1;
}

enum dm_code dm_task_reserve(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes,
                             struct dm_error *error)
{
    DM_ASSERT(bytes <= DM_ANSWERS_PENDING_MAX);
    if (sink->private_bytes + bytes > DM_TASKS_PER_CONNECTION_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "this connection has too many large calls open; wait for answers");
    }
    if (rpc->task_bytes + bytes > DM_ANSWERS_PENDING_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the server works on too many large calls; try again later");
    }
    DM_ASSERT(rpc->task_bytes >= sink->private_bytes);
    rpc->task_bytes += bytes;
    sink->private_bytes += bytes;
    return DM_OK;
}

void dm_task_release(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes)
{
    DM_ASSERT(rpc->task_bytes >= bytes && sink->private_bytes >= bytes);
    rpc->task_bytes -= bytes;
    sink->private_bytes -= bytes;
}
