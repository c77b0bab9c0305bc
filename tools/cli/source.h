#ifndef DM_CLI_SOURCE_H
#define DM_CLI_SOURCE_H

#include "cli/csv.h"
#include "cli/row.h"

/* The rows of a file or pipe, whatever its format. Knows CR LF, a byte order mark and empty
 * lines; a line that is too long or broken is told, and reading goes on behind it. */

enum dm_format { DM_FORMAT_GUESS, DM_FORMAT_CSV, DM_FORMAT_NDJSON };

struct dm_source {
    int fd;
    enum dm_format format; /* guessed: a file that begins with { is NDJSON */
    struct dm_buf buf;
    struct dm_csv csv;
    bool end;                                  /* of the file */
    bool begun;                                /* past the byte order mark, and the header */
    bool skipping;                             /* the rest of a line that was refused */
    uint64_t line;                             /* of what comes next */
    uint64_t consumed;                         /* bytes */
    uint32_t crc;                              /* CRC-32C of those */
    enum dm_column columns[DM_CSV_FIELDS_MAX]; /* CSV: field i is this one */
    size_t columns_count;
    char why[256]; /* of DM_SOURCE_BAD and DM_SOURCE_FAILED */
};

enum dm_source_result {
    DM_SOURCE_ROW,
    DM_SOURCE_BAD,  /* row->line is refused; there may be more */
    DM_SOURCE_WAIT, /* nothing to be read now (only when `wait` is false) */
    DM_SOURCE_END,
    DM_SOURCE_FAILED, /* nothing more can be read: the header is wrong, or the file */
};

/* The descriptor stays the caller's. */
void dm_source_init(struct dm_source *source, int fd, enum dm_format format);
/* `wait`: blocks where a pipe has nothing yet; a signal then ends it with DM_SOURCE_WAIT. */
enum dm_source_result dm_source_next(struct dm_source *source, struct dm_row *row, bool wait);
void dm_source_finish(struct dm_source *source);

#endif
