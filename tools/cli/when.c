#include "cli/when.h"

#include "base/calendar.h"

#include <inttypes.h>

struct unit {
    const char *name;   /* in a duration */
    const char *spaced; /* for people */
    int64_t ms;
};

static const struct unit units[] = {
    {"w", "w", 604800000}, {"d", "d", 86400000}, {"h", "h", 3600000},
    {"m", "min", 60000},   {"s", "s", 1000},     {"ms", "ms", 1},
};
#define UNITS_COUNT (sizeof units / sizeof units[0])

enum {
    DURATION_DIGITS_MAX = 12, /* far beyond what the server takes, far from overflow */
    FRACTION_DIGITS_MAX = 9,
};

/* What is being read; taken bytes go away at the front. */
static bool peek_digit(const struct dormouse_text *text)
{
    return text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9';
}

static char take(struct dormouse_text *text)
{
    char c = text->data[0];
    text->data++;
    text->size--;
    return c;
}

static bool take_char(struct dormouse_text *text, char wanted)
{
    if (text->size == 0 || text->data[0] != wanted) {
        return false;
    }
    (void)take(text);
    return true;
}

/* Digits into *value; how many there were, at most `max`. */
static int take_digits(struct dormouse_text *text, int max, int64_t *value)
{
    int count = 0;
    *value = 0;
    for (; count < max && peek_digit(text); count++) {
        *value = *value * 10 + (take(text) - '0');
    }
    return count;
}

/* ".25" into billionths; true when there is none, too. */
static bool take_fraction(struct dormouse_text *text, int64_t *billionths)
{
    *billionths = 0;
    if (!take_char(text, '.')) {
        return true;
    }
    int count = take_digits(text, FRACTION_DIGITS_MAX, billionths);
    for (int i = count; i < FRACTION_DIGITS_MAX; i++) {
        *billionths *= 10;
    }
    return count > 0 && !peek_digit(text);
}

/* The index of the unit at the front, UNITS_COUNT when there is none. */
static size_t take_unit(struct dormouse_text *text)
{
    size_t size = 0;
    while (size < text->size && text->data[size] >= 'a' && text->data[size] <= 'z') {
        size++;
    }
    for (size_t i = 0; i < UNITS_COUNT; i++) {
        if (strlen(units[i].name) == size && memcmp(units[i].name, text->data, size) == 0) {
            text->data += size;
            text->size -= size;
            return i;
        }
    }
    return UNITS_COUNT;
}

const char *dm_duration_parse(struct dormouse_text text, int64_t *ms)
{
    static const char *const shape = "is not a duration; write 2h, 1h30m, 90s, 3d or 500ms";
    int64_t total = 0;
    size_t unit_next = 0;
    if (text.size == 0) {
        return shape;
    }
    while (text.size > 0) {
        int64_t whole, billionths;
        if (take_digits(&text, DURATION_DIGITS_MAX, &whole) == 0 ||
            !take_fraction(&text, &billionths)) {
            return shape;
        }
        if (peek_digit(&text)) {
            return "is too long";
        }
        size_t unit = take_unit(&text);
        if (unit == UNITS_COUNT || unit < unit_next) {
            return unit == UNITS_COUNT
                       ? "has no unit, or an unknown one; write 2h, 1h30m, 90s, 3d or 500ms"
                       : shape;
        }
        if (whole > INT64_MAX / 16 / units[unit].ms) {
            return "is too long";
        }
        total += whole * units[unit].ms + billionths / 1000 * units[unit].ms / 1000000;
        unit_next = unit + 1;
    }
    if (total == 0) {
        return "must be more than 0";
    }
    *ms = total;
    return NULL;
}

void dm_duration_print(struct dm_out *out, int64_t ms)
{
    if (ms <= 0) {
        dm_out_str(out, "0s");
        return;
    }
    for (size_t i = 1; i < UNITS_COUNT; i++) { /* no weeks: days are easier to compare */
        if (ms >= units[i].ms) {
            dm_out_format(out, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
            ms %= units[i].ms;
        }
    }
}

void dm_span_print(struct dm_out *out, int64_t ms)
{
    size_t i = 1;
    while (i + 1 < UNITS_COUNT && ms < units[i].ms) {
        i++;
    }
    int64_t smaller = i + 1 < UNITS_COUNT - 1 ? ms % units[i].ms / units[i + 1].ms : 0;
    dm_out_format(out, "%" PRId64 " %s", ms / units[i].ms, units[i].spaced);
    if (smaller > 0) {
        dm_out_format(out, " %" PRId64 " %s", smaller, units[i + 1].spaced);
    }
}

/* ---- times ------------------------------------------------------------------------ */

static bool date_exists(struct dm_date date)
{
    return date.year >= 1 && date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= dm_days_in_month(date.year, date.month);
}

/* "Z" or "+01:00", in minutes east. */
static bool take_zone(struct dormouse_text *text, int64_t *east)
{
    *east = 0;
    if (take_char(text, 'Z') || take_char(text, 'z')) {
        return true;
    }
    bool minus = text->size > 0 && text->data[0] == '-';
    int64_t hours, minutes;
    if (!take_char(text, minus ? '-' : '+') || take_digits(text, 2, &hours) != 2 ||
        !take_char(text, ':') || take_digits(text, 2, &minutes) != 2 || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *east = (hours * 60 + minutes) * (minus ? -1 : 1);
    return true;
}

const char *dm_time_parse(struct dormouse_text text, int64_t *ms)
{
    static const char *const shape =
        "is not an RFC 3339 time; write 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00";
    int64_t year, month, day, hour, minute, second, billionths, east;
    if (take_digits(&text, 4, &year) != 4 || !take_char(&text, '-') ||
        take_digits(&text, 2, &month) != 2 || !take_char(&text, '-') ||
        take_digits(&text, 2, &day) != 2) {
        return shape;
    }
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' ')) {
        return shape;
    }
    if (take_digits(&text, 2, &hour) != 2 || !take_char(&text, ':') ||
        take_digits(&text, 2, &minute) != 2 || !take_char(&text, ':') ||
        take_digits(&text, 2, &second) != 2 || !take_fraction(&text, &billionths)) {
        return shape;
    }
    if (!take_zone(&text, &east)) {
        return text.size == 0 ? "has no time zone; end it with Z or +01:00" : shape;
    }
    if (text.size != 0) {
        return shape;
    }
    const struct dm_date date = {(int32_t)year, (int32_t)month, (int32_t)day};
    if (!date_exists(date) || hour > 23 || minute > 59 || second > 59) {
        return "is a day or hour that does not exist";
    }
    int64_t seconds =
        dm_days_of_date(date) * 86400 + hour * 3600 + minute * 60 + second - east * 60;
    int64_t result = seconds * 1000 + billionths / 1000000;
    if (result <= 0) {
        return "is before 1970";
    }
    *ms = result;
    return NULL;
}

static void print_time(struct dm_out *out, int64_t ms, char between)
{
    int64_t seconds = ms / 1000;
    struct dm_date date = dm_date_of_days(seconds / 86400);
    dm_out_format(out, "%04d-%02d-%02d%c%02" PRId64 ":%02" PRId64 ":%02" PRId64, date.year,
                  date.month, date.day, between, seconds / 3600 % 24, seconds / 60 % 60,
                  seconds % 60);
}

void dm_time_print_rfc3339(struct dm_out *out, int64_t ms)
{
    print_time(out, ms, 'T');
    if (ms % 1000 != 0) {
        dm_out_format(out, ".%03" PRId64, ms % 1000);
    }
    dm_out_str(out, "Z");
}

void dm_time_print(struct dm_out *out, int64_t ms)
{
    print_time(out, ms, ' ');
    dm_out_str(out, " UTC");
}

void dm_time_print_relative(struct dm_out *out, int64_t ms, int64_t now_ms)
{
    int64_t ahead = ms - now_ms;
    if (ahead > -1000 && ahead < 1000) {
        dm_out_str(out, "now");
        return;
    }
    dm_out_str(out, ahead > 0 ? "in " : "");
    dm_span_print(out, ahead > 0 ? ahead : -ahead);
    dm_out_str(out, ahead > 0 ? "" : " ago");
}
