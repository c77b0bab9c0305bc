#ifndef DM_CLI_PROGRESS_H
#define DM_CLI_PROGRESS_H

#include "cli/out.h"

/* How far a long task is, on stderr: a line that is drawn again on a terminal, a plain line
 * now and then elsewhere. */
struct dm_progress {
    bool terminal;
    int64_t started_ms, shown_ms; /* monotonic */
};

void dm_progress_start(struct dm_progress *progress, int64_t now_ms);
/* Whether it is time to show something. */
bool dm_progress_due(const struct dm_progress *progress, int64_t now_ms);
/* `fraction` of the work is done: a bar and the time left; negative: unknown. */
void dm_progress_show(struct dm_progress *progress, int64_t now_ms, double fraction,
                      struct dormouse_text words);
/* The line on the terminal goes away, for other output. */
void dm_progress_clear(struct dm_progress *progress);
/* Counts a second since the start. */
uint64_t dm_progress_rate(const struct dm_progress *progress, int64_t now_ms, uint64_t count);

#endif
