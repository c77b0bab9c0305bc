#include "json/value.h"

#include "base/calendar.h"
#include "json/scan.h"

#include <stdio.h>

enum { NANOS_PER_S = 1000000000, NANO_DIGITS = 9, DAY_S = 86400 };
#define TIMESTAMP_S_MIN INT64_C(-62135596800)
#define TIMESTAMP_S_MAX INT64_C(253402300799)
#define DURATION_S_MAX INT64_C(315576000000)

static const char not_a_number[] = "is not a number", not_whole[] = "is not a whole number",
                  too_large[] = "is too large for this field",
                  below_zero[] = "is below 0, which this field cannot be";

/* ---- integers ----------------------------------------------------------------------- */

/* A JSON number taken apart: digits [begin, end) with at most one point among them, times
 * ten to the `exponent`. */
struct decimal {
    const uint8_t *begin, *end, *point;
    int64_t exponent;
    bool negative;
};

/* Past any text's length, and far from overflow. */
#define EXPONENT_MAX INT64_C(1000000000)

static struct decimal take_apart(struct dm_slice text)
{
    const uint8_t *at = text.data, *end = at + text.size;
    struct decimal d = {.negative = *at == '-'};
    d.begin = at += d.negative;
    while (at < end && *at != 'e' && *at != 'E') {
        if (*at == '.') {
            d.point = at;
        }
        at++;
    }
    d.end = at;
    if (at == end) {
        return d;
    }
    at++;
    bool down = *at == '-';
    at += *at == '-' || *at == '+';
    for (; at < end; at++) {
        int64_t next = d.exponent * 10 + (*at - '0');
        d.exponent = next < EXPONENT_MAX ? next : EXPONENT_MAX;
    }
    d.exponent = down ? -d.exponent : d.exponent;
    return d;
}

static bool add_digit(uint64_t *value, uint64_t digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit, value);
}

static const char *magnitude(const struct decimal *d, uint64_t *value)
{
    int64_t fraction = d->point == NULL ? 0 : d->end - d->point - 1;
    int64_t digits = d->end - d->begin - (d->point != NULL);
    int64_t whole = digits - fraction + d->exponent; /* so many digits are before the point */
    int64_t seen = 0;
    *value = 0;
    for (const uint8_t *at = d->begin; at < d->end; at++) {
        if (at == d->point) {
            continue;
        }
        if (seen++ >= whole && *at != '0') {
            return not_whole;
        }
        if (seen <= whole && !add_digit(value, *at - '0')) {
            return too_large;
        }
    }
    for (; seen < whole && *value != 0; seen++) {
        if (!add_digit(value, 0)) {
            return too_large;
        }
    }
    return NULL;
}

const char *dm_json_integer(struct dm_slice text, enum dm_json_kind kind, uint64_t *bits)
{
    struct dm_json_scan scan;
    struct dm_slice number;
    dm_json_scan_init(&scan, text);
    if (scan.at != scan.begin || !dm_json_number(&scan, &number) || number.size != text.size) {
        return not_a_number;
    }
    struct decimal d = take_apart(number);
    uint64_t value;
    const char *wrong = magnitude(&d, &value);
    if (wrong != NULL) {
        return wrong;
    }
    bool is_signed = kind == DM_JSON_INT32 || kind == DM_JSON_INT64 || kind == DM_JSON_ENUM;
    bool is_long = kind == DM_JSON_INT64 || kind == DM_JSON_UINT64;
    bool negative = d.negative && value != 0;
    if (negative && !is_signed) {
        return below_zero;
    }
    uint64_t most = is_long ? UINT64_MAX : UINT32_MAX;
    most = is_signed ? most / 2 + negative : most;
    if (value > most) {
        return too_large;
    }
    *bits = negative ? 0 - value : value;
    return NULL;
}

/* ---- times ---------------------------------------------------------------------------- */

struct cursor {
    const uint8_t *at, *end;
};

static bool take(struct cursor *c, uint8_t byte)
{
    if (c->at == c->end || *c->at != byte) {
        return false;
    }
    c->at++;
    return true;
}

/* Exactly `count` digits within [least, most]. */
static bool take_number(struct cursor *c, int count, int64_t least, int64_t most, int64_t *value)
{
    if (c->end - c->at < count) {
        return false;
    }
    *value = 0;
    for (int i = 0; i < count; i++, c->at++) {
        if (*c->at < '0' || *c->at > '9') {
            return false;
        }
        *value = *value * 10 + (*c->at - '0');
    }
    return *value >= least && *value <= most;
}

/* Nothing, or a point and 1 to 9 digits. */
static bool take_fraction(struct cursor *c, int32_t *nanos)
{
    *nanos = 0;
    if (!take(c, '.')) {
        return true;
    }
    int count = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (count++ == NANO_DIGITS) {
            return false;
        }
        *nanos = *nanos * 10 + (*c->at++ - '0');
    }
    for (int i = count; i < NANO_DIGITS; i++) {
        *nanos *= 10;
    }
    return count != 0;
}

static bool take_date(struct cursor *c, int64_t *days)
{
    int64_t year, month, day;
    if (!take_number(c, 4, 1, 9999, &year) || !take(c, '-') || !take_number(c, 2, 1, 12, &month) ||
        !take(c, '-') ||
        !take_number(c, 2, 1, dm_days_in_month((int32_t)year, (int32_t)month), &day)) {
        return false;
    }
    *days = dm_days_of_date((struct dm_date){(int32_t)year, (int32_t)month, (int32_t)day});
    return true;
}

/* Z, or +hh:mm: what is to be taken away. */
static bool take_offset(struct cursor *c, int64_t *seconds)
{
    *seconds = 0;
    if (take(c, 'Z')) {
        return true;
    }
    bool west = take(c, '-');
    int64_t hours, minutes;
    if ((!west && !take(c, '+')) || !take_number(c, 2, 0, 23, &hours) || !take(c, ':') ||
        !take_number(c, 2, 0, 59, &minutes)) {
        return false;
    }
    *seconds = (hours * 60 + minutes) * 60;
    *seconds = west ? -*seconds : *seconds;
    return true;
}

const char *dm_json_timestamp(struct dm_slice text, struct dm_json_time *time)
{
    struct cursor c = {text.data, (const uint8_t *)text.data + text.size};
    int64_t days, hour, minute, second, offset;
    if (!take_date(&c, &days) || !take(&c, 'T') || !take_number(&c, 2, 0, 23, &hour) ||
        !take(&c, ':') || !take_number(&c, 2, 0, 59, &minute) || !take(&c, ':') ||
        !take_number(&c, 2, 0, 59, &second) || !take_fraction(&c, &time->nanos) ||
        !take_offset(&c, &offset) || c.at != c.end) {
        return "is not an RFC 3339 time";
    }
    time->seconds = days * DAY_S + (hour * 60 + minute) * 60 + second - offset;
    if (time->seconds < TIMESTAMP_S_MIN || time->seconds > TIMESTAMP_S_MAX) {
        return "is outside of the years 1 to 9999";
    }
    return NULL;
}

const char *dm_json_duration(struct dm_slice text, struct dm_json_time *time)
{
    struct cursor c = {text.data, (const uint8_t *)text.data + text.size};
    bool negative = take(&c, '-');
    const uint8_t *first = c.at;
    time->seconds = 0;
    for (; c.at < c.end && *c.at >= '0' && *c.at <= '9'; c.at++) {
        int64_t next = time->seconds * 10 + (*c.at - '0');
        time->seconds = next <= DURATION_S_MAX ? next : DURATION_S_MAX + 1;
    }
    if (c.at == first || !take_fraction(&c, &time->nanos) || !take(&c, 's') || c.at != c.end) {
        return "is not a duration such as \"3.5s\"";
    }
    if (time->seconds > DURATION_S_MAX) {
        return "is beyond the 10,000 years of a Duration";
    }
    if (negative) {
        time->seconds = -time->seconds;
        time->nanos = -time->nanos;
    }
    return NULL;
}

/* 0, 3, 6 or 9 digits, as many as it takes. */
static size_t put_fraction(int32_t nanos, char *to)
{
    if (nanos == 0) {
        return 0;
    }
    int digits = NANO_DIGITS;
    while (nanos % 1000 == 0) {
        nanos /= 1000;
        digits -= 3;
    }
    return (size_t)snprintf(to, DM_JSON_TIME_SIZE / 2, ".%0*d", digits, nanos);
}

size_t dm_json_timestamp_text(struct dm_json_time time, char *to)
{
    if (time.seconds < TIMESTAMP_S_MIN || time.seconds > TIMESTAMP_S_MAX || time.nanos < 0 ||
        time.nanos >= NANOS_PER_S) {
        return 0;
    }
    int64_t second = (time.seconds - TIMESTAMP_S_MIN) % DAY_S; /* never negative */
    struct dm_date date = dm_date_of_days((time.seconds - second) / DAY_S);
    size_t size = (size_t)snprintf(to, DM_JSON_TIME_SIZE / 2, "%04d-%02d-%02dT%02d:%02d:%02d",
                                   date.year, date.month, date.day, (int)(second / 3600),
                                   (int)(second / 60 % 60), (int)(second % 60));
    size += put_fraction(time.nanos, to + size);
    to[size++] = 'Z';
    return size;
}

size_t dm_json_duration_text(struct dm_json_time time, char *to)
{
    bool negative = time.seconds < 0 || time.nanos < 0;
    bool mixed = negative && (time.seconds > 0 || time.nanos > 0);
    if (mixed || time.seconds < -DURATION_S_MAX || time.seconds > DURATION_S_MAX ||
        time.nanos <= -NANOS_PER_S || time.nanos >= NANOS_PER_S) {
        return 0;
    }
    size_t size = (size_t)snprintf(to, DM_JSON_TIME_SIZE / 2, "%s%lld", negative ? "-" : "",
                                   (long long)(negative ? -time.seconds : time.seconds));
    size += put_fraction(negative ? -time.nanos : time.nanos, to + size);
    to[size++] = 's';
    return size;
}
