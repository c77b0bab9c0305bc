#include "rpc/convert.h"

/* The four methods that make up nearly all calls. None of them allocates. */

void dm_handle_bot_status_check(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0};
    dormouse_v1_CheckRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
    };
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_CheckRequest_fields, &request, &error) != DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_effective state;
    uint64_t barrier;
    dm_engine_check(rpc->engine, account_id, contact_id, &state, &barrier);
    dormouse_v1_CheckResponse response = {
        .decision = (dormouse_v1_Decision)state.decision,
        .status = (dormouse_v1_Status)state.status,
        .reason = (dormouse_v1_Reason)state.decision_reason,
        .fence = state.fence,
        .has_valid_until = state.until_ms != 0,
        .valid_until = dm_timestamp(state.until_ms),
        .has_messages_left = state.limited,
        .messages_left = state.messages_left,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode(scratch, dormouse_v1_CheckResponse_fields, &response), barrier);
}

/* Orders `op`; false: it was refused and the call is answered. */
static bool mutate(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice account_id,
                   struct dm_slice contact_id, struct dm_slice bot_id, struct dm_op *op,
                   struct dm_outcome *outcome)
{
    struct dm_error error;
    outcome->barrier = 0;
    if (dm_engine_mutate(rpc->engine, account_id, contact_id, bot_id, op, outcome, &error) !=
        DM_OK) {
        dm_refuse_after(rpc, in, &error, outcome->barrier);
        return false;
    }
    return true;
}

/* Answers with `response` and the contact after the operation, which is its field `tag`. */
static void answer(struct dm_rpc *rpc, const struct dm_inbound *in, const pb_msgdesc_t *fields,
                   const void *response, uint32_t tag, const struct dm_outcome *outcome)
{
    dormouse_v1_Contact contact;
    dm_contact_message(&contact, &outcome->contact);
    const struct dm_inner inner = {
        .tag = tag, .fields = dormouse_v1_Contact_fields, .message = &contact};
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_encode_with(scratch, fields, response, &inner), outcome->barrier);
}

void dm_handle_bot_status_commit_reply(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0}, request_id = {0};
    dormouse_v1_CommitReplyRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
        .request_id = dm_text_in(&request_id),
    };
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_CommitReplyRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK ||
        dm_request_id_check(request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {
        .kind = DM_OP_COMMIT_REPLY,
        .request = dm_request_hash(DM_REQUEST_COMMIT_REPLY, request_id),
        .commit.fence = request.fence,
    };
    struct dm_outcome outcome;
    if (!mutate(rpc, in, account_id, contact_id, (struct dm_slice){0}, &op, &outcome)) {
        return;
    }
    dormouse_v1_CommitReplyResponse response = {
        .granted = outcome.granted,
        .decision = (dormouse_v1_Decision)outcome.decision,
    };
    answer(rpc, in, dormouse_v1_CommitReplyResponse_fields, &response,
           dormouse_v1_CommitReplyResponse_contact_tag, &outcome);
}

void dm_handle_bot_status_record_activity(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0}, actor = {0}, request_id = {0};
    dormouse_v1_RecordActivityRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
        .actor = dm_text_in(&actor),
        .request_id = dm_text_in(&request_id),
    };
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_RecordActivityRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK ||
        dm_request_id_check(request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {
        .kind = DM_OP_ACTIVITY,
        .request = dm_request_hash(DM_REQUEST_RECORD_ACTIVITY, request_id),
        .activity = {.activity = dm_enum8((int64_t)request.activity), .actor = actor},
    };
    struct dm_outcome outcome;
    if (!mutate(rpc, in, account_id, contact_id, (struct dm_slice){0}, &op, &outcome)) {
        return;
    }
    dormouse_v1_RecordActivityResponse response = {
        .decision = (dormouse_v1_Decision)outcome.decision,
        .changed = outcome.changed,
    };
    answer(rpc, in, dormouse_v1_RecordActivityResponse_fields, &response,
           dormouse_v1_RecordActivityResponse_contact_tag, &outcome);
}

void dm_handle_bot_status_set_status(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    struct dm_slice account_id = {0}, contact_id = {0}, request_id = {0};
    struct dm_change_in texts;
    dormouse_v1_SetStatusRequest request = {
        .account_id = dm_text_in(&account_id),
        .contact_id = dm_text_in(&contact_id),
        .request_id = dm_text_in(&request_id),
    };
    dm_change_expect(&request.change, &texts);
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    struct dm_error error;
    if (dm_decode(in, in->payload, dormouse_v1_SetStatusRequest_fields, &request, &error) !=
            DM_OK ||
        dm_contact_check(account_id, contact_id, &error) != DM_OK ||
        dm_change_read(&request.change, request.has_change, &texts, dm_clock_wall_ms(&rpc->clock),
                       &op.set.change, &error) != DM_OK ||
        dm_request_id_check(request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    op.request = dm_request_hash(DM_REQUEST_SET_STATUS, request_id);
    op.set.has_if_revision = request.has_if_revision;
    op.set.if_revision = request.if_revision;
    struct dm_outcome outcome;
    if (!mutate(rpc, in, account_id, contact_id, texts.bot_id, &op, &outcome)) {
        return;
    }
    dormouse_v1_SetStatusResponse response = {.changed = outcome.changed};
    answer(rpc, in, dormouse_v1_SetStatusResponse_fields, &response,
           dormouse_v1_SetStatusResponse_contact_tag, &outcome);
}
