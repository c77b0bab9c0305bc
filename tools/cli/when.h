#ifndef DM_CLI_WHEN_H
#define DM_CLI_WHEN_H

#include "cli/out.h"

/* Durations and times as people and files write them. Pure: "now" is handed in. Milliseconds
 * throughout, times since 1970 in UTC. */

/* "2h", "1h30m", "1.5d", "500ms": numbers with units, largest first; w d h m s ms. NULL: read
 * (*ms is more than 0), else what is wrong, in static words. */
const char *dm_duration_parse(struct dormouse_text text, int64_t *ms);
/* Exactly, as dm_duration_parse reads it: "1h30m". */
void dm_duration_print(struct dm_out *out, int64_t ms);
/* For people, the two largest units: "1 h 58 min". */
void dm_span_print(struct dm_out *out, int64_t ms);

/* RFC 3339: "2026-12-01T09:00:00Z", "2026-12-01 10:00:00.5+01:00"; from 1970 to 9999. NULL:
 * read, else what is wrong, in static words. */
const char *dm_time_parse(struct dormouse_text text, int64_t *ms);
/* RFC 3339 in UTC, with milliseconds only where there are some. */
void dm_time_print_rfc3339(struct dm_out *out, int64_t ms);
/* For people: "2026-12-01 09:00:00 UTC". */
void dm_time_print(struct dm_out *out, int64_t ms);
/* "in 2 h", "3 d ago", "now" */
void dm_time_print_relative(struct dm_out *out, int64_t ms, int64_t now_ms);

#endif
