#include "core/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR 3600000LL
#define DAY (24 * HOUR)

static bool same_rule(const struct dm_rule *a, const struct dm_rule *b)
{
    return a->action == b->action && a->repeat == b->repeat && a->lock == b->lock &&
           a->snooze_ms == b->snooze_ms;
}

static void the_default_is_what_the_design_says(void **state)
{
    (void)state;
    const struct dm_policy *p = dm_policy_default();
    static const struct dm_rule none = {.action = DM_ACTION_NONE, .repeat = DM_REPEAT_EXTEND};
    static const struct dm_rule two_hours = {
        .action = DM_ACTION_SNOOZE, .repeat = DM_REPEAT_EXTEND, .snooze_ms = 2 * HOUR};
    static const struct dm_rule a_day = {
        .action = DM_ACTION_SNOOZE, .repeat = DM_REPEAT_EXTEND, .snooze_ms = DAY};
    static const struct dm_rule opt_out = {
        .action = DM_ACTION_DEACTIVATE, .repeat = DM_REPEAT_EXTEND, .lock = true};
    static const struct dm_rule off = {.action = DM_ACTION_DEACTIVATE, .repeat = DM_REPEAT_EXTEND};
    static const struct dm_rule on = {.action = DM_ACTION_ACTIVATE, .repeat = DM_REPEAT_EXTEND};
    assert_int_equal(p->mode, DM_MODE_AUTO_PILOT);
    assert_true(same_rule(&p->rules[DM_ACTIVITY_INBOUND_MESSAGE], &none));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_BOT_MESSAGE], &none));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_MANUAL_MESSAGE], &two_hours));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_WORKFLOW_MESSAGE], &two_hours));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_CONVERSATION_READ], &on));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_STOP_KEYWORD], &opt_out));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_HANDOVER_REQUESTED], &off));
    assert_true(same_rule(&p->rules[DM_ACTIVITY_APPOINTMENT_BOOKED], &none));
    assert_true(same_rule(&p->on_limit, &a_day));
    assert_int_equal(p->message_limit, 0);
    assert_int_equal(p->max_snooze_ms, 0);
    assert_int_equal(p->revision, 0);
    assert_int_equal(p->explicit_rules, 0);
    assert_false(p->explicit_on_limit);
    assert_int_equal(dm_policy_check(p, NULL, NULL), DM_OK);
}

/* Checks the default policy with `rule` for manual messages, the request's rule 3. */
static const char *refusal(struct dm_rule rule)
{
    static struct dm_error error;
    int8_t names[DM_ACTIVITY_COUNT] = {-1, -1, -1, 3, -1, -1, -1, -1, -1};
    struct dm_policy policy = *dm_policy_default();
    policy.rules[DM_ACTIVITY_MANUAL_MESSAGE] = rule;
    error.message[0] = '\0';
    enum dm_code code = dm_policy_check(&policy, names, &error);
    assert_int_equal(code, error.message[0] == '\0' ? DM_OK : DM_INVALID_ARGUMENT);
    return error.message;
}

#define ASSERT_BEGINS(text, start) assert_memory_equal(text, start, sizeof(start) - 1)

static void a_rule_out_of_range_is_refused_by_name(void **state)
{
    (void)state;
    struct dm_rule snooze = {
        .action = DM_ACTION_SNOOZE, .repeat = DM_REPEAT_KEEP, .snooze_ms = 1000};
    struct dm_rule rule = snooze;
    assert_string_equal(refusal(rule), "");
    rule.snooze_ms = 366 * DAY;
    assert_string_equal(refusal(rule), "");
    rule.snooze_ms = 366 * DAY + 1;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].snooze_for: ");
    rule.snooze_ms = 999;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].snooze_for: ");
    rule = snooze;
    rule.action = DM_ACTION_NONE;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].snooze_for: only ACTION_SNOOZE");
    rule.action = 0;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].action: 0 ");
    rule.action = 5;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].action: 5 ");
    rule = snooze;
    rule.repeat = 0;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].repeat: 0 ");
    rule.repeat = 4;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].repeat: 4 ");
    rule = snooze;
    rule.lock = true;
    ASSERT_BEGINS(refusal(rule), "policy.rules[3].lock: ");
}

static const char *policy_refusal(const struct dm_policy *policy)
{
    static struct dm_error error;
    static const int8_t names[DM_ACTIVITY_COUNT] = {-1, -1, 0, -1, -1, -1, -1, -1, -1};
    error.message[0] = '\0';
    enum dm_code code = dm_policy_check(policy, names, &error);
    assert_int_equal(code, error.message[0] == '\0' ? DM_OK : DM_INVALID_ARGUMENT);
    return error.message;
}

static void so_is_a_policy(void **state)
{
    (void)state;
    struct dm_policy policy = *dm_policy_default();
    policy.mode = 0;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.mode: 0 ");
    policy.mode = 4;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.mode: 4 ");

    policy = *dm_policy_default();
    policy.rules[DM_ACTIVITY_BOT_MESSAGE].action = DM_ACTION_DEACTIVATE;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.rules[0].on: ");

    policy = *dm_policy_default();
    policy.on_limit.snooze_ms = 0;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.on_limit.snooze_for: ");
    policy.on_limit.action = DM_ACTION_ACTIVATE;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.on_limit.action: ");

    policy = *dm_policy_default();
    policy.max_snooze_ms = 1000;
    assert_string_equal(policy_refusal(&policy), "");
    policy.max_snooze_ms = 999;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.max_snooze: ");
    policy.max_snooze_ms = -1;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.max_snooze: ");
    policy.max_snooze_ms = INT64_MAX;
    ASSERT_BEGINS(policy_refusal(&policy), "policy.max_snooze: ");
}

static struct dm_policy sample(void)
{
    struct dm_policy policy = *dm_policy_default();
    policy.mode = DM_MODE_SUGGESTIVE;
    policy.rules[DM_ACTIVITY_APPOINTMENT_BOOKED] = (struct dm_rule){
        .action = DM_ACTION_SNOOZE, .repeat = DM_REPEAT_REPLACE, .snooze_ms = 366 * DAY};
    policy.on_limit =
        (struct dm_rule){.action = DM_ACTION_DEACTIVATE, .repeat = DM_REPEAT_KEEP, .lock = true};
    policy.explicit_rules = 1U << DM_ACTIVITY_APPOINTMENT_BOOKED;
    policy.explicit_on_limit = true;
    policy.message_limit = UINT32_MAX;
    policy.max_snooze_ms = 5 * HOUR;
    policy.revision = UINT64_MAX;
    return policy;
}

static void what_was_encoded_comes_back(void **state)
{
    (void)state;
    struct dm_policy policy = sample(), back;
    uint8_t bytes[DM_POLICY_SIZE];
    assert_int_equal(dm_policy_encode(&policy, bytes), DM_POLICY_SIZE);
    assert_true(dm_policy_decode(&back, dm_slice(bytes, sizeof bytes)));
    assert_int_equal(back.mode, policy.mode);
    for (int i = 0; i < DM_ACTIVITY_COUNT; i++) {
        assert_true(same_rule(&back.rules[i], &policy.rules[i]));
    }
    assert_int_equal(back.explicit_rules, policy.explicit_rules);
    assert_int_equal(back.explicit_on_limit, policy.explicit_on_limit);
    assert_true(same_rule(&back.on_limit, &policy.on_limit));
    assert_int_equal(back.message_limit, policy.message_limit);
    assert_int_equal(back.max_snooze_ms, policy.max_snooze_ms);
    assert_int_equal(back.revision, policy.revision);
}

static bool decodes(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    struct dm_policy policy;
    bool good = dm_policy_decode(&policy, dm_slice(copy, size));
    free(copy);
    return good;
}

static void another_size_or_version_is_no_policy(void **state)
{
    (void)state;
    struct dm_policy policy = sample();
    uint8_t bytes[DM_POLICY_SIZE + 1] = {0};
    (void)dm_policy_encode(&policy, bytes);
    for (size_t size = 0; size <= DM_POLICY_SIZE + 1; size++) {
        assert_int_equal(decodes(bytes, size), size == DM_POLICY_SIZE);
    }
    bytes[0] = 2;
    assert_false(decodes(bytes, DM_POLICY_SIZE));
}

static void garbage_is_refused_or_means_what_it_says(void **state)
{
    (void)state;
    struct dm_policy policy = sample(), back;
    uint8_t bytes[DM_POLICY_SIZE], again[DM_POLICY_SIZE];
    uint32_t random = 1, passed = 0;
    for (int round = 0; round < 20000; round++) {
        (void)dm_policy_encode(&policy, bytes);
        for (int flips = round % 3; flips >= 0; flips--) {
            random = random * 1664525 + 1013904223;
            bytes[(random >> 16) % sizeof bytes] = (uint8_t)((random >> 8) % 8);
        }
        if (decodes(bytes, sizeof bytes)) {
            assert_true(dm_policy_decode(&back, dm_slice(bytes, sizeof bytes)));
            (void)dm_policy_encode(&back, again);
            assert_memory_equal(again, bytes, sizeof bytes);
            passed++;
        }
    }
    assert_in_range(passed, 100, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_what_the_design_says),
        cmocka_unit_test(a_rule_out_of_range_is_refused_by_name),
        cmocka_unit_test(so_is_a_policy),
        cmocka_unit_test(what_was_encoded_comes_back),
        cmocka_unit_test(another_size_or_version_is_no_policy),
        cmocka_unit_test(garbage_is_refused_or_means_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
