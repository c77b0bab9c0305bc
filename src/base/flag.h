#ifndef DM_BASE_FLAG_H
#define DM_BASE_FLAG_H

#include <stdbool.h>
#include <stddef.h>

/* How a command line is written, for every program of ours: "--name value", "--name=value",
 * "-n value"; "--" ends the flags, "-" is a word. Which names there are, each program knows. */

struct dm_flag {
    const char *name; /* without its dashes; not terminated where a value follows it */
    size_t name_size;
    const char *value; /* behind "=", of long ones; NULL: none */
    bool is_long;
};

/* false: `text` is a word. "--" is a long flag without a name. */
bool dm_flag_read(const char *text, struct dm_flag *flag);
/* Is it the long one with this name? */
bool dm_flag_is(const struct dm_flag *flag, const char *name);
/* Its value: what follows "=", or the next argument, to which *i then moves. NULL: there is
 * none. */
const char *dm_flag_value(const struct dm_flag *flag, int argc, char *const *argv, int *i);

/* For "did you mean": looks at one name after the other, and keeps the nearest. What is far from
 * every name is not guessed at. */
struct dm_flag_guess {
    const char *nearest; /* NULL: none is near */
    size_t distance;     /* of that */
};
void dm_flag_guess(struct dm_flag_guess *guess, const struct dm_flag *flag, const char *name);

/* How many letters must be put, taken, changed or swapped with their neighbours to make one word
 * of the other. */
size_t dm_flag_distance(const char *a, const char *b);

#endif
