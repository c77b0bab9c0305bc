#ifndef DM_JOURNAL_EACH_H
#define DM_JOURNAL_EACH_H

#include "journal/file_log.h"

/* See dm_journal_each. */
enum dm_code dm_file_each(struct dm_journal *journal, uint64_t after_lsn,
                          bool (*each)(void *context, const struct dm_entry *entry), void *context,
                          struct dm_error *error);

#endif
