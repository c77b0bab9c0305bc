#ifndef DM_JOURNAL_JOURNAL_H
#define DM_JOURNAL_JOURNAL_H

#include "base/clock.h"
#include "base/code.h"
#include "base/histogram.h"
#include "base/log_id.h"
#include "base/slice.h"
#include "journal/disk.h"

#include <stdbool.h>
#include <stdint.h>

/* The order of everything: an append-only log of opaque entries. Each has an lsn
 * (dense: 1, 2, 3, …); those that are events also have a seq (dense as well). What
 * is at or below dm_journal_durable() is on disk and stays in this order for ever.
 *
 * All calls are made by one thread (the loop). The file journal has one of its own
 * that writes and syncs whatever has gathered while the last sync ran. */

struct dm_journal;

struct dm_entry {
    uint64_t lsn;
    uint64_t seq;            /* 0: no event */
    struct dm_slice payload; /* valid until the next call on the same cursor */
};

enum dm_journal_state {
    DM_JOURNAL_OK,
    DM_JOURNAL_FULL, /* no space: what was accepted waits, it is tried again; accept nothing more */
    DM_JOURNAL_FAILED, /* a write or sync failed: what is not durable never will be; restart */
};

enum dm_cursor_result {
    DM_CURSOR_ENTRY,
    DM_CURSOR_END,     /* nothing durable after it, for now */
    DM_CURSOR_PENDING, /* the budget is spent: call again in a later turn */
    DM_CURSOR_GONE,    /* retention has passed it: see dm_journal_oldest_seq */
    DM_CURSOR_FAILED,  /* the file cannot be read */
};

struct dm_journal_stats {
    uint64_t last_lsn, last_seq, durable_lsn, durable_seq, oldest_seq;
    uint64_t pending_bytes;                     /* accepted, not durable */
    uint64_t kept_bytes;                        /* on disk, all segments */
    uint64_t appended_bytes;                    /* since open */
    uint64_t batches;                           /* since open */
    struct dm_histogram sync_us, batch_entries; /* copies */
};

/* Appends and returns the lsn. `seq` must be the last one + 1, or 0. At most
 * DM_JOURNAL_RECORD_MAX bytes of payload; copied. Allowed in every state (the
 * engine asks the state first); after FAILED it is never durable. */
uint64_t dm_journal_append(struct dm_journal *journal, struct dm_slice payload, uint64_t seq);

/* Hands what has gathered to the writer, if that is idle. Call once a turn. */
void dm_journal_flush(struct dm_journal *journal);

uint64_t dm_journal_durable(struct dm_journal *journal);     /* lsn */
uint64_t dm_journal_durable_seq(struct dm_journal *journal); /* newest durable event */
uint64_t dm_journal_last(struct dm_journal *journal);        /* lsn, durable or not */
uint64_t
dm_journal_oldest_seq(struct dm_journal *journal);     /* oldest kept event; last + 1 if none */
size_t dm_journal_pending(struct dm_journal *journal); /* bytes */
enum dm_journal_state dm_journal_state(struct dm_journal *journal, struct dm_error *error);
void dm_journal_stats(struct dm_journal *journal, struct dm_journal_stats *stats);

/* An eventfd that becomes readable when more is durable or the state has changed, even if
 * that was seen by some call before: who waits for it reads it, then asks. -1: nothing
 * happens by itself here. */
int dm_journal_event(struct dm_journal *journal);

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

/* Reads events in order. A cursor stands after an event; only durable events come.
 * `budget` is in bytes looked at: it is lowered by what was spent, and PENDING comes
 * at 0, so that finding an old place never blocks a turn. */
struct dm_cursor *dm_journal_cursor(struct dm_journal *journal, uint64_t after_seq);
void dm_cursor_seek(struct dm_cursor *cursor, uint64_t after_seq);
enum dm_cursor_result dm_cursor_next(struct dm_cursor *cursor, struct dm_entry *entry,
                                     size_t *budget);
void dm_cursor_close(struct dm_cursor *cursor); /* NULL: no effect */

/* Before the first append: every entry after `after_lsn`, events and others, oldest
 * first. `each` returns false to stop with DM_DATA_LOSS. DATA_LOSS, too, when entries
 * right after `after_lsn` are not there (the log ends before it, or begins later). */
enum dm_code dm_journal_replay(struct dm_journal *journal, uint64_t after_lsn,
                               bool (*each)(void *context, const struct dm_entry *entry),
                               void *context, struct dm_error *error);

/* Syncs what has gathered and drops what was trimmed (unless FAILED), ends the thread,
 * frees everything. Cursors must be closed before. */
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

/* Opens or creates. FAILED_PRECONDITION when a newer version of the program wrote it. ABORTED,
 * and nothing is touched, when it is not the log that it should be (`belongs_to`): "the
 * journal is empty", or "... is another one". A torn tail (an incomplete last batch) is cut,
 * with a log line. A bad checksum with good batches after it is DATA_LOSS naming file and
 * offset. */
enum dm_code dm_journal_open_file(struct dm_journal **journal,
                                  const struct dm_journal_options *options, struct dm_error *error);

/* With `manual`: writes and syncs what was flushed, as the thread would in one go.
 * Returns false when there was nothing to do. */
bool dm_journal_work(struct dm_journal *journal);

/* ---- the journal in memory (tests) ---------------------------------------- */

/* Entries become durable at flush, or only up to dm_journal_memory_hold's lsn. */
struct dm_journal *dm_journal_open_memory(void);
void dm_journal_memory_hold(struct dm_journal *journal,
                            bool hold); /* hold: nothing new is durable */
void dm_journal_memory_fail(struct dm_journal *journal, enum dm_journal_state state);

/* For implementations. */
struct dm_journal_ops {
    uint64_t (*append)(struct dm_journal *, struct dm_slice, uint64_t);
    void (*flush)(struct dm_journal *);
    uint64_t (*durable)(struct dm_journal *);
    uint64_t (*durable_seq)(struct dm_journal *);
    uint64_t (*last)(struct dm_journal *);
    uint64_t (*oldest_seq)(struct dm_journal *);
    size_t (*pending)(struct dm_journal *);
    enum dm_journal_state (*state)(struct dm_journal *, struct dm_error *);
    void (*stats)(struct dm_journal *, struct dm_journal_stats *);
    int (*event)(struct dm_journal *);
    struct dm_log_id (*log_id)(struct dm_journal *);
    void (*trim)(struct dm_journal *, uint64_t);
    struct dm_cursor *(*cursor)(struct dm_journal *, uint64_t);
    void (*cursor_seek)(struct dm_cursor *, uint64_t);
    enum dm_cursor_result (*cursor_next)(struct dm_cursor *, struct dm_entry *, size_t *);
    void (*cursor_close)(struct dm_cursor *);
    enum dm_code (*replay)(struct dm_journal *, uint64_t, bool (*)(void *, const struct dm_entry *),
                           void *, struct dm_error *);
    bool (*work)(struct dm_journal *);
    void (*close)(struct dm_journal *);
};
struct dm_journal {
    const struct dm_journal_ops *ops;
};
struct dm_cursor {
    struct dm_journal *journal;
};

#endif
