#ifndef DM_SERVER_AMOUNT_H
#define DM_SERVER_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Amounts with units, as options have them, both ways. */

/* "1h30m", "500ms", "30d": numbers with units ms, s, m, h, d. */
bool dm_parse_duration(const char *text, int64_t *ms);
/* "8GiB", "512MiB", "1000": a number with B, KiB, MiB, GiB, TiB, or none. */
bool dm_parse_bytes(const char *text, int64_t *bytes);
/* A whole number without a unit. */
bool dm_parse_count(const char *text, int64_t *count);

enum { DM_AMOUNT_SIZE = 32 };
/* The shortest text that is read as this amount; `text` has DM_AMOUNT_SIZE bytes. */
void dm_duration_write(int64_t ms, char *text);
void dm_bytes_write(int64_t bytes, char *text);
void dm_count_write(int64_t count, char *text);

#endif
