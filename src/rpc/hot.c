#include "rpc/handlers.h"

#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/hot_codec.h"

/* The four methods that make up nearly all calls. None of them allocates. */

/* `wrong` is what a decoder returned. */
static enum dm_code decoded(const struct dm_inbound *in, const char *wrong, struct dm_error *error)
{
    if (wrong == NULL) {
        return DM_OK;
    }
    return dm_fail(error, DM_INVALID_ARGUMENT, "the request is not a valid %s message: %s",
                   in->method->request, wrong);
}

void dm_handle_bot_status_check(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_CheckRequest request = {0};
    struct dm_error error;
    if (decoded(in, dm_check_request_decode(in->payload, &request), &error) != DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_effective state;
    if (dm_engine_check(rpc->engine, request.account_id, request.contact_id, &state, &error) !=
        DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    const dormouse_v1_CheckResponse response = dm_check_to_proto(&state);
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_check_response_encode(scratch, &response));
}

/* Orders `op`; false: it was refused and the call is answered. */
static bool mutate(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice account_id,
                   struct dm_slice contact_id, struct dm_slice bot_id, struct dm_op *op,
                   struct dm_outcome *outcome)
{
    struct dm_error error;
    if (dm_engine_mutate(rpc->engine, account_id, contact_id, bot_id, op, outcome, &error) !=
        DM_OK) {
        dm_refuse(rpc, in, &error);
        return false;
    }
    return true;
}

void dm_handle_bot_status_commit_reply(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_CommitReplyRequest request = {0};
    struct dm_error error;
    if (decoded(in, dm_commit_reply_request_decode(in->payload, &request), &error) != DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK ||
        dm_request_id_check(request.request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {
        .kind = DM_OP_COMMIT_REPLY,
        .request = dm_request_hash(DM_REQUEST_COMMIT_REPLY, request.request_id),
        .commit.fence = request.fence,
    };
    struct dm_outcome outcome;
    if (!mutate(rpc, in, request.account_id, request.contact_id, (struct dm_slice){0}, &op,
                &outcome)) {
        return;
    }
    const dormouse_v1_CommitReplyResponse response = {
        .granted = outcome.granted,
        .decision = (dormouse_v1_Decision)outcome.decision,
        .has_contact = true,
        .contact = dm_contact_to_proto(&outcome.contact),
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_commit_reply_response_encode(scratch, &response));
}

void dm_handle_bot_status_record_activity(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_RecordActivityRequest request = {0};
    struct dm_error error;
    if (decoded(in, dm_record_activity_request_decode(in->payload, &request), &error) != DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK ||
        dm_request_id_check(request.request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    struct dm_op op = {
        .kind = DM_OP_ACTIVITY,
        .request = dm_request_hash(DM_REQUEST_RECORD_ACTIVITY, request.request_id),
        .activity = {.activity = dm_enum8((int64_t)request.activity), .actor = request.actor},
    };
    struct dm_outcome outcome;
    if (!mutate(rpc, in, request.account_id, request.contact_id, (struct dm_slice){0}, &op,
                &outcome)) {
        return;
    }
    const dormouse_v1_RecordActivityResponse response = {
        .has_contact = true,
        .contact = dm_contact_to_proto(&outcome.contact),
        .decision = (dormouse_v1_Decision)outcome.decision,
        .changed = outcome.changed,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_record_activity_response_encode(scratch, &response));
}

void dm_handle_bot_status_set_status(struct dm_rpc *rpc, const struct dm_inbound *in)
{
    dormouse_v1_SetStatusRequest request = {0};
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    struct dm_error error;
    if (decoded(in, dm_set_status_request_decode(in->payload, &request), &error) != DM_OK ||
        dm_contact_check(request.account_id, request.contact_id, &error) != DM_OK ||
        dm_change_read(&request.change, request.has_change, dm_clock_wall_ms(&rpc->clock),
                       &op.set.change, &error) != DM_OK ||
        dm_request_id_check(request.request_id, &error) != DM_OK) {
        dm_refuse(rpc, in, &error);
        return;
    }
    op.request = dm_request_hash(DM_REQUEST_SET_STATUS, request.request_id);
    op.set.has_if_revision = request.has_if_revision;
    op.set.if_revision = request.if_revision;
    struct dm_outcome outcome;
    if (!mutate(rpc, in, request.account_id, request.contact_id, request.change.bot_id, &op,
                &outcome)) {
        return;
    }
    const dormouse_v1_SetStatusResponse response = {
        .has_contact = true,
        .contact = dm_contact_to_proto(&outcome.contact),
        .changed = outcome.changed,
    };
    uint8_t scratch[DM_SMALL_MESSAGE];
    dm_answer(rpc, in, dm_set_status_response_encode(scratch, &response));
}
