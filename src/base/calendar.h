#ifndef DM_BASE_CALENDAR_H
#define DM_BASE_CALENDAR_H

#include <stdint.h>

/* Days of the Gregorian calendar, from the year 1 on, as RFC 3339 has them. */

struct dm_date {
    int32_t year, month, day; /* month and day from 1 */
};

/* Days since 1970-01-01; before it, negative. The date exists. */
int64_t dm_days_of_date(struct dm_date date);
struct dm_date dm_date_of_days(int64_t days);

/* Of a month from 1 to 12. */
int32_t dm_days_in_month(int32_t year, int32_t month);

#endif
