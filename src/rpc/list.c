#include "rpc/handlers.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "core/ident.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/task.h"
#include "rpc/token.h"

#include <stdlib.h>

/* ListContacts: a scan of one page, as a task. A position is where the page ended: by
 * contact its id; by wake time BE64(end) ‖ id. */

struct list {
    struct dm_sink *sink;
    size_t memory; /* reserved for it */
    struct dm_scan *scan;
    struct dm_buf out;
    enum dm_scan_order order;
    uint64_t query;
};

static void destroy(struct dm_rpc *rpc, void *task)
{
    struct list *list = task;
    dm_task_release(rpc, list->sink, list->memory);
    dm_scan_close(list->scan);
    dm_buf_finish(&list->out);
    free(list);
}

static bool add(struct list *list, const struct dm_contact *contact)
{
    const dormouse_v1_Contact message = dm_contact_to_proto(contact);
    return dm_append_message(&list->out, dormouse_v1_ListContactsResponse_contacts_tag,
                             dormouse_v1_Contact_fields, &message);
}

static bool add_token(struct list *list)
{
    uint8_t position[DM_POSITION_MAX];
    size_t size = 0;
    struct dm_slice contact;
    int64_t until_ms;
    if (!dm_scan_more(list->scan)) {
        return true;
    }
    dm_scan_last(list->scan, &contact, &until_ms);
    if (list->order == DM_SCAN_BY_WAKE) {
        dm_store_be64(position, (uint64_t)until_ms);
        size = sizeof(uint64_t);
    }
    memcpy(position + size, contact.data, contact.size);
    struct dm_token token;
    dm_token_make(&token, list->query, dm_slice(position, size + contact.size));
    return dm_append_text(&list->out, dormouse_v1_ListContactsResponse_next_page_token_tag,
                          dm_slice(token.text, token.size));
}

static enum dm_task_result failed(struct dm_rpc *rpc, struct dm_call *call, enum dm_code code,
                                  const char *sentence)
{
    struct dm_error error;
    (void)dm_fail(&error, code, "%s", sentence);
    dm_call_fail(rpc, call, &error);
    return DM_TASK_DONE;
}

static enum dm_task_result step(struct dm_rpc *rpc, struct dm_call *call, size_t *budget)
{
    struct list *list = call->task;
    struct dm_contact contact;
    for (;;) {
        size_t entries = *budget / DM_COST_SCAN, left = entries;
        enum dm_next next = dm_scan_next(list->scan, &contact, &left);
        *budget -= (entries - left) * DM_COST_SCAN;
        switch (next) {
        case DM_NEXT_ITEM:
            if (!add(list, &contact)) {
                return failed(rpc, call, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
            }
            break;
        case DM_NEXT_PENDING:
            return DM_TASK_MORE;
        case DM_NEXT_END:
            if (!add_token(list)) {
                return failed(rpc, call, DM_RESOURCE_EXHAUSTED, "no memory for the answer");
            }
            dm_call_answer(rpc, call, dm_buf_slice(&list->out));
            return DM_TASK_DONE;
        default:
            return failed(rpc, call, DM_DATA_LOSS,
                          "the view cannot be read; the server's log says more");
        }
    }
}

static const struct dm_task_ops list_ops = {.step = step, .destroy = destroy};

/* ---- the request ------------------------------------------------------------------------ */

static enum dm_code read_filter(const dormouse_v1_ListContactsRequest *request,
                                struct dm_scan_options *options, struct dm_error *error)
{
    options->status = dm_enum8((int64_t)request->status);
    if (options->status >= DM_STATUS_COUNT) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "status: %d is not a Status; leave it out to list all", options->status);
    }
    switch (request->order) {
    case dormouse_v1_ListOrder_LIST_ORDER_UNSPECIFIED:
        options->order = DM_SCAN_BY_CONTACT;
        return DM_OK;
    case dormouse_v1_ListOrder_LIST_ORDER_WAKE_TIME:
        options->order = DM_SCAN_BY_WAKE;
        break;
    default:
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "order: %lld is not a ListOrder; use LIST_ORDER_WAKE_TIME or leave it out",
                       (long long)request->order);
    }
    if (options->status != DM_STATUS_NONE && options->status != DM_STATUS_SNOOZED) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "order: only snoozed contacts have a wake time; ask for STATUS_SNOOZED or "
                       "leave status out");
    }
    options->status = DM_STATUS_SNOOZED;
    return DM_OK;
}

static enum dm_code read_position(struct dm_slice token, uint64_t query,
                                  struct dm_position *position, struct dm_scan_options *options,
                                  struct dm_error *error)
{
    if (token.size == 0) {
        return DM_OK;
    }
    if (dm_token_read(token, query, position, error) != DM_OK) {
        return error->code;
    }
    size_t head = options->order == DM_SCAN_BY_WAKE ? sizeof(uint64_t) : 0;
    if (position->size <= head || position->size - head > DM_ID_SIZE_MAX) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "page_token: does not belong to this query");
    }
    if (head != 0) {
        options->after_until_ms = (int64_t)dm_load_be64(position->bytes);
    }
    options->after_contact = dm_slice(position->bytes + head, position->size - head);
    return DM_OK;
}

static enum dm_code prepare(struct dm_rpc *rpc, const struct dm_inbound *in, struct list *list,
                            struct dm_error *error)
{
    struct dm_scan_options options = {0};
    struct dm_position position;
    dormouse_v1_ListContactsRequest request = {0};
    if (dm_decode(in, in->payload, dormouse_v1_ListContactsRequest_fields, &request, error) !=
            DM_OK ||
        dm_id_check(request.account_id, "account_id", error) != DM_OK ||
        dm_page_size(request.page_size, &options.limit, error) != DM_OK ||
        read_filter(&request, &options, error) != DM_OK) {
        return error->code;
    }
    options.account_id = request.account_id;
    list->order = options.order;
    list->query = dm_hash(options.account_id.data, options.account_id.size,
                          (uint64_t)options.order << 8 | options.status);
    if (read_position(request.page_token, list->query, &position, &options, error) != DM_OK ||
        dm_task_reserve(rpc, in->sink, sizeof *list + options.limit * DM_ENTRY_MEMORY, error) !=
            DM_OK) {
        return error->code;
    }
    DM_ASSERT(options.limit > 0 && options.limit <= DM_PAGE_SIZE_MAX);
    list->memory = sizeof *list + options.limit * DM_ENTRY_MEMORY;
    list->scan = dm_scan_open(rpc->engine, &options);
    return list->scan != NULL ? DM_OK : dm_fail(error, DM_RESOURCE_EXHAUSTED, "no memory");
}

void dm_handle_bot_status_list_contacts(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_error error;
    struct list *list = dm_xcalloc(1, sizeof *list);
    list->sink = in->sink;
    if (prepare(rpc, in, list, &error) != DM_OK) {
        destroy(rpc, list);
        dm_refuse(rpc, in, &error);
        return;
    }
    (void)dm_call_begin(rpc, in, &list_ops, list);
}
