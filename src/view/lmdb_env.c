#include "view/lmdb_env.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { FILE_MODE = 0600 };
#define MAP_SIZE_MIN (1ULL << 30)

static const char *const table_names[DM_TABLE_COUNT] = {"meta", "accounts", "policies", "contacts",
                                                        "wakes"};

static int tables_open(struct dm_lmdb *store, MDB_env *env)
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

_Noreturn void dm_lmdb_end(const struct dm_lmdb *store, const char *why)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "the view in %s cannot be read: %s; " DM_VIEW_DAMAGED_ADVICE,
                   store->folder, why);
    dm_log_last_words(text);
    abort();
}

/* LMDB looks at its pages by assertions, and would end the process with its own words alone. */
static void on_assertion(MDB_env *env, const char *why)
{
    dm_lmdb_end(mdb_env_get_userctx(env), why);
}

static int env_open_with(struct dm_lmdb *store, uint64_t map_size)
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc != 0) {
        return rc;
    }
    int cleared;
    if ((rc = mdb_env_set_userctx(env, store)) != 0 ||
        (rc = mdb_env_set_assert(env, on_assertion)) != 0 ||
        (rc = mdb_env_set_maxdbs(env, DM_TABLE_COUNT)) != 0 ||
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
int dm_lmdb_open(struct dm_lmdb *store)
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

static void reader_close(struct dm_lmdb *store)
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

void dm_lmdb_close(struct dm_lmdb *store)
{
    DM_ASSERT(!store->reading && store->txn == NULL);
    reader_close(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
}

int dm_lmdb_reopen(struct dm_lmdb *store)
{
    dm_lmdb_close(store);
    int rc = dm_lmdb_open(store);
    if (rc == 0) {
        dm_log(DM_LOG_WARN, "view reopened", DM_LOG_TEXT("folder", store->folder));
    }
    return rc;
}

bool dm_lmdb_wants_reopen(int rc)
{
    return rc == MDB_PANIC || rc == MDB_MAP_RESIZED;
}

uint64_t dm_lmdb_size(const struct dm_lmdb *store, uint64_t *allocated)
{
    char path[4096];
    struct stat entry;
    int size = snprintf(path, sizeof path, "%s/data.mdb", store->folder);
    bool known = size > 0 && (size_t)size < sizeof path && stat(path, &entry) == 0;
    *allocated = known ? (uint64_t)entry.st_blocks * 512 : 0;
    return known ? (uint64_t)entry.st_size : 0;
}

/* LMDB makes EIO of a write that was cut short, which would blame the disk. */
static const char *reason(const struct dm_lmdb *store, int rc, bool full)
{
    uint64_t allocated;
    bool capped =
        rc == EFBIG || (rc == EIO && dm_process_caps_file(dm_lmdb_size(store, &allocated)));
    return capped ? DM_FILE_CAPPED_SENTENCE : mdb_strerror(rc == EIO && full ? ENOSPC : rc);
}

static bool damaged(int rc)
{
    return rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND;
}

enum dm_code dm_lmdb_fail(const struct dm_lmdb *store, int rc, const char *what,
                          struct dm_error *error)
{
    struct statvfs fs;
    long long free_mib = -1;
    bool full = false;
    if (statvfs(store->folder, &fs) == 0) {
        free_mib = (long long)(fs.f_bavail * fs.f_frsize >> 20);
        full = fs.f_bavail == 0;
    }
    if (damaged(rc)) {
        return dm_fail(error, DM_UNAVAILABLE,
                       "cannot %s the view in %s: %s; " DM_VIEW_DAMAGED_ADVICE, what, store->folder,
                       mdb_strerror(rc));
    }
    /* A smaller transaction would do; all else takes an operator, or time. */
    enum dm_code code = rc == MDB_TXN_FULL ? DM_RESOURCE_EXHAUSTED : DM_UNAVAILABLE;
    return dm_fail(error, code, "cannot %s the view in %s: %s (%lld MiB free there)", what,
                   store->folder, reason(store, rc, full), free_mib);
}
