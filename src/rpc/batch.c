#include "rpc/handlers.h"

#include "base/assert.h"
#include "base/limits.h"
#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/task.h"

#include <stdio.h>
#include <stdlib.h>

/* BatchGetContacts and BatchSetStatus: tasks that do some contacts in each step and gather the
 * answer as they go. The request is copied, and all texts are slices of that copy. */

struct batch {
    struct dm_sink *sink;
    size_t memory; /* reserved for it and for its answer */
    struct dm_buf out;
    uint32_t next;
    struct dm_slice account_id, bot_id;
    struct dm_change change; /* BatchSetStatus */
    uint64_t request;
    struct dm_texts ids;
    uint8_t payload[];
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    struct batch *batch = task;
    DM_ASSERT(batch->memory >= sizeof *batch);
    dm_task_release(rpc, batch->sink, batch->memory);
    dm_buf_finish(&batch->out);
    free(batch);
}

/* A request of so many bytes has no more contacts than this: each of them has a key and a size. */
static size_t contacts_max(size_t request_size)
{
    return request_size / 2 < DM_BATCH_MAX ? request_size / 2 : DM_BATCH_MAX;
}

static struct batch *create(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_error *error)
{
    struct dm_slice payload = in->payload;
    size_t size = sizeof(struct batch) + payload.size;
    size_t memory = size + contacts_max(payload.size) * DM_ENTRY_MEMORY;
    if (dm_task_reserve(rpc, in->sink, memory, error) != DM_OK) {
        return NULL;
    }
    struct batch *batch = malloc(size);
    if (batch == NULL) {
        dm_task_release(rpc, in->sink, memory);
        (void)dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory for a call of %zu bytes", size);
        return NULL;
    }
    memset(batch, 0, offsetof(struct batch, ids.items));
    batch->sink = in->sink;
    batch->memory = memory;
    if (payload.size != 0) {
        memcpy(batch->payload, payload.data, payload.size);
    }
    return batch;
}

static enum dm_code id_check(const struct batch *batch, uint32_t i, struct dm_error *error)
{
    char field[32];
    (void)snprintf(field, sizeof field, "contact_ids[%u]", i);
    return dm_id_check(batch->ids.items[i], field, error);
}

static enum dm_task_result out_of_memory(struct dm_rpc *rpc, struct dm_call *call)
{
    struct dm_error error;
    (void)dm_fail(&error, DM_RESOURCE_EXHAUSTED,
                  "no memory for the answer; ask again with the same request_id");
    dm_call_fail(rpc, call, &error);
    return DM_TASK_DONE;
}

/* Does contacts one by one while the budget lasts. */
static enum dm_task_result steps(struct dm_rpc *rpc, struct dm_call *call, size_t *budget,
                                 bool (*one)(struct dm_rpc *, struct batch *, uint32_t))
{
    struct batch *batch = call->task;
    DM_ASSERT(batch->ids.count <= DM_BATCH_MAX && batch->next <= batch->ids.count);
    while (batch->next < batch->ids.count) {
        if (*budget < DM_COST_MUTATE) {
            return DM_TASK_MORE;
        }
        *budget -= DM_COST_MUTATE;
        if (!one(rpc, batch, batch->next++)) {
            return out_of_memory(rpc, call);
        }
    }
    dm_call_answer(rpc, call, dm_buf_slice(&batch->out));
    return DM_TASK_DONE;
}

/* ---- BatchGetContacts --------------------------------------------------------------- */

static bool get_one(struct dm_rpc *rpc, struct batch *batch, uint32_t i)
{
    DM_ASSERT(i < batch->ids.count);
    struct dm_contact contact;
    if (dm_engine_get(rpc->engine, batch->account_id, batch->ids.items[i], &contact, NULL) !=
        DM_OK) {
        /* It keeps its place in the answer; the status UNSPECIFIED says that it is not known. */
        contact =
            (struct dm_contact){.account_id = batch->account_id, .contact_id = batch->ids.items[i]};
    }
    const dormouse_v1_Contact message = dm_contact_to_proto(&contact);
    return dm_append_message(&batch->out, dormouse_v1_BatchGetContactsResponse_contacts_tag,
                             dormouse_v1_Contact_fields, &message);
}

static enum dm_task_result get_step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    return steps(rpc, call, budget, get_one);
}

static const struct dm_task_ops get_ops = {.step = get_step, .destroy = destroy};

static enum dm_code get_read(const struct dm_inbound *in, struct batch *batch,
                             struct dm_error *error)
{
    dormouse_v1_BatchGetContactsRequest request = {.contact_ids = dm_texts_in(&batch->ids)};
    if (dm_decode(in, dm_slice(batch->payload, in->payload.size),
                  dormouse_v1_BatchGetContactsRequest_fields, &request, error) != DM_OK ||
        dm_id_check(request.account_id, "account_id", error) != DM_OK ||
        dm_texts_check(&batch->ids, "contact_ids", error) != DM_OK) {
        return error->code;
    }
    batch->account_id = request.account_id;
    for (uint32_t i = 0; i < batch->ids.count; i++) {
        if (id_check(batch, i, error) != DM_OK) {
            return error->code;
        }
    }
    return DM_OK;
}

/* ---- BatchSetStatus ------------------------------------------------------------------- */

static bool set_one(struct dm_rpc *rpc, struct batch *batch, uint32_t i)
{
    DM_ASSERT(i < batch->ids.count);
    struct dm_slice contact_id = batch->ids.items[i];
    struct dm_outcome outcome;
    struct dm_error error;
    dormouse_v1_BatchSetStatusResponse_Result result = {0};
    enum dm_code code = id_check(batch, i, &error);
    if (code == DM_OK) {
        /* an invalid id is not given back: it may not even be text */
        result.contact_id = contact_id;
        struct dm_op op = {
            .kind = DM_OP_SET_STATUS, .request = batch->request, .set.change = batch->change};
        code = dm_engine_mutate(rpc->engine, batch->account_id, contact_id, batch->bot_id, &op,
                                &outcome, &error);
    }
    result.code = (int32_t)code;
    result.has_contact = code == DM_OK;
    if (code == DM_OK) {
        result.contact = dm_contact_to_proto(&outcome.contact);
    } else {
        result.message = dm_slice_str(error.message);
    }
    return dm_append_message(&batch->out, dormouse_v1_BatchSetStatusResponse_results_tag,
                             dormouse_v1_BatchSetStatusResponse_Result_fields, &result);
}

static enum dm_task_result set_step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    return steps(rpc, call, budget, set_one);
}

static const struct dm_task_ops set_ops = {.step = set_step, .destroy = destroy};

static enum dm_code set_read(struct dm_rpc *rpc, const struct dm_inbound *in, struct batch *batch,
                             struct dm_error *error)
{
    dormouse_v1_BatchSetStatusRequest request = {.contact_ids = dm_texts_in(&batch->ids)};
    if (dm_decode(in, dm_slice(batch->payload, in->payload.size),
                  dormouse_v1_BatchSetStatusRequest_fields, &request, error) != DM_OK ||
        dm_id_check(request.account_id, "account_id", error) != DM_OK ||
        dm_texts_check(&batch->ids, "contact_ids", error) != DM_OK ||
        dm_change_read(&request.change, request.has_change, dm_clock_wall_ms(&rpc->clock),
                       &batch->change, error) != DM_OK ||
        dm_request_id_check(request.request_id, error) != DM_OK) {
        return error->code;
    }
    batch->account_id = request.account_id;
    batch->bot_id = request.change.bot_id;
    batch->request = dm_request_hash(DM_REQUEST_BATCH_SET_STATUS, request.request_id);
    return DM_OK;
}

/* ---- both -------------------------------------------------------------------------------- */

void dm_handle_bot_status_batch_get_contacts(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_error error;
    struct batch *batch = create(rpc, in, &error);
    if (batch == NULL) {
        dm_refuse(rpc, in, &error);
        return;
    }
    if (get_read(in, batch, &error) != DM_OK) {
        destroy(rpc, batch);
        dm_refuse(rpc, in, &error);
        return;
    }
    (void)dm_call_begin(rpc, in, &get_ops, batch);
}

void dm_handle_bot_status_batch_set_status(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_error error;
    struct batch *batch = create(rpc, in, &error);
    if (batch == NULL) {
        dm_refuse(rpc, in, &error);
        return;
    }
    if (set_read(rpc, in, batch, &error) != DM_OK) {
        destroy(rpc, batch);
        dm_refuse(rpc, in, &error);
        return;
    }
    (void)dm_call_begin(rpc, in, &set_ops, batch);
}
