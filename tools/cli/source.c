#include "cli/source.h"

#include "base/assert.h"
#include "base/hash.h"
#include "cli/hint.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024 };

static const char byte_order_mark[] = "\xef\xbb\xbf";

void dm_source_init(struct dm_source *source, int fd, enum dm_format format)
{
    memset(source, 0, sizeof *source);
    source->fd = fd;
    source->format = format;
    source->line = 1;
}

void dm_source_finish(struct dm_source *source)
{
    dm_buf_finish(&source->buf);
    dm_csv_finish(&source->csv);
}

static enum dm_source_result failed(struct dm_source *source, const char *why)
{
    (void)snprintf(source->why, sizeof source->why, "%s", why);
    return DM_SOURCE_FAILED;
}

static enum dm_source_result bad(struct dm_source *source, const char *why)
{
    (void)snprintf(source->why, sizeof source->why, "%s", why);
    return DM_SOURCE_BAD;
}

static void consume(struct dm_source *source, size_t size, uint64_t lines)
{
    if (size > 0) {
        source->crc = dm_crc32c(source->crc, dm_buf_head(&source->buf), size);
    }
    dm_buf_consume(&source->buf, size);
    source->consumed += size;
    source->line += lines;
}

/* ROW: there is more in the buffer, or the end was found. */
static enum dm_source_result fill(struct dm_source *source, bool wait)
{
    struct pollfd ready = {.fd = source->fd, .events = POLLIN};
    if (!wait && poll(&ready, 1, 0) == 0) {
        return DM_SOURCE_WAIT;
    }
    uint8_t *room = dm_buf_reserve(&source->buf, READ_SIZE);
    if (room == NULL) {
        return failed(source, "out of memory");
    }
    ssize_t size = read(source->fd, room, READ_SIZE);
    if (size < 0) {
        return errno == EINTR || errno == EAGAIN ? DM_SOURCE_WAIT : failed(source, strerror(errno));
    }
    source->end = size == 0;
    dm_buf_commit(&source->buf, (size_t)size);
    return DM_SOURCE_ROW;
}

/* Drops what is left of a refused line. */
static void skip(struct dm_source *source)
{
    struct dm_slice bytes = dm_buf_slice(&source->buf);
    const char *end = bytes.size == 0 ? NULL : memchr(bytes.data, '\n', bytes.size);
    size_t size = end == NULL ? bytes.size : (size_t)(end - (const char *)bytes.data) + 1;
    consume(source, size, end != NULL);
    source->skipping = end == NULL;
}

/* ---- CSV -------------------------------------------------------------------------- */

static enum dm_source_result read_csv(struct dm_source *source)
{
    struct dm_csv *csv = &source->csv;
    switch (dm_csv_read(csv, dm_buf_slice(&source->buf), source->end)) {
    case DM_CSV_MORE:
        return DM_SOURCE_WAIT;
    case DM_CSV_TOO_LONG:
        source->skipping = true;
        return bad(source, "longer than 64 KiB, or a quote is never closed");
    case DM_CSV_BAD:
        source->skipping = csv->lines == 0;
        consume(source, csv->used, csv->lines);
        return bad(source, csv->error);
    case DM_CSV_RECORD:
        break;
    }
    consume(source, csv->used, csv->lines);
    return DM_SOURCE_ROW;
}

static enum dm_source_result header_complete(struct dm_source *source)
{
    bool seen[DM_COLUMNS] = {false};
    for (size_t i = 0; i < source->columns_count; i++) {
        enum dm_column column = source->columns[i];
        if (seen[column]) {
            (void)snprintf(source->why, sizeof source->why, "header: %s comes twice",
                           dm_column_names[column]);
            return DM_SOURCE_FAILED;
        }
        seen[column] = true;
    }
    if (!seen[DM_CONTACT_ID] || !seen[DM_STATUS]) {
        return failed(source, "header: there must be the columns contact_id and status");
    }
    return DM_SOURCE_ROW;
}

/* All unknown names in one message. */
static enum dm_source_result read_header(struct dm_source *source)
{
    struct dm_csv *csv = &source->csv;
    struct dm_out unknown = {.colour = false};
    bool ok = csv->count > 0, any = false;
    for (size_t i = 0; i < csv->count; i++) {
        source->columns[i] = dm_column_find(csv->fields[i]);
        if (source->columns[i] == DM_COLUMNS) {
            ok = false;
            dm_out_str(&unknown, dm_buf_size(&unknown.buf) == 0 ? "" : ", ");
            if (csv->fields[i].size == 0) {
                dm_out_str(&unknown, "(no name)");
            } else {
                (void)dm_out_safe(&unknown, csv->fields[i]);
            }
        } else {
            any = true;
        }
    }
    source->columns_count = csv->count;
    struct dm_slice names = dm_buf_slice(&unknown.buf);
    if (!ok) {
        (void)snprintf(
            source->why, sizeof source->why,
            "header: unknown columns: %.*s%s%s; there are account_id, contact_id, status, "
            "snoozed_until, snooze_for, reason, actor, bot_id, locked",
            (int)(names.size < 80 ? names.size : 80), (const char *)names.data,
            names.size > 80 ? " ..." : "", any ? "" : " (is the header row missing?)");
    }
    dm_out_finish(&unknown);
    return ok ? header_complete(source) : DM_SOURCE_FAILED;
}

static enum dm_source_result fill_row(struct dm_source *source, struct dm_row *row)
{
    struct dm_csv *csv = &source->csv;
    if (csv->count != source->columns_count) {
        (void)snprintf(source->why, sizeof source->why, "%zu fields where the header has %zu",
                       csv->count, source->columns_count);
        return DM_SOURCE_BAD;
    }
    memset(row->fields, 0, sizeof row->fields);
    size_t total = 0;
    for (size_t i = 0; i < csv->count; i++) {
        total += csv->fields[i].size;
    }
    dm_buf_reset(&row->text, SIZE_MAX);
    char *room = (char *)dm_buf_reserve(&row->text, total + 1);
    if (room == NULL) {
        return failed(source, "out of memory");
    }
    for (size_t i = 0; i < csv->count; i++) {
        struct dormouse_text field = csv->fields[i];
        row->fields[source->columns[i]] = (struct dormouse_text){room, field.size};
        memcpy(room, field.data, field.size);
        room += field.size;
    }
    return DM_SOURCE_ROW;
}

static struct dm_slice first_line(const struct dm_source *source)
{
    struct dm_slice bytes = dm_buf_slice(&source->buf);
    const char *end = bytes.size == 0 ? NULL : memchr(bytes.data, '\n', bytes.size);
    return end == NULL ? bytes : dm_slice(bytes.data, (size_t)(end - (const char *)bytes.data));
}

/* What the header seems to be, when it is none, says more than what is wrong with it. */
static enum dm_source_result header_failed(struct dm_source *source, const char *hint)
{
    return hint != NULL ? failed(source, hint) : DM_SOURCE_FAILED;
}

/* WAIT: needs more bytes, or was nothing (an empty line, the header): try again. */
static enum dm_source_result next_csv(struct dm_source *source, struct dm_row *row, bool *more)
{
    row->line = source->line;
    const char *hint = source->begun ? NULL : dm_hint_header(first_line(source));
    enum dm_source_result result = read_csv(source);
    *more = result == DM_SOURCE_WAIT;
    if (result == DM_SOURCE_BAD && !source->begun) {
        return header_failed(source, hint);
    }
    if (result != DM_SOURCE_ROW) {
        return result;
    }
    if (source->csv.blank) {
        return DM_SOURCE_WAIT;
    }
    if (source->begun) {
        return fill_row(source, row);
    }
    source->begun = true;
    result = read_header(source);
    return result == DM_SOURCE_ROW ? DM_SOURCE_WAIT : header_failed(source, hint);
}

/* ---- NDJSON ----------------------------------------------------------------------- */

static bool is_blank(struct dm_slice line)
{
    const char *text = line.data;
    for (size_t i = 0; i < line.size; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
            return false;
        }
    }
    return true;
}

static enum dm_source_result next_json(struct dm_source *source, struct dm_row *row, bool *more)
{
    struct dm_slice bytes = dm_buf_slice(&source->buf);
    DM_ASSERT(bytes.data != NULL);
    const char *end = memchr(bytes.data, '\n', bytes.size);
    size_t size = end == NULL ? bytes.size : (size_t)(end - (const char *)bytes.data);
    row->line = source->line;
    *more = end == NULL && !source->end && size <= DM_RECORD_SIZE_MAX;
    if (*more) {
        return DM_SOURCE_WAIT;
    }
    if (size > DM_RECORD_SIZE_MAX) {
        source->skipping = true;
        return bad(source, "longer than 64 KiB");
    }
    struct dm_slice line = {bytes.data, size};
    const char *hint = source->line == 1 ? dm_hint_json(line) : NULL;
    if (hint != NULL) {
        return failed(source, hint);
    }
    const char *why = is_blank(line) ? NULL : dm_row_json(row, line);
    bool empty = is_blank(line);
    consume(source, size + (end != NULL), end != NULL);
    if (why != NULL) {
        return bad(source, why);
    }
    return empty ? DM_SOURCE_WAIT : DM_SOURCE_ROW;
}

/* ----------------------------------------------------------------------------------- */

/* The byte order mark, and the format, when the first bytes are there. WAIT: they are not. */
static enum dm_source_result begin(struct dm_source *source)
{
    struct dm_slice bytes = dm_buf_slice(&source->buf);
    if (bytes.size < 3 && !source->end) {
        return DM_SOURCE_WAIT;
    }
    if (bytes.size >= 3 && memcmp(bytes.data, byte_order_mark, 3) == 0) {
        consume(source, 3, 0);
        bytes = dm_buf_slice(&source->buf);
    }
    const char *hint = dm_hint_bytes(bytes);
    if (hint != NULL) {
        return failed(source, hint);
    }
    if (source->format == DM_FORMAT_GUESS) {
        bool brace = bytes.size > 0 && *(const char *)bytes.data == '{';
        source->format = brace ? DM_FORMAT_NDJSON : DM_FORMAT_CSV;
    }
    source->begun = source->format == DM_FORMAT_NDJSON;
    return DM_SOURCE_ROW;
}

enum dm_source_result dm_source_next(struct dm_source *source, struct dm_row *row, bool wait)
{
    bool more = dm_buf_size(&source->buf) == 0;
    for (;;) {
        if (more && !source->end) {
            enum dm_source_result result = fill(source, wait);
            if (result != DM_SOURCE_ROW) {
                return result;
            }
        }
        if (source->line == 1 && source->consumed == 0 && !source->begun) {
            enum dm_source_result begun = begin(source);
            if (begun == DM_SOURCE_FAILED) {
                return begun;
            }
            if (begun == DM_SOURCE_WAIT) {
                more = true;
                continue;
            }
        }
        if (source->skipping) {
            skip(source);
        }
        if (dm_buf_size(&source->buf) == 0) {
            if (source->end) {
                bool empty = source->format == DM_FORMAT_CSV && !source->begun;
                return empty ? failed(source, "is empty: there is no header") : DM_SOURCE_END;
            }
            more = true;
            continue;
        }
        enum dm_source_result result = source->format == DM_FORMAT_CSV
                                           ? next_csv(source, row, &more)
                                           : next_json(source, row, &more);
        if (result != DM_SOURCE_WAIT) {
            return result;
        }
        DM_ASSERT(!more || !source->end);
    }
}
