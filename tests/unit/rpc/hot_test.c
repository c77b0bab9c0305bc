#include "fixture.h"

/* Check, CommitReply, RecordActivity, SetStatus, GetContact, DeleteContact. */

static void check(struct fixture *f, const char *contact, dormouse_v1_CheckResponse *response)
{
    dormouse_v1_CheckRequest request = {.account_id = dm_slice_str("acme"),
                                        .contact_id = dm_slice_str(contact)};
    uint64_t id = call(f, "Check", dormouse_v1_CheckRequest_fields, &request);
    *response = (dormouse_v1_CheckResponse){0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_CheckResponse_fields, response);
}

static void a_contact_never_seen_may_be_answered(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_CheckResponse response;
    check(f, "bob", &response);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_REPLY);
    assert_int_equal(response.status, ACTIVE);
    assert_int_equal(response.reason, dormouse_v1_Reason_REASON_NEVER_SET);
    assert_false(response.has_valid_until);
    assert_false(response.has_messages_left);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0); /* it was answered at once */
}

static void a_snooze_is_silent_until_its_end(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_CheckResponse response;
    set_and_settle(f, "bob", SNOOZED, 3600);
    check(f, "bob", &response);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_SILENT);
    assert_int_equal(response.status, SNOOZED);
    assert_true(response.has_valid_until);
    assert_int_equal(response.valid_until.seconds, (START_MS + HOUR_MS) / 1000);
    virtual_clock_advance(&f->clock, HOUR_MS);
    check(f, "bob", &response);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_REPLY);
    assert_int_equal(response.reason, dormouse_v1_Reason_REASON_SNOOZE_EXPIRED);
}

static void set_status_answers_with_the_contact_after_it(void **state)
{
    struct fixture *f = *state;
    uint64_t id = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    (void)settle(f);
    dormouse_v1_Contact in;
    dormouse_v1_SetStatusResponse response = {0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_SetStatusResponse_fields, &response);
    assert_true(response.changed);
    assert_true(response.has_contact);
    assert_text(response.contact.account_id, "acme");
    assert_text(response.contact.contact_id, "bob");
    assert_text(response.contact.actor, "ann");
    assert_int_equal(response.contact.status, INACTIVE);
    assert_int_equal(response.contact.reason, dormouse_v1_Reason_REASON_SET);
    assert_int_equal(response.contact.fence, 1);
    assert_int_equal(response.contact.revision, 1);
    assert_int_equal(response.contact.last_seq, 1);
    assert_int_equal(response.contact.since.seconds, START_MS / 1000);
    assert_int_equal(response.contact.mode, dormouse_v1_Mode_MODE_AUTO_PILOT);
    get_contact(f, "bob", &in);
    assert_int_equal(in.status, INACTIVE);
    assert_text(in.actor, "ann");
}

static uint64_t commit(struct fixture *f, uint64_t fence, const char *request_id)
{
    dormouse_v1_CommitReplyRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .fence = fence,
        .request_id = dm_slice_str(request_id),
    };
    uint64_t id = call(f, "CommitReply", dormouse_v1_CommitReplyRequest_fields, &request);
    (void)settle(f);
    return id;
}

static dormouse_v1_CommitReplyResponse committed(struct fixture *f, uint64_t id)
{
    dormouse_v1_CommitReplyResponse response = {0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_CommitReplyResponse_fields, &response);
    return response;
}

static void commit_reply_grants_on_the_same_fence_only(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_CommitReplyResponse response = committed(f, commit(f, 0, "r1"));
    assert_true(response.granted);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_REPLY);
    assert_int_equal(response.contact.bot_messages, 1);
    response = committed(f, commit(f, 0, "r1"));
    assert_true(response.granted);
    assert_int_equal(response.contact.bot_messages, 1); /* the same answer, counted once */
    response = committed(f, commit(f, 0, "r2"));
    assert_int_equal(response.contact.bot_messages, 2);
    set_and_settle(f, "bob", SNOOZED, 60);
    response = committed(f, commit(f, 0, "r3"));
    assert_false(response.granted);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_SILENT);
}

static void an_activity_does_what_the_policy_says(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_RecordActivityRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .activity = dormouse_v1_Activity_ACTIVITY_MANUAL_MESSAGE,
        .actor = dm_slice_str("ann"),
        .request_id = dm_slice_str("m1"),
    };
    uint64_t id = call(f, "RecordActivity", dormouse_v1_RecordActivityRequest_fields, &request);
    (void)settle(f);
    dormouse_v1_RecordActivityResponse response = {0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_RecordActivityResponse_fields, &response);
    assert_true(response.changed);
    assert_int_equal(response.contact.status, SNOOZED);
    assert_int_equal(response.contact.snoozed_until.seconds, (START_MS + 2 * HOUR_MS) / 1000);
    assert_int_equal(response.decision, dormouse_v1_Decision_DECISION_SILENT);
    request.activity = (dormouse_v1_Activity)77;
    id = call(f, "RecordActivity", dormouse_v1_RecordActivityRequest_fields, &request);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "activity");
}

static void delete_forgets_a_contact(void **state)
{
    struct fixture *f = *state;
    set_and_settle(f, "bob", INACTIVE, 0);
    dormouse_v1_DeleteContactRequest request = {.account_id = dm_slice_str("acme"),
                                                .contact_id = dm_slice_str("bob")};
    for (int i = 0; i < 2; i++) {
        uint64_t id = call(f, "DeleteContact", dormouse_v1_DeleteContactRequest_fields, &request);
        (void)settle(f);
        dormouse_v1_DeleteContactResponse response = {0};
        decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_DeleteContactResponse_fields,
               &response);
        assert_int_equal(response.existed, i == 0);
    }
    dormouse_v1_Contact in;
    get_contact(f, "bob", &in);
    assert_int_equal(in.status, ACTIVE);
    assert_int_equal(in.revision, 0);
}

/* ---- what is refused --------------------------------------------------------------------- */

static void set_refused(struct fixture *f, const dormouse_v1_SetStatusRequest *request,
                        enum dm_code code, const char *part)
{
    uint64_t id = call(f, "SetStatus", dormouse_v1_SetStatusRequest_fields, request);
    (void)settle(f);
    expect_fail(&f->one, id, code, part);
}

static void a_refusal_names_the_field(void **state)
{
    struct fixture *f = *state;
    char long_text[66];
    memset(long_text, 'x', 65);
    long_text[65] = 0;
    const dormouse_v1_SetStatusRequest good = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .has_change = true,
        .change = {.status = INACTIVE},
    };
    dormouse_v1_SetStatusRequest bad = good;
    bad.account_id = dm_slice_str("");
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "account_id: ");
    bad = good;
    bad.contact_id = dm_slice_str(long_text);
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "contact_id: ");
    bad = good;
    bad.contact_id = dm_slice_str("b\xff");
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "contact_id: ");
    bad = good;
    bad.has_change = false;
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "change: ");
    bad = good;
    bad.change.actor = dm_slice_str(long_text);
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "change.actor: ");
    bad = good;
    bad.change.bot_id = dm_slice_str(long_text);
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "change.bot_id: ");
    bad = good;
    bad.change.status = (dormouse_v1_Status)300;
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "change.status: ");
    bad = good;
    bad.change.reason = dormouse_v1_Reason_REASON_NEVER_SET;
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "change.reason: ");
    bad = good;
    bad.request_id = dm_slice_str(long_text);
    set_refused(f, &bad, DM_INVALID_ARGUMENT, "request_id: ");
    bad = good;
    bad.has_if_revision = true;
    bad.if_revision = 7;
    set_refused(f, &bad, DM_ABORTED, "if_revision");
}

static void times_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_SetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .has_change = true,
        .change = {.status = SNOOZED, .which_wake = dormouse_v1_StatusChange_snooze_for_tag},
    };
    request.change.wake.snooze_for = (google_protobuf_Duration){.seconds = 5, .nanos = -1};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_for.nanos");
    request.change.wake.snooze_for = (google_protobuf_Duration){.seconds = INT64_MAX};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_for.seconds");
    request.change.wake.snooze_for = (google_protobuf_Duration){.nanos = 998999999};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_for");
    request.change.which_wake = dormouse_v1_StatusChange_snooze_until_tag;
    request.change.wake.snooze_until = (google_protobuf_Timestamp){.seconds = INT64_MIN};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_until.seconds");
    request.change.wake.snooze_until = (google_protobuf_Timestamp){.seconds = 1, .nanos = -1};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_until.nanos");
    request.change.wake.snooze_until = (google_protobuf_Timestamp){.seconds = 1};
    set_refused(f, &request, DM_INVALID_ARGUMENT, "change.snooze_until");
}

static void bytes_that_are_no_message_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t id = call_bytes(f, BOT_STATUS, "Check", "\x0a\x7f", 2);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT,
                "the request is not a valid dormouse.v1.CheckRequest message: ");
    /* a text that is no text, to a method that nanopb decodes for */
    id = call_bytes(f, BOT_STATUS, "GetContact", "\x08\x41\x12\x01x", 5);
    expect_fail(
        &f->one, id, DM_INVALID_ARGUMENT,
        "the request is not a valid dormouse.v1.GetContactRequest message: wrong wire type");
    id = call_bytes(f, BOT_STATUS, "Check", "", 0);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "account_id: is missing");
}

static void times_are_rounded_up_to_milliseconds(void **state)
{
    (void)state;
    int64_t ms;
    struct dm_error error;
    google_protobuf_Duration duration = {.seconds = 1, .nanos = 1};
    assert_int_equal(dm_duration_ms(&duration, "d", &ms, &error), DM_OK);
    assert_int_equal(ms, 1001);
    duration = (google_protobuf_Duration){.seconds = -1, .nanos = -1500000};
    assert_int_equal(dm_duration_ms(&duration, "d", &ms, &error), DM_OK);
    assert_int_equal(ms, -1001);
    google_protobuf_Timestamp timestamp = {.seconds = -2, .nanos = 999000001};
    assert_int_equal(dm_timestamp_ms(&timestamp, "t", &ms, &error), DM_OK);
    assert_int_equal(ms, -1000);
    assert_int_equal(dm_timestamp(-1).seconds, -1);
    assert_int_equal(dm_timestamp(-1).nanos, 999000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_contact_never_seen_may_be_answered),
        T(a_snooze_is_silent_until_its_end),
        T(set_status_answers_with_the_contact_after_it),
        T(commit_reply_grants_on_the_same_fence_only),
        T(an_activity_does_what_the_policy_says),
        T(delete_forgets_a_contact),
        T(a_refusal_names_the_field),
        T(times_out_of_range_are_refused),
        T(bytes_that_are_no_message_are_refused),
        T(times_are_rounded_up_to_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
