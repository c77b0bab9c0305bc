#include "base/hash.h"
#include "core/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1700000000000LL
#define FOR(ms) .has_for = true, .for_ms = (ms)
#define UNTIL(ms) .has_until = true, .until_ms = NOW + (ms)
#define YEAR DM_SNOOZE_MS_MAX

struct change_case {
    const char *title;
    struct dm_change change;
    const char *refusal; /* how the sentence begins; NULL: fine */
};

static struct change_case cases[] = {
    {"active", {.status = DM_STATUS_ACTIVE}, NULL},
    {"inactive", {.status = DM_STATUS_INACTIVE}, NULL},
    {"no status", {.status = 0}, "change.status: 0 "},
    {"no such status", {.status = 4}, "change.status: 4 "},
    {"a snooze of 1 s", {.status = DM_STATUS_SNOOZED, FOR(1000)}, NULL},
    {"a shorter one",
     {.status = DM_STATUS_SNOOZED, FOR(999)},
     "change.snooze_for: is less than 1 s"},
    {"a negative one", {.status = DM_STATUS_SNOOZED, FOR(INT64_MIN)}, "change.snooze_for: "},
    {"a snooze of 366 days", {.status = DM_STATUS_SNOOZED, FOR(YEAR)}, NULL},
    {"a longer one",
     {.status = DM_STATUS_SNOOZED, FOR(YEAR + 1)},
     "change.snooze_for: is more than 366"},
    {"the longest one", {.status = DM_STATUS_SNOOZED, FOR(INT64_MAX)}, "change.snooze_for: "},
    {"until in 1 s", {.status = DM_STATUS_SNOOZED, UNTIL(1000)}, NULL},
    {"until sooner",
     {.status = DM_STATUS_SNOOZED, UNTIL(999)},
     "change.snooze_until: is less than 1 s"},
    {"until now", {.status = DM_STATUS_SNOOZED, UNTIL(0)}, "change.snooze_until: is in the past"},
    {"until long ago",
     {.status = DM_STATUS_SNOOZED, .has_until = true, .until_ms = INT64_MIN},
     "change.snooze_until: is in the past"},
    {"until in 366 days", {.status = DM_STATUS_SNOOZED, UNTIL(YEAR)}, NULL},
    {"until later",
     {.status = DM_STATUS_SNOOZED, UNTIL(YEAR + 1)},
     "change.snooze_until: is more than 366"},
    {"until for ever",
     {.status = DM_STATUS_SNOOZED, .has_until = true, .until_ms = INT64_MAX},
     "change.snooze_until: is more than 366"},
    {"a snooze without a time",
     {.status = DM_STATUS_SNOOZED},
     "change.snooze_for: STATUS_SNOOZED needs"},
    {"a snooze with both",
     {.status = DM_STATUS_SNOOZED, FOR(5000), UNTIL(5000)},
     "change.snooze_for: STATUS_SNOOZED needs"},
    {"active for a time", {.status = DM_STATUS_ACTIVE, FOR(5000)}, "change.snooze_for: only"},
    {"inactive until", {.status = DM_STATUS_INACTIVE, UNTIL(5000)}, "change.snooze_until: only"},
    {"an opt-out", {.status = DM_STATUS_INACTIVE, .lock = true}, NULL},
    {"an opt-out of an opt-out",
     {.status = DM_STATUS_INACTIVE, .lock = true, .unlock = true},
     NULL},
    {"active and locked",
     {.status = DM_STATUS_ACTIVE, .lock = true},
     "change.lock: an opt-out goes with"},
    {"asleep and locked", {.status = DM_STATUS_SNOOZED, FOR(5000), .lock = true}, "change.lock: "},
    {"active with unlock", {.status = DM_STATUS_ACTIVE, .unlock = true}, NULL},
    {"the server's own reason: never set",
     {.status = DM_STATUS_ACTIVE, .reason = DM_REASON_NEVER_SET},
     "change.reason: NEVER_SET"},
    {"the server's own reason: expired",
     {.status = DM_STATUS_ACTIVE, .reason = DM_REASON_SNOOZE_EXPIRED},
     "change.reason: NEVER_SET"},
    {"the server's own reason: mode off",
     {.status = DM_STATUS_ACTIVE, .reason = DM_REASON_MODE_OFF},
     "change.reason: NEVER_SET"},
    {"no such reason", {.status = DM_STATUS_ACTIVE, .reason = 14}, "change.reason: 14 "},
    {"the last reason", {.status = DM_STATUS_ACTIVE, .reason = DM_REASON_APPOINTMENT_BOOKED}, NULL},
    {"an actor that is no text",
     {.status = DM_STATUS_ACTIVE, .actor = {.data = "\xff", .size = 1}},
     "change.actor: "},
    {"an actor that is too long",
     {.status = DM_STATUS_ACTIVE,
      .actor = {.data = "12345678901234567890123456789012345678901234567890123456789012345",
                .size = 65}},
     "change.actor: has 65 bytes; at most 64"},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void run_case(void **state)
{
    const struct change_case *c = *state;
    struct dm_error error = {0};
    enum dm_code code = dm_change_check(&c->change, NOW, &error);
    assert_int_equal(code, c->refusal == NULL ? DM_OK : DM_INVALID_ARGUMENT);
    if (c->refusal != NULL) {
        error.message[strlen(c->refusal)] = '\0';
        assert_string_equal(error.message, c->refusal);
    }
}

static void every_reason_but_the_servers_own_may_be_given(void **state)
{
    (void)state;
    int given = 0;
    for (int reason = 0; reason < 256; reason++) {
        struct dm_change change = {.status = DM_STATUS_INACTIVE, .reason = (uint8_t)reason};
        given += dm_change_check(&change, NOW, NULL) == DM_OK;
    }
    assert_int_equal(given, DM_REASON_COUNT - 3);
}

static void request_ids_of_different_methods_never_meet(void **state)
{
    (void)state;
    uint64_t seen[4];
    for (int method = 1; method <= 4; method++) {
        seen[method - 1] = dm_request_hash((enum dm_request_method)method, dm_slice_str("r-1"));
        assert_int_equal(seen[method - 1], dm_hash("r-1", 3, (uint64_t)method));
        for (int i = 0; i < method - 1; i++) {
            assert_int_not_equal(seen[i], seen[method - 1]);
        }
    }
    assert_int_equal(dm_request_hash(DM_REQUEST_SET_STATUS, dm_slice(NULL, 0)), 0);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(every_reason_but_the_servers_own_may_be_given),
        cmocka_unit_test(request_ids_of_different_methods_never_meet),
    };
    struct CMUnitTest tests[CASES] = {{0}};
    for (int i = 0; i < CASES; i++) {
        tests[i].name = cases[i].title;
        tests[i].test_func = run_case;
        tests[i].initial_state = &cases[i];
    }
    int failed = cmocka_run_group_tests_name("changes", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("around them", others, NULL, NULL);
}
