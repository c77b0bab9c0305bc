#ifndef DM_JOURNAL_RETENTION_H
#define DM_JOURNAL_RETENTION_H

#include "journal/file_log.h"

/* See dm_journal_trim. */
void dm_file_trim(struct dm_journal *journal, uint64_t applied_lsn);

#endif
