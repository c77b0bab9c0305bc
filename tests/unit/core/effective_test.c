#include "core/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1700000000000LL

/* What the bot may do: mode, status, count and limit in; decision, its reason and the
 * messages left out. */
struct decision_case {
    const char *title;
    uint8_t mode, status, reason;
    uint32_t count, limit;
    uint8_t decision, decision_reason;
    uint32_t left;
};

#define ACTIVE DM_STATUS_ACTIVE, DM_REASON_SET
#define INACTIVE DM_STATUS_INACTIVE, DM_REASON_STOP_KEYWORD
#define SILENT DM_DECISION_SILENT

static struct decision_case cases[] = {
    {"auto-pilot replies", DM_MODE_AUTO_PILOT, ACTIVE, 9, 0, DM_DECISION_REPLY, DM_REASON_SET, 0},
    {"suggestive suggests", DM_MODE_SUGGESTIVE, ACTIVE, 9, 0, DM_DECISION_SUGGEST, DM_REASON_SET,
     0},
    {"off is silent", DM_MODE_OFF, ACTIVE, 0, 0, SILENT, DM_REASON_MODE_OFF, 0},
    {"off comes before the status", DM_MODE_OFF, INACTIVE, 0, 0, SILENT, DM_REASON_MODE_OFF, 0},
    {"off comes before the limit", DM_MODE_OFF, ACTIVE, 3, 3, SILENT, DM_REASON_MODE_OFF, 0},
    {"inactive is silent", DM_MODE_AUTO_PILOT, INACTIVE, 0, 0, SILENT, DM_REASON_STOP_KEYWORD, 0},
    {"inactive comes before the count", DM_MODE_AUTO_PILOT, INACTIVE, 3, 3, SILENT,
     DM_REASON_STOP_KEYWORD, 0},
    {"one message left", DM_MODE_AUTO_PILOT, ACTIVE, 2, 3, DM_DECISION_REPLY, DM_REASON_SET, 1},
    {"the count alone silences", DM_MODE_AUTO_PILOT, ACTIVE, 3, 3, SILENT, DM_REASON_MESSAGE_LIMIT,
     0},
    {"the more so past the limit", DM_MODE_SUGGESTIVE, ACTIVE, 9, 3, SILENT,
     DM_REASON_MESSAGE_LIMIT, 0},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void run_case(void **state)
{
    const struct decision_case *c = *state;
    struct dm_policy policy = *dm_policy_default();
    policy.mode = c->mode;
    policy.message_limit = c->limit;
    struct dm_record_head head = {
        .status = c->status, .reason = c->reason, .bot_messages = c->count, .revision = 1};
    struct dm_effective out;
    dm_effective_at(&out, &head, 0, &policy, NOW);
    assert_int_equal(out.mode, c->mode);
    assert_int_equal(out.decision, c->decision);
    assert_int_equal(out.decision_reason, c->decision_reason);
    assert_int_equal(out.reason, c->reason);
    assert_int_equal(out.limited, c->limit > 0);
    assert_int_equal(out.messages_left, c->left);
}

static const struct dm_record_head asleep = {.status = DM_STATUS_SNOOZED,
                                             .reason = DM_REASON_MANUAL_MESSAGE,
                                             .bot = 4,
                                             .bot_messages = 5,
                                             .missed_inbound = 6,
                                             .fence = 7,
                                             .revision = 8,
                                             .last_seq = 9,
                                             .since_ms = NOW - 1000,
                                             .until_ms = NOW};

static void a_snooze_sleeps_until_the_last_millisecond(void **state)
{
    (void)state;
    struct dm_effective out;
    dm_effective_at(&out, &asleep, 0, dm_policy_default(), NOW - 1);
    assert_int_equal(out.status, DM_STATUS_SNOOZED);
    assert_false(out.expired);
    assert_int_equal(out.decision, DM_DECISION_SILENT);
    assert_int_equal(out.until_ms, NOW);
    assert_int_equal(out.fence, 7);
    assert_int_equal(out.missed_inbound, 6);
}

static void then_it_reads_as_its_wake(void **state)
{
    (void)state;
    struct dm_effective out;
    struct dm_policy policy = *dm_policy_default();
    policy.message_limit = 5; /* the count starts anew with the wake */
    dm_effective_at(&out, &asleep, 0, &policy, NOW);
    assert_true(out.expired);
    assert_int_equal(out.status, DM_STATUS_ACTIVE);
    assert_int_equal(out.reason, DM_REASON_SNOOZE_EXPIRED);
    assert_int_equal(out.decision, DM_DECISION_REPLY);
    assert_int_equal(out.decision_reason, DM_REASON_SNOOZE_EXPIRED);
    assert_int_equal(out.messages_left, 5);
    assert_int_equal(out.bot, 4);
    assert_int_equal(out.bot_messages, 0);
    assert_int_equal(out.missed_inbound, 0);
    assert_int_equal(out.fence, 8);
    assert_int_equal(out.revision, 9);
    assert_int_equal(out.last_seq, 9);
    assert_int_equal(out.since_ms, NOW);
    assert_int_equal(out.until_ms, 0);
}

static void what_was_never_written_is_active(void **state)
{
    (void)state;
    struct dm_record_head deleted = {.status = DM_STATUS_NONE, .fence = 3};
    const struct dm_record_head *heads[] = {NULL, &deleted};
    for (int i = 0; i < 2; i++) {
        struct dm_effective out;
        dm_effective_at(&out, heads[i], 12, dm_policy_default(), NOW);
        assert_int_equal(out.status, DM_STATUS_ACTIVE);
        assert_int_equal(out.reason, DM_REASON_NEVER_SET);
        assert_int_equal(out.decision, DM_DECISION_REPLY);
        assert_int_equal(out.fence, 12);
        assert_int_equal(out.revision, 0);
        assert_int_equal(out.since_ms, 0);
        assert_false(out.expired);
    }
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_snooze_sleeps_until_the_last_millisecond),
        cmocka_unit_test(then_it_reads_as_its_wake),
        cmocka_unit_test(what_was_never_written_is_active),
    };
    struct CMUnitTest tests[CASES] = {{0}};
    for (int i = 0; i < CASES; i++) {
        tests[i].name = cases[i].title;
        tests[i].test_func = run_case;
        tests[i].initial_state = &cases[i];
    }
    int failed = cmocka_run_group_tests_name("decisions", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("expiry", others, NULL, NULL);
}
