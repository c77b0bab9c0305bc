#ifndef DM_SERVER_OPTIONS_H
#define DM_SERVER_OPTIONS_H

#include "base/code.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What dormoused can be told: by flag (--drain-timeout 10s), or by a variable of the same
 * name (DORMOUSE_DRAIN_TIMEOUT); the flag wins. */

enum { DM_OPTION_VALUES_MAX = 16 };

struct dm_option_list {
    char *values[DM_OPTION_VALUES_MAX + 1]; /* NULL-terminated */
    uint32_t count;
};

struct dm_options {
    bool help, version; /* asked for: print it and end */
    char *data;
    char *log_file, *log_level_file; /* NULL: none */
    struct dm_option_list listen, hosts, cors_origins;
    int64_t horizon_ms, retention_bytes, retention_ms, segment_bytes, apply_after_ms;
    int64_t overlay_max, cache_bytes, connections_max, buffers_max, drain_delay_ms,
        drain_timeout_ms;
    int64_t unix_mode;
    enum dm_log_level log_level;
    enum dm_log_format log_format;
};

/* `variables` as environ: "NAME=value", NULL-terminated. INVALID_ARGUMENT with a sentence
 * that names the flag or variable; *options is to be finished in any case. */
enum dm_code dm_options_parse(struct dm_options *options, int argc, char *const *argv,
                              char *const *variables, struct dm_error *error);
void dm_options_finish(struct dm_options *options);
/* Every option with its variable and default. */
void dm_options_help(FILE *to);

#endif
