#include "cli/verdict.h"

#include <dormouse/code.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BEGAN = 100, NOW = 1000000 };

static const struct dormouse_contact inactive = {
    .status = DORMOUSE_INACTIVE, .revision = 3, .last_seq = 90};

static struct dormouse_change wants(int32_t status)
{
    return (struct dormouse_change){.status = status};
}

static enum dm_verdict judge(const struct dormouse_change *change,
                             const struct dormouse_contact *contact, uint64_t own, bool asked)
{
    struct dm_known known = {
        .after_seq = BEGAN, .has_own = own != 0, .own_seq = own, .asked = asked};
    return dm_verdict(change, contact, &known);
}

static void what_was_there_before_is_overwritten(void **state)
{
    (void)state;
    struct dormouse_change active = wants(DORMOUSE_ACTIVE), off = wants(DORMOUSE_INACTIVE);
    struct dormouse_contact contact = inactive, none = {.status = DORMOUSE_ACTIVE};
    assert_int_equal(judge(&active, &contact, 0, false), DM_VERDICT_APPLY);
    assert_int_equal(judge(&off, &contact, 0, false), DM_VERDICT_SAME);
    contact.last_seq = BEGAN;
    assert_int_equal(judge(&active, &contact, 0, false), DM_VERDICT_APPLY);
    /* never written to: reads as active, but is not in any list */
    assert_int_equal(judge(&active, &none, 0, false), DM_VERDICT_APPLY);
}

static void what_others_did_since_stays(void **state)
{
    (void)state;
    struct dormouse_change active = wants(DORMOUSE_ACTIVE), off = wants(DORMOUSE_INACTIVE);
    struct dormouse_contact contact = inactive;
    contact.last_seq = BEGAN + 1;
    assert_int_equal(judge(&active, &contact, 0, false), DM_VERDICT_ASK);
    assert_int_equal(judge(&active, &contact, 0, true), DM_VERDICT_SKIP);
    assert_int_equal(judge(&off, &contact, 0, false), DM_VERDICT_ASK);
    assert_int_equal(judge(&off, &contact, 0, true), DM_VERDICT_SAME);
}

static void what_an_own_row_did_is_overwritten_by_the_next(void **state)
{
    (void)state;
    struct dormouse_change active = wants(DORMOUSE_ACTIVE);
    struct dormouse_contact contact = inactive, gone = {.status = DORMOUSE_ACTIVE};
    contact.last_seq = BEGAN + 7;
    assert_int_equal(judge(&active, &contact, BEGAN + 7, false), DM_VERDICT_APPLY);
    assert_int_equal(judge(&active, &contact, BEGAN + 6, true), DM_VERDICT_SKIP);
    /* deleted since: not even where it reads like what the row wants */
    assert_int_equal(judge(&active, &gone, BEGAN + 6, true), DM_VERDICT_SKIP);
}

static void all_that_a_row_sets_is_compared(void **state)
{
    (void)state;
    struct dormouse_change row = wants(DORMOUSE_SNOOZED);
    struct dormouse_contact contact = {
        .status = DORMOUSE_SNOOZED, .revision = 1, .snoozed_until_ms = 5000, .last_seq = 1};
    row.snooze_until_ms = 5000;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_SAME);
    row.snooze_until_ms = 5001;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_APPLY);
    row.snooze_until_ms = 0;
    row.snooze_for_ms = 5000;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_APPLY);

    row = wants(DORMOUSE_INACTIVE);
    contact = inactive;
    row.lock = true;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_APPLY);
    contact.locked = true;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_SAME);
    row.lock = false;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_SAME);
    row.unlock = true;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_APPLY);

    row = wants(DORMOUSE_INACTIVE);
    row.has_bot_id = true;
    row.bot_id = dormouse_text("b");
    contact = inactive;
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_APPLY);
    contact.bot_id = dormouse_text("b");
    assert_int_equal(judge(&row, &contact, 0, false), DM_VERDICT_SAME);
}

static void refused(const struct dormouse_change *row, const struct dormouse_contact *contact,
                    int wanted)
{
    int code = -1;
    const char *why = dm_verdict_refusal(row, contact, NOW, &code);
    assert_int_equal(why == NULL ? DORMOUSE_OK : code, wanted);
}

static void a_dry_run_foresees_refusals(void **state)
{
    (void)state;
    struct dormouse_change row = wants(DORMOUSE_SNOOZED);
    struct dormouse_contact contact = inactive;
    static const struct {
        int64_t for_ms, until_ms;
        int code;
    } times[] = {
        {999, 0, DORMOUSE_INVALID_ARGUMENT},     {1000, 0, DORMOUSE_OK},
        {31622400000, 0, DORMOUSE_OK},           {31622400001, 0, DORMOUSE_INVALID_ARGUMENT},
        {0, NOW, DORMOUSE_INVALID_ARGUMENT},     {0, NOW + 1000, DORMOUSE_OK},
        {0, NOW - 1, DORMOUSE_INVALID_ARGUMENT}, {0, NOW + 31622400001, DORMOUSE_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        row.snooze_for_ms = times[i].for_ms;
        row.snooze_until_ms = times[i].until_ms;
        refused(&row, &contact, times[i].code);
    }
    row = wants(DORMOUSE_ACTIVE);
    contact.locked = true;
    refused(&row, &contact, DORMOUSE_FAILED_PRECONDITION);
    row.unlock = true;
    refused(&row, &contact, DORMOUSE_OK);
    contact.mode = DORMOUSE_MODE_OFF;
    refused(&row, &contact, DORMOUSE_FAILED_PRECONDITION);
    row.lock = true;
    refused(&row, &contact, DORMOUSE_INVALID_ARGUMENT);
    row.lock = false;
    row.actor.size = 65;
    refused(&row, &contact, DORMOUSE_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_before_is_overwritten),
        cmocka_unit_test(what_others_did_since_stays),
        cmocka_unit_test(what_an_own_row_did_is_overwritten_by_the_next),
        cmocka_unit_test(all_that_a_row_sets_is_compared),
        cmocka_unit_test(a_dry_run_foresees_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
