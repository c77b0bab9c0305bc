#ifndef DM_CLI_ROW_H
#define DM_CLI_ROW_H

#include "cli/out.h"

/* One contact of an import or export file. CSV names the columns in its header row, NDJSON as
 * members; there the names of proto JSON are good, too. */
enum dm_column {
    DM_ACCOUNT_ID,
    DM_CONTACT_ID,
    DM_STATUS,
    DM_SNOOZED_UNTIL, /* RFC 3339 */
    DM_SNOOZE_FOR,    /* 2h */
    DM_REASON,
    DM_ACTOR,
    DM_BOT_ID,
    DM_LOCKED, /* true or false */
    DM_COLUMNS,
};
extern const char *const dm_column_names[DM_COLUMNS]; /* "account_id" */

/* Empty texts are what the file leaves out. */
struct dm_row {
    uint64_t line; /* where it begins, from 1 */
    struct dormouse_text fields[DM_COLUMNS];
    struct dm_buf text; /* what the fields are in */
};

/* DM_COLUMNS when no column is called so. */
enum dm_column dm_column_find(struct dormouse_text name);

/* Reads one line of NDJSON into *row, whose memory is used again. NULL: read; else what is
 * wrong, valid until the next call. Members of a Contact that are none of ours (since, fence,
 * ...) are left aside, so that `list --json` can be imported. */
const char *dm_row_json(struct dm_row *row, struct dm_slice line);

/* What the whole import says. */
struct dm_row_defaults {
    struct dormouse_text account_id; /* where the row has none */
    struct dormouse_text run;        /* another name: other request ids */
    bool expired_active;             /* a snooze that is over means active */
    bool unlock;                     /* locked contacts are changed, too */
};

enum { DM_REQUEST_ID_SIZE = 4 + 32 };

/* A row as a request, which points to the change and the id: not to be moved. */
struct dm_row_request {
    struct dormouse_set_status set;
    struct dormouse_change change;
    char id[DM_REQUEST_ID_SIZE + 1]; /* the same for the same line of the same run */
};

/* Fills *request from the row; its texts are the row's. NULL: good, else what is wrong, in static
 * words. */
const char *dm_row_request(const struct dm_row *row, const struct dm_row_defaults *defaults,
                           int64_t now_ms, struct dm_row_request *request);

/* A contact as a row of an export. The reasons that only the server gives are left out, for no
 * import may give them. */
void dm_row_csv_header(struct dm_out *out);
void dm_row_csv(struct dm_out *out, const struct dormouse_contact *contact);
void dm_row_ndjson(struct dm_out *out, const struct dormouse_contact *contact);

void dm_row_finish(struct dm_row *row);

#endif
