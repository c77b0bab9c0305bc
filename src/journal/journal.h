#ifndef DM_JOURNAL_JOURNAL_H
#define DM_JOURNAL_JOURNAL_H

#include "base/clock.h"
#include "base/code.h"
#include "base/log_id.h"
#include "base/slice.h"
#include "journal/disk.h"
#include "journal/order.h"

#include <stdbool.h>
#include <stdint.h>

/* The port to the log on this machine: what was decided, in its order, to be read. Whoever
 * decides (journal/order.h) puts the entries here, in whole batches and without a gap; nothing
 * that is not decided is ever in it. Two marks: up to `committed` entries are here and can be
 * read, up to `synced` they are on this machine's disk. Where the order is the log's own the
 * two are the same, and the same as dm_order_durable; where others decide, too, an entry is
 * durable elsewhere before it is synced here, and what is made from the log must not be ahead
 * of `synced`.
 *
 * All calls are made by one thread (the loop). */

struct dm_journal;

struct dm_entry {
    uint64_t lsn;
    uint64_t seq;            /* 0: no event */
    struct dm_slice payload; /* valid until the next call on the same cursor */
};

enum dm_cursor_result {
    DM_CURSOR_ENTRY,
    DM_CURSOR_END,     /* nothing committed after it, for now */
    DM_CURSOR_PENDING, /* the budget is spent: call again in a later turn */
    DM_CURSOR_GONE,    /* retention has passed it: see dm_journal_oldest_seq */
    DM_CURSOR_FAILED,  /* the file cannot be read */
};

struct dm_journal_stats {
    uint64_t committed_lsn, committed_seq, synced_lsn, oldest_seq;
    uint64_t kept_bytes; /* on disk, all segments */
};

uint64_t dm_journal_committed(struct dm_journal *journal);     /* lsn */
uint64_t dm_journal_committed_seq(struct dm_journal *journal); /* newest event */
uint64_t dm_journal_synced(struct dm_journal *journal);        /* lsn; never above committed */
uint64_t
dm_journal_oldest_seq(struct dm_journal *journal); /* oldest kept event; last + 1 if none */
void dm_journal_stats(struct dm_journal *journal, struct dm_journal_stats *stats);

/* What tells this log from every other; what is made from it should keep it. All zero: there
 * was no space yet to give an old journal one. */
struct dm_log_id dm_journal_log_id(struct dm_journal *journal);

/* Drops the oldest segments while all they hold is at or below `applied_lsn` and they
 * are past the retention: while all segments together have more than its bytes, or while
 * the oldest one's newest entry is past its age. An entry's age is the time that the journal
 * has been open since, in this process and others, by their monotonic clocks: no step of a
 * wall clock ages anything, nor does time when nobody runs. A segment is in use for a
 * quarter of that age at most (then the next one is begun, also when nothing is written), so
 * an entry leaves between one and one and a quarter times the age after it was written.
 * What is dropped for its age is removed, other files are used again. Call it now and then. */
void dm_journal_trim(struct dm_journal *journal, uint64_t applied_lsn);

/* Reads events in order. A cursor stands after an event; only committed events come.
 * `budget` is in bytes looked at: it is lowered by what was spent, and PENDING comes
 * at 0, so that finding an old place never blocks a turn. */
struct dm_cursor *dm_journal_cursor(struct dm_journal *journal, uint64_t after_seq);
void dm_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq);
enum dm_cursor_result dm_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                     size_t *budget);
void dm_cursor_close(struct dm_cursor *cursor); /* NULL: no effect */

/* Every committed entry after `after_lsn`, events and others, oldest first. `each` returns
 * false to stop with DM_DATA_LOSS. DATA_LOSS, too, when entries right after `after_lsn` are
 * not there (the log ends before it, or begins later). */
enum dm_code dm_journal_each(struct dm_journal *journal, uint64_t after_lsn,
                             bool (*each)(void *context, const struct dm_entry *entry),
                             void *context, struct dm_error *error);

/* Has what gathered in its own order written and synced, and drops what was trimmed (unless
 * FAILED), ends the thread, frees everything, its own order with it. Cursors must be closed
 * before. */
void dm_journal_close(struct dm_journal *journal);

/* ---- the file journal ---------------------------------------------------- */

struct dm_journal_options {
    struct dm_disk *disk; /* borrowed */
    struct dm_clock clock;
    uint64_t segment_size;       /* 0: DM_SEGMENT_SIZE */
    int64_t retention_bytes;     /* 0: DM_RETENTION_BYTES */
    int64_t retention_ms;        /* 0: DM_RETENTION_MS */
    struct dm_log_id belongs_to; /* what lies beside it was made from this log; zero: any */
    bool manual; /* no thread: the owner calls dm_journal_work (tests, simulation) */
};

/* Opens or creates a log and the order that decides by writing into it. A thread of its own
 * writes what the disk cannot take without waiting. FAILED_PRECONDITION when a newer version of
 * the program wrote it. ABORTED, and nothing is touched, when it is not the log that it should
 * be (`belongs_to`): "the journal is empty", or "... is another one". A torn tail (an incomplete
 * last batch) is cut, with a log line. A bad checksum with good batches after it is DATA_LOSS
 * naming file and offset. */
enum dm_code dm_journal_open_file(struct dm_journal **journal,
                                  const struct dm_journal_options *options, struct dm_error *error);

/* With `manual`: writes and syncs what was flushed, as the thread would in one go.
 * Returns false when there was nothing to do. */
bool dm_journal_work(struct dm_journal *journal);

/* ---- the journal in memory (tests) ---------------------------------------- */

/* Entries become durable at flush, unless that is held back. */
struct dm_journal *dm_journal_open_memory(void);
void dm_journal_memory_hold(struct dm_journal *journal,
                            bool hold); /* hold: nothing new is durable */
/* An entry that was decided elsewhere: from now on it is committed here. Only where nothing was
 * ever appended to the journal's own order. */
void dm_journal_memory_put(struct dm_journal *journal, struct dm_slice payload, uint64_t seq);
/* hold: nothing new is synced, committed or not. Else what is committed is synced at the next
 * flush, and when this is called. */
void dm_journal_memory_hold_sync(struct dm_journal *journal, bool hold);
void dm_journal_memory_fail(struct dm_journal *journal, enum dm_order_state state);

/* For implementations. */
struct dm_journal_ops {
    uint64_t (*committed)(struct dm_journal *);
    uint64_t (*committed_seq)(struct dm_journal *);
    uint64_t (*synced)(struct dm_journal *);
    uint64_t (*oldest_seq)(struct dm_journal *);
    void (*stats)(struct dm_journal *, struct dm_journal_stats *);
    struct dm_log_id (*log_id)(struct dm_journal *);
    void (*trim)(struct dm_journal *, uint64_t);
    struct dm_cursor *(*cursor)(struct dm_journal *, uint64_t);
    void (*cursor_seek)(struct dm_cursor *, uint64_t);
    enum dm_cursor_result (*cursor_next)(struct dm_cursor *, struct dm_entry *, size_t *);
    void (*cursor_close)(struct dm_cursor *);
    enum dm_code (*each)(struct dm_journal *, uint64_t, bool (*)(void *, const struct dm_entry *),
                         void *, struct dm_error *);
    bool (*work)(struct dm_journal *);
    void (*close)(struct dm_journal *);
};
struct dm_journal {
    const struct dm_journal_ops *ops;
    struct dm_order *order; /* its own; NULL: it takes what is decided elsewhere */
};
struct dm_cursor {
    struct dm_journal *journal;
};

#endif
