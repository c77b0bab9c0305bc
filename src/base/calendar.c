#include "base/calendar.h"

#include "base/assert.h"

#include <stdbool.h>

/* Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March, so that
 * the day that is not always there comes last; eras have 400 of them, all of one length. */

enum {
    ERA_YEARS = 400,
    ERA_DAYS = 146097,
    BEFORE_1970 = 719468, /* days from 0000-03-01 */
};

int64_t dm_days_of_date(struct dm_date date)
{
    DM_ASSERT(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = year / ERA_YEARS, in_era = year % ERA_YEARS;
    int64_t in_year =
        (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
    return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - BEFORE_1970;
}

struct dm_date dm_date_of_days(int64_t days)
{
    int64_t since = days + BEFORE_1970, era = since / ERA_DAYS, in_era = since % ERA_DAYS;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100);
    int64_t month = (5 * in_year + 2) / 153; /* from March */
    bool next_year = month >= 10;
    return (struct dm_date){
        .year = (int32_t)(years + era * ERA_YEARS + next_year),
        .month = (int32_t)(next_year ? month - 9 : month + 3),
        .day = (int32_t)(in_year - (153 * month + 2) / 5 + 1),
    };
}

int32_t dm_days_in_month(int32_t year, int32_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    DM_ASSERT(month >= 1 && month <= 12);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}
