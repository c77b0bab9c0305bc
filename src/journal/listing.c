#include "journal/listing.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* The names in the journal's folder. */

static void add_number(struct dm_numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        numbers->capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        numbers->items = dm_xrealloc(numbers->items, numbers->capacity * sizeof *numbers->items);
    }
    numbers->items[numbers->count] = number;
    numbers->count++;
}

/* prefix, digits, suffix; false when `name` is not that. */
static bool parse_name(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t prefix_size = strlen(prefix);
    if (strncmp(name, prefix, prefix_size) != 0) {
        return false;
    }
    const char *digit = name + prefix_size;
    const char *begin = digit;
    *number = 0;
    while (*digit >= '0' && *digit <= '9' && digit - begin < 19) {
        *number = *number * 10 + (uint64_t)(*digit - '0');
        digit++;
    }
    return digit != begin && strcmp(digit, suffix) == 0;
}

static void list_name(void *context, const char *name)
{
    struct dm_listing *listing = context;
    uint64_t number = 0;
    if (parse_name(name, "", ".seg", &number)) {
        add_number(&listing->segments, number);
    } else if (parse_name(name, "spare-", "", &number)) {
        add_number(&listing->spares, number);
    } else if (parse_name(name, "prepare-", "", &number)) {
        add_number(&listing->prepared, number);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

int dm_listing_read(struct dm_listing *listing, struct dm_disk *disk)
{
    *listing = (struct dm_listing){0};
    int failed = disk->ops->list(disk, list_name, listing);
    if (failed == 0 && listing->segments.count > 0) {
        qsort(listing->segments.items, listing->segments.count, sizeof *listing->segments.items,
              compare_numbers);
    }
    return failed;
}

void dm_listing_finish(struct dm_listing *listing)
{
    free(listing->segments.items);
    free(listing->spares.items);
    free(listing->prepared.items);
}
