#ifndef DM_BASE_LOG_WRITER_H
#define DM_BASE_LOG_WRITER_H

#include "base/code.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How lines get out: log.c makes them, and is the only one to use this. One a process. */

/* What the thread tells of; it may queue lines while it does. */
struct dm_log_told {
    void (*hangup)(void); /* dm_log_writer_reread was called; `file` is opened anew after this */
    void (*opened)(const char *file);
    void (*kept)(const char *file, const char *why); /* it could not be opened anew */
    void (*dropped)(uint64_t count, uint64_t total); /* lines, since this was told last, ever */
};

struct dm_log_writer_options {
    const char *file; /* borrowed until the stop; NULL: stderr */
    struct dm_log_told told;
};

/* See dm_log_start and the others in log.h. */
enum dm_code dm_log_writer_start(const struct dm_log_writer_options *options,
                                 struct dm_error *error);
void dm_log_writer_reread(void);
void dm_log_writer_flush(void);
void dm_log_writer_stop(void);
uint64_t dm_log_writer_dropped(void);
bool dm_log_writer_running(void);

/* Queues a line that ends in a newline, at most 2,048 bytes; without the thread, writes it.
 * `important`: it may use the last room. */
void dm_log_writer_put(const char *line, size_t size, bool important);

#endif
