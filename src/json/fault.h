#ifndef DM_JSON_FAULT_H
#define DM_JSON_FAULT_H

#include "base/buf.h"
#include "base/code.h"
#include "base/limits.h"
#include "json/scan.h"
#include "json/table.h"

/* A text that is being read (json/in.c), and what is wrong with it: each of these writes a
 * sentence that begins with the place ("change.snoozeUntil: ...") and returns false. */

struct dm_json_place {
    const struct dm_json_field *field;
    int32_t index; /* in a list; -1 */
};

struct dm_json_reader {
    struct dm_json_scan scan;
    struct dm_buf *out;
    struct dm_error *error;
    const struct dm_json_message *root;
    struct dm_json_place places[DM_JSON_DEPTH_MAX];
    int depth; /* objects that are open */
};

/* What is at the front breaks a rule. */
bool dm_json_refuse(struct dm_json_reader *r, const char *what);
/* The text is no JSON; the scan knows why. */
bool dm_json_broken(struct dm_json_reader *r);
bool dm_json_broken_by(struct dm_json_reader *r, const char *fault);
/* The value that begins at `token` is not what the field takes: quotes it, before `what`. */
bool dm_json_unfit(struct dm_json_reader *r, const uint8_t *token, const char *what);

#endif
