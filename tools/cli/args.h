#ifndef DM_CLI_ARGS_H
#define DM_CLI_ARGS_H

#include "cli/out.h"

/* The command line: options may stand anywhere before "--", as "--name value" or
 * "--name=value". */

struct dm_option {
    const char *name;  /* without the dashes */
    char letter;       /* "-o", 0: none */
    const char *value; /* how help calls its value; NULL: it takes none */
    const char *help;
};

struct dm_given {
    const struct dm_option *option;
    const char *value;
};

/* What was given. Texts are the caller's argv. */
struct dm_args {
    struct dm_given *given;
    size_t given_count;
    const char **words; /* that are no options */
    size_t words_count;
    struct dm_out error; /* what was wrong, when reading failed */
};

/* Reads options of two tables (either may be empty) and words. false: args->error says what is
 * wrong. */
bool dm_args_read(struct dm_args *args, int argc, char **argv, const struct dm_option *options,
                  size_t options_count, const struct dm_option *more, size_t more_count);
void dm_args_finish(struct dm_args *args);

/* The last value given; NULL: not given. For options without a value, "". */
const char *dm_args_value(const struct dm_args *args, const char *name);
bool dm_args_flag(const struct dm_args *args, const char *name);
/* The i-th value of an option that may come often; NULL behind the last one. */
const char *dm_args_each(const struct dm_args *args, const char *name, size_t i);

/* A typed value into *out, which stays as it is when the option is not given. false: it is
 * none, and args->error says so. */
bool dm_args_number(struct dm_args *args, const char *name, uint64_t most, uint64_t *out);
bool dm_args_duration(struct dm_args *args, const char *name, int64_t *ms);
bool dm_args_time(struct dm_args *args, const char *name, int64_t *ms);

#endif
