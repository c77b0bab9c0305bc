#include "rpc/watch.h"

#include "base/assert.h"
#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/filter.h"
#include "rpc/handlers.h"
#include "rpc/task.h"

#include <stdio.h>
#include <stdlib.h>

/* Watch: each watcher reads the journal at its own pace, through a feed of its own.
 *
 *   stepping ── nothing more ──▶ idle ──── new events ──▶ stepping
 *      │                          └─── progress is due ──▶ stepping
 *      └── the reader is slow ──▶ blocked ── has room ──▶ stepping
 *
 * So one who has seen everything costs nothing, and a slow one holds back only itself;
 * when what it stands at is dropped by retention, it ends with OUT_OF_RANGE.
 *
 * `rpc->watches` is ordered by when each told its progress last: all have the same
 * interval, so the first is due first, and no timers are needed. */

#define PROGRESS_NS (5ULL * 1000 * 1000 * 1000)
/* Events in a row that do not match, after which the cursor is told: a client that comes
 * back need not have them looked at again. */
enum { PROGRESS_EVENTS = 10000, NS_PER_MS = 1000000 };

_Static_assert(DM_ID_SIZE_MAX <= UINT8_MAX, "an id's size has a byte");

struct watch {
    struct dm_list link; /* rpc->watches */
    struct dm_sink *sink;
    struct dm_call *call;
    struct dm_feed *feed;
    struct dm_filter *filter;
    size_t memory;
    uint64_t position; /* the newest event that was looked at */
    uint64_t told_ns;
    uint32_t unmatched;   /* since the last message */
    bool due;             /* progress is */
    uint8_t account_size; /* 0: all accounts */
    uint8_t account[DM_ID_SIZE_MAX];
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    struct watch *watch = task;
    dm_list_remove(&watch->link);
    DM_ASSERT(rpc->watch_count > 0);
    rpc->watch_count--;
    dm_task_release(rpc, watch->sink, watch->memory);
    dm_feed_close(watch->feed);
    free(watch->filter);
    free(watch);
}

static bool matches(const struct watch *watch, const struct dm_event *event)
{
    return (watch->account_size == 0 ||
            dm_slice_equal(dm_slice(watch->account, watch->account_size), event->account_id)) &&
           dm_filter_has(watch->filter, event->contact_id);
}

static bool send(struct dm_rpc *rpc, struct watch *watch, const dormouse_v1_WatchResponse *response,
                 size_t *budget)
{
    uint8_t scratch[DM_SMALL_MESSAGE];
    *budget -= *budget < DM_COST_EVENT ? *budget : DM_COST_EVENT;
    watch->unmatched = 0;
    return dm_call_message(rpc, watch->call,
                           dm_encode(scratch, dormouse_v1_WatchResponse_fields, response));
}

static bool send_event(struct dm_rpc *rpc, struct watch *watch, const struct dm_event *event,
                       size_t *budget)
{
    dormouse_v1_WatchResponse response = {.which_kind = dormouse_v1_WatchResponse_event_tag};
    dm_event_to_proto(&response.kind.event, event);
    return send(rpc, watch, &response, budget);
}

static bool send_progress(struct dm_rpc *rpc, struct watch *watch, size_t *budget)
{
    dormouse_v1_WatchResponse response = {
        .which_kind = dormouse_v1_WatchResponse_progress_seq_tag,
        .kind.progress_seq = watch->position,
    };
    DM_ASSERT(watch->call != NULL && rpc->now_ns >= watch->told_ns);
    watch->due = false;
    watch->told_ns = rpc->now_ns;
    dm_list_remove(&watch->link);
    dm_list_push_back(&rpc->watches, &watch->link);
    return send(rpc, watch, &response, budget);
}

static enum dm_code gone(struct dm_rpc *rpc, uint64_t after_seq, struct dm_error *error)
{
    return dm_fail(error, DM_OUT_OF_RANGE,
                   "after_seq: events after %llu are not kept any more; the oldest kept is %llu, "
                   "read the contacts anew and watch from there",
                   (unsigned long long)after_seq,
                   (unsigned long long)dm_engine_oldest_seq(rpc->engine));
}

static enum dm_task_result end(struct dm_rpc *rpc, struct dm_call *call, enum dm_next why)
{
    struct watch *watch = call->task;
    struct dm_error error;
    if (rpc->draining) {
        (void)dm_fail(&error, DM_UNAVAILABLE,
                      "the server is stopping; watch again, after the last seq you handled");
    } else if (why == DM_NEXT_GONE) {
        (void)gone(rpc, watch->position, &error);
    } else {
        (void)dm_fail(&error, DM_DATA_LOSS,
                      "the journal cannot be read; the server's log says more");
    }
    dm_call_fail(rpc, call, &error);
    return DM_TASK_DONE;
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    struct watch *watch = call->task;
    struct dm_event event;
    while (!rpc->draining) {
        if (dm_call_room(call) == 0) {
            return DM_TASK_ROOM;
        }
        if ((watch->due || watch->unmatched >= PROGRESS_EVENTS) &&
            !send_progress(rpc, watch, budget)) {
            return DM_TASK_DONE;
        }
        enum dm_next next = dm_feed_next(watch->feed, &event, budget);
        switch (next) {
        case DM_NEXT_ITEM:
            watch->position = event.seq;
            watch->unmatched++;
            if (matches(watch, &event) && !send_event(rpc, watch, &event, budget)) {
                return DM_TASK_DONE;
            }
            break;
        case DM_NEXT_PENDING:
            return DM_TASK_MORE;
        case DM_NEXT_END:
            return DM_TASK_IDLE;
        default:
            return end(rpc, call, next);
        }
    }
    if (dm_call_room(call) != 0 && !send_progress(rpc, watch, budget)) {
        return DM_TASK_DONE;
    }
    return end(rpc, call, DM_NEXT_END);
}

static const struct dm_task_ops watch_ops = {.step = step, .destroy = destroy};

/* ---- the request ------------------------------------------------------------------------ */

struct wanted {
    struct dm_slice account_id;
    uint64_t after_seq;
    struct dm_texts ids;
};

static enum dm_code read_cursor(struct dm_rpc *rpc, const dormouse_v1_WatchRequest *request,
                                struct wanted *wanted, struct dm_error *error)
{
    uint64_t oldest = dm_engine_oldest_seq(rpc->engine), newest = dm_engine_last_seq(rpc->engine);
    uint64_t before_oldest = oldest > 0 ? oldest - 1 : 0;
    if (request->from_start && request->after_seq != 0) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "from_start: begins before any after_seq; set one of them");
    }
    if (request->after_seq == 0) {
        wanted->after_seq = request->from_start ? before_oldest : newest;
        return DM_OK;
    }
    wanted->after_seq = request->after_seq;
    if (wanted->after_seq > newest) {
        return dm_fail(error, DM_OUT_OF_RANGE,
                       "after_seq: %llu has not happened yet; the newest is %llu",
                       (unsigned long long)wanted->after_seq, (unsigned long long)newest);
    }
    return wanted->after_seq < before_oldest ? gone(rpc, wanted->after_seq, error) : DM_OK;
}

static enum dm_code read_ids(const struct wanted *wanted, struct dm_error *error)
{
    if (wanted->account_id.size != 0 &&
        dm_id_check(wanted->account_id, "account_id", error) != DM_OK) {
        return error->code;
    }
    if (dm_texts_check(&wanted->ids, "contact_ids", error) != DM_OK) {
        return error->code;
    }
    for (uint32_t i = 0; i < wanted->ids.count; i++) {
        char field[32];
        (void)snprintf(field, sizeof field, "contact_ids[%u]", i);
        if (dm_id_check(wanted->ids.items[i], field, error) != DM_OK) {
            return error->code;
        }
    }
    return DM_OK;
}

static enum dm_code read_request(struct dm_rpc *rpc, const struct dm_inbound *in,
                                 struct wanted *wanted, struct dm_error *error)
{
    wanted->ids.count = 0;
    dormouse_v1_WatchRequest request = {.contact_ids = dm_texts_in(&wanted->ids)};
    if (dm_decode(in, in->payload, dormouse_v1_WatchRequest_fields, &request, error) != DM_OK) {
        return error->code;
    }
    wanted->account_id = request.account_id;
    if (read_ids(wanted, error) != DM_OK || read_cursor(rpc, &request, wanted, error) != DM_OK) {
        return error->code;
    }
    if (rpc->watch_count >= DM_WATCHES_MAX) {
        return dm_fail(error, DM_RESOURCE_EXHAUSTED,
                       "the server already has %u watches open, which is its limit",
                       rpc->watch_count);
    }
    return DM_OK;
}

static void begin(struct dm_rpc *rpc, const struct dm_inbound *in, const struct wanted *wanted,
                  struct dm_feed *feed, size_t memory)
{
    struct watch *watch = dm_xcalloc(1, sizeof *watch);
    watch->sink = in->sink;
    watch->memory = memory;
    watch->position = wanted->after_seq;
    watch->due = true; /* the first message says where it begins */
    DM_ASSERT(wanted->account_id.size <= sizeof watch->account && feed != NULL);
    watch->account_size = (uint8_t)wanted->account_id.size;
    if (watch->account_size != 0) {
        memcpy(watch->account, wanted->account_id.data, watch->account_size);
    }
    if (wanted->ids.count != 0) {
        watch->filter = dm_filter_create(&wanted->ids);
    }
    watch->feed = feed;
    watch->told_ns = in->start_ns;
    rpc->watch_count++;
    dm_list_push_back(&rpc->watches, &watch->link);
    watch->call = dm_call_begin(rpc, in, &watch_ops, watch);
}

void dm_handle_bot_status_watch(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct wanted wanted;
    struct dm_error error;
    if (read_request(rpc, in, &wanted, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    size_t memory = sizeof(struct watch);
    if (wanted.ids.count != 0) {
        memory += dm_filter_memory(&wanted.ids);
    }
    if (dm_task_reserve(rpc, in->sink, memory, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_feed *feed = dm_feed_open(rpc->engine, wanted.after_seq);
    if (feed == NULL) {
        dm_task_release(rpc, in->sink, memory);
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for another watch");
        dm_refuse(rpc, in, &error);
        return;
    }
    begin(rpc, in, &wanted, feed, memory);
}

/* ---- all watches -------------------------------------------------------------------------- */

static struct watch *first(const struct dm_rpc *rpc)
{
    return dm_list_empty(&rpc->watches) ? NULL
                                        : DM_CONTAINER_OF(rpc->watches.next, struct watch, link);
}

void dm_watches_turn(struct dm_rpc *rpc)
{
    for (struct watch *watch = first(rpc);
         watch != NULL && rpc->now_ns - watch->told_ns >= PROGRESS_NS; watch = first(rpc)) {
        watch->due = true;
        watch->told_ns = rpc->now_ns;
        dm_list_remove(&watch->link);
        dm_list_push_back(&rpc->watches, &watch->link);
        dm_list_remove(&watch->call->run);
        dm_list_push_back(&rpc->runnable, &watch->call->run);
    }
}

int dm_watches_next_ms(const struct dm_rpc *rpc)
{
    const struct watch *watch = first(rpc);
    if (watch == NULL) {
        return -1;
    }
    DM_ASSERT(rpc->now_ns >= watch->told_ns);
    uint64_t passed = rpc->now_ns - watch->told_ns;
    uint64_t left = passed < PROGRESS_NS ? PROGRESS_NS - passed : 0;
    return (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

void dm_rpc_watchers(const struct dm_rpc *rpc, struct dm_rpc_watchers *out)
{
    uint64_t newest = dm_engine_last_seq(rpc->engine);
    DM_ASSERT(rpc->watch_count <= DM_WATCHES_MAX);
    *out = (struct dm_rpc_watchers){.count = rpc->watch_count};
    for (const struct dm_list *link = rpc->watches.next; link != &rpc->watches; link = link->next) {
        uint64_t position = DM_CONTAINER_OF(link, struct watch, link)->position;
        uint64_t behind = newest > position ? newest - position : 0;
        if (behind > out->slowest_behind) {
            out->slowest_behind = behind;
        }
    }
}
