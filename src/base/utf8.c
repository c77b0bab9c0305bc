#include "base/utf8.h"

#include <string.h>

/* Each lead byte fixes the length and the range of the second byte, which is what rules out
 * overlong forms, surrogates and all beyond U+10FFFF (the Unicode Standard, table 3-7). */
size_t dm_utf8_read(const uint8_t *at, const uint8_t *end, uint32_t *point)
{
    if (at == end) {
        return 0;
    }
    uint8_t lead = at[0];
    if (lead < 0x80) {
        *point = lead;
        return 1;
    }
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < size) {
        return 0;
    }
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    uint32_t value = (lead & (0xFFU >> (size + 1))) << 6 | (at[1] & 0x3FU);
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3FU);
    }
    *point = value;
    return size;
}

size_t dm_utf8_write(uint8_t *to, uint32_t point)
{
    if (point < 0x80) {
        to[0] = (uint8_t)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        to[i] = (uint8_t)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    to[0] = (uint8_t)((0xF00U >> size & 0xFFU) | point);
    return size;
}

bool dm_utf8_is_unsafe(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x200E || point == 0x200F ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
           point == 0xFEFF;
}

static size_t escape(uint32_t point, char *to)
{
    static const char bytes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt",
                      hex[] = "0123456789abcdef";
    const char *found = point != 0 && point < 0x80 ? strchr(bytes, (int)point) : NULL;
    to[0] = '\\';
    if (found != NULL) {
        to[1] = letters[found - bytes];
        return 2;
    }
    to[1] = 'u';
    for (size_t i = 0; i < 4; i++) {
        to[2 + i] = hex[point >> (12 - 4 * i) & 0xF];
    }
    return 6;
}

size_t dm_utf8_quote(const uint8_t *at, const uint8_t *end, enum dm_quoting how,
                     char to[DM_QUOTED_MAX], size_t *taken)
{
    uint32_t point;
    size_t size = dm_utf8_read(at, end, &point);
    *taken = size != 0 ? size : 1;
    if (size == 0) {
        return 0;
    }
    if (point < 0x20 || point == '"' || point == '\\' ||
        (how == DM_QUOTE_SHOWN && dm_utf8_is_unsafe(point))) {
        return escape(point, to);
    }
    memcpy(to, at, size);
    return size;
}
