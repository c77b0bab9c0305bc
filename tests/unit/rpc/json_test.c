#include "fixture.h"

/* Calls whose messages are ProtoJSON; what that is, tests/unit/json shows. */

static uint64_t call_json(struct fixture *f, const char *service, const char *method,
                          const char *json)
{
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str(service),
        .method = dm_slice_str(method),
        .payload = dm_slice_str(json),
        .json = true,
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    (void)settle(f);
    return f->last_id;
}

static void expect_json(struct fixture *f, enum said_kind kind, uint64_t id, const char *json)
{
    const struct said *said = expect(&f->one, kind, id);
    char *text = malloc(said->size + 1);
    memcpy(text, said->payload, said->size);
    text[said->size] = 0;
    assert_string_equal(text, json);
    free(text);
}

static void a_call_in_json_is_answered_in_json(void **state)
{
    struct fixture *f = *state;
    uint64_t id = call_json(f, BOT_STATUS, "SetStatus",
                            "{\"accountId\":\"acme\",\"contactId\":\"é\",\"change\":"
                            "{\"status\":\"STATUS_SNOOZED\",\"snoozeFor\":\"7200s\"}}");
    expect_json(
        f, SAID_REPLY, id,
        "{\"contact\":{\"accountId\":\"acme\",\"contactId\":\"é\","
        "\"status\":\"STATUS_SNOOZED\",\"reason\":\"REASON_SET\","
        "\"since\":\"2027-01-15T08:00:00Z\",\"snoozedUntil\":\"2027-01-15T10:00:00Z\","
        "\"fence\":\"1\",\"revision\":\"1\",\"mode\":\"MODE_AUTO_PILOT\",\"lastSeq\":\"1\"},"
        "\"changed\":true}");
    id = call_json(f, BOT_STATUS, "Check", "{\"accountId\":\"acme\",\"contact_id\":\"é\"}");
    expect_json(f, SAID_REPLY, id,
                "{\"decision\":\"DECISION_SILENT\",\"status\":\"STATUS_SNOOZED\","
                "\"reason\":\"REASON_SET\",\"fence\":\"1\","
                "\"validUntil\":\"2027-01-15T10:00:00Z\"}");
    id = call_json(f, "grpc.health.v1.Health", "Check", "{}");
    expect_json(f, SAID_REPLY, id, "{\"status\":\"SERVING\"}");
}

static void a_stream_is_in_json_throughout(void **state)
{
    struct fixture *f = *state;
    set_and_settle(f, "c", INACTIVE, 0);
    uint64_t id = call_json(f, BOT_STATUS, "Watch", "{\"fromStart\":true}");
    expect_json(f, SAID_MESSAGE, id, "{\"progressSeq\":\"0\"}");
    expect_json(f, SAID_MESSAGE, id,
                "{\"event\":{\"seq\":\"1\",\"at\":\"2027-01-15T08:00:00Z\",\"accountId\":\"acme\","
                "\"contactId\":\"c\",\"from\":\"STATUS_ACTIVE\",\"to\":\"STATUS_INACTIVE\","
                "\"reason\":\"REASON_SET\",\"actor\":\"ann\",\"fence\":\"1\"}}");
}

static void a_call_with_wrong_json_is_told_where(void **state)
{
    struct fixture *f = *state;
    uint64_t id =
        call_json(f, BOT_STATUS, "SetStatus", "{\"change\":{\"snoozeUntil\":\"yesterday\"}}");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT,
                "change.snoozeUntil: \"yesterday\" is not an RFC 3339 time");
    id = call_json(f, BOT_STATUS, "Check", "");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "CheckRequest: the JSON is broken at byte 0");
}

static void input_to_an_open_call_is_in_json_too(void **state)
{
    struct fixture *f = *state;
    const struct dm_rpc_request request = {
        .id = ++f->last_id,
        .service = dm_slice_str("grpc.reflection.v1.ServerReflection"),
        .method = dm_slice_str("ServerReflectionInfo"),
        .payload = dm_slice_str("{\"listServices\":\"\"}"),
        .json = true,
        .open = true,
    };
    dm_rpc_call(f->rpc, &f->one.sink, &request);
    (void)settle(f);
    const struct said *said = expect(&f->one, SAID_MESSAGE, f->last_id);
    assert_non_null(strstr((char *)said->payload, "\"listServicesResponse\":{\"service\":[{"));

    dm_rpc_input(f->rpc, &f->one.sink, f->last_id, dm_slice_str("{\"listServices\":5}"));
    (void)settle(f);
    expect_fail(&f->one, f->last_id, DM_INVALID_ARGUMENT, "listServices: 5 is not a string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_call_in_json_is_answered_in_json),
        T(a_stream_is_in_json_throughout),
        T(a_call_with_wrong_json_is_told_where),
        T(input_to_an_open_call_is_in_json_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
