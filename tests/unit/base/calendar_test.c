#include "base/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* Every day from 0001-01-01 to 9999-12-31, one after the other. */
static void days_and_dates_go_together(void **state)
{
    (void)state;
    struct dm_date date = {.year = 1, .month = 1, .day = 1};
    int64_t days = -719162;
    while (date.year < 10000) {
        struct dm_date back = dm_date_of_days(days);
        bool same = back.year == date.year && back.month == date.month && back.day == date.day;
        if (!same || dm_days_of_date(date) != days) {
            fail_msg("%04d-%02d-%02d", date.year, date.month, date.day);
        }
        days++;
        date.day++;
        if (date.day > dm_days_in_month(date.year, date.month)) {
            date.day = 1;
            date.month++;
        }
        if (date.month > 12) {
            date.month = 1;
            date.year++;
        }
    }
    assert_int_equal(days, 2932897);
}

static void known_days_are_known(void **state)
{
    (void)state;
    assert_int_equal(dm_days_of_date((struct dm_date){1970, 1, 1}), 0);
    assert_int_equal(dm_days_of_date((struct dm_date){2000, 2, 29}), 11016);
    assert_int_equal(dm_days_of_date((struct dm_date){2026, 12, 1}), 20788);
    assert_int_equal(dm_days_in_month(2000, 2), 29);
    assert_int_equal(dm_days_in_month(1900, 2), 28);
    assert_int_equal(dm_days_in_month(2024, 2), 29);
    assert_int_equal(dm_days_in_month(2026, 11), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_dates_go_together),
        cmocka_unit_test(known_days_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
