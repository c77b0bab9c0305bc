#include "cli/policy_in.h"
#include "cli/row.h"
#include "cli/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct dm_row_defaults plain = {.account_id = {"acme", 4}};

static struct dm_row row_of(const char *status, const char *until, const char *length)
{
    struct dm_row row = {.line = 7};
    row.fields[DM_CONTACT_ID] = dormouse_text("c1");
    row.fields[DM_STATUS] = dormouse_text(status);
    row.fields[DM_SNOOZED_UNTIL] = dormouse_text(until);
    row.fields[DM_SNOOZE_FOR] = dormouse_text(length);
    return row;
}

static const char *request_of(const struct dm_row *row, const struct dm_row_defaults *defaults,
                              struct dm_row_request *request)
{
    return dm_row_request(row, defaults, 1000000, request);
}

static void a_row_is_a_change(void **state)
{
    (void)state;
    struct dm_row row = row_of("snoozed", "", "2h");
    struct dm_row_request request;
    row.fields[DM_ACTOR] = dormouse_text("anna");
    row.fields[DM_REASON] = dormouse_text("manual_message");
    row.fields[DM_BOT_ID] = dormouse_text("b1");
    assert_null(request_of(&row, &plain, &request));
    assert_int_equal(request.change.status, DORMOUSE_SNOOZED);
    assert_int_equal(request.change.snooze_for_ms, 7200000);
    assert_int_equal(request.change.reason, DORMOUSE_REASON_MANUAL_MESSAGE);
    assert_memory_equal(request.set.account_id.data, "acme", 4);
    assert_memory_equal(request.change.actor.data, "anna", 4);
    assert_true(request.change.has_bot_id);
    assert_false(request.change.lock);
    assert_int_equal(request.set.request_id.size, DM_REQUEST_ID_SIZE);
}

static void mistakes_in_a_row_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *status, *until, *length, *begins;
    } table[] = {
        {"asleep", "", "", "status:"},
        {"snoozed", "", "", "snoozed: needs either"},
        {"snoozed", "2026-12-01T09:00:00Z", "2h", "snoozed: needs either"},
        {"snoozed", "tomorrow", "", "snoozed_until:"},
        {"snoozed", "", "2", "snooze_for:"},
        {"active", "", "2h", "snoozed_until and snooze_for are for"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_row row = row_of(table[i].status, table[i].until, table[i].length);
        struct dm_row_request request;
        const char *why = request_of(&row, &plain, &request);
        assert_non_null(why);
        assert_memory_equal(why, table[i].begins, strlen(table[i].begins));
    }
    struct dm_row row = row_of("active", "", "");
    struct dm_row_defaults nobody = {.unlock = false};
    struct dm_row_request request;
    assert_non_null(request_of(&row, &nobody, &request));
    row.fields[DM_LOCKED] = dormouse_text("maybe");
    assert_non_null(request_of(&row, &plain, &request));
}

static void the_same_line_has_the_same_id_and_every_other_one_another(void **state)
{
    (void)state;
    struct dm_row row = row_of("snoozed", "", "2h");
    struct dm_row_request request;
    char first[DM_REQUEST_ID_SIZE + 1];
    assert_null(dm_row_request(&row, &plain, 1, &request));
    (void)memcpy(first, request.id, sizeof first);
    assert_null(dm_row_request(&row, &plain, 99999, &request));
    assert_string_equal(first, request.id);

    struct dm_row_defaults again = plain;
    again.run = dormouse_text("again");
    assert_null(request_of(&row, &again, &request));
    assert_string_not_equal(first, request.id);

    row.line++;
    assert_null(request_of(&row, &plain, &request));
    assert_string_not_equal(first, request.id);
    row.line--;

    /* what belongs to which field matters, too */
    row.fields[DM_ACTOR] = dormouse_text("x");
    assert_null(request_of(&row, &plain, &request));
    (void)memcpy(first, request.id, sizeof first);
    row.fields[DM_ACTOR] = dormouse_text("");
    row.fields[DM_BOT_ID] = dormouse_text("x");
    assert_null(request_of(&row, &plain, &request));
    assert_string_not_equal(first, request.id);
}

static void a_snooze_that_is_over_may_mean_active(void **state)
{
    (void)state;
    struct dm_row row = row_of("snoozed", "1970-01-01T00:00:10Z", "");
    struct dm_row_defaults lenient = plain;
    struct dm_row_request request;
    lenient.expired_active = true;
    assert_null(request_of(&row, &plain, &request));
    assert_int_equal(request.change.status, DORMOUSE_SNOOZED);
    assert_null(request_of(&row, &lenient, &request));
    assert_int_equal(request.change.status, DORMOUSE_ACTIVE);
    assert_int_equal(request.change.snooze_until_ms, 0);
}

static void reasons_that_only_the_server_gives_are_left_out(void **state)
{
    (void)state;
    struct dm_row row = row_of("active", "", "");
    struct dm_row_request request;
    row.fields[DM_REASON] = dormouse_text("REASON_SNOOZE_EXPIRED");
    assert_null(request_of(&row, &plain, &request));
    assert_int_equal(request.change.reason, DORMOUSE_REASON_UNSPECIFIED);
}

static void an_exported_row_imports_as_the_same_change(void **state)
{
    (void)state;
    struct dormouse_contact contact = {
        .account_id = dormouse_text("acme"),
        .contact_id = dormouse_text("c \"1\", x"),
        .status = DORMOUSE_SNOOZED,
        .reason = DORMOUSE_REASON_APPOINTMENT_BOOKED,
        .actor = dormouse_text("anna\xc3\xbc"),
        .snoozed_until_ms = 1796115600123,
    };
    struct dm_out out = {.colour = false};
    struct dm_row row = {.line = 1};
    struct dm_row_request request;
    dm_row_ndjson(&out, &contact);
    assert_null(dm_row_json(&row, dm_buf_slice(&out.buf)));
    assert_null(request_of(&row, &plain, &request));
    assert_int_equal(request.change.snooze_until_ms, contact.snoozed_until_ms);
    assert_int_equal(request.change.reason, contact.reason);
    assert_int_equal(request.set.contact_id.size, contact.contact_id.size);
    assert_memory_equal(request.set.contact_id.data, contact.contact_id.data,
                        contact.contact_id.size);
    dm_row_finish(&row);
    dm_out_finish(&out);
}

/* ---- policies --------------------------------------------------------------------------- */

static void rules_are_read_as_they_are_shown(void **state)
{
    (void)state;
    static const char *const rules[] = {"none",
                                        "activate",
                                        "deactivate",
                                        "deactivate:lock",
                                        "snooze:2h:extend",
                                        "snooze:1d:replace",
                                        "snooze:90s:keep"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct dm_policy_draft draft = {.has_revision = false};
        struct dormouse_rule rule = {.on = 0};
        struct dm_out out = {.colour = false};
        assert_true(dm_policy_rule_parse(&draft, dormouse_text(rules[i]), &rule));
        dm_show_rule(&out, &rule);
        dm_out_bytes(&out, "", 1);
        /* 90s is shown as 1m30s */
        assert_string_equal((const char *)dm_buf_head(&out.buf),
                            i == 6 ? "snooze:1m30s:keep" : rules[i]);
        dm_out_finish(&out);
    }
}

static void what_is_no_rule_is_refused(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "manual_message",
        "manual_message=",
        "manual_message=sleep",
        "manual_message=snooze",
        "manual_message=snooze:2",
        "manual_message=snooze:2h:ever",
        "manual_message=none:lock",
        "mail=none",
        "manual_message=deactivate:x",
        "manual_message=snooze:2h:keep:lock",
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct dm_policy_draft draft = {.has_revision = false};
        if (dm_policy_draft_rule(&draft, dormouse_text(rules[i]))) {
            fail_msg("taken: %s", rules[i]);
        }
        assert_int_not_equal(draft.error[0], 0);
    }
}

static void a_rule_takes_the_place_of_its_activity_s_rule(void **state)
{
    (void)state;
    struct dm_policy_draft draft = {.has_revision = false};
    assert_true(dm_policy_draft_rule(&draft, dormouse_text("manual_message=snooze:2h")));
    assert_true(dm_policy_draft_rule(&draft, dormouse_text("workflow-message=none")));
    assert_true(dm_policy_draft_rule(&draft, dormouse_text("MANUAL_MESSAGE=none")));
    assert_int_equal(draft.policy.rules_count, 2);
    assert_int_equal(draft.rules[0].action, DORMOUSE_ACTION_NONE);
    assert_int_equal(draft.rules[0].snooze_for_ms, 0);
}

static void a_policy_as_json_reads_back_the_same(void **state)
{
    (void)state;
    struct dm_policy_draft draft;
    static const char text[] =
        "{\"accountId\":\"acme\",\"botId\":\"\",\"mode\":\"MODE_SUGGESTIVE\",\"rules\":[{\"on\":"
        "\"ACTIVITY_MANUAL_MESSAGE\",\"action\":\"ACTION_SNOOZE\",\"snoozeFor\":\"7200s\","
        "\"repeat\":\"REPEAT_KEEP\",\"lock\":false}],\"messageLimit\":20,\"onLimit\":{\"on\":"
        "\"ACTIVITY_UNSPECIFIED\",\"action\":\"ACTION_DEACTIVATE\",\"repeat\":"
        "\"REPEAT_UNSPECIFIED\",\"lock\":true},\"maxSnooze\":\"1.500s\",\"revision\":\"3\"}";
    assert_true(dm_policy_draft_json(&draft, dm_slice_str(text)));
    assert_true(draft.has_revision);
    struct dm_out out = {.colour = false};
    dm_json_policy(&out, &draft.policy);
    dm_out_bytes(&out, "", 1);
    assert_string_equal((const char *)dm_buf_head(&out.buf), text);
    dm_out_finish(&out);
    dm_policy_draft_finish(&draft);
}

static void json_that_is_no_policy_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{\"mood\":1}",
        "{\"mode\":\"MODE_LOUD\"}",
        "{\"rules\":{}}",
        "{\"rules\":[{\"of\":1}]}",
        "{\"messageLimit\":-1}",
        "{\"messageLimit\":4294967296}",
        "{\"maxSnooze\":2}",
        "{\"revision\":\"x\"}",
        "{\"mode\":\"MODE_OFF\",\"mode\":\"MODE_OFF\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct dm_policy_draft draft;
        if (dm_policy_draft_json(&draft, dm_slice_str(texts[i]))) {
            fail_msg("taken: %s", texts[i]);
        }
        assert_int_not_equal(draft.error[0], 0);
        dm_policy_draft_finish(&draft);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_a_change),
        cmocka_unit_test(mistakes_in_a_row_are_named),
        cmocka_unit_test(the_same_line_has_the_same_id_and_every_other_one_another),
        cmocka_unit_test(a_snooze_that_is_over_may_mean_active),
        cmocka_unit_test(reasons_that_only_the_server_gives_are_left_out),
        cmocka_unit_test(an_exported_row_imports_as_the_same_change),
        cmocka_unit_test(rules_are_read_as_they_are_shown),
        cmocka_unit_test(what_is_no_rule_is_refused),
        cmocka_unit_test(a_rule_takes_the_place_of_its_activity_s_rule),
        cmocka_unit_test(a_policy_as_json_reads_back_the_same),
        cmocka_unit_test(json_that_is_no_policy_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
