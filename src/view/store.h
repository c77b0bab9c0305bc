#ifndef DM_VIEW_STORE_H
#define DM_VIEW_STORE_H

#include "base/code.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The ordered tables that hold what has been applied, as a port: LMDB, or memory
 * (tests, simulation). One thread reads (the loop), one writes (the applier). */

enum dm_table {
    DM_TABLE_META,     /* small text keys */
    DM_TABLE_ACCOUNTS, /* BE32(account) */
    DM_TABLE_POLICIES, /* BE32(account) ‖ BE32(bot) */
    DM_TABLE_CONTACTS, /* BE32(account) ‖ contact_id → encoded record */
    DM_TABLE_WAKES,    /* BE32(account) ‖ BE64(until_ms) ‖ contact_id → LE64 fence */
};
#define DM_TABLE_COUNT 5
/* The longest key that a store takes (LMDB's own limit). */
enum { DM_STORE_KEY_SIZE_MAX = 511 };

struct dm_store {
    const struct dm_store_ops *ops;
};

struct dm_store_ops {
    /* ---- reader. All reads see one snapshot, begun by the first read after
     * read_end; slices are valid until read_end. Never hold it across a turn. */
    bool (*get)(struct dm_store *, enum dm_table, struct dm_slice key, struct dm_slice *value);
    /* The first entry with a key >= `from` (exclusive: > `from`). false at the end. A
     * following call with the key just returned, exclusive, is a cheap step. */
    bool (*seek)(struct dm_store *, enum dm_table, struct dm_slice from, bool exclusive,
                 struct dm_slice *key, struct dm_slice *value);
    void (*read_end)(struct dm_store *);

    /* ---- writer. One transaction at a time; values from txn_get are valid until the
     * next call. A failed put fails the commit. */
    enum dm_code (*txn_begin)(struct dm_store *, struct dm_error *);
    bool (*txn_get)(struct dm_store *, enum dm_table, struct dm_slice key, struct dm_slice *value);
    void (*txn_put)(struct dm_store *, enum dm_table, struct dm_slice key, struct dm_slice value);
    void (*txn_delete)(struct dm_store *, enum dm_table,
                       struct dm_slice key); /* absent: no effect */
    enum dm_code (*txn_commit)(struct dm_store *, struct dm_error *);
    void (*txn_abort)(struct dm_store *);

    uint64_t (*bytes)(struct dm_store *); /* in use on disk */
    void (*close)(struct dm_store *);
};

/* ---- what a store does, said shortly ------------------------------------------- */

static inline bool dm_store_get(struct dm_store *store, enum dm_table table, struct dm_slice key,
                                struct dm_slice *value)
{
    return store->ops->get(store, table, key, value);
}
static inline bool dm_store_seek(struct dm_store *store, enum dm_table table, struct dm_slice from,
                                 bool exclusive, struct dm_slice *key, struct dm_slice *value)
{
    return store->ops->seek(store, table, from, exclusive, key, value);
}
static inline void dm_store_read_end(struct dm_store *store)
{
    store->ops->read_end(store);
}
static inline enum dm_code dm_store_txn_begin(struct dm_store *store, struct dm_error *error)
{
    return store->ops->txn_begin(store, error);
}
static inline bool dm_store_txn_get(struct dm_store *store, enum dm_table table,
                                    struct dm_slice key, struct dm_slice *value)
{
    return store->ops->txn_get(store, table, key, value);
}
static inline void dm_store_txn_put(struct dm_store *store, enum dm_table table,
                                    struct dm_slice key, struct dm_slice value)
{
    store->ops->txn_put(store, table, key, value);
}
static inline void dm_store_txn_delete(struct dm_store *store, enum dm_table table,
                                       struct dm_slice key)
{
    store->ops->txn_delete(store, table, key);
}
static inline enum dm_code dm_store_txn_commit(struct dm_store *store, struct dm_error *error)
{
    return store->ops->txn_commit(store, error);
}
static inline void dm_store_txn_abort(struct dm_store *store)
{
    store->ops->txn_abort(store);
}
static inline uint64_t dm_store_bytes(struct dm_store *store)
{
    return store->ops->bytes(store);
}
static inline void dm_store_close(struct dm_store *store)
{
    store->ops->close(store);
}

/* ---- the stores ------------------------------------------------------------------ */

/* LMDB in `folder` (which exists), default safe sync, map of map_size bytes of
 * address space (less, with a warning, where the system refuses that much), MDB_NOTLS.
 * Stale readers are cleared. txn_begin and txn_commit answer UNAVAILABLE for what takes
 * an operator or time (disk or map full, I/O error), RESOURCE_EXHAUSTED for too large a
 * transaction. After a failed meta write the next read or txn_begin opens the environment
 * again; a txn_begin while a snapshot is held answers UNAVAILABLE until then. A read that
 * cannot be done ends the process: it must not look like "not found". So does a page whose
 * bytes LMDB finds impossible; both say why, and what to do. */
#define DM_VIEW_DAMAGED_ADVICE                                                                    \
    "take the data folder from a backup, or, if the journal has everything from its first entry " \
    "on, move the view away: it is made anew from it"
enum dm_code dm_store_open_lmdb(struct dm_store **store, const char *folder, uint64_t map_size,
                                struct dm_error *error);

/* Sorted memory with the same semantics: a committed transaction is visible to
 * snapshots begun after it. `fail_next` of the next commits answer UNAVAILABLE. */
struct dm_store *dm_store_open_memory(void);
void dm_store_memory_fail(struct dm_store *store, int fail_next);
/* What a power cut leaves: all that was committed (a copy to open after a "crash"). */
struct dm_store *dm_store_memory_clone(const struct dm_store *store);

#endif
