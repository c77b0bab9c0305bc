#include "fixture.h"

/* The life of a call, whatever it asks for. */

static void an_answer_waits_for_the_disk(void **state)
{
    struct fixture *f = *state;
    set_and_settle(f, "bob", SNOOZED, 60); /* so that the next record's lsn is just above */
    dm_journal_memory_hold(f->journal, true);
    uint64_t id = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    assert_int_equal(settle(f), -1);
    expect_nothing(&f->one);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 1);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void a_read_of_what_is_not_durable_waits_too(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t set = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    dormouse_v1_CheckRequest request = {.account_id = dm_slice_str("acme"),
                                        .contact_id = dm_slice_str("bob")};
    uint64_t check = call_with(f, &f->two, "Check", dormouse_v1_CheckRequest_fields, &request, 0);
    (void)settle(f);
    expect_nothing(&f->two);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, set);
    (void)expect(&f->two, SAID_REPLY, check);
}

static void a_refusal_that_tells_of_what_is_not_durable_waits_too(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    dormouse_v1_SetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .has_change = true,
        .change = {.status = INACTIVE, .lock = true},
    };
    uint64_t first = call(f, "SetStatus", dormouse_v1_SetStatusRequest_fields, &request);
    request.change = (dormouse_v1_StatusChange){.status = ACTIVE};
    uint64_t second = call(f, "SetStatus", dormouse_v1_SetStatusRequest_fields, &request);
    (void)settle(f);
    expect_nothing(&f->one);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, first);
    expect_fail(&f->one, second, DM_FAILED_PRECONDITION, "locked");
}

static void answers_are_released_in_order(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[50];
    dm_journal_memory_hold(f->journal, true);
    for (int i = 0; i < 50; i++) {
        char contact[16];
        (void)snprintf(contact, sizeof contact, "c%d", i);
        ids[i] = set_status(f, &f->one, contact, INACTIVE, 0, 0);
    }
    (void)settle(f);
    expect_nothing(&f->one);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    for (int i = 0; i < 50; i++) {
        (void)expect(&f->one, SAID_REPLY, ids[i]);
    }
    expect_nothing(&f->one);
}

static void a_call_past_its_deadline_ends(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t late = set_status(f, &f->one, "bob", INACTIVE, 0, 1500000); /* 1.5 ms */
    uint64_t patient = set_status(f, &f->one, "eve", INACTIVE, 0, 0);
    assert_int_equal(settle(f), 2);
    virtual_clock_advance(&f->clock, 1);
    assert_int_equal(settle(f), 1);
    expect_nothing(&f->one);
    virtual_clock_advance(&f->clock, 1);
    assert_int_equal(settle(f), -1);
    expect_fail(&f->one, late, DM_DEADLINE_EXCEEDED, "deadline");
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, patient); /* and nothing more of the late one */
    expect_nothing(&f->one);
}

static void a_spent_deadline_does_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t id = set_status(f, &f->one, "bob", INACTIVE, 0, -1);
    expect_fail(&f->one, id, DM_DEADLINE_EXCEEDED, "nothing was done");
    dormouse_v1_Contact in;
    get_contact(f, "bob", &in);
    assert_int_equal(in.revision, 0);
}

static void a_cancelled_call_is_not_answered(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t cancelled = set_status(f, &f->one, "bob", INACTIVE, 0, 1000000);
    uint64_t kept = set_status(f, &f->one, "eve", INACTIVE, 0, 0);
    dm_rpc_cancel(f->rpc, &f->one.sink, cancelled);
    dm_rpc_cancel(f->rpc, &f->one.sink, 12345);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 1);
    dm_journal_memory_hold(f->journal, false);
    virtual_clock_advance(&f->clock, 5);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, kept);
    expect_nothing(&f->one);
}

static void a_slot_that_is_used_again_gets_no_old_answer(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t old = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    dm_rpc_cancel(f->rpc, &f->one.sink, old);
    uint64_t fresh = set_status(f, &f->two, "eve", SNOOZED, 60, 0);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    expect_nothing(&f->one);
    dormouse_v1_SetStatusResponse response = {0};
    decode(expect(&f->two, SAID_REPLY, fresh), dormouse_v1_SetStatusResponse_fields, &response);
    assert_int_equal(response.contact.status, SNOOZED);
    expect_nothing(&f->two);
}

static void a_gone_connection_is_told_nothing(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    for (int i = 0; i < 10; i++) {
        (void)set_status(f, &f->one, "bob", i % 2 == 0 ? INACTIVE : ACTIVE, 0, 1000000);
    }
    uint64_t other = set_status(f, &f->two, "eve", INACTIVE, 0, 0);
    dm_rpc_sink_gone(f->rpc, &f->one.sink);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 1);
    dm_journal_memory_hold(f->journal, false);
    virtual_clock_advance(&f->clock, 5);
    (void)settle(f);
    expect_nothing(&f->one);
    (void)expect(&f->two, SAID_REPLY, other);
}

static void a_failed_journal_makes_pending_answers_unavailable(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t id = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    (void)settle(f);
    dm_journal_memory_fail(f->journal, DM_ORDER_FAILED);
    (void)settle(f);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "");
    id = set_status(f, &f->one, "eve", INACTIVE, 0, 0);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "");
}

static void unknown_methods_are_unimplemented(void **state)
{
    struct fixture *f = *state;
    expect_fail(&f->one, call_bytes(f, BOT_STATUS, "Chack", "", 0), DM_UNIMPLEMENTED, "method");
    expect_fail(&f->one, call_bytes(f, BOT_STATUS, "", "", 0), DM_UNIMPLEMENTED, "method");
    expect_fail(&f->one, call_bytes(f, "no.Such", "Check", "", 0), DM_UNIMPLEMENTED, "service");
    expect_fail(&f->one, call_bytes(f, "", "", "", 0), DM_UNIMPLEMENTED, "service");
}

static void every_method_of_the_contract_is_found(void **state)
{
    (void)state;
    struct dm_method_table table;
    dm_method_table_init(&table, &dm_methods);
    for (uint32_t i = 0; i < dm_methods.count; i++) {
        assert_ptr_equal(
            dm_method_find(&table, dm_methods.items[i].service, dm_methods.items[i].name),
            &dm_methods.items[i]);
    }
    assert_true(dm_rpc_known_service(dm_slice_str("grpc.health.v1.Health")));
    assert_false(dm_rpc_known_service(dm_slice_str("grpc.health.v1.Healt")));
}

static void a_protocol_that_cannot_carry_the_answer_is_told(void **state)
{
    struct fixture *f = *state;
    struct dm_rpc_request request = {
        .id = 1, .service = dm_slice_str(BOT_STATUS), .method = dm_slice_str("Watch")};
    request.unary_only = true;
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    expect_fail(&f->one, 1, DM_UNIMPLEMENTED, "stream");
    request.unary_only = false;
    request.stream_only = true;
    request.method = dm_slice_str("Check");
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    expect_fail(&f->one, 1, DM_UNIMPLEMENTED, "unary");
    request.stream_only = false;
    request.get = true;
    request.method = dm_slice_str("SetStatus");
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    expect_fail(&f->one, 1, DM_UNIMPLEMENTED, "POST");
}

static void a_connection_has_a_limit_of_open_calls(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    for (int i = 0; i < DM_CALLS_PER_CONNECTION_MAX; i++) {
        (void)set_status(f, &f->one, "bob", i % 2 == 0 ? INACTIVE : ACTIVE, 0, 0);
    }
    expect_nothing(&f->one);
    uint64_t refused = set_status(f, &f->one, "bob", SNOOZED, 60, 0);
    expect_fail(&f->one, refused, DM_RESOURCE_EXHAUSTED, "calls open");
    uint64_t other = set_status(f, &f->two, "eve", INACTIVE, 0, 0);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->two, SAID_REPLY, other);
    assert_int_equal(f->one.count, DM_CALLS_PER_CONNECTION_MAX + 1);
}

static void draining_refuses_what_is_new_and_finishes_what_is_not(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    uint64_t pending = set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    dm_rpc_drain(f->rpc);
    uint64_t refused = set_status(f, &f->one, "eve", INACTIVE, 0, 0);
    expect_fail(&f->one, refused, DM_UNAVAILABLE, "stopping");
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, pending);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static uint64_t call_json(struct fixture *f, const char *method, const char *json)
{
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(BOT_STATUS),
        .method = dm_slice_str(method),
        .payload = dm_slice_str(json),
        .json = true,
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    return f->last_id;
}

static void expect_json(struct notebook *book, enum said_kind kind, uint64_t id, const char *part)
{
    const struct said *said = expect(book, kind, id);
    said->payload[said->size] = 0;
    if (strstr((const char *)said->payload, part) == NULL) {
        fail_msg("%s is not in %s", part, (const char *)said->payload);
    }
}

static void json_comes_and_goes_as_json(void **state)
{
    struct fixture *f = *state;
    uint64_t id = call_json(f, "Check", "{\"accountId\":\"acme\",\"contactId\":\"bob\"}");
    expect_json(&f->one, SAID_REPLY, id, "\"DECISION_REPLY\"");
    id = call_json(f, "Watch", "{}");
    (void)settle(f);
    expect_json(&f->one, SAID_MESSAGE, id, "{");
    uint64_t set = call_json(f, "SetStatus",
                             "{\"accountId\":\"acme\",\"contactId\":\"bob\","
                             "\"change\":{\"status\":\"STATUS_INACTIVE\"}}");
    (void)settle(f);
    expect_json(&f->one, SAID_REPLY, set, "\"STATUS_INACTIVE\"");
    expect_json(&f->one, SAID_MESSAGE, id, "\"contactId\"");
    id = call_json(f, "Check", "{\"accountId\":");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "");
}

static void sum_cells(void *context, const struct dm_rpc_cell *cell)
{
    uint64_t *sums = context;
    assert_string_equal(cell->protocol, "test");
    if (strcmp(cell->method, "SetStatus") == 0) {
        sums[cell->code] += cell->calls;
    }
}

static void calls_are_counted_by_code_and_timed(void **state)
{
    struct fixture *f = *state;
    uint64_t sums[DM_CODE_COUNT] = {0};
    dm_journal_memory_hold(f->journal, true);
    (void)set_status(f, &f->one, "bob", INACTIVE, 0, 0);
    (void)set_status(f, &f->one, "", INACTIVE, 0, 0);
    virtual_clock_advance(&f->clock, 3);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    dm_rpc_metrics(f->rpc, sum_cells, sums);
    assert_int_equal(sums[DM_OK], 1);
    assert_int_equal(sums[DM_INVALID_ARGUMENT], 1);
    struct dm_rpc_latency latency;
    for (uint32_t i = 0; (latency = dm_rpc_latency(f->rpc, i)).values != NULL; i++) {
        if (strcmp(latency.method, "SetStatus") == 0) {
            break;
        }
    }
    if (latency.values == NULL) {
        fail_msg("SetStatus is not among the methods");
        return;
    }
    assert_string_equal(latency.service, "dormouse.v1.BotStatus");
    assert_int_equal(latency.values->count, 2);
    assert_int_equal(latency.values->max, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_answer_waits_for_the_disk),
        T(a_read_of_what_is_not_durable_waits_too),
        T(a_refusal_that_tells_of_what_is_not_durable_waits_too),
        T(answers_are_released_in_order),
        T(a_call_past_its_deadline_ends),
        T(a_spent_deadline_does_nothing),
        T(a_cancelled_call_is_not_answered),
        T(a_slot_that_is_used_again_gets_no_old_answer),
        T(a_gone_connection_is_told_nothing),
        T(a_failed_journal_makes_pending_answers_unavailable),
        T(unknown_methods_are_unimplemented),
        T(every_method_of_the_contract_is_found),
        T(a_protocol_that_cannot_carry_the_answer_is_told),
        T(a_connection_has_a_limit_of_open_calls),
        T(draining_refuses_what_is_new_and_finishes_what_is_not),
        T(json_comes_and_goes_as_json),
        T(calls_are_counted_by_code_and_timed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
