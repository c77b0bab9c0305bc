/* Both stores through one table of tests, then what only one of them has. LMDB's writes
 * go through this file's pwrite, so that they can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "support.h"
#include "view/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_SIZE (64ULL << 20)

/* ---- faults --------------------------------------------------------------- */

enum { META_END = 2 * 4096 }; /* LMDB's two meta pages come first in the file */
enum fault { FAULT_NONE, FAULT_DATA, FAULT_META };
static atomic_int fault;

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    enum fault hit = offset < META_END ? FAULT_META : FAULT_DATA;
    if (atomic_load(&fault) == (int)hit) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

/* Of several pages in a row; never the meta pages. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (atomic_load(&fault) == FAULT_DATA) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

/* ---- fixtures ------------------------------------------------------------- */

struct fixture {
    struct dm_store *store;
    char folder[32];
};

static struct dm_store *open_at(const char *folder, uint64_t map_size)
{
    struct dm_store *store = NULL;
    struct dm_error error = {0};
    if (dm_store_open_lmdb(&store, folder, map_size, &error) != DM_OK) {
        fail_msg("%s", error.message);
    }
    assert_non_null(store);
    return store;
}

static int setup_lmdb(void **state)
{
    static struct fixture fixture;
    folder_make(fixture.folder);
    fixture.store = open_at(fixture.folder, MAP_SIZE);
    *state = &fixture;
    return 0;
}

static int teardown_lmdb(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fault, FAULT_NONE);
    if (fixture->store != NULL) {
        dm_store_close(fixture->store);
    }
    folder_remove(fixture->folder);
    return 0;
}

static int setup_memory(void **state)
{
    static struct fixture fixture;
    fixture.store = dm_store_open_memory();
    *state = &fixture;
    return 0;
}

static int teardown_memory(void **state)
{
    struct fixture *fixture = *state;
    dm_store_close(fixture->store);
    return 0;
}

static struct dm_store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static void begin(struct dm_store *store)
{
    assert_int_equal(dm_store_txn_begin(store, NULL), DM_OK);
}

static void commit(struct dm_store *store)
{
    assert_int_equal(dm_store_txn_commit(store, NULL), DM_OK);
}

static void put(struct dm_store *store, enum dm_table table, const char *key, const char *value)
{
    dm_store_txn_put(store, table, slice_text(key), slice_text(value));
}

static void put_alone(struct dm_store *store, const char *key, const char *value)
{
    begin(store);
    put(store, DM_TABLE_CONTACTS, key, value);
    commit(store);
}

static void assert_text(struct dm_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void assert_reads(struct dm_store *store, const char *key, const char *value)
{
    struct dm_slice found;
    assert_true(dm_store_get(store, DM_TABLE_CONTACTS, slice_text(key), &found));
    assert_text(found, value);
}

static void assert_absent(struct dm_store *store, const char *key)
{
    struct dm_slice found;
    assert_false(dm_store_get(store, DM_TABLE_CONTACTS, slice_text(key), &found));
}

static void assert_seeks(struct dm_store *store, const char *from, bool exclusive,
                         const char *expected)
{
    struct dm_slice key, value;
    bool found = dm_store_seek(store, DM_TABLE_CONTACTS, slice_text(from), exclusive, &key, &value);
    assert_int_equal(found, expected != NULL);
    if (found && expected != NULL) {
        assert_text(key, expected);
    }
}

/* ---- for both ------------------------------------------------------------- */

static void what_is_committed_is_read_in_its_own_table(void **state)
{
    struct dm_store *store = store_of(state);
    assert_absent(store, "a");
    dm_store_read_end(store);
    begin(store);
    put(store, DM_TABLE_CONTACTS, "a", "contact");
    put(store, DM_TABLE_WAKES, "a", "wake");
    put(store, DM_TABLE_META, "applied", "");
    commit(store);
    assert_reads(store, "a", "contact");
    struct dm_slice value;
    assert_true(dm_store_get(store, DM_TABLE_WAKES, slice_text("a"), &value));
    assert_text(value, "wake");
    assert_true(dm_store_get(store, DM_TABLE_META, slice_text("applied"), &value));
    assert_int_equal(value.size, 0);
    assert_false(dm_store_get(store, DM_TABLE_ACCOUNTS, slice_text("a"), &value));
    assert_true(dm_store_bytes(store) > 0);
    dm_store_read_end(store);
}

static void a_snapshot_stays_as_it_was_until_read_end(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "old");
    assert_reads(store, "a", "old");
    begin(store);
    put(store, DM_TABLE_CONTACTS, "a", "new");
    put(store, DM_TABLE_CONTACTS, "b", "new");
    commit(store);
    assert_reads(store, "a", "old");
    assert_absent(store, "b");
    assert_seeks(store, "a", true, NULL);
    dm_store_read_end(store);
    assert_reads(store, "a", "new");
    assert_seeks(store, "a", true, "b");
    dm_store_read_end(store);
    dm_store_read_end(store);
}

static void a_transaction_sees_itself_and_an_aborted_one_leaves_nothing(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "kept");
    begin(store);
    put(store, DM_TABLE_CONTACTS, "a", "changed");
    put(store, DM_TABLE_CONTACTS, "b", "added");
    struct dm_slice value;
    assert_true(dm_store_txn_get(store, DM_TABLE_CONTACTS, slice_text("a"), &value));
    assert_text(value, "changed");
    dm_store_txn_delete(store, DM_TABLE_CONTACTS, slice_text("a"));
    assert_false(dm_store_txn_get(store, DM_TABLE_CONTACTS, slice_text("a"), &value));
    dm_store_txn_abort(store);
    assert_reads(store, "a", "kept");
    assert_absent(store, "b");
    dm_store_read_end(store);
}

static void a_delete_takes_one_key_and_an_absent_one_is_no_matter(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    put_alone(store, "b", "2");
    begin(store);
    dm_store_txn_delete(store, DM_TABLE_CONTACTS, slice_text("a"));
    dm_store_txn_delete(store, DM_TABLE_CONTACTS, slice_text("aa"));
    dm_store_txn_delete(store, DM_TABLE_POLICIES, slice_text("b"));
    commit(store);
    assert_absent(store, "a");
    assert_reads(store, "b", "2");
    dm_store_read_end(store);
}

static void seek_finds_the_next_key_in_byte_order(void **state)
{
    struct dm_store *store = store_of(state);
    assert_seeks(store, "", false, NULL);
    dm_store_read_end(store);
    begin(store);
    put(store, DM_TABLE_CONTACTS, "bb", "");
    put(store, DM_TABLE_CONTACTS, "b", "");
    put(store, DM_TABLE_CONTACTS, "\xff", "");
    put(store, DM_TABLE_CONTACTS, "d", "");
    commit(store);
    assert_seeks(store, "", false, "b");
    assert_seeks(store, "", true, "b");
    assert_seeks(store, "b", true, "bb");
    assert_seeks(store, "bb", true, "d");
    assert_seeks(store, "b", false, "b");
    assert_seeks(store, "ba", false, "bb");
    assert_seeks(store, "c", true, "d");
    assert_seeks(store, "d", true, "\xff");
    assert_seeks(store, "\xff", true, NULL);
    assert_seeks(store, "\xff", false, "\xff");
    dm_store_read_end(store);
    assert_seeks(store, "\xff", true, NULL);
    assert_seeks(store, "bb", true, "d");
    dm_store_read_end(store);
}

static void stepping_is_not_confused_by_reads_between(void **state)
{
    struct dm_store *store = store_of(state);
    begin(store);
    put(store, DM_TABLE_CONTACTS, "a", "");
    put(store, DM_TABLE_CONTACTS, "b", "");
    put(store, DM_TABLE_CONTACTS, "c", "");
    put(store, DM_TABLE_WAKES, "a", "");
    put(store, DM_TABLE_WAKES, "x", "");
    commit(store);
    struct dm_slice key, value;
    assert_seeks(store, "a", false, "a");
    assert_true(dm_store_seek(store, DM_TABLE_WAKES, slice_text("a"), true, &key, &value));
    assert_text(key, "x");
    assert_reads(store, "c", "");
    assert_seeks(store, "a", true, "b");
    assert_seeks(store, "b", false, "b");
    assert_seeks(store, "b", true, "c");
    assert_seeks(store, "a", true, "b");
    dm_store_read_end(store);
    assert_seeks(store, "b", true, "c");
    assert_seeks(store, "a", true, "b");
    dm_store_read_end(store);
}

/* ---- a random history against a model ------------------------------------- */

enum { MODEL_KEYS = 300, MODEL_TXNS = 120, MODEL_OPS = 60, MODEL_VALUE_MAX = 1300 };

struct model_row {
    bool exists;
    uint16_t size;
    uint8_t fill;
};

struct model {
    uint64_t random;
    bool reading;
    struct model_row committed[MODEL_KEYS], snapshot[MODEL_KEYS], txn[MODEL_KEYS];
};

/* Keys in the model's order: "k000", "k001x", ... of several lengths. */
static struct dm_slice model_key(char *out, uint32_t i)
{
    snprintf(out, 32, "k%03u%.*s", i, (int)(i % 7), "xxxxxxx");
    return slice_text(out);
}

static void model_check_row(const struct model_row *row, struct dm_slice value)
{
    assert_int_equal(value.size, row->size);
    for (size_t i = 0; i < value.size; i++) {
        assert_int_equal(((const uint8_t *)value.data)[i], row->fill);
    }
}

static void model_change(struct model *model, struct dm_store *store)
{
    char text[32];
    uint32_t i = random_below(&model->random, MODEL_KEYS);
    struct dm_slice key = model_key(text, i), value;
    struct model_row *row = &model->txn[i];
    bool exists = dm_store_txn_get(store, DM_TABLE_CONTACTS, key, &value);
    assert_int_equal(exists, row->exists);
    if (exists) {
        model_check_row(row, value);
    }
    if (random_below(&model->random, 3) == 0) {
        dm_store_txn_delete(store, DM_TABLE_CONTACTS, key);
        row->exists = false;
        return;
    }
    uint8_t bytes[MODEL_VALUE_MAX];
    /* Often the old size: an in-place change. */
    if (!row->exists || random_below(&model->random, 2) == 0) {
        row->size = (uint16_t)random_below(&model->random, MODEL_VALUE_MAX);
    }
    row->exists = true;
    row->fill = (uint8_t)random_next(&model->random);
    memset(bytes, row->fill, row->size);
    dm_store_txn_put(store, DM_TABLE_CONTACTS, key, dm_slice(bytes, row->size));
}

static void model_check_snapshot(const struct model *model, struct dm_store *store)
{
    char text[32];
    struct dm_slice key = dm_slice(NULL, 0), value;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        struct dm_slice expected = model_key(text, i);
        const struct model_row *row = &model->snapshot[i];
        assert_int_equal(dm_store_get(store, DM_TABLE_CONTACTS, expected, &value), row->exists);
        if (row->exists) {
            model_check_row(row, value);
            assert_true(dm_store_seek(store, DM_TABLE_CONTACTS, key, true, &key, &value));
            assert_true(dm_slice_equal(key, expected));
            model_check_row(row, value);
        }
    }
    assert_false(dm_store_seek(store, DM_TABLE_CONTACTS, key, true, &key, &value));
}

static void any_history_reads_like_the_model(void **state)
{
    struct dm_store *store = store_of(state);
    static struct model model;
    memset(&model, 0, sizeof model);
    for (int txn = 0; txn < MODEL_TXNS; txn++) {
        begin(store);
        memcpy(model.txn, model.committed, sizeof model.txn);
        for (int op = 0; op < MODEL_OPS; op++) {
            model_change(&model, store);
        }
        if (random_below(&model.random, 4) == 0) {
            dm_store_txn_abort(store);
        } else {
            commit(store);
            memcpy(model.committed, model.txn, sizeof model.txn);
        }
        if (!model.reading) {
            memcpy(model.snapshot, model.committed, sizeof model.snapshot);
        }
        model_check_snapshot(&model, store);
        model.reading = random_below(&model.random, 2) == 0;
        if (!model.reading) {
            dm_store_read_end(store);
        }
    }
    dm_store_read_end(store);
}

/* ---- two threads ---------------------------------------------------------- */

enum { THREAD_ROWS = 40, THREAD_TXNS = 60 };
static _Atomic uint64_t rounds_committed;

static void write_round(struct dm_store *store, uint64_t round)
{
    for (uint32_t i = 0; i < THREAD_ROWS; i++) {
        uint8_t key[4], value[8];
        dm_store_be32(key, i);
        dm_store_le64(value, round);
        dm_store_txn_put(store, DM_TABLE_CONTACTS, dm_slice(key, 4), dm_slice(value, 8));
    }
}

static void *write_rounds(void *context)
{
    struct dm_store *store = context;
    for (uint64_t round = 1; round <= THREAD_TXNS; round++) {
        dm_store_txn_begin(store, NULL);
        write_round(store, round);
        if (dm_store_txn_commit(store, NULL) == DM_OK) {
            atomic_store(&rounds_committed, round);
        }
    }
    return NULL;
}

static uint64_t read_round(struct dm_store *store)
{
    struct dm_slice key = dm_slice(NULL, 0), value;
    uint64_t round = 0;
    uint32_t rows = 0;
    while (dm_store_seek(store, DM_TABLE_CONTACTS, key, true, &key, &value)) {
        uint64_t found = dm_load_le64(value.data);
        if (rows++ > 0) {
            assert_int_equal(found, round);
        }
        round = found;
    }
    dm_store_read_end(store);
    assert_true(rows == 0 || rows == THREAD_ROWS);
    return round;
}

/* What was committed before a snapshot is in it. A commit under way may be, too, and need
 * not be in the next one: LMDB shows its meta page before it counts the transaction. */
static void read_beside(struct dm_store *store, void *(*write)(void *))
{
    atomic_store(&rounds_committed, 0);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write, store), 0);
    uint64_t committed;
    do {
        committed = atomic_load(&rounds_committed);
        assert_true(read_round(store) >= committed);
    } while (committed < THREAD_TXNS);
    pthread_join(writer, NULL);
}

static void a_reader_beside_a_writer_sees_whole_transactions(void **state)
{
    read_beside(store_of(state), write_rounds);
}

static void *write_rounds_with_faults(void *context)
{
    struct dm_store *store = context;
    uint64_t random = 7;
    for (uint64_t round = 1; round <= THREAD_TXNS;) {
        static const enum fault faults[] = {FAULT_NONE, FAULT_DATA, FAULT_META};
        if (dm_store_txn_begin(store, NULL) != DM_OK) {
            continue;
        }
        write_round(store, round);
        atomic_store(&fault, faults[random_below(&random, 3)]);
        bool ok = dm_store_txn_commit(store, NULL) == DM_OK;
        atomic_store(&fault, FAULT_NONE);
        if (ok) {
            atomic_store(&rounds_committed, round++);
        }
    }
    return NULL;
}

/* ---- LMDB alone ----------------------------------------------------------- */

static void lmdb_keeps_what_is_committed(void **state)
{
    struct fixture *fixture = *state;
    put_alone(fixture->store, "a", "1");
    assert_reads(fixture->store, "a", "1");
    dm_store_close(fixture->store);
    fixture->store = open_at(fixture->folder, MAP_SIZE);
    assert_reads(fixture->store, "a", "1");
}

static void lmdb_opens_with_the_default_map_or_what_the_system_allows(void **state)
{
    struct fixture *fixture = *state;
    dm_store_close(fixture->store);
    fixture->store = open_at(fixture->folder, DM_VIEW_MAP_SIZE);
    put_alone(fixture->store, "a", "1");
    assert_reads(fixture->store, "a", "1");
    assert_in_range(dm_store_bytes(fixture->store), 4096, 1 << 20);
}

static void lmdb_says_why_it_cannot_be_opened(void **state)
{
    (void)state;
    struct dm_store *store = NULL;
    struct dm_error error = {0};
    assert_int_equal(dm_store_open_lmdb(&store, "no/such/folder", MAP_SIZE, &error),
                     DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "no/such/folder"));
    assert_null(store);
}

static void lmdb_says_what_to_do_with_a_damaged_file(void **state)
{
    struct fixture *fixture = *state;
    char path[64];
    struct dm_error error = {0};
    put_alone(fixture->store, "a", "1");
    dm_store_close(fixture->store);
    fixture->store = NULL;
    (void)snprintf(path, sizeof path, "%s/data.mdb", fixture->folder);
    FILE *file = fopen(path, "r+");
    static const uint8_t zeros[META_END];
    assert_non_null(file);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, file), sizeof zeros);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(dm_store_open_lmdb(&fixture->store, fixture->folder, MAP_SIZE, &error),
                     DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, DM_VIEW_DAMAGED_ADVICE));
    assert_int_equal(remove(path), 0);
    fixture->store = open_at(fixture->folder, MAP_SIZE);
}

static enum dm_code fill(struct dm_store *store, uint32_t rows, struct dm_error *error)
{
    static const uint8_t value[1000];
    assert_int_equal(dm_store_txn_begin(store, error), DM_OK);
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t key[4];
        dm_store_be32(key, i);
        dm_store_txn_put(store, DM_TABLE_POLICIES, dm_slice(key, 4), dm_slice(value, 1000));
    }
    return dm_store_txn_commit(store, error);
}

static void lmdb_with_a_full_map_fails_the_commit_alone(void **state)
{
    struct fixture *fixture = *state;
    struct dm_store *store = fixture->store;
    dm_store_close(store);
    fixture->store = store = open_at(fixture->folder, 256 << 10);
    put_alone(store, "a", "1");
    struct dm_error error = {0};
    assert_int_equal(fill(store, 1000, &error), DM_UNAVAILABLE);
    assert_int_equal(error.code, DM_UNAVAILABLE);
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    put_alone(store, "a", "2");
    assert_reads(store, "a", "2");
}

static void lmdb_goes_on_after_a_failed_data_write(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    atomic_store(&fault, FAULT_DATA);
    begin(store);
    put(store, DM_TABLE_CONTACTS, "a", "2");
    struct dm_error error = {0};
    assert_int_equal(dm_store_txn_commit(store, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "cannot write"));
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    atomic_store(&fault, FAULT_NONE);
    put_alone(store, "a", "3");
    assert_reads(store, "a", "3");
}

static void lmdb_tells_of_a_limit_on_the_size_of_files(void **state)
{
    struct dm_store *store = store_of(state);
    struct dm_error error = {0};
    struct rlimit old, small;
    put_alone(store, "a", "1");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 200000, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum dm_code code = fill(store, 1000, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "ulimit -f"));
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    assert_int_equal(fill(store, 1000, &error), DM_OK);
}

/* Walks over a table of which all pages but the root were zeroed; in a process of its own. */
static void walk_over_zeros(struct fixture *fixture)
{
    char path[64];
    struct dm_error error = {0};
    static const uint8_t zeros[256 * 4096];
    (void)snprintf(path, sizeof path, "%s/data.mdb", fixture->folder);
    if (fill(fixture->store, 1000, &error) != DM_OK) {
        _exit(0);
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct dm_slice key = dm_slice("", 1), value;
    /* The first leaves; the roots are the newest pages. */
    (void)!syscall(SYS_pwrite64, fd, zeros, (size_t)100 * 4096, (off_t)20 * 4096);
    uint8_t copy[8];
    while (dm_store_seek(fixture->store, DM_TABLE_POLICIES, key, true, &key, &value)) {
        memcpy(copy, key.data, key.size);
        key.data = copy;
    }
    _exit(0);
}

static void lmdb_says_why_it_ends_when_pages_are_damaged(void **state)
{
    int told[2];
    char text[2048] = "";
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(told[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        walk_over_zeros(*state);
    }
    (void)close(told[1]);
    size_t size = 0;
    ssize_t got = 0;
    while ((got = read(told[0], text + size, sizeof text - 1 - size)) > 0) {
        size += (size_t)got;
    }
    (void)close(told[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, DM_VIEW_DAMAGED_ADVICE));
}

static void break_meta(struct dm_store *store)
{
    atomic_store(&fault, FAULT_META);
    begin(store);
    put(store, DM_TABLE_CONTACTS, "b", "2");
    assert_int_equal(dm_store_txn_commit(store, NULL), DM_UNAVAILABLE);
    atomic_store(&fault, FAULT_NONE);
}

static void lmdb_is_opened_again_by_the_reader_after_a_failed_meta_write(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    assert_seeks(store, "", false, "a");
    dm_store_read_end(store);
    break_meta(store);
    assert_reads(store, "a", "1");
    assert_absent(store, "b");
    assert_seeks(store, "a", true, NULL);
    dm_store_read_end(store);
    put_alone(store, "b", "3");
    assert_reads(store, "b", "3");
}

static void lmdb_is_opened_again_by_the_writer_after_a_failed_meta_write(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    break_meta(store);
    put_alone(store, "b", "3");
    assert_reads(store, "a", "1");
    assert_reads(store, "b", "3");
}

static void lmdb_is_not_opened_again_under_a_live_snapshot(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    assert_reads(store, "a", "1");
    break_meta(store);
    struct dm_error error = {0};
    assert_int_equal(dm_store_txn_begin(store, &error), DM_UNAVAILABLE);
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    put_alone(store, "a", "2");
    assert_reads(store, "a", "2");
}

static void lmdb_is_read_on_while_its_writes_fail_now_and_then(void **state)
{
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    read_beside(store_of(state), write_rounds_with_faults);
}

static void lmdb_survives_a_full_disk(void **state)
{
    (void)state;
    char folder[32];
    folder_make(folder);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") != 0) {
        rmdir(folder);
        skip();
    }
    struct dm_store *store = open_at(folder, MAP_SIZE);
    put_alone(store, "a", "1");
    struct dm_error error = {0};
    assert_int_equal(fill(store, 2000, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "No space left on device (0 MiB free"));
    assert_reads(store, "a", "1");
    dm_store_read_end(store);
    assert_int_equal(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    assert_int_equal(fill(store, 2000, &error), DM_OK);
    assert_reads(store, "a", "1");
    dm_store_close(store);
    assert_int_equal(umount(folder), 0);
    rmdir(folder);
}

/* ---- memory alone --------------------------------------------------------- */

static void memory_fails_commits_when_told(void **state)
{
    struct dm_store *store = store_of(state);
    dm_store_memory_fail(store, 2);
    struct dm_error error = {0};
    for (int i = 0; i < 2; i++) {
        begin(store);
        put(store, DM_TABLE_CONTACTS, "a", "1");
        assert_int_equal(dm_store_txn_commit(store, &error), DM_UNAVAILABLE);
        assert_absent(store, "a");
        dm_store_read_end(store);
    }
    assert_int_equal(dm_store_bytes(store), 0);
    put_alone(store, "a", "1");
    assert_reads(store, "a", "1");
}

static void a_clone_has_what_was_committed_and_goes_its_own_way(void **state)
{
    struct dm_store *store = store_of(state);
    put_alone(store, "a", "1");
    begin(store);
    put(store, DM_TABLE_CONTACTS, "b", "lost");
    struct dm_store *clone = dm_store_memory_clone(store);
    dm_store_txn_abort(store);
    put_alone(store, "a", "2");
    put_alone(clone, "c", "3");
    assert_reads(clone, "a", "1");
    assert_absent(clone, "b");
    assert_reads(store, "a", "2");
    assert_absent(store, "c");
    dm_store_close(clone);
}

#define BOTH(setup, teardown)                                                                     \
    cmocka_unit_test_setup_teardown(what_is_committed_is_read_in_its_own_table, setup, teardown), \
        cmocka_unit_test_setup_teardown(a_snapshot_stays_as_it_was_until_read_end, setup,         \
                                        teardown),                                                \
        cmocka_unit_test_setup_teardown(                                                          \
            a_transaction_sees_itself_and_an_aborted_one_leaves_nothing, setup, teardown),        \
        cmocka_unit_test_setup_teardown(a_delete_takes_one_key_and_an_absent_one_is_no_matter,    \
                                        setup, teardown),                                         \
        cmocka_unit_test_setup_teardown(seek_finds_the_next_key_in_byte_order, setup, teardown),  \
        cmocka_unit_test_setup_teardown(stepping_is_not_confused_by_reads_between, setup,         \
                                        teardown),                                                \
        cmocka_unit_test_setup_teardown(any_history_reads_like_the_model, setup, teardown),       \
        cmocka_unit_test_setup_teardown(a_reader_beside_a_writer_sees_whole_transactions, setup,  \
                                        teardown)
#define LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown_lmdb)
#define MEMORY(test) cmocka_unit_test_setup_teardown(test, setup_memory, teardown_memory)

int main(void)
{
    const struct CMUnitTest lmdb[] = {
        BOTH(setup_lmdb, teardown_lmdb),
        LMDB(lmdb_keeps_what_is_committed),
        LMDB(lmdb_opens_with_the_default_map_or_what_the_system_allows),
        LMDB(lmdb_says_why_it_cannot_be_opened),
        LMDB(lmdb_says_what_to_do_with_a_damaged_file),
        LMDB(lmdb_says_why_it_ends_when_pages_are_damaged),
        LMDB(lmdb_with_a_full_map_fails_the_commit_alone),
        LMDB(lmdb_goes_on_after_a_failed_data_write),
        LMDB(lmdb_tells_of_a_limit_on_the_size_of_files),
        LMDB(lmdb_is_opened_again_by_the_reader_after_a_failed_meta_write),
        LMDB(lmdb_is_opened_again_by_the_writer_after_a_failed_meta_write),
        LMDB(lmdb_is_not_opened_again_under_a_live_snapshot),
        LMDB(lmdb_is_read_on_while_its_writes_fail_now_and_then),
        cmocka_unit_test(lmdb_survives_a_full_disk),
    };
    const struct CMUnitTest memory[] = {
        BOTH(setup_memory, teardown_memory),
        MEMORY(memory_fails_commits_when_told),
        MEMORY(a_clone_has_what_was_committed_and_goes_its_own_way),
    };
    int failed = cmocka_run_group_tests_name("lmdb", lmdb, NULL, NULL);
    return failed + cmocka_run_group_tests_name("memory", memory, NULL, NULL);
}
