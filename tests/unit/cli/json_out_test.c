#include "cli/show.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_json(struct dm_out *out, const char *json)
{
    assert_int_equal(dm_buf_size(&out->buf), strlen(json));
    assert_memory_equal(dm_buf_head(&out->buf), json, strlen(json));
    dm_out_finish(out);
}

static void a_contact_has_all_members_but_unset_times(void **state)
{
    (void)state;
    struct dm_out out = {0};
    const struct dormouse_contact contact = {
        .account_id = dormouse_text("acme"),
        .contact_id = dormouse_text("a\x1B\xC2\x9B"),
        .status = DORMOUSE_SNOOZED,
        .reason = 99,
        .snoozed_until_ms = 1700000000250,
        .fence = UINT64_MAX,
    };
    dm_json_contact(&out, &contact);
    assert_json(&out, "{\"accountId\":\"acme\",\"contactId\":\"a\\u001b\\u009b\","
                      "\"status\":\"STATUS_SNOOZED\",\"reason\":99,\"actor\":\"\","
                      "\"snoozedUntil\":\"2023-11-14T22:13:20.250Z\","
                      "\"fence\":\"18446744073709551615\",\"revision\":\"0\",\"locked\":false,"
                      "\"botMessages\":0,\"missedInbound\":0,\"botId\":\"\","
                      "\"mode\":\"MODE_UNSPECIFIED\",\"lastSeq\":\"0\"}");
}

static void a_result_that_failed_has_no_contact(void **state)
{
    (void)state;
    struct dm_out out = {0};
    const struct dormouse_batch_set_result result = {
        .contact_id = dormouse_text("c"), .code = 9, .message = dormouse_text("is locked")};
    dm_json_batch_result(&out, &result);
    assert_json(&out, "{\"contactId\":\"c\",\"code\":9,\"message\":\"is locked\"}");
}

static void lags_are_durations(void **state)
{
    (void)state;
    struct dm_out out = {0};
    const struct dormouse_stats stats = {
        .wakes = 1, .wake_lag_p99_us = 1001, .wake_lag_max_us = 1500000};
    dm_json_stats(&out, &stats);
    assert_json(&out, "{\"contacts\":\"0\",\"active\":\"0\",\"snoozed\":\"0\",\"inactive\":\"0\","
                      "\"wakes\":\"1\",\"wakeLagP99\":\"0.001001s\",\"wakeLagMax\":\"1.500s\","
                      "\"lastSeq\":\"0\",\"oldestSeq\":\"0\"}");
}

/* A time that no calendar has: something is wrong with the server. */
static void what_cannot_be_shown_is_null(void **state)
{
    (void)state;
    struct dm_out out = {0};
    const struct dormouse_contact contact = {.since_ms = INT64_MAX / 4000};
    dm_json_contact(&out, &contact);
    assert_json(&out, "null");
}

static void a_deleted_contact_is_told_by_its_id(void **state)
{
    (void)state;
    struct dm_out out = {0};
    dm_json_deleted(&out, dormouse_text("c"), true);
    assert_json(&out, "{\"contactId\":\"c\",\"existed\":true}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_contact_has_all_members_but_unset_times),
        cmocka_unit_test(a_result_that_failed_has_no_contact),
        cmocka_unit_test(lags_are_durations),
        cmocka_unit_test(what_cannot_be_shown_is_null),
        cmocka_unit_test(a_deleted_contact_is_told_by_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
