#include "fixture.h"

/* What a call may make us do before its client takes what it got: answers ask for room, and
 * calls that begin without a message are calls all the same. */

#define REFLECTION "grpc.reflection.v1.ServerReflection"
#define QUESTION "\x3a\x00" /* list_services */
#define MS 1000000

static uint64_t begin_awaiting(struct fixture *f, const char *service, const char *method,
                               int64_t timeout_ns)
{
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(service),
        .method = dm_slice_str(method),
        .timeout_ns = timeout_ns,
        .open = true,
        .awaiting = true,
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    return f->last_id;
}

static void input(struct fixture *f, uint64_t id, const char *bytes, size_t size)
{
    dm_rpc_input(f->rpc, &f->one.sink, id, dm_slice(bytes, size));
}

static void pass(struct fixture *f, int64_t ms)
{
    virtual_clock_advance(&f->clock, ms);
    (void)settle(f);
}

/* ---- calls that begin without a message -------------------------------------------------- */

static void a_deadline_counts_from_the_request_whenever_its_message_comes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *service, *method, *message;
        size_t size;
        enum said_kind said;
    } cases[] = {
        {REFLECTION, "ServerReflectionInfo", QUESTION, 2, SAID_MESSAGE},
        {"grpc.health.v1.Health", "Watch", "", 0, SAID_MESSAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t id = begin_awaiting(f, cases[i].service, cases[i].method, 300 * MS);
        pass(f, 200);
        input(f, id, cases[i].message, cases[i].size);
        (void)settle(f);
        (void)expect(&f->one, cases[i].said, id);
        pass(f, 99);
        expect_nothing(&f->one);
        pass(f, 1);
        expect_fail(&f->one, id, DM_DEADLINE_EXCEEDED, "deadline");
    }
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void a_deadline_passes_before_any_message(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin_awaiting(f, BOT_STATUS, "Check", 300 * MS);
    pass(f, 299);
    expect_nothing(&f->one);
    pass(f, 1);
    expect_fail(&f->one, id, DM_DEADLINE_EXCEEDED, "deadline");
    input(f, id, "", 0); /* too late: no effect */
    expect_nothing(&f->one);
}

static void a_unary_call_is_answered_when_its_message_comes(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_GetContactRequest request = {.account_id = dm_slice_str("acme"),
                                             .contact_id = dm_slice_str("bob")};
    uint8_t bytes[64];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, dormouse_v1_GetContactRequest_fields, &request));
    uint64_t id = begin_awaiting(f, BOT_STATUS, "GetContact", 0);
    (void)settle(f);
    expect_nothing(&f->one);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 1);
    input(f, id, (const char *)bytes, stream.bytes_written);
    (void)expect(&f->one, SAID_REPLY, id);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void a_call_that_ends_without_a_message_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin_awaiting(f, BOT_STATUS, "Check", 0);
    dm_rpc_input_end(f->rpc, &f->one.sink, id);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "without a message");
    expect_fail(&f->one, begin_awaiting(f, BOT_STATUS, "None", 0), DM_UNIMPLEMENTED, "method");
    id = begin_awaiting(f, BOT_STATUS, "Check", 0);
    dm_rpc_drain(f->rpc);
    (void)settle(f);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "stopping");
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

/* ---- room --------------------------------------------------------------------------------- */

static void reflection_answers_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin_awaiting(f, REFLECTION, "ServerReflectionInfo", 0);
    f->one.room = 0;
    input(f, id, QUESTION, 2);
    dm_rpc_input_end(f->rpc, &f->one.sink, id);
    (void)settle(f);
    expect_nothing(&f->one);
    f->one.room = 1;
    (void)settle(f);
    (void)expect(&f->one, SAID_MESSAGE, id);
    (void)expect(&f->one, SAID_END, id);
    assert_int_equal(f->rpc->task_bytes, 0);
}

static void reflection_keeps_one_question_only(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin_awaiting(f, REFLECTION, "ServerReflectionInfo", 0);
    f->one.room = 0;
    input(f, id, QUESTION, 2);
    input(f, id, QUESTION, 2);
    expect_fail(&f->one, id, DM_RESOURCE_EXHAUSTED, "faster than their answers");
    assert_int_equal(f->rpc->task_bytes, 0);
    assert_int_equal(f->one.sink.private_bytes, 0);
}

static void a_long_answer_is_made_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method;
        uint8_t request[16];
        size_t size;
    } cases[] = {
        {"ListContacts", {0x0a, 4, 'a', 'c', 'm', 'e'}, 6},
        {"GetHistory", {0x0a, 4, 'a', 'c', 'm', 'e', 0x12, 3, 'b', 'o', 'b'}, 11},
        {"BatchGetContacts", {0x0a, 4, 'a', 'c', 'm', 'e', 0x12, 3, 'b', 'o', 'b'}, 11},
    };
    set_and_settle(f, "bob", INACTIVE, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->one.room = 0;
        uint64_t id = call_bytes(f, BOT_STATUS, cases[i].method, cases[i].request, cases[i].size);
        (void)settle(f);
        expect_nothing(&f->one);
        f->one.room = 1;
        (void)settle(f);
        (void)expect(&f->one, SAID_REPLY, id);
    }
    assert_int_equal(f->rpc->task_bytes, 0);
}

/* One connection asks for pages and reads none: it gets so many, others still get theirs. */
static void long_calls_of_one_connection_have_a_limit(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_ListContactsRequest request = {.account_id = dm_slice_str("acme"),
                                               .page_size = DM_PAGE_SIZE_MAX};
    f->one.room = 0;
    uint64_t id = 0;
    for (int i = 0; i < 1000 && f->one.count == 0; i++) {
        id = call(f, "ListContacts", dormouse_v1_ListContactsRequest_fields, &request);
    }
    expect_fail(&f->one, id, DM_RESOURCE_EXHAUSTED, "this connection has too many large calls");
    assert_in_range(f->rpc->task_bytes, DM_TASKS_PER_CONNECTION_MAX / 2,
                    DM_TASKS_PER_CONNECTION_MAX);
    id = call_with(f, &f->two, "ListContacts", dormouse_v1_ListContactsRequest_fields, &request, 0);
    (void)settle(f);
    (void)expect(&f->two, SAID_REPLY, id);
    dm_rpc_sink_gone(f->rpc, &f->one.sink);
    assert_int_equal(f->rpc->task_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_deadline_counts_from_the_request_whenever_its_message_comes),
        T(a_deadline_passes_before_any_message),
        T(a_unary_call_is_answered_when_its_message_comes),
        T(a_call_that_ends_without_a_message_is_told),
        T(reflection_answers_when_there_is_room),
        T(reflection_keeps_one_question_only),
        T(a_long_answer_is_made_when_there_is_room),
        T(long_calls_of_one_connection_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
