#include "cli/progress.h"

#include "cli/when.h"

#include <unistd.h>

enum { TERMINAL_EVERY_MS = 200, PLAIN_EVERY_MS = 5000, BAR_WIDTH = 24 };

void dm_progress_start(struct dm_progress *progress, int64_t now_ms)
{
    *progress = (struct dm_progress){
        .terminal = isatty(STDERR_FILENO) == 1, .started_ms = now_ms, .shown_ms = now_ms};
}

bool dm_progress_due(const struct dm_progress *progress, int64_t now_ms)
{
    return now_ms - progress->shown_ms >= (progress->terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS);
}

static void bar(struct dm_out *line, double fraction)
{
    int full = (int)(fraction * BAR_WIDTH);
    dm_out_str(line, "[");
    for (int i = 0; i < BAR_WIDTH; i++) {
        dm_out_str(line, i < full ? "#" : ".");
    }
    dm_out_format(line, "] %3d %%  ", (int)(fraction * 100));
}

void dm_progress_show(struct dm_progress *progress, int64_t now_ms, double fraction,
                      struct dormouse_text words)
{
    struct dm_out line = {.colour = false};
    double bounded = fraction > 1 ? 1 : fraction;
    dm_out_str(&line, progress->terminal ? "\r\033[K" : "");
    if (bounded >= 0 && progress->terminal) {
        bar(&line, bounded);
    }
    dm_out_bytes(&line, words.data, words.size);
    if (bounded > 0.001) {
        double spent = (double)(now_ms - progress->started_ms);
        dm_out_str(&line, "  ETA ");
        dm_span_print(&line, ((int64_t)(spent / bounded - spent) + 999) / 1000 * 1000);
    }
    dm_out_str(&line, progress->terminal ? "" : "\n");
    (void)dm_out_flush(&line, stderr);
    (void)fflush(stderr);
    dm_out_finish(&line);
    progress->shown_ms = now_ms;
}

void dm_progress_clear(struct dm_progress *progress)
{
    if (progress->terminal) {
        (void)fputs("\r\033[K", stderr);
    }
}

uint64_t dm_progress_rate(const struct dm_progress *progress, int64_t now_ms, uint64_t count)
{
    int64_t spent = now_ms - progress->started_ms;
    return spent <= 0 ? 0 : count * 1000 / (uint64_t)spent;
}
