#include "rpc/handlers.h"

#include "rpc/call.h"
#include "rpc/convert.h"

/* GetContact and DeleteContact. */

void dm_handle_bot_status_get_contact(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_GetContactRequest request = {0};
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_GetContactRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_contact contact;
    if (dm_engine_get(rpc->engine, request.account_id, request.contact_id, &contact, &error) !=
        DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    const dormouse_v1_Contact response = dm_contact_to_proto(&contact);
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_Contact_fields, &response));
}

void dm_handle_bot_status_delete_contact(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_DeleteContactRequest request = {0};
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_DeleteContactRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {.kind = DM_OP_DELETE};
    struct dm_outcome outcome;
    if (dm_engine_mutate(rpc->engine, request.account_id, request.contact_id, (struct dm_slice){0},
                         &op, &outcome, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    dormouse_v1_DeleteContactResponse response = {.existed = outcome.existed};
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_DeleteContactResponse_fields, &response));
}
