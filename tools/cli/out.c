#include "cli/out.h"

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

static uint32_t smallest_of(size_t size)
{
    return size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
}

/* The code point at `at` and its bytes; 0 bytes when there is no valid one. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *point)
{
    if (at[0] < 0x80) {
        *point = at[0];
        return 1;
    }
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || size > left) {
        return 0;
    }
    uint32_t value = at[0] & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3f);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < smallest_of(size) || value > 0x10ffff || surrogate) {
        return 0;
    }
    *point = value;
    return size;
}

/* C0, DEL, C1; line separators; marks that turn the direction of what follows. */
static bool is_unsafe(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
           point == 0xfeff;
}

static int escape(char *room, size_t size, uint32_t point, const char *narrow, const char *wide)
{
    switch (point) {
    case '\n':
        return snprintf(room, size, "\\n");
    case '\r':
        return snprintf(room, size, "\\r");
    case '\t':
        return snprintf(room, size, "\\t");
    default:
        return snprintf(room, size, point < 0x100 ? narrow : wide, point);
    }
}

/* Writes one character of `text` at *at and moves on; returns its columns. */
static size_t safe_one(struct dm_out *out, struct dormouse_text text, size_t *at)
{
    const unsigned char *byte = (const unsigned char *)text.data + *at;
    uint32_t point = *byte;
    size_t size = decode(byte, text.size - *at, &point);
    if (size > 0 && !is_unsafe(point)) {
        if (out != NULL) {
            dm_out_bytes(out, byte, size);
        }
        *at += size;
        return 1;
    }
    char room[16];
    int taken = escape(room, sizeof room, point, "\\x%02x", "\\u%04x");
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
    const unsigned char *byte = (const unsigned char *)text.data + *at;
    uint32_t point = 0xfffd;
    size_t size = decode(byte, text.size - *at, &point);
    *at += size > 0 ? size : 1;
    if (size == 0) {
        dm_out_str(out, "\xef\xbf\xbd");
    } else if (point == '"' || point == '\\') {
        dm_out_format(out, "\\%c", (char)point);
    } else if (is_unsafe(point)) {
        char room[16];
        (void)escape(room, sizeof room, point, "\\u%04x", "\\u%04x");
        dm_out_str(out, room);
    } else {
        dm_out_bytes(out, byte, size);
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
