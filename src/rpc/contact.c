#include "rpc/convert.h"

/* GetContact and DeleteContact. */

void dm_handle_bot_status_get_contact(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0};
    dormouse_v1_GetContactRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
    };
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_GetContactRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_contact contact;
    uint64_t barrier;
    if (dm_engine_get(rpc->engine, account_id, contact_id, &contact, &barrier, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    dormouse_v1_Contact response;
    dm_contact_message(&response, &contact);
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_Contact_fields, &response), barrier);
}

void dm_handle_bot_status_delete_contact(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0};
    dormouse_v1_DeleteContactRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
    };
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_DeleteContactRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {.kind = DM_OP_DELETE};
    struct dm_outcome outcome = {.barrier = 0};
    if (dm_engine_mutate(rpc->engine, account_id, contact_id, (struct dm_slice){0}, &op, &outcome,
                         &error) != DM_OK) {
        dm_refuse_after(rpc, in, &error, outcome.barrier);
        return;
    }
    dormouse_v1_DeleteContactResponse response = {.existed = outcome.existed};
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_DeleteContactResponse_fields, &response),
              outcome.barrier);
}
