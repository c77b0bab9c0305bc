#include "cli/csv.h"

#include "base/assert.h"

/* One reading of one record. */
struct reading {
    struct dm_csv *csv;
    const char *at, *from, *limit;
    bool end;
    char *to; /* where the next byte of a field goes */
};

static enum dm_csv_result bad(struct reading *reading, const char *error)
{
    struct dm_csv *csv = reading->csv;
    size_t size = (size_t)(reading->limit - reading->from);
    const char *line_end = memchr(reading->from, '\n', size);
    csv->error = error;
    csv->lines = line_end != NULL;
    csv->used = line_end != NULL ? (size_t)(line_end - reading->from) + 1 : size;
    return DM_CSV_BAD;
}

/* The bytes ran out within the record. */
static enum dm_csv_result more(const struct reading *reading)
{
    size_t size = (size_t)(reading->limit - reading->from);
    return size >= DM_RECORD_SIZE_MAX ? DM_CSV_TOO_LONG : DM_CSV_MORE;
}

/* Past the opening quote, to behind the closing one. */
static enum dm_csv_result quoted(struct reading *reading)
{
    for (;;) {
        size_t left = (size_t)(reading->limit - reading->at);
        const char *quote = left == 0 ? NULL : memchr(reading->at, '"', left);
        if (quote == NULL) {
            return reading->end ? bad(reading, "a quote is never closed") : more(reading);
        }
        size_t size = (size_t)(quote - reading->at);
        for (size_t i = 0; i < size; i++) {
            reading->csv->lines += reading->at[i] == '\n';
        }
        memcpy(reading->to, reading->at, size);
        reading->to += size;
        reading->at = quote + 1;
        if (reading->at == reading->limit && !reading->end) {
            return more(reading);
        }
        if (reading->at == reading->limit || *reading->at != '"') {
            return DM_CSV_RECORD;
        }
        *reading->to++ = *reading->at++;
    }
}

static bool ends_plain(const struct reading *reading)
{
    char c = *reading->at;
    bool last = reading->at + 1 == reading->limit;
    return c == ',' || c == '\n' || (c == '\r' && (last || reading->at[1] == '\n'));
}

static enum dm_csv_result plain(struct reading *reading)
{
    while (reading->at < reading->limit && !ends_plain(reading)) {
        if (*reading->at == '"') {
            return bad(reading, "a quote inside a field that does not begin with one");
        }
        *reading->to++ = *reading->at++;
    }
    return DM_CSV_RECORD;
}

/* Behind a field: *last tells whether the record ends with it. */
static enum dm_csv_result separator(struct reading *reading, bool *last)
{
    *last = true;
    if (reading->at == reading->limit) {
        return reading->end ? DM_CSV_RECORD : more(reading);
    }
    char c = *reading->at++;
    if (c == ',') {
        *last = false;
        return DM_CSV_RECORD;
    }
    if (c == '\r') {
        if (reading->at == reading->limit) {
            return reading->end ? DM_CSV_RECORD : more(reading);
        }
        c = *reading->at++;
    }
    if (c != '\n') {
        return bad(reading, "text after a closing quote");
    }
    reading->csv->lines++;
    return DM_CSV_RECORD;
}

static enum dm_csv_result field(struct reading *reading, bool *last)
{
    struct dm_csv *csv = reading->csv;
    if (csv->count == DM_CSV_FIELDS_MAX) {
        return bad(reading, "more than 64 fields");
    }
    char *text = reading->to;
    bool has_quotes = reading->at < reading->limit && *reading->at == '"';
    reading->at += has_quotes;
    enum dm_csv_result result = has_quotes ? quoted(reading) : plain(reading);
    if (result != DM_CSV_RECORD) {
        return result;
    }
    csv->fields[csv->count++] =
        (struct dormouse_text){.data = text, .size = (size_t)(reading->to - text)};
    csv->blank = !has_quotes && csv->count == 1 && csv->fields[0].size == 0;
    return separator(reading, last);
}

enum dm_csv_result dm_csv_read(struct dm_csv *csv, struct dm_slice bytes, bool end)
{
    DM_ASSERT(bytes.size > 0);
    bool cut = bytes.size > DM_RECORD_SIZE_MAX;
    size_t size = cut ? DM_RECORD_SIZE_MAX : bytes.size;
    dm_buf_reset(&csv->text, SIZE_MAX);
    struct reading reading = {
        .csv = csv,
        .at = bytes.data,
        .from = bytes.data,
        .limit = (const char *)bytes.data + size,
        .end = end && !cut,
        /* A field is never longer than what it is read from. */
        .to = (char *)dm_buf_reserve(&csv->text, DM_RECORD_SIZE_MAX),
    };
    DM_ASSERT(reading.to != NULL);
    csv->count = csv->used = csv->lines = 0;
    csv->error = NULL;
    enum dm_csv_result result;
    bool last = false;
    do {
        result = field(&reading, &last);
    } while (result == DM_CSV_RECORD && !last);
    if (result == DM_CSV_RECORD) {
        csv->used = (size_t)(reading.at - reading.from);
    }
    return result;
}

void dm_csv_finish(struct dm_csv *csv)
{
    dm_buf_finish(&csv->text);
}
