#include "fixture.h"

/* GetPolicy, SetPolicy, GetStats. */

struct rules {
    int count;
    dormouse_v1_Rule rules[16];
};

static bool write_rules(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct rules *rules = *arg;
    for (int i = 0; i < rules->count; i++) {
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, dormouse_v1_Rule_fields, &rules->rules[i])) {
            return false;
        }
    }
    return true;
}

static bool read_rule(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct rules *rules = *arg;
    assert_true(rules->count < 16);
    return pb_decode(stream, dormouse_v1_Rule_fields, &rules->rules[rules->count++]);
}

struct policy_in {
    struct rules rules;
    dormouse_v1_Policy m;
};

static void decode_policy(const struct said *said, struct policy_in *in)
{
    memset(in, 0, sizeof *in);
    in->m.rules = (pb_callback_t){.funcs.decode = read_rule, .arg = &in->rules};
    decode(said, dormouse_v1_Policy_fields, &in->m);
}

static void get_policy(struct fixture *f, const char *bot, struct policy_in *in)
{
    dormouse_v1_GetPolicyRequest request = {.account_id = dm_slice_str("acme"),
                                            .bot_id = dm_slice_str(bot)};
    uint64_t id = call(f, "GetPolicy", dormouse_v1_GetPolicyRequest_fields, &request);
    (void)settle(f);
    decode_policy(expect(&f->one, SAID_REPLY, id), in);
}

static uint64_t set_policy(struct fixture *f, const struct rules *rules,
                           dormouse_v1_SetPolicyRequest request)
{
    request.has_policy = true;
    if (request.policy.account_id.data == NULL) {
        request.policy.account_id = dm_slice_str("acme");
    }
    request.policy.rules = (pb_callback_t){.funcs.encode = write_rules, .arg = (void *)rules};
    uint64_t id = call(f, "SetPolicy", dormouse_v1_SetPolicyRequest_fields, &request);
    (void)settle(f);
    return id;
}

static const struct rules none;

static void the_defaults_are_shown(void **state)
{
    struct fixture *f = *state;
    struct policy_in in;
    get_policy(f, "", &in);
    assert_text(in.m.account_id, "acme");
    assert_int_equal(in.m.mode, dormouse_v1_Mode_MODE_AUTO_PILOT);
    assert_int_equal(in.m.revision, 0);
    assert_int_equal(in.rules.count, 7);
    assert_int_equal(in.rules.rules[1].on, dormouse_v1_Activity_ACTIVITY_MANUAL_MESSAGE);
    assert_int_equal(in.rules.rules[1].action, dormouse_v1_Action_ACTION_SNOOZE);
    assert_int_equal(in.rules.rules[1].snooze_for.seconds, 7200);
    assert_int_equal(in.rules.rules[1].repeat, dormouse_v1_Repeat_REPEAT_EXTEND);
    assert_true(in.m.has_on_limit);
    assert_int_equal(in.m.on_limit.snooze_for.seconds, 24 * 3600);
    assert_false(in.m.has_max_snooze);
}

static void what_is_set_replaces_the_default_of_its_activity(void **state)
{
    struct fixture *f = *state;
    struct policy_in in;
    struct rules rules = {.count = 1};
    rules.rules[0] = (dormouse_v1_Rule){
        .on = dormouse_v1_Activity_ACTIVITY_MANUAL_MESSAGE,
        .action = dormouse_v1_Action_ACTION_SNOOZE,
        .has_snooze_for = true,
        .snooze_for = {.seconds = 60, .nanos = 1},
    };
    uint64_t id =
        set_policy(f, &rules,
                   (dormouse_v1_SetPolicyRequest){.policy = {
                                                      .mode = dormouse_v1_Mode_MODE_SUGGESTIVE,
                                                      .message_limit = 3,
                                                      .has_max_snooze = true,
                                                      .max_snooze = {.seconds = 600},
                                                  }});
    decode_policy(expect(&f->one, SAID_REPLY, id), &in);
    assert_int_equal(in.m.revision, 1);
    get_policy(f, "", &in);
    assert_int_equal(in.m.mode, dormouse_v1_Mode_MODE_SUGGESTIVE);
    assert_int_equal(in.m.message_limit, 3);
    assert_int_equal(in.m.max_snooze.seconds, 600);
    assert_int_equal(in.rules.rules[1].snooze_for.seconds, 60);
    assert_int_equal(in.rules.rules[1].snooze_for.nanos, 1000000);
    assert_int_equal(in.rules.rules[2].snooze_for.seconds, 7200);
    get_policy(f, "sales", &in); /* another bot's is its own */
    assert_text(in.m.bot_id, "sales");
    assert_int_equal(in.m.mode, dormouse_v1_Mode_MODE_AUTO_PILOT);
}

static void what_is_shown_can_be_set_again(void **state)
{
    struct fixture *f = *state;
    struct policy_in shown, in;
    get_policy(f, "", &shown);
    dormouse_v1_SetPolicyRequest request = {.policy = shown.m};
    request.policy.account_id = dm_slice_str("acme");
    request.policy.bot_id = (struct dm_slice){0};
    uint64_t id = set_policy(f, &shown.rules, request);
    decode_policy(expect(&f->one, SAID_REPLY, id), &in);
    assert_memory_equal(&in.rules, &shown.rules, sizeof in.rules);
}

static void refused(struct fixture *f, const struct rules *rules,
                    dormouse_v1_SetPolicyRequest request, enum dm_code code, const char *part)
{
    expect_fail(&f->one, set_policy(f, rules, request), code, part);
}

static void a_refusal_names_the_rule(void **state)
{
    struct fixture *f = *state;
    const dormouse_v1_SetPolicyRequest plain = {0};
    struct rules rules = {.count = 3};
    for (int i = 0; i < 3; i++) {
        rules.rules[i] = (dormouse_v1_Rule){.on = (dormouse_v1_Activity)(3 + i),
                                            .action = dormouse_v1_Action_ACTION_NONE};
    }
    struct rules bad = rules;
    bad.rules[2].on = bad.rules[0].on;
    refused(f, &bad, plain, DM_INVALID_ARGUMENT, "policy.rules[2].on: rules[0]");
    bad = rules;
    bad.rules[1].on = dormouse_v1_Activity_ACTIVITY_UNSPECIFIED;
    refused(f, &bad, plain, DM_INVALID_ARGUMENT, "policy.rules[1].on: ");
    bad = rules;
    bad.rules[2].action = dormouse_v1_Action_ACTION_SNOOZE;
    refused(f, &bad, plain, DM_INVALID_ARGUMENT, "policy.rules[2].snooze_for: ");
    bad.rules[2].has_snooze_for = true;
    bad.rules[2].snooze_for.nanos = 1000000000;
    refused(f, &bad, plain, DM_INVALID_ARGUMENT, "policy.rules[2].snooze_for.nanos: ");
    bad = rules;
    bad.rules[0].action = dormouse_v1_Action_ACTION_UNSPECIFIED;
    refused(f, &bad, plain, DM_INVALID_ARGUMENT, "policy.rules[0].action: ");
    dormouse_v1_SetPolicyRequest request = {.policy = {.mode = (dormouse_v1_Mode)9}};
    refused(f, &none, request, DM_INVALID_ARGUMENT, "policy.mode: ");
    request = (dormouse_v1_SetPolicyRequest){.policy = {.account_id = dm_slice_str("")}};
    refused(f, &none, request, DM_INVALID_ARGUMENT, "policy.account_id: ");
    request = (dormouse_v1_SetPolicyRequest){.policy = {.has_on_limit = true}};
    refused(f, &none, request, DM_INVALID_ARGUMENT, "policy.on_limit.action: ");
    request = (dormouse_v1_SetPolicyRequest){.has_if_revision = true, .if_revision = 4};
    refused(f, &none, request, DM_ABORTED, "if_revision");
    expect_fail(&f->one, call_bytes(f, BOT_STATUS, "SetPolicy", "", 0), DM_INVALID_ARGUMENT,
                "policy: is missing");
}

static dormouse_v1_GetStatsResponse stats(struct fixture *f, const char *account)
{
    dormouse_v1_GetStatsRequest request = {.account_id = dm_slice_str(account)};
    uint64_t id = call(f, "GetStats", dormouse_v1_GetStatsRequest_fields, &request);
    dormouse_v1_GetStatsResponse response = {0};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_GetStatsResponse_fields, &response);
    return response;
}

static void stats_count_by_status(void **state)
{
    struct fixture *f = *state;
    set_and_settle(f, "a", ACTIVE, 0);
    set_and_settle(f, "b", SNOOZED, 60);
    set_and_settle(f, "c", INACTIVE, 0);
    dormouse_v1_GetStatsResponse response = stats(f, "");
    assert_int_equal(response.contacts, 3);
    assert_int_equal(response.snoozed, 1);
    assert_int_equal(response.inactive, 1);
    assert_int_equal(response.last_seq, 2);
    assert_int_equal(response.oldest_seq, 1);
    assert_int_equal(stats(f, "other").contacts, 0);
    dormouse_v1_GetStatsRequest request = {.account_id = dm_slice_str("\x01")};
    expect_fail(&f->one, call(f, "GetStats", dormouse_v1_GetStatsRequest_fields, &request),
                DM_INVALID_ARGUMENT, "account_id: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_defaults_are_shown),         T(what_is_set_replaces_the_default_of_its_activity),
        T(what_is_shown_can_be_set_again), T(a_refusal_names_the_rule),
        T(stats_count_by_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
