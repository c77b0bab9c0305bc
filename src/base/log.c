#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A text is cut where ROOM is left for its last character (a \u escape, or the rest
 * of a UTF-8 sequence) and the closing quote: a cut line still parses. */
enum { LINE_MAX_BYTES = 2000, ROOM = 8 };
/* What a field needs beside its key to be begun at all: punctuation and any number. */
enum { FIELD_ROOM = 40 };

static enum dm_log_level level_min = DM_LOG_INFO;
static enum dm_log_format line_format = DM_LOG_FORMAT_LOGFMT;

struct line {
    char text[LINE_MAX_BYTES + 2];
    size_t size;
};

void dm_log_configure(enum dm_log_level min, enum dm_log_format format)
{
    level_min = min;
    line_format = format;
}

int dm_log_enabled(enum dm_log_level level)
{
    return level >= level_min;
}

static void put_char(struct line *line, char c)
{
    if (line->size < LINE_MAX_BYTES) {
        line->text[line->size++] = c;
    }
}

static void put_text(struct line *line, const char *text)
{
    while (*text != '\0') {
        put_char(line, *text++);
    }
}

static void put_quoted(struct line *line, const char *text)
{
    put_char(line, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool starts_character = (c & 0xc0) != 0x80;
        size_t left = LINE_MAX_BYTES - line->size;
        if (left < 2 || (starts_character && left < ROOM)) {
            break;
        }
        if (c == '"' || c == '\\') {
            put_char(line, '\\');
            put_char(line, (char)c);
        } else if (c < 0x20) {
            char escaped[8];
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
            put_text(line, escaped);
        } else {
            put_char(line, (char)c);
        }
    }
    put_char(line, '"');
}

static bool is_plain(const char *text)
{
    if (*text == '\0' || strpbrk(text, " \"=\\") != NULL) {
        return false;
    }
    while ((unsigned char)*text >= 0x20) {
        text++;
    }
    return *text == '\0';
}

static void put_pair(struct line *line, const char *key, const char *text)
{
    if (line_format == DM_LOG_FORMAT_JSON) {
        put_char(line, line->size == 1 ? ' ' : ',');
        put_quoted(line, key);
        put_char(line, ':');
        put_quoted(line, text);
        return;
    }
    if (line->size != 0) {
        put_char(line, ' ');
    }
    put_text(line, key);
    put_char(line, '=');
    if (is_plain(text)) {
        put_text(line, text);
    } else {
        put_quoted(line, text);
    }
}

static void put_number(struct line *line, const char *key, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)number);
    if (line_format != DM_LOG_FORMAT_JSON) {
        put_pair(line, key, digits);
        return;
    }
    put_char(line, ',');
    put_quoted(line, key);
    put_char(line, ':');
    put_text(line, digits);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[48];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1000000);
    put_pair(line, "time", text);
}

void dm_log_write(enum dm_log_level level, const char *event, const struct dm_log_field *fields,
                  int count)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct line line = {.size = 0};
    if (line_format == DM_LOG_FORMAT_JSON) {
        put_char(&line, '{');
    }
    put_time(&line);
    put_pair(&line, "level", names[level]);
    put_pair(&line, "event", event);
    for (int i = 0; i < count; i++) {
        if (line.size + strlen(fields[i].key) + FIELD_ROOM > LINE_MAX_BYTES) {
            break;
        }
        if (fields[i].text != NULL) {
            put_pair(&line, fields[i].key, fields[i].text);
        } else {
            put_number(&line, fields[i].key, fields[i].number);
        }
    }
    if (line_format == DM_LOG_FORMAT_JSON) {
        line.text[line.size++] = '}';
    }
    line.text[line.size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void)written; /* nowhere left to say so */
}
