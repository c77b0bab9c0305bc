#ifndef DM_VIEW_LMDB_ENV_H
#define DM_VIEW_LMDB_ENV_H

#include "view/store.h"

#include <lmdb.h>
#include <pthread.h>

/* The reader's thread and the writer's share one environment. When all goes well, they
 * share nothing else: the two mutexes are free whenever they are taken.
 *
 * How it fails: after a failed write of a meta page LMDB refuses every transaction until
 * the environment is closed and opened again, which must not happen under a live
 * transaction. So the reader holds `reader_mutex` from its first read to read_end, the
 * writer holds `writer_mutex` through its transaction, and who meets the refusal opens
 * again with both held, taken in this order. */

struct dm_lmdb {
    struct dm_store base;
    char *folder;
    uint64_t map_size;

    MDB_env *env;
    MDB_dbi dbi[DM_TABLE_COUNT];

    pthread_mutex_t reader_mutex;
    bool reading;
    MDB_txn *read_txn; /* reset and renewed; NULL before its first use */
    MDB_cursor *read_cursor[DM_TABLE_COUNT];
    bool cursor_renewed[DM_TABLE_COUNT]; /* in this snapshot */
    MDB_val cursor_at[DM_TABLE_COUNT];   /* the key it stands on; size 0: none */

    pthread_mutex_t writer_mutex;
    MDB_txn *txn;
    MDB_cursor *txn_cursor[DM_TABLE_COUNT];
    int txn_failed; /* the first error of this transaction */
};

/* Both answer with LMDB's own codes. To open it again takes both mutexes, and no transaction may
 * live. */
int dm_lmdb_open(struct dm_lmdb *store);
int dm_lmdb_reopen(struct dm_lmdb *store);
/* Does this error last until the environment is opened again? */
bool dm_lmdb_wants_reopen(int rc);
void dm_lmdb_close(struct dm_lmdb *store);
/* The size of its file, and what of it lies on the disk; 0: not known. */
uint64_t dm_lmdb_size(const struct dm_lmdb *store, uint64_t *allocated);
/* Ends the process: the view cannot be read, for this reason. */
_Noreturn void dm_lmdb_end(const struct dm_lmdb *store, const char *why);
/* `what` could not be done to the view: the sentence, and its code. */
enum dm_code dm_lmdb_fail(const struct dm_lmdb *store, int rc, const char *what,
                          struct dm_error *error);

#endif
