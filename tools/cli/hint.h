#ifndef DM_CLI_HINT_H
#define DM_CLI_HINT_H

#include "base/slice.h"

/* What a file is, when it is not what an import reads: NULL, or what to do about it. */

/* From its first bytes, at least three of them unless the file has fewer: a compressed file, a
 * spreadsheet, UTF-16, a JSON array. */
const char *dm_hint_bytes(struct dm_slice bytes);
/* From the line that should be a CSV header and is none: other separators, other line ends. */
const char *dm_hint_header(struct dm_slice line);
/* From the first line of NDJSON that is no JSON: an object over several lines. */
const char *dm_hint_json(struct dm_slice line);

#endif
