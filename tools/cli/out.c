#include "cli/out.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

static _Noreturn void no_memory(void)
{
    (void)fputs("dormouse: out of memory\n", stderr);
    exit(1);
}

void dm_out_bytes(struct dm_out *out, const void *data, size_t size)
{
    if (!dm_buf_append(&out->buf, data, size)) {
        no_memory();
    }
}

void dm_out_str(struct dm_out *out, const char *text)
{
    dm_out_bytes(out, text, strlen(text));
}

void dm_out_format(struct dm_out *out, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *room = size < 0 ? NULL : (char *)dm_buf_reserve(&out->buf, (size_t)size + 1);
    if (room == NULL) {
        no_memory();
    }
    (void)vsnprintf(room, (size_t)size + 1, format, again);
    va_end(again);
    dm_buf_commit(&out->buf, (size_t)size);
}

/* ---- characters ------------------------------------------------------------------- */

/* What the terminal would not show: \n, \r, \t, \xHH or \uHHHH; returns its size. */
static int escape(char *room, size_t size, uint32_t point)
{
    switch (point) {
    case '\n':
        return snprintf(room, size, "\\n");
    case '\r':
        return snprintf(room, size, "\\r");
    case '\t':
        return snprintf(room, size, "\\t");
    default:
        return snprintf(room, size, point < 0x100 ? "\\x%02x" : "\\u%04x", point);
    }
}

/* Writes one character of `text` at *at and moves on; returns its columns. */
static size_t safe_one(struct dm_out *out, struct dormouse_text text, size_t *at)
{
    const uint8_t *byte = (const uint8_t *)text.data + *at;
    uint32_t point = *byte;
    size_t size = dm_utf8_read(byte, byte + (text.size - *at), &point);
    if (size > 0 && !dm_utf8_is_unsafe(point)) {
        if (out != NULL) {
            dm_out_bytes(out, byte, size);
        }
        *at += size;
        return 1;
    }
    char room[16];
    int taken = escape(room, sizeof room, point);
    if (out != NULL) {
        dm_out_str(out, room);
    }
    *at += size > 0 ? size : 1;
    return (size_t)taken;
}

size_t dm_out_safe(struct dm_out *out, struct dormouse_text text)
{
    size_t width = 0;
    for (size_t at = 0; at < text.size;) {
        width += safe_one(out, text, &at);
    }
    return width;
}

size_t dm_out_width(struct dormouse_text text)
{
    return dm_out_safe(NULL, text);
}

void dm_out_padded(struct dm_out *out, struct dormouse_text text, size_t width)
{
    for (size_t taken = dm_out_safe(out, text); taken < width; taken++) {
        dm_out_bytes(out, " ", 1);
    }
}

/* The C1 controls are legal in JSON, but not welcome on a terminal. */
static void json_one(struct dm_out *out, struct dormouse_text text, size_t *at)
{
    const uint8_t *byte = (const uint8_t *)text.data + *at;
    char quoted[DM_QUOTED_MAX];
    size_t taken,
        size = dm_utf8_quote(byte, byte + (text.size - *at), DM_QUOTE_SHOWN, quoted, &taken);
    *at += taken;
    if (size == 0) {
        dm_out_str(out, DM_UTF8_REPLACEMENT);
    } else {
        dm_out_bytes(out, quoted, size);
    }
}

void dm_out_json(struct dm_out *out, struct dormouse_text text)
{
    dm_out_bytes(out, "\"", 1);
    for (size_t at = 0; at < text.size;) {
        json_one(out, text, &at);
    }
    dm_out_bytes(out, "\"", 1);
}

void dm_out_csv(struct dm_out *out, struct dormouse_text text)
{
    bool quote = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        quote = quote || c == '"' || c == ',' || c == '\n' || c == '\r';
    }
    if (!quote) {
        dm_out_bytes(out, text.data, text.size);
        return;
    }
    dm_out_bytes(out, "\"", 1);
    for (size_t i = 0; i < text.size; i++) {
        dm_out_bytes(out, "\"\"", text.data[i] == '"' ? 1 : 0);
        dm_out_bytes(out, &text.data[i], 1);
    }
    dm_out_bytes(out, "\"", 1);
}

void dm_out_count(struct dm_out *out, uint64_t count)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0) {
            dm_out_bytes(out, ",", 1);
        }
        dm_out_bytes(out, &digits[i], 1);
    }
}

void dm_out_colour(struct dm_out *out, enum dm_colour colour)
{
    static const char *const sequences[] = {
        [DM_PLAIN] = "\033[0m", [DM_GREEN] = "\033[32m", [DM_YELLOW] = "\033[33m",
        [DM_RED] = "\033[31m",  [DM_DIM] = "\033[2m",
    };
    if (out->colour) {
        dm_out_str(out, sequences[colour]);
    }
}

bool dm_out_flush(struct dm_out *out, FILE *file)
{
    size_t size = dm_buf_size(&out->buf);
    bool ok = size == 0 || fwrite(dm_buf_head(&out->buf), 1, size, file) == size;
    dm_buf_reset(&out->buf, SIZE_MAX);
    return ok;
}

void dm_out_finish(struct dm_out *out)
{
    dm_buf_finish(&out->buf);
}
