#include "base/flag.h"

#include "base/assert.h"

#include <string.h>

bool dm_flag_read(const char *text, struct dm_flag *flag)
{
    if (text[0] != '-' || text[1] == '\0') {
        return false;
    }
    bool is_long = text[1] == '-';
    const char *name = text + (is_long ? 2 : 1);
    const char *equals = is_long ? strchr(name, '=') : NULL;
    *flag = (struct dm_flag){
        .name = name,
        .name_size = equals != NULL ? (size_t)(equals - name) : strlen(name),
        .value = equals != NULL ? equals + 1 : NULL,
        .is_long = is_long,
    };
    return true;
}

bool dm_flag_is(const struct dm_flag *flag, const char *name)
{
    return flag->is_long && strlen(name) == flag->name_size &&
           memcmp(flag->name, name, flag->name_size) == 0;
}

const char *dm_flag_value(const struct dm_flag *flag, int argc, char *const *argv, int *i)
{
    if (flag->value != NULL) {
        return flag->value;
    }
    return *i + 1 < argc ? argv[++*i] : NULL;
}

void dm_flag_guess(struct dm_flag_guess *guess, const struct dm_flag *flag, const char *name)
{
    enum { DISTANCE_MAX = 2 };
    if (flag->name_size == 0) {
        return;
    }
    char given[64] = {0};
    memcpy(given, flag->name, flag->name_size < sizeof given ? flag->name_size : sizeof given - 1);
    DM_ASSERT(name != NULL && given[0] != '\0');
    size_t distance = dm_flag_distance(given, name);
    bool nearer = guess->nearest == NULL || distance < guess->distance;
    if (nearer && distance <= DISTANCE_MAX && distance * 2 < strlen(given)) {
        *guess = (struct dm_flag_guess){.nearest = name, .distance = distance};
    }
}

/* Optimal string alignment, in a table of three rows. Longer words are never near. */
size_t dm_flag_distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t rows[3][LONGEST + 1], m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= m; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && second[j - 2] + 1 < best) {
                best = second[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[m % 3][n];
}
