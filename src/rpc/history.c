#include "rpc/handlers.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/task.h"
#include "rpc/token.h"

#include <stdlib.h>

/* GetHistory: walks back along one contact's chain of events, as a task. A position is the BE64
 * seq of the last event shown. Only durable events are shown. The answer waits for the state in
 * which the contact was found: a deleted one has no history. */

struct history {
    struct dm_sink *sink;
    size_t memory; /* reserved for it */
    struct dm_history *walk;
    struct dm_buf out;
    uint64_t query, last_seq, previous_seq;
    uint32_t page_size, count;
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    struct history *history = task;
    dm_task_release(rpc, history->sink, history->memory);
    dm_history_close(history->walk);
    dm_buf_finish(&history->out);
    free(history);
}

static bool add(struct history *history, const struct dm_event *event)
{
    history->last_seq = event->seq;
    history->previous_seq = event->previous_seq;
    history->count++;
    DM_ASSERT(history->count <= history->page_size);
    dormouse_v1_StatusEvent message;
    dm_event_to_proto(&message, event);
    return dm_append_message(&history->out, dormouse_v1_GetHistoryResponse_events_tag,
                             dormouse_v1_StatusEvent_fields, &message);
}

static bool add_token(struct history *history)
{
    uint8_t position[sizeof(uint64_t)];
    dm_store_be64(position, history->last_seq);
    struct dm_token token;
    dm_token_make(&token, history->query, dm_slice(position, sizeof position));
    return dm_append_text(&history->out, dormouse_v1_GetHistoryResponse_next_page_token_tag,
                          dm_slice(token.text, token.size));
}

static enum dm_task_result answer(struct dm_rpc *rpc, struct dm_call *call, bool more)
{
    struct history *history = call->task;
    if (more && !add_token(history)) {
        struct dm_error error;
        (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
        dm_call_fail(rpc, call, &error);
        return DM_TASK_DONE;
    }
    dm_call_answer(rpc, call, dm_buf_slice(&history->out));
    return DM_TASK_DONE;
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    struct history *history = call->task;
    struct dm_event event;
    struct dm_error error;
    for (;;) {
        bool full = history->count == history->page_size;
        if (full && history->previous_seq == 0) {
            return answer(rpc, call, false);
        }
        switch (dm_history_next(history->walk, &event, budget)) {
        case DM_NEXT_ITEM:
            if (full) {
                return answer(rpc, call, true); /* the next page has one at least */
            }
            if (!add(history, &event)) {
                (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
                dm_call_fail(rpc, call, &error);
                return DM_TASK_DONE;
            }
            break;
        case DM_NEXT_PENDING:
            /* with budget left: the newest event is not durable yet */
            return *budget != 0 ? DM_TASK_STALLED : DM_TASK_MORE;
        case DM_NEXT_DAMAGED:
            (void)dm_fail(&error, DM_DATA_LOSS,
                          "the contact's stored record is damaged; set its status anew with "
                          "unlock, or delete it");
            dm_call_fail(rpc, call, &error);
            return DM_TASK_DONE;
        case DM_NEXT_FAILED:
            (void)dm_fail(&error, DM_DATA_LOSS,
                          "the journal cannot be read; the server's log says more");
            dm_call_fail(rpc, call, &error);
            return DM_TASK_DONE;
        default: /* the end, or what is older than is kept */
            return answer(rpc, call, false);
        }
    }
}

static const struct dm_task_ops history_ops = {.step = step, .destroy = destroy};

static enum dm_code prepare(struct dm_rpc *rpc, const struct dm_inbound *in,
                            struct history *history, struct dm_error *error)
{
    uint64_t before_seq = 0;
    dormouse_v1_GetHistoryRequest request = {0};
    if (dm_decode(in, in->payload, dormouse_v1_GetHistoryRequest_fields, &request, error) !=
            DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, error) != DM_OK ||
        dm_page_size(request.page_size, &history->page_size, error) != DM_OK) {
        return error->code;
    }
    DM_ASSERT(history->page_size > 0 && history->page_size <= DM_PAGE_SIZE_MAX);
    size_t memory = sizeof *history + history->page_size * DM_ENTRY_MEMORY;
    if (dm_task_reserve(rpc, in->sink, memory, error) != DM_OK) {
        return error->code;
    }
    history->memory = memory;
    history->query = dm_hash(request.contact_id.data, request.contact_id.size,
                             dm_hash(request.account_id.data, request.account_id.size, 0));
    if (request.page_token.size != 0) {
        struct dm_position position;
        if (dm_token_read(request.page_token, history->query, &position, error) != DM_OK) {
            return error->code;
        }
        if (position.size != sizeof before_seq) {
            return dm_fail(error, DM_INVALID_ARGUMENT, "page_token: does not belong to this query");
        }
        before_seq = dm_load_be64(position.bytes);
    }
    history->walk =
        dm_history_open(rpc->engine, request.account_id, request.contact_id, before_seq);
    return history->walk != NULL ? DM_OK : dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory");
}

void dm_handle_bot_status_get_history(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_error error;
    struct history *history = dm_xcalloc(1, sizeof *history);
    history->sink = in->sink;
    if (prepare(rpc, in, history, &error) != DM_OK) {
        destroy(rpc, history);
        dm_refuse(rpc, in, &error);
        return;
    }
    (void)dm_call_begin(rpc, in, &history_ops, history);
}
