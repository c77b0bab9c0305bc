#include "view/store.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* The reader's thread and the writer's share one environment. When all goes well, they
 * share nothing else: the two mutexes are free whenever they are taken.
 *
 * How it fails: after a failed write of a meta page LMDB refuses every transaction until
 * the environment is closed and opened again, which must not happen under a live
 * transaction. So the reader holds `reader_mutex` from its first read to read_end, the
 * writer holds `writer_mutex` through its transaction, and who meets the refusal opens
 * again with both held, taken in this order. */

enum { FILE_MODE = 0600 };
#define MAP_SIZE_MIN (1ULL << 30)

struct lmdb_store {
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

static const char *const table_names[DM_TABLE_COUNT] = {"meta", "accounts", "policies", "contacts",
                                                        "wakes"};

static struct lmdb_store *lmdb(struct dm_store *store)
{
    return (struct lmdb_store *)store;
}

static MDB_val val(struct dm_slice slice)
{
    return (MDB_val){.mv_size = slice.size, .mv_data = (void *)slice.data};
}

static struct dm_slice slice_of(MDB_val value)
{
    return dm_slice(value.mv_data, value.mv_size);
}

/* ---- the environment ------------------------------------------------------ */

static int tables_open(struct lmdb_store *store, MDB_env *env)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }
    for (int i = 0; i < DM_TABLE_COUNT; i++) {
        rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &store->dbi[i]);
        if (rc != 0) {
            mdb_txn_abort(txn);
            return rc;
        }
    }
    return mdb_txn_commit(txn);
}

static int env_open_with(struct lmdb_store *store, uint64_t map_size)
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc != 0) {
        return rc;
    }
    int cleared;
    if ((rc = mdb_env_set_maxdbs(env, DM_TABLE_COUNT)) != 0 ||
        (rc = mdb_env_set_mapsize(env, map_size)) != 0 ||
        (rc = mdb_env_open(env, store->folder, MDB_NOTLS | MDB_NORDAHEAD, FILE_MODE)) != 0 ||
        (rc = mdb_reader_check(env, &cleared)) != 0 || (rc = tables_open(store, env)) != 0) {
        mdb_env_close(env);
        return rc;
    }
    store->env = env;
    return 0;
}

/* A sanitizer, or a limit on the address space, may refuse a huge map. */
static int env_open(struct lmdb_store *store)
{
    int rc = env_open_with(store, store->map_size);
    while ((rc == ENOMEM || rc == EINVAL) && store->map_size / 2 >= MAP_SIZE_MIN) {
        store->map_size /= 2;
        dm_log(DM_LOG_WARN, "view map halved", DM_LOG_TEXT("reason", mdb_strerror(rc)),
               DM_LOG_NUMBER("map_size", store->map_size));
        rc = env_open_with(store, store->map_size);
    }
    return rc;
}

static void reader_close(struct lmdb_store *store)
{
    for (int i = 0; i < DM_TABLE_COUNT; i++) {
        if (store->read_cursor[i] != NULL) {
            mdb_cursor_close(store->read_cursor[i]);
            store->read_cursor[i] = NULL;
        }
    }
    if (store->read_txn != NULL) {
        mdb_txn_abort(store->read_txn);
        store->read_txn = NULL;
    }
}

/* With both mutexes held and no live transaction. */
static int env_reopen(struct lmdb_store *store)
{
    reader_close(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    int rc = env_open(store);
    if (rc == 0) {
        dm_log(DM_LOG_WARN, "view reopened", DM_LOG_TEXT("folder", store->folder));
    }
    return rc;
}

/* Does this error last until the environment is opened again? */
static bool wants_reopen(int rc)
{
    return rc == MDB_PANIC || rc == MDB_MAP_RESIZED;
}

static enum dm_code fail(const struct lmdb_store *store, int rc, const char *what,
                         struct dm_error *error)
{
    struct statvfs fs;
    long long free_mib = -1;
    if (statvfs(store->folder, &fs) == 0) {
        free_mib = (long long)(fs.f_bavail * fs.f_frsize >> 20);
    }
    /* A smaller transaction would do; all else takes an operator, or time. */
    enum dm_code code = rc == MDB_TXN_FULL ? DM_RESOURCE_EXHAUSTED : DM_UNAVAILABLE;
    return dm_fail(error, code, "cannot %s the view in %s: %s (%lld MiB free there)", what,
                   store->folder, mdb_strerror(rc), free_mib);
}

/* ---- reader --------------------------------------------------------------- */

/* A read that cannot be done must not look like "not found": the bot would talk over
 * somebody. The journal has everything, so ending here loses nothing. */
_Noreturn static void read_failed(const struct lmdb_store *store, int rc)
{
    dm_log(DM_LOG_ERROR, "view unreadable", DM_LOG_TEXT("folder", store->folder),
           DM_LOG_TEXT("reason", mdb_strerror(rc)));
    dm_log_flush();
    abort();
}

static int reader_renew(struct lmdb_store *store)
{
    if (store->env == NULL) {
        return MDB_PANIC;
    }
    if (store->read_txn != NULL) {
        return mdb_txn_renew(store->read_txn);
    }
    return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->read_txn);
}

static void read_begin(struct lmdb_store *store)
{
    if (store->reading) {
        return;
    }
    pthread_mutex_lock(&store->reader_mutex);
    int rc = reader_renew(store);
    if (wants_reopen(rc)) {
        /* The commit that broke it is at its end, and no other can begin: a short wait. */
        pthread_mutex_lock(&store->writer_mutex);
        rc = env_reopen(store);
        /* Before another commit can break it again. */
        rc = rc != 0 ? rc : reader_renew(store);
        pthread_mutex_unlock(&store->writer_mutex);
    }
    if (rc != 0) {
        read_failed(store, rc);
    }
    store->reading = true;
}

static bool lmdb_get(struct dm_store *base, enum dm_table table, struct dm_slice key,
                     struct dm_slice *value)
{
    struct lmdb_store *store = lmdb(base);
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

static MDB_cursor *reader_cursor(struct lmdb_store *store, enum dm_table table)
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

static int cursor_seek(struct lmdb_store *store, enum dm_table table, struct dm_slice from,
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
    struct lmdb_store *store = lmdb(base);
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
    struct lmdb_store *store = lmdb(base);
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
static void writer_reopen(struct lmdb_store *store)
{
    if (pthread_mutex_trylock(&store->reader_mutex) != 0) {
        return;
    }
    pthread_mutex_lock(&store->writer_mutex);
    int rc = env_reopen(store);
    if (rc != 0) {
        dm_log(DM_LOG_ERROR, "view not reopened", DM_LOG_TEXT("reason", mdb_strerror(rc)));
    }
    pthread_mutex_unlock(&store->writer_mutex);
    pthread_mutex_unlock(&store->reader_mutex);
}

static int writer_begin(struct lmdb_store *store)
{
    pthread_mutex_lock(&store->writer_mutex);
    int rc = MDB_PANIC;
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
    struct lmdb_store *store = lmdb(base);
    int rc = writer_begin(store);
    if (wants_reopen(rc)) {
        writer_reopen(store);
        rc = writer_begin(store);
    }
    if (rc != 0) {
        return fail(store, rc, "begin to write", error);
    }
    store->txn_failed = 0;
    return DM_OK;
}

static void writer_end(struct lmdb_store *store)
{
    /* The cursors ended with their transaction. */
    memset(store->txn_cursor, 0, sizeof store->txn_cursor);
    store->txn = NULL;
    pthread_mutex_unlock(&store->writer_mutex);
}

static void txn_note(struct lmdb_store *store, int rc)
{
    if (store->txn_failed == 0) {
        store->txn_failed = rc;
    }
}

static MDB_cursor *writer_cursor(struct lmdb_store *store, enum dm_table table)
{
    DM_ASSERT(store->txn != NULL);
    if (store->txn_cursor[table] == NULL && store->txn_failed == 0) {
        txn_note(store, mdb_cursor_open(store->txn, store->dbi[table], &store->txn_cursor[table]));
    }
    return store->txn_failed != 0 ? NULL : store->txn_cursor[table];
}

/* One cursor a table, so that a sweep in order finds the next key on the page where the
 * last one was, without a search from the root. */
static bool writer_find(struct lmdb_store *store, enum dm_table table, struct dm_slice key,
                        MDB_val *v)
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
    struct lmdb_store *store = lmdb(base);
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
    struct lmdb_store *store = lmdb(base);
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
    struct lmdb_store *store = lmdb(base);
    mdb_txn_abort(store->txn);
    writer_end(store);
}

static enum dm_code lmdb_txn_commit(struct dm_store *base, struct dm_error *error)
{
    struct lmdb_store *store = lmdb(base);
    int rc = store->txn_failed;
    if (rc != 0) {
        mdb_txn_abort(store->txn);
    } else {
        rc = mdb_txn_commit(store->txn);
    }
    writer_end(store);
    return rc == 0 ? DM_OK : fail(store, rc, "write", error);
}

/* ---- the rest ------------------------------------------------------------- */

static uint64_t lmdb_bytes(struct dm_store *base)
{
    char path[4096];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s/data.mdb", lmdb(base)->folder);
    return stat(path, &stat_of) == 0 ? (uint64_t)stat_of.st_blocks * 512 : 0;
}

static void lmdb_close(struct dm_store *base)
{
    struct lmdb_store *store = lmdb(base);
    DM_ASSERT(store->txn == NULL);
    lmdb_read_end(base);
    reader_close(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
    }
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
    struct lmdb_store *opened = dm_xcalloc(1, sizeof *opened);
    opened->base.ops = &lmdb_ops;
    opened->folder = strdup(folder);
    opened->map_size = map_size;
    DM_ASSERT(opened->folder != NULL);
    int failed = pthread_mutex_init(&opened->reader_mutex, NULL);
    DM_ASSERT(failed == 0);
    failed = pthread_mutex_init(&opened->writer_mutex, NULL);
    DM_ASSERT(failed == 0);
    int rc = env_open(opened);
    if (rc != 0) {
        enum dm_code code = fail(opened, rc, "open", error);
        lmdb_close(&opened->base);
        return code;
    }
    *store = &opened->base;
    return DM_OK;
}
