#ifndef DM_CLI_IMPORTING_H
#define DM_CLI_IMPORTING_H

#include "cli/checkpoint.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/source.h"

/* What the files of import share: import.c is the command, import_rows.c does the rows,
 * import_report.c tells. */

struct dm_importing {
    struct dm_cli *cli;
    const char *path;
    struct dm_source source;
    struct dm_row_defaults defaults;
    struct dm_checkpoint checkpoint;
    uint64_t done_before; /* bytes of the file whose rows were done by runs before */
    bool dry_run;
    FILE *refused_file; /* or NULL */

    struct dm_import_slot *slots, *idle, *again;
    struct dm_import_slot *held; /* read, but its contact is busy */
    size_t slots_count;
    uint32_t in_flight; /* calls */
    uint16_t *busy;     /* rows under way, by the contact's hash */
    bool at_end, failed;

    /* rows is the sum of the others, and of what is under way */
    uint64_t rows, changed, same, skipped, refused, before;
    int64_t heard_ms; /* the last answer, monotonic */
    int64_t pause_ms;
    int64_t noted_ms; /* the last time that the checkpoint was written */
    int last_code;    /* of the last answer that makes us pause */
    uint64_t file_size;
    struct dm_progress progress;
};

/* Who wrote to a contact last, as it was read. */
struct dm_import_seen {
    bool exists;
    char actor[64];
    size_t actor_size;
    int64_t since_ms;
    uint64_t seq;
};

/* Does all rows. Returns the exit code of its end, which is OK also where rows were refused. */
int dm_import_rows(struct dm_importing *importing);

/* A row was refused, or skipped: counts it, shows the first few, and writes it to the file. */
void dm_import_refuse(struct dm_importing *importing, const struct dm_row *row, int code,
                      struct dormouse_text why);
void dm_import_skip(struct dm_importing *importing, const struct dm_row *row,
                    const struct dm_import_seen *seen);
void dm_import_progress(struct dm_importing *importing);
void dm_import_summary(struct dm_importing *importing);

#endif
