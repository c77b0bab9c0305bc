#include "base/log.h"

#include "base/log_writer.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A text is cut where ROOM is left for its last character (a \u escape, or the rest
 * of a UTF-8 sequence) and the closing quote: a cut line still parses. */
enum { LINE_MAX_BYTES = 2000, ROOM = 8 };
/* The room that a field needs beside its key, or it is not begun: punctuation and any number. */
enum { FIELD_ROOM = 40 };

_Static_assert(ROOM >= DM_QUOTED_MAX + 1, "the last character, and the quote");

static const char *const level_names[] = {"debug", "info", "warn", "error"};
/* The level that was configured, and the one in force. */
static enum dm_log_level level_configured = DM_LOG_INFO;
static atomic_int level_min = DM_LOG_INFO;
static enum dm_log_format line_format = DM_LOG_FORMAT_LOGFMT;

struct line {
    char text[LINE_MAX_BYTES + 2];
    size_t size;
};

static void set_level(enum dm_log_level min)
{
    atomic_store_explicit(&level_min, (int)min, memory_order_relaxed);
}

void dm_log_configure(enum dm_log_level min, enum dm_log_format format)
{
    level_configured = min;
    line_format = format;
    set_level(min);
}

int dm_log_enabled(enum dm_log_level level)
{
    return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed);
}

bool dm_log_level_parse(const char *word, enum dm_log_level *level)
{
    for (int i = DM_LOG_DEBUG; i <= DM_LOG_ERROR; i++) {
        if (strcmp(level_names[i], word) == 0) {
            *level = (enum dm_log_level)i;
            return true;
        }
    }
    return false;
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

/* Characters that a terminal obeys are escaped; bytes that are not UTF-8 become the replacement
 * character. */
static void put_quoted(struct line *line, const char *text)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
    put_char(line, '"');
    while (at != end && LINE_MAX_BYTES - line->size >= ROOM) {
        char quoted[DM_QUOTED_MAX];
        size_t taken, size = dm_utf8_quote(at, end, DM_QUOTE_SHOWN, quoted, &taken);
        if (size == 0) {
            put_text(line, DM_UTF8_REPLACEMENT);
        }
        for (size_t i = 0; i < size; i++) {
            put_char(line, quoted[i]);
        }
        at += taken;
    }
    put_char(line, '"');
}

static bool is_plain(const char *text)
{
    if (*text == '\0' || strpbrk(text, " \"=\\") != NULL) {
        return false;
    }
    while ((unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f) {
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
    struct line line = {.size = 0};
    if (line_format == DM_LOG_FORMAT_JSON) {
        put_char(&line, '{');
    }
    put_time(&line);
    put_pair(&line, "level", level_names[level]);
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
    dm_log_writer_put(line.text, line.size, level == DM_LOG_ERROR);
}

/* ---- the thread that writes ---------------------------------------------------------------- */

enum { WORD_SIZE_MAX = 32 };
static const char *level_file;

/* Without the file, the configured level is in force. */
static enum dm_code read_level(const char *path, struct dm_error *error)
{
    char word[WORD_SIZE_MAX] = "";
    enum dm_log_level level;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        set_level(level_configured);
        return DM_OK;
    }
    ssize_t size = fd < 0 ? -1 : read(fd, word, sizeof word - 1);
    int why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (size < 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot read the log's level from %s: %s", path,
                       strerror(why));
    }
    word[size] = '\0';
    word[strcspn(word, " \t\r\n")] = '\0';
    if (!dm_log_level_parse(word, &level)) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "%s holds no log level: write one word into it, debug, info, warn or "
                       "error",
                       path);
    }
    set_level(level);
    return DM_OK;
}

static void on_hangup(void)
{
    struct dm_error error;
    if (level_file != NULL && read_level(level_file, &error) != DM_OK) {
        dm_log(DM_LOG_ERROR, "log level kept", DM_LOG_TEXT("reason", error.message));
    }
}

static void on_opened(const char *file)
{
    dm_log(DM_LOG_INFO, "log file opened", DM_LOG_TEXT("file", file));
}

static void on_kept(const char *file, const char *why)
{
    dm_log(DM_LOG_ERROR, "log file kept", DM_LOG_TEXT("file", file), DM_LOG_TEXT("reason", why));
}

static void on_dropped(uint64_t count, uint64_t total)
{
    dm_log(DM_LOG_ERROR, "log lines dropped", DM_LOG_NUMBER("count", count),
           DM_LOG_NUMBER("total", total));
}

enum dm_code dm_log_start(const struct dm_log_files *files, struct dm_error *error)
{
    const struct dm_log_writer_options options = {
        .file = files->file,
        .told = {.hangup = on_hangup, .opened = on_opened, .kept = on_kept, .dropped = on_dropped},
    };
    level_file = files->level_file;
    enum dm_code code = level_file == NULL ? DM_OK : read_level(level_file, error);
    return code != DM_OK ? code : dm_log_writer_start(&options, error);
}

void dm_log_reread(void)
{
    dm_log_writer_reread();
}

void dm_log_flush(void)
{
    dm_log_writer_flush();
}

void dm_log_stop(void)
{
    dm_log_writer_stop();
}

uint64_t dm_log_dropped(void)
{
    return dm_log_writer_dropped();
}

void dm_log_last_words(const char *text)
{
    if (!dm_log_writer_running()) {
        (void)dprintf(STDERR_FILENO, "dormouse: %s\n", text);
        return;
    }
    dm_log(DM_LOG_ERROR, "aborting", DM_LOG_TEXT("reason", text));
    dm_log_writer_flush();
}
