#include "rpc/handlers.h"

#include "base/assert.h"
#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/task.h"

#include <stdlib.h>

/* BulkSetStatus: the engine walks the account in bounded steps, and this file streams how far it
 * has come. Like every answer, a message waits until what it tells is durable. A slow reader
 * misses some messages in between, never the last. */

enum { PROGRESS_CONTACTS = 100000 };
#define PROGRESS_NS (100ULL * 1000 * 1000)

struct bulk {
    struct dm_bulk *walk;
    uint64_t told_ns, told_scanned;
    uint64_t scanned; /* after the step before: did this one get anywhere? */
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    struct bulk *bulk = task;
    (void)rpc;
    dm_bulk_close(bulk->walk);
    free(bulk);
}

static bool tell(struct dm_rpc *rpc, struct dm_call *call, const struct dm_bulk_progress *progress,
                 bool done)
{
    struct bulk *bulk = call->task;
    DM_ASSERT(progress->scanned >= bulk->told_scanned && rpc->now_ns >= bulk->told_ns);
    DM_ASSERT(progress->changed + progress->skipped_locked <= progress->matched &&
              progress->matched <= progress->scanned);
    bulk->told_ns = rpc->now_ns;
    bulk->told_scanned = progress->scanned;
    dormouse_v1_BulkSetStatusProgress message = {
        .scanned = progress->scanned,
        .matched = progress->matched,
        .changed = progress->changed,
        .skipped_locked = progress->skipped_locked,
        .done = done,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    return dm_call_message(rpc, call,
                           dm_encode(scratch, dormouse_v1_BulkSetStatusProgress_fields, &message));
}

static enum dm_task_result go_on(struct dm_rpc *rpc, struct dm_call *call,
                                 const struct dm_bulk_progress *progress)
{
    struct bulk *bulk = call->task;
    bool stalled = progress->scanned == bulk->scanned;
    bulk->scanned = progress->scanned;
    bool due = rpc->now_ns - bulk->told_ns >= PROGRESS_NS ||
               progress->scanned - bulk->told_scanned >= PROGRESS_CONTACTS;
    if (due && call->queued == 0 && dm_call_room(call) != 0 && !tell(rpc, call, progress, false)) {
        return DM_TASK_DONE;
    }
    return stalled ? DM_TASK_STALLED : DM_TASK_MORE;
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    struct bulk *bulk = call->task;
    struct dm_bulk_progress progress = {0};
    struct dm_error error;
    if (rpc->draining) {
        (void)dm_fail(&error, DM_UNAVAILABLE,
                      "the server is stopping; what was changed stays, ask again for the rest");
        dm_call_fail(rpc, call, &error);
        return DM_TASK_DONE;
    }
    enum dm_next next = dm_bulk_step(bulk->walk, &progress, *budget / DM_COST_MUTATE + 1, &error);
    *budget = 0;
    switch (next) {
    case DM_NEXT_PENDING:
        return go_on(rpc, call, &progress);
    case DM_NEXT_END:
        if (tell(rpc, call, &progress, true)) {
            dm_call_end(rpc, call);
        }
        return DM_TASK_DONE;
    default:
        dm_call_fail(rpc, call, &error);
        return DM_TASK_DONE;
    }
}

static const struct dm_task_ops bulk_ops = {.step = step, .destroy = destroy};

static enum dm_code prepare(struct dm_rpc *rpc, const struct dm_inbound *in,
                            struct dm_bulk_options *options, struct dm_error *error)
{
    dormouse_v1_BulkSetStatusRequest request = {0};
    if (dm_decode(in, in->payload, dormouse_v1_BulkSetStatusRequest_fields, &request, error) !=
            DM_OK ||
        dm_id_check(request.account_id, "account_id", error) != DM_OK ||
        dm_change_read(&request.change, request.has_change, dm_clock_wall_ms(&rpc->clock),
                       &options->change, error) != DM_OK) {
        return error->code;
    }
    options->account_id = request.account_id;
    options->bot_id = request.change.bot_id;
    options->dry_run = request.dry_run;
    options->if_status = dm_enum8((int64_t)request.if_status);
    options->if_reason = dm_enum8((int64_t)request.if_reason);
    if (options->if_status >= DM_STATUS_COUNT) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "if_status: %d is not a Status; leave it out for any", options->if_status);
    }
    if (options->if_reason >= DM_REASON_COUNT) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "if_reason: %d is not a Reason; leave it out for any", options->if_reason);
    }
    return DM_OK;
}

void dm_handle_bot_status_bulk_set_status(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_bulk_options options = {0};
    struct dm_error error;
    struct dm_bulk *walk = NULL;
    if (prepare(rpc, in, &options, &error) != DM_OK ||
        dm_bulk_open(&walk, rpc->engine, &options, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct bulk *bulk = dm_xcalloc(1, sizeof *bulk);
    bulk->walk = walk;
    bulk->told_ns = in->start_ns;
    bulk->scanned = UINT64_MAX;
    (void)dm_call_begin(rpc, in, &bulk_ops, bulk);
}
