#ifndef DM_JSON_SCAN_H
#define DM_JSON_SCAN_H

#include "base/slice.h"

#include <stdint.h>

/* JSON's grammar (RFC 8259), token by token, with no memory of its own. A function that
 * returns false has set `fault` to what is wrong at `at`. */
struct dm_json_scan {
    const uint8_t *begin, *at, *end;
    const char *fault;
    bool too_deep; /* the fault is no error of JSON, but DM_JSON_DEPTH_MAX */
};

/* A string as it stands between its quotes; valid UTF-8 and valid escapes. */
struct dm_json_string {
    struct dm_slice raw;
    bool escaped; /* there are escapes in it */
};

void dm_json_scan_init(struct dm_json_scan *scan, struct dm_slice text);
void dm_json_space(struct dm_json_scan *scan);
/* The byte at the front; 0 at the end (and for a NUL, which begins nothing). */
uint8_t dm_json_peek(const struct dm_json_scan *scan);
/* Takes `byte` and the space after it if it is at the front. */
bool dm_json_take(struct dm_json_scan *scan, uint8_t byte);
/* Takes `word` (true, false, null) if it is at the front. */
bool dm_json_word(struct dm_json_scan *scan, const char *word);

bool dm_json_string(struct dm_json_scan *scan, struct dm_json_string *string);
bool dm_json_number(struct dm_json_scan *scan, struct dm_slice *number);
/* Says that what is at the front is nested past DM_JSON_DEPTH_MAX. */
bool dm_json_too_deep(struct dm_json_scan *scan);
/* Any value, of at most `depth` lists and objects within each other; at most
 * DM_JSON_DEPTH_MAX. */
bool dm_json_skip(struct dm_json_scan *scan, int depth);

/* Writes what a string means to `to`, which has raw.size bytes; returns its size. `to`
 * may be where raw is. */
size_t dm_json_unescape(const struct dm_json_string *string, uint8_t *to);

#endif
