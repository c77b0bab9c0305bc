#ifndef DM_BASE_LOG_H
#define DM_BASE_LOG_H

#include <stdint.h>

/* Structured logs: one line an entry on stderr, either `key=value` pairs
 * (logfmt) or JSON, with time (RFC 3339, UTC, ms), level and event first. Any
 * thread may log; a line is written with one write(). */
enum dm_log_level { DM_LOG_DEBUG, DM_LOG_INFO, DM_LOG_WARN, DM_LOG_ERROR };
enum dm_log_format { DM_LOG_FORMAT_LOGFMT, DM_LOG_FORMAT_JSON };

/* Process-wide; before other threads start. Default: INFO, logfmt. */
void dm_log_configure(enum dm_log_level min, enum dm_log_format format);
int dm_log_enabled(enum dm_log_level level);

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
