#ifndef DM_BASE_UTF8_H
#define DM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 (RFC 3629), one character at a time, and a character as it stands between quotes. */

/* The character at `at`, before `end`: its bytes, 0 when there is no valid one. Its code point
 * goes to *point, which stays as it is in that case. */
size_t dm_utf8_read(const uint8_t *at, const uint8_t *end, uint32_t *point);

/* The bytes of a code point, at most 4; returns how many. */
size_t dm_utf8_write(uint8_t *to, uint32_t point);

/* Does a terminal obey it instead of showing it? C0, DEL and C1; line separators; marks that turn
 * the direction of what follows, by which a text can be made to read as another one. */
bool dm_utf8_is_unsafe(uint32_t point);

enum dm_quoting {
    DM_QUOTE_JSON,  /* as little as JSON asks for */
    DM_QUOTE_SHOWN, /* also what dm_utf8_is_unsafe names */
};
/* The longest form: \u and four digits. */
enum { DM_QUOTED_MAX = 6 };

/* The character at `at` as it stands in a JSON string: into `to`, with or without a backslash.
 * Returns the size of that, 0 when there is no valid character; *taken are the bytes of `at` that
 * it is for, 1 in that case. */
size_t dm_utf8_quote(const uint8_t *at, const uint8_t *end, enum dm_quoting how,
                     char to[DM_QUOTED_MAX], size_t *taken);

/* What stands for bytes that are no UTF-8: U+FFFD. */
#define DM_UTF8_REPLACEMENT "\xef\xbf\xbd"

#endif
