#ifndef DM_BASE_LOG_H
#define DM_BASE_LOG_H

#include "base/code.h"

#include <stdbool.h>
#include <stdint.h>

/* Structured logs: one line for each entry, on stderr or in a file, either `key=value` pairs
 * (logfmt) or JSON, with time (RFC 3339, UTC, ms), level and event first, in valid UTF-8. Any
 * thread may log; a line is written with one write().
 *
 * At first, the thread that logs writes. After dm_log_start a thread of its own writes, and
 * nobody else waits for a reader that stalls or for a slow disk. Lines wait in a queue
 * (DM_LOG_QUEUE_SIZE). Lines that do not fit are dropped and counted, and a line tells of them
 * once there is room again. */
enum dm_log_level { DM_LOG_DEBUG, DM_LOG_INFO, DM_LOG_WARN, DM_LOG_ERROR };
enum dm_log_format { DM_LOG_FORMAT_LOGFMT, DM_LOG_FORMAT_JSON };

/* Process-wide; before other threads start. Default: INFO, logfmt. */
void dm_log_configure(enum dm_log_level min, enum dm_log_format format);
int dm_log_enabled(enum dm_log_level level);
/* "debug", "info", "warn", "error". */
bool dm_log_level_parse(const char *word, enum dm_log_level *level);

/* Both borrowed until dm_log_stop; NULL: none. */
struct dm_log_files {
    const char *file; /* lines are appended to it (0600 when it is made), else to stderr */
    /* Holds the word of a level, which counts instead of the configured one. It need not be
     * there. */
    const char *level_file;
};
/* Opens the file, reads the level, starts the thread. UNAVAILABLE or INVALID_ARGUMENT with a
 * sentence that names the file. */
enum dm_code dm_log_start(const struct dm_log_files *files, struct dm_error *error);
/* The thread opens the file anew (it was renamed, say) and reads the level again, soon. What
 * fails is logged, and stays as it was. */
void dm_log_reread(void);
/* Waits until what was logged before is written, at most DM_LOG_FLUSH_MS. */
void dm_log_flush(void);
/* A flush, and the end of the thread, unless that cannot end its write. */
void dm_log_stop(void);
/* Lines that were dropped, ever. */
uint64_t dm_log_dropped(void);
/* The last line before the process ends: it is written before this returns, unless the reader of
 * the log stalls. */
void dm_log_last_words(const char *text);

struct dm_log_field {
    const char *key;
    const char *text; /* NULL: the number */
    int64_t number;
};

/* `event` is a short, stable phrase ("journal opened"); what varies goes into
 * fields. At most 16 fields; a line over 2,000 bytes is cut: its long text
 * first, then the fields for which no room is left; JSON stays whole. */
void dm_log_write(enum dm_log_level level, const char *event, const struct dm_log_field *fields,
                  int count);

#define DM_LOG_TEXT(key_, text_) \
    ((struct dm_log_field){.key = (key_), .text = (text_), .number = 0})
#define DM_LOG_NUMBER(key_, number_) \
    ((struct dm_log_field){.key = (key_), .text = NULL, .number = (int64_t)(number_)})

/* dm_log(DM_LOG_INFO, "listening", DM_LOG_TEXT("address", a), DM_LOG_NUMBER("port", p)); */
#define dm_log(level, ...) DM_LOG_CALL(level, __VA_ARGS__, (struct dm_log_field){0})
#define DM_LOG_CALL(level, event, ...)                                                 \
    do {                                                                               \
        if (dm_log_enabled(level)) {                                                   \
            const struct dm_log_field dm_log_fields_[] = {__VA_ARGS__};                \
            dm_log_write((level), (event), dm_log_fields_,                             \
                         (int)(sizeof dm_log_fields_ / sizeof dm_log_fields_[0]) - 1); \
        }                                                                              \
    } while (0)

#endif
