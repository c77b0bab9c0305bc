#ifndef DM_JOURNAL_REPLAY_H
#define DM_JOURNAL_REPLAY_H

#include "journal/file_log.h"

/* See dm_journal_replay. */
enum dm_code dm_file_replay(struct dm_journal *journal, uint64_t after_lsn,
                            bool (*each)(void *context, const struct dm_entry *entry),
                            void *context, struct dm_error *error);

#endif
