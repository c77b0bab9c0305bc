#ifndef DM_JOURNAL_CURSOR_H
#define DM_JOURNAL_CURSOR_H

#include "journal/file_log.h"

/* See dm_journal_cursor. */
struct dm_cursor *dm_file_cursor(struct dm_journal *journal, uint64_t after_seq);
void dm_file_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq);
enum dm_cursor_result dm_file_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                          size_t *budget);
void dm_file_cursor_close(struct dm_cursor *cursor);

#endif
