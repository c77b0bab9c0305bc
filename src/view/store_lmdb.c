#include "base/assert.h"
#include "base/log.h"
#include "view/lmdb_env.h"

#include <errno.h>
#include <stdlib.h>

static struct dm_lmdb *lmdb(struct dm_store *store)
{
    return (struct dm_lmdb *)store;
}

static MDB_val val(struct dm_slice slice)
{
    return (MDB_val){.mv_size = slice.size, .mv_data = (void *)slice.data};
}

static struct dm_slice slice_of(MDB_val value)
{
    return dm_slice(value.mv_data, value.mv_size);
}

/* ---- reader --------------------------------------------------------------- */

/* A read that cannot be done must not look like "not found": the bot would talk over
 * somebody. The journal has everything, so ending here loses nothing. */
_Noreturn static void read_failed(const struct dm_lmdb *store, int rc)
{
    dm_lmdb_end(store, mdb_strerror(rc));
}

static int reader_renew(struct dm_lmdb *store)
{
    if (store->env == NULL) {
        return MDB_PANIC;
    }
    if (store->read_txn != NULL) {
        return mdb_txn_renew(store->read_txn);
    }
    return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->read_txn);
}

static void read_begin(struct dm_lmdb *store)
{
    if (store->reading) {
        return;
    }
    pthread_mutex_lock(&store->reader_mutex);
    int rc = reader_renew(store);
    if (dm_lmdb_wants_reopen(rc)) {
        /* The commit that broke it is at its end, and no other can begin: a short wait. */
        pthread_mutex_lock(&store->writer_mutex);
        rc = dm_lmdb_reopen(store);
        /* Before another commit can break it again. */
        rc = rc != 0 ? rc : reader_renew(store);
        pthread_mutex_unlock(&store->writer_mutex);
    }
    if (rc != 0) {
        read_failed(store, rc);
    }
    DM_ASSERT(store->env != NULL && store->read_txn != NULL);
    store->reading = true;
}

static bool lmdb_get(struct dm_store *base, enum dm_table table, struct dm_slice key,
                     struct dm_slice *value)
{
    struct dm_lmdb *store = lmdb(base);
    DM_ASSERT(key.size > 0);
    read_begin(store);
    MDB_val k = val(key), v;
    int rc = mdb_get(store->read_txn, store->dbi[table], &k, &v);
    if (rc == MDB_NOTFOUND) {
        return false;
    }
    if (rc != 0) {
        read_failed(store, rc);
    }
    *value = slice_of(v);
    return true;
}

static MDB_cursor *reader_cursor(struct dm_lmdb *store, enum dm_table table)
{
    if (store->cursor_renewed[table]) {
        return store->read_cursor[table];
    }
    int rc;
    if (store->read_cursor[table] == NULL) {
        rc = mdb_cursor_open(store->read_txn, store->dbi[table], &store->read_cursor[table]);
    } else {
        rc = mdb_cursor_renew(store->read_txn, store->read_cursor[table]);
    }
    if (rc != 0) {
        read_failed(store, rc);
    }
    store->cursor_renewed[table] = true;
    store->cursor_at[table] = (MDB_val){0};
    return store->read_cursor[table];
}

static int cursor_seek(struct dm_lmdb *store, enum dm_table table, struct dm_slice from,
                       bool exclusive, MDB_val *k, MDB_val *v)
{
    MDB_cursor *cursor = reader_cursor(store, table);
    MDB_val at = store->cursor_at[table];
    if (exclusive && at.mv_size > 0 && dm_slice_equal(slice_of(at), from)) {
        return mdb_cursor_get(cursor, k, v, MDB_NEXT);
    }
    if (from.size == 0) {
        return mdb_cursor_get(cursor, k, v, MDB_FIRST);
    }
    *k = val(from);
    int rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
    if (rc == 0 && exclusive && dm_slice_equal(slice_of(*k), from)) {
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT);
    }
    return rc;
}

static bool lmdb_seek(struct dm_store *base, enum dm_table table, struct dm_slice from,
                      bool exclusive, struct dm_slice *key, struct dm_slice *value)
{
    struct dm_lmdb *store = lmdb(base);
    read_begin(store);
    MDB_val k, v;
    int rc = cursor_seek(store, table, from, exclusive, &k, &v);
    if (rc == MDB_NOTFOUND) {
        store->cursor_at[table] = (MDB_val){0};
        return false;
    }
    if (rc != 0) {
        read_failed(store, rc);
    }
    store->cursor_at[table] = k;
    *key = slice_of(k);
    *value = slice_of(v);
    return true;
}

static void lmdb_read_end(struct dm_store *base)
{
    struct dm_lmdb *store = lmdb(base);
    if (!store->reading) {
        return;
    }
    mdb_txn_reset(store->read_txn);
    memset(store->cursor_renewed, 0, sizeof store->cursor_renewed);
    store->reading = false;
    pthread_mutex_unlock(&store->reader_mutex);
}

/* ---- writer --------------------------------------------------------------- */

/* The writer met the refusal. It does not wait for a reader in the middle of its reads
 * (which may be this very thread); trying again later will do. */
static void writer_reopen(struct dm_lmdb *store)
{
    if (pthread_mutex_trylock(&store->reader_mutex) != 0) {
        return;
    }
    pthread_mutex_lock(&store->writer_mutex);
    int rc = dm_lmdb_reopen(store);
    if (rc != 0) {
        dm_log(DM_LOG_ERROR, "view not reopened", DM_LOG_TEXT("reason", mdb_strerror(rc)));
    }
    pthread_mutex_unlock(&store->writer_mutex);
    pthread_mutex_unlock(&store->reader_mutex);
}

static int writer_begin(struct dm_lmdb *store)
{
    pthread_mutex_lock(&store->writer_mutex);
    int rc = MDB_PANIC;
    DM_ASSERT(store->txn == NULL); /* there is one writer */
    if (store->env != NULL) {
        rc = mdb_txn_begin(store->env, NULL, 0, &store->txn);
    }
    if (rc != 0) {
        store->txn = NULL;
        pthread_mutex_unlock(&store->writer_mutex);
    }
    return rc;
}

static enum dm_code lmdb_txn_begin(struct dm_store *base, struct dm_error *error)
{
    struct dm_lmdb *store = lmdb(base);
    int rc = writer_begin(store);
    if (dm_lmdb_wants_reopen(rc)) {
        writer_reopen(store);
        rc = writer_begin(store);
    }
    if (rc != 0) {
        return dm_lmdb_fail(store, rc, "begin to write", error);
    }
    store->txn_failed = 0;
    return DM_OK;
}

static void writer_end(struct dm_lmdb *store)
{
    DM_ASSERT(store->txn != NULL);
    /* The cursors ended with their transaction. */
    memset(store->txn_cursor, 0, sizeof store->txn_cursor);
    store->txn = NULL;
    pthread_mutex_unlock(&store->writer_mutex);
}

static void txn_note(struct dm_lmdb *store, int rc)
{
    if (store->txn_failed == 0) {
        store->txn_failed = rc;
    }
}

static MDB_cursor *writer_cursor(struct dm_lmdb *store, enum dm_table table)
{
    DM_ASSERT(store->txn != NULL);
    if (store->txn_cursor[table] == NULL && store->txn_failed == 0) {
        txn_note(store, mdb_cursor_open(store->txn, store->dbi[table], &store->txn_cursor[table]));
    }
    return store->txn_failed != 0 ? NULL : store->txn_cursor[table];
}

/* One cursor a table, so that a sweep in order finds the next key on the page where the
 * last one was, without a search from the root. */
static bool writer_find(struct dm_lmdb *store, enum dm_table table, struct dm_slice key, MDB_val *v)
{
    DM_ASSERT(key.size > 0 && key.size <= DM_STORE_KEY_SIZE_MAX);
    MDB_cursor *cursor = writer_cursor(store, table);
    if (cursor == NULL) {
        return false;
    }
    MDB_val k = val(key);
    int rc = mdb_cursor_get(cursor, &k, v, MDB_SET);
    if (rc != 0 && rc != MDB_NOTFOUND) {
        txn_note(store, rc);
    }
    return rc == 0;
}

static bool lmdb_txn_get(struct dm_store *base, enum dm_table table, struct dm_slice key,
                         struct dm_slice *value)
{
    MDB_val v;
    if (!writer_find(lmdb(base), table, key, &v)) {
        return false;
    }
    *value = slice_of(v);
    return true;
}

static void lmdb_txn_put(struct dm_store *base, enum dm_table table, struct dm_slice key,
                         struct dm_slice value)
{
    struct dm_lmdb *store = lmdb(base);
    DM_ASSERT(key.size > 0 && key.size <= DM_STORE_KEY_SIZE_MAX);
    MDB_cursor *cursor = writer_cursor(store, table);
    if (cursor != NULL) {
        MDB_val k = val(key), v = val(value);
        int rc = mdb_cursor_put(cursor, &k, &v, 0);
        if (rc != 0) {
            txn_note(store, rc);
        }
    }
}

static void lmdb_txn_delete(struct dm_store *base, enum dm_table table, struct dm_slice key)
{
    struct dm_lmdb *store = lmdb(base);
    MDB_val v;
    if (writer_find(store, table, key, &v)) {
        int rc = mdb_cursor_del(store->txn_cursor[table], 0);
        if (rc != 0) {
            txn_note(store, rc);
        }
    }
}

static void lmdb_txn_abort(struct dm_store *base)
{
    struct dm_lmdb *store = lmdb(base);
    mdb_txn_abort(store->txn);
    writer_end(store);
}

static enum dm_code lmdb_txn_commit(struct dm_store *base, struct dm_error *error)
{
    struct dm_lmdb *store = lmdb(base);
    int rc = store->txn_failed;
    if (rc != 0) {
        mdb_txn_abort(store->txn);
    } else {
        rc = mdb_txn_commit(store->txn);
    }
    writer_end(store);
    return rc == 0 ? DM_OK : dm_lmdb_fail(store, rc, "write", error);
}

/* ---- the rest ------------------------------------------------------------- */

static uint64_t lmdb_bytes(struct dm_store *base)
{
    uint64_t allocated;
    (void)dm_lmdb_size(lmdb(base), &allocated);
    return allocated;
}

static void lmdb_close(struct dm_store *base)
{
    struct dm_lmdb *store = lmdb(base);
    DM_ASSERT(store->txn == NULL);
    lmdb_read_end(base);
    dm_lmdb_close(store);
    pthread_mutex_destroy(&store->reader_mutex);
    pthread_mutex_destroy(&store->writer_mutex);
    free(store->folder);
    free(store);
}

static const struct dm_store_ops lmdb_ops = {
    .get = lmdb_get,
    .seek = lmdb_seek,
    .read_end = lmdb_read_end,
    .txn_begin = lmdb_txn_begin,
    .txn_get = lmdb_txn_get,
    .txn_put = lmdb_txn_put,
    .txn_delete = lmdb_txn_delete,
    .txn_commit = lmdb_txn_commit,
    .txn_abort = lmdb_txn_abort,
    .bytes = lmdb_bytes,
    .close = lmdb_close,
};

enum dm_code dm_store_open_lmdb(struct dm_store **store, const char *folder, uint64_t map_size,
                                struct dm_error *error)
{
    struct dm_lmdb *opened = dm_xcalloc(1, sizeof *opened);
    opened->base.ops = &lmdb_ops;
    opened->folder = strdup(folder);
    opened->map_size = map_size;
    DM_ASSERT(opened->folder != NULL);
    int failed = pthread_mutex_init(&opened->reader_mutex, NULL);
    DM_ASSERT(failed == 0);
    failed = pthread_mutex_init(&opened->writer_mutex, NULL);
    DM_ASSERT(failed == 0);
    int rc = dm_lmdb_open(opened);
    if (rc != 0) {
        enum dm_code code = rc == ENOMEM
                                ? dm_fail(error, DM_RESOURCE_EXHAUSTED,
                                          "no address space for the view's map in %s", folder)
                                : dm_lmdb_fail(opened, rc, "open", error);
        lmdb_close(&opened->base);
        return code;
    }
    *store = &opened->base;
    return DM_OK;
}
