#include "journal/journal.h"

/* The port: every call goes to the implementation. */

uint64_t dm_journal_committed(struct dm_journal *journal)
{
    return journal->ops->committed(journal);
}

uint64_t dm_journal_committed_seq(struct dm_journal *journal)
{
    return journal->ops->committed_seq(journal);
}

uint64_t dm_journal_synced(struct dm_journal *journal)
{
    return journal->ops->synced(journal);
}

uint64_t dm_journal_oldest_seq(struct dm_journal *journal)
{
    return journal->ops->oldest_seq(journal);
}

void dm_journal_stats(struct dm_journal *journal, struct dm_journal_stats *stats)
{
    journal->ops->stats(journal, stats);
}

struct dm_log_id dm_journal_log_id(struct dm_journal *journal)
{
    return journal->ops->log_id(journal);
}

void dm_journal_trim(struct dm_journal *journal, uint64_t applied_lsn)
{
    journal->ops->trim(journal, applied_lsn);
}

struct dm_cursor *dm_journal_cursor(struct dm_journal *journal, uint64_t after_seq)
{
    return journal->ops->cursor(journal, after_seq);
}

void dm_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq)
{
    cursor->journal->ops->cursor_seek(cursor, after_seq);
}

enum dm_cursor_result dm_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                     size_t *budget)
{
    return cursor->journal->ops->cursor_next(cursor, entry, budget);
}

void dm_cursor_close(struct dm_cursor *cursor)
{
    if (cursor != NULL) {
        cursor->journal->ops->cursor_close(cursor);
    }
}

enum dm_code dm_journal_each(struct dm_journal *journal, uint64_t after_lsn,
                             bool (*each)(void *context, const struct dm_entry *entry),
                             void *context, struct dm_error *error)
{
    return journal->ops->each(journal, after_lsn, each, context, error);
}

bool dm_journal_work(struct dm_journal *journal)
{
    return journal->ops->work(journal);
}

void dm_journal_close(struct dm_journal *journal)
{
    journal->ops->close(journal);
}
