#ifndef DM_JOURNAL_RECOVER_H
#define DM_JOURNAL_RECOVER_H

#include "journal/file_log.h"

/* Opens the log that lies in the folder, or makes a first segment: names and checks the segments,
 * cuts a torn tail, sets the log's end, gives the writer its file and its spares. */
enum dm_code dm_file_recover(struct dm_file_log *log, struct dm_error *error);

#endif
