#ifndef DM_CLI_CSV_H
#define DM_CLI_CSV_H

#include "base/buf.h"

#include <dormouse/message.h>

/* CSV as RFC 4180 has it, one record at a time from bytes that come in pieces. Stricter
 * than most in one thing: a quote inside a field without quotes is an error, for it is
 * always a mistake of whoever wrote the file. Records may end in LF, CR LF, or nothing. */

enum {
    DM_CSV_FIELDS_MAX = 64,
    /* Bytes of one record: a quote that is never closed must not swallow the file. */
    DM_RECORD_SIZE_MAX = 64 * 1024,
};

/* A zeroed struct is ready. */
struct dm_csv {
    struct dormouse_text fields[DM_CSV_FIELDS_MAX]; /* valid until the next read */
    size_t count;
    bool blank;         /* the record is an empty line */
    size_t used, lines; /* bytes and line ends of the record just read, or refused */
    const char *error;  /* of DM_CSV_BAD, static words */
    struct dm_buf text;
};

enum dm_csv_result {
    DM_CSV_RECORD,
    DM_CSV_MORE,     /* the record goes on behind these bytes */
    DM_CSV_BAD,      /* `used` ends at the first line end: reading goes on behind it */
    DM_CSV_TOO_LONG, /* more than DM_RECORD_SIZE_MAX; `used` is 0 */
};

/* Reads the record that `bytes` begin with. `end`: nothing comes behind these bytes, which
 * must not be empty. */
enum dm_csv_result dm_csv_read(struct dm_csv *csv, struct dm_slice bytes, bool end);
void dm_csv_finish(struct dm_csv *csv);

#endif
