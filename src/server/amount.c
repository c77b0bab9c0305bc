#include "server/amount.h"

#include "base/assert.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest last. */
static const struct unit of_time[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                      {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit of_bytes[] = {{"", 1},
                                       {"B", 1},
                                       {"KiB", 1LL << 10},
                                       {"MiB", 1LL << 20},
                                       {"GiB", 1LL << 30},
                                       {"TiB", 1LL << 40},
                                       {NULL, 0}};
static const struct unit of_things[] = {{"", 1}, {NULL, 0}};

/* A number and the unit after it; *text moves behind both. */
static bool take_amount(const char **text, const struct unit *units, int64_t *amount)
{
    int64_t number = 0;
    const char *at = *text;
    if (!isdigit((unsigned char)*at)) {
        return false;
    }
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number)) {
            return false;
        }
    }
    size_t size = strcspn(at, "0123456789");
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == size && strncmp(units->name, at, size) == 0) {
            *text = at + size;
            return !__builtin_mul_overflow(number, units->factor, amount);
        }
    }
    return false;
}

bool dm_parse_duration(const char *text, int64_t *ms)
{
    int64_t total = 0;
    do {
        int64_t part;
        if (!take_amount(&text, of_time, &part) || __builtin_add_overflow(total, part, &total)) {
            return false;
        }
    } while (*text != '\0');
    *ms = total;
    return true;
}

bool dm_parse_bytes(const char *text, int64_t *bytes)
{
    return take_amount(&text, of_bytes, bytes) && *text == '\0';
}

bool dm_parse_count(const char *text, int64_t *count)
{
    return take_amount(&text, of_things, count) && *text == '\0';
}

static void write_amount(int64_t amount, const struct unit *units, char *text)
{
    const struct unit *best = units;
    DM_ASSERT(amount >= 0 && units->factor == 1);
    for (; units->name != NULL; units++) {
        if (amount % units->factor == 0 && (amount != 0 || units->factor == 1)) {
            best = units;
        }
    }
    (void)snprintf(text, DM_AMOUNT_SIZE, "%lld%s", (long long)(amount / best->factor), best->name);
}

void dm_duration_write(int64_t ms, char *text)
{
    write_amount(ms, of_time, text);
}

void dm_bytes_write(int64_t bytes, char *text)
{
    write_amount(bytes, of_bytes, text);
}

void dm_count_write(int64_t count, char *text)
{
    write_amount(count, of_things, text);
}
