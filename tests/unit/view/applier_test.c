/* The applier over a store that counts and checks what it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "support.h"
#include "view/applier.h"
#include "view/meta.h"
#include "view/wake_key.h"

#include <limits.h>
#include <pthread.h>
#include <sys/mount.h>

/* ---- a store that looks on ------------------------------------------------ */

struct watcher {
    struct dm_store base;
    struct dm_store *inner;
    int puts[DM_TABLE_COUNT], deletes[DM_TABLE_COUNT]; /* of this transaction */
    int changes_max;  /* past this a commit is too large; 0: no limit */
    int changes_seen; /* the most that one transaction had */
    bool ordered;
    uint8_t last[DM_TABLE_COUNT][128]; /* the key changed last */
    size_t last_size[DM_TABLE_COUNT];
};

static struct watcher *watcher(struct dm_store *store)
{
    return (struct watcher *)store;
}

static void watch_change(struct watcher *self, enum dm_table table, struct dm_slice key)
{
    struct dm_slice last = dm_slice(self->last[table], self->last_size[table]);
    bool sweeps = table == DM_TABLE_CONTACTS || table == DM_TABLE_WAKES;
    if (sweeps && dm_slice_compare(last, key) >= 0) {
        self->ordered = false;
    }
    memcpy(self->last[table], key.data, key.size);
    self->last_size[table] = key.size;
}

static bool watch_get(struct dm_store *store, enum dm_table table, struct dm_slice key,
                      struct dm_slice *value)
{
    struct dm_store *inner = watcher(store)->inner;
    return dm_store_get(inner, table, key, value);
}

static bool watch_seek(struct dm_store *store, enum dm_table table, struct dm_slice from,
                       bool exclusive, struct dm_slice *key, struct dm_slice *value)
{
    struct dm_store *inner = watcher(store)->inner;
    return dm_store_seek(inner, table, from, exclusive, key, value);
}

static void watch_read_end(struct dm_store *store)
{
    struct dm_store *inner = watcher(store)->inner;
    dm_store_read_end(inner);
}

static enum dm_code watch_txn_begin(struct dm_store *store, struct dm_error *error)
{
    struct watcher *self = watcher(store);
    memset(self->puts, 0, sizeof self->puts);
    memset(self->deletes, 0, sizeof self->deletes);
    memset(self->last_size, 0, sizeof self->last_size);
    return dm_store_txn_begin(self->inner, error);
}

static bool watch_txn_get(struct dm_store *store, enum dm_table table, struct dm_slice key,
                          struct dm_slice *value)
{
    struct dm_store *inner = watcher(store)->inner;
    return dm_store_txn_get(inner, table, key, value);
}

static void watch_txn_put(struct dm_store *store, enum dm_table table, struct dm_slice key,
                          struct dm_slice value)
{
    struct watcher *self = watcher(store);
    watch_change(self, table, key);
    self->puts[table]++;
    dm_store_txn_put(self->inner, table, key, value);
}

static void watch_txn_delete(struct dm_store *store, enum dm_table table, struct dm_slice key)
{
    struct watcher *self = watcher(store);
    watch_change(self, table, key);
    self->deletes[table]++;
    dm_store_txn_delete(self->inner, table, key);
}

static int changes_of(const struct watcher *self)
{
    int changes = 0;
    for (int i = DM_TABLE_CONTACTS; i < DM_TABLE_COUNT; i++) {
        changes += self->puts[i] + self->deletes[i];
    }
    return changes;
}

static void watch_txn_abort(struct dm_store *store)
{
    struct dm_store *inner = watcher(store)->inner;
    dm_store_txn_abort(inner);
}

static enum dm_code watch_txn_commit(struct dm_store *store, struct dm_error *error)
{
    struct watcher *self = watcher(store);
    int changes = changes_of(self);
    if (self->changes_max > 0 && changes > self->changes_max) {
        dm_store_txn_abort(self->inner);
        return dm_fail(error, DM_RESOURCE_EXHAUSTED, "too many changes: %d", changes);
    }
    self->changes_seen = changes > self->changes_seen ? changes : self->changes_seen;
    return dm_store_txn_commit(self->inner, error);
}

static const struct dm_store_ops watch_ops = {
    .get = watch_get,
    .seek = watch_seek,
    .read_end = watch_read_end,
    .txn_begin = watch_txn_begin,
    .txn_get = watch_txn_get,
    .txn_put = watch_txn_put,
    .txn_delete = watch_txn_delete,
    .txn_commit = watch_txn_commit,
    .txn_abort = watch_txn_abort,
};

/* ---- fixtures ------------------------------------------------------------- */

struct fixture {
    struct watcher watcher;
    struct dm_overlay *overlay;
    struct dm_applier *applier;
    uint64_t lsn;
};

static void fixture_open(struct fixture *fixture, struct dm_store *inner, uint32_t per_txn)
{
    *fixture = (struct fixture){0};
    fixture->watcher.base.ops = &watch_ops;
    fixture->watcher.inner = inner;
    fixture->watcher.ordered = true;
    fixture->overlay = dm_overlay_create(100000);
    struct dm_applier_options options = {
        .store = &fixture->watcher.base, .contacts_per_txn = per_txn, .manual = true};
    fixture->applier = dm_applier_create(&options);
}

static void fixture_close(struct fixture *fixture)
{
    assert_true(fixture->watcher.ordered);
    dm_applier_destroy(fixture->applier);
    dm_overlay_destroy(fixture->overlay);
    dm_store_close(fixture->watcher.inner);
}

static void put(struct fixture *fixture, uint32_t account, uint32_t contact, uint64_t fence,
                int64_t until_ms)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_key key;
    key_of(&key, account, contact);
    uint64_t lsn = ++fixture->lsn;
    assert_true(dm_overlay_put(fixture->overlay, dm_key_hashed(dm_key_slice(&key)),
                               record_bytes(bytes, fence, until_ms, lsn), lsn));
}

static void put_deleted(struct fixture *fixture, uint32_t account, uint32_t contact)
{
    struct dm_key key;
    key_of(&key, account, contact);
    assert_true(dm_overlay_put(fixture->overlay, dm_key_hashed(dm_key_slice(&key)),
                               dm_slice(NULL, 0), ++fixture->lsn));
}

static void sweep_begin(struct fixture *fixture)
{
    struct dm_generation *frozen = dm_overlay_freeze(fixture->overlay, fixture->lsn);
    assert_non_null(frozen);
    assert_false(dm_applier_busy(fixture->applier));
    dm_applier_begin(fixture->applier, frozen);
    assert_true(dm_applier_busy(fixture->applier));
    assert_false(dm_applier_done(fixture->applier));
}

static void sweep_end(struct fixture *fixture)
{
    while (dm_applier_work(fixture->applier)) {
    }
    assert_false(dm_applier_busy(fixture->applier));
    assert_true(dm_applier_done(fixture->applier));
    dm_applier_bury(fixture->applier, dm_overlay_drop(fixture->overlay), true);
}

static void sweep(struct fixture *fixture)
{
    sweep_begin(fixture);
    sweep_end(fixture);
}

static uint32_t rows_in(struct dm_store *store, enum dm_table table)
{
    uint32_t rows = 0;
    struct dm_slice key = dm_slice(NULL, 0), value;
    while (dm_store_seek(store, table, key, true, &key, &value)) {
        rows++;
    }
    dm_store_read_end(store);
    return rows;
}

static uint64_t applied(struct dm_store *store)
{
    uint64_t lsn = 0;
    assert_int_not_equal(dm_meta_applied(store, &lsn), DM_DATA_LOSS);
    dm_store_read_end(store);
    return lsn;
}

/* Every entry of WAKES belongs to a contact that is SNOOZED until then with that fence,
 * and there are as many as such contacts. */
static void assert_wakes_match(struct dm_store *store)
{
    struct dm_slice key = dm_slice(NULL, 0), value, record;
    struct dm_record_head head;
    uint32_t snoozed = 0;
    while (dm_store_seek(store, DM_TABLE_CONTACTS, key, true, &key, &value)) {
        assert_true(dm_record_head(&head, value));
        snoozed += head.status == DM_STATUS_SNOOZED;
    }
    dm_store_read_end(store);
    uint32_t wakes = 0;
    key = dm_slice(NULL, 0);
    while (dm_store_seek(store, DM_TABLE_WAKES, key, true, &key, &value)) {
        struct dm_wake_key wake;
        struct dm_key contact;
        assert_true(dm_wake_key_read(&wake, key));
        dm_store_be32(contact.bytes, wake.account);
        memcpy(contact.bytes + 4, wake.contact.data, wake.contact.size);
        contact.size = (uint8_t)(4 + wake.contact.size);
        assert_true(dm_store_get(store, DM_TABLE_CONTACTS, dm_key_slice(&contact), &record));
        assert_true(dm_record_head(&head, record));
        assert_int_equal(head.status, DM_STATUS_SNOOZED);
        assert_int_equal(head.until_ms, wake.until_ms);
        assert_int_equal(head.fence, dm_load_le64(value.data));
        wakes++;
    }
    dm_store_read_end(store);
    assert_int_equal(wakes, snoozed);
}

/* ---- by example ----------------------------------------------------------- */

static void wake_keys_are_read_back_and_sort_by_time(void **state)
{
    (void)state;
    struct dm_key contact;
    uint8_t early[DM_WAKE_KEY_SIZE_MAX], late[DM_WAKE_KEY_SIZE_MAX];
    key_of(&contact, 7, 9);
    size_t late_size = dm_wake_key_make(late, dm_key_slice(&contact), 1LL << 33);
    key_of(&contact, 7, 99999);
    size_t early_size = dm_wake_key_make(early, dm_key_slice(&contact), (1LL << 33) - 1);
    assert_true(dm_slice_compare(dm_slice(early, early_size), dm_slice(late, late_size)) < 0);
    struct dm_wake_key wake;
    assert_true(dm_wake_key_read(&wake, dm_slice(late, late_size)));
    assert_int_equal(wake.account, 7);
    assert_int_equal(wake.until_ms, 1LL << 33);
    assert_true(dm_slice_equal(wake.contact, slice_text("contact-9")));
    assert_false(dm_wake_key_read(&wake, dm_slice(late, 11)));
}

static void a_sweep_brings_contacts_wakes_and_side_rows(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 0);
    struct dm_store *store = fixture.watcher.inner;
    put(&fixture, 1, 1, 1, 5000);
    put(&fixture, 1, 2, 1, 0);
    assert_true(
        dm_overlay_side(fixture.overlay, DM_TABLE_ACCOUNTS, slice_text("acct"), slice_text("row")));
    sweep(&fixture);
    assert_int_equal(rows_in(store, DM_TABLE_CONTACTS), 2);
    assert_int_equal(rows_in(store, DM_TABLE_WAKES), 1);
    assert_int_equal(rows_in(store, DM_TABLE_ACCOUNTS), 1);
    assert_int_equal(applied(store), 2);
    assert_wakes_match(store);
    assert_true(
        dm_overlay_side(fixture.overlay, DM_TABLE_ACCOUNTS, slice_text("acct"), dm_slice(NULL, 0)));
    sweep(&fixture);
    assert_int_equal(rows_in(store, DM_TABLE_ACCOUNTS), 0);
    struct dm_applier_stats stats;
    dm_applier_stats(fixture.applier, &stats);
    assert_int_equal(stats.sweeps, 2);
    assert_int_equal(stats.contacts, 2);
    assert_int_equal(stats.transactions, 2);
    fixture_close(&fixture);
}

static void a_deleted_contact_takes_its_wake_along(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 0);
    put(&fixture, 1, 1, 1, 5000);
    sweep(&fixture);
    put_deleted(&fixture, 1, 1);
    put_deleted(&fixture, 1, 2);
    sweep(&fixture);
    assert_int_equal(rows_in(fixture.watcher.inner, DM_TABLE_CONTACTS), 0);
    assert_int_equal(rows_in(fixture.watcher.inner, DM_TABLE_WAKES), 0);
    fixture_close(&fixture);
}

static void only_what_differs_is_written(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 0);
    const struct watcher *seen = &fixture.watcher;
    put(&fixture, 1, 1, 1, 5000);
    sweep(&fixture);
    put(&fixture, 1, 1, 1, 5000); /* a message was counted */
    sweep(&fixture);
    assert_int_equal(seen->puts[DM_TABLE_CONTACTS], 1);
    assert_int_equal(changes_of(seen), 1);
    fixture.lsn--;
    put(&fixture, 1, 1, 1, 5000); /* the very same bytes */
    sweep(&fixture);
    assert_int_equal(changes_of(seen), 0);
    put(&fixture, 1, 1, 2, 5000); /* the fence alone */
    sweep(&fixture);
    assert_int_equal(seen->puts[DM_TABLE_WAKES], 1);
    assert_int_equal(seen->deletes[DM_TABLE_WAKES], 0);
    put(&fixture, 1, 1, 3, 6000);
    sweep(&fixture);
    assert_int_equal(seen->puts[DM_TABLE_WAKES], 1);
    assert_int_equal(seen->deletes[DM_TABLE_WAKES], 1);
    put(&fixture, 1, 1, 4, 0);
    sweep(&fixture);
    assert_int_equal(seen->puts[DM_TABLE_WAKES], 0);
    assert_int_equal(seen->deletes[DM_TABLE_WAKES], 1);
    assert_wakes_match(fixture.watcher.inner);
    fixture_close(&fixture);
}

static void a_transaction_has_a_bounded_number_of_changes(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 10);
    for (int64_t until_ms = 1000; until_ms <= 2000; until_ms += 1000) {
        for (uint32_t contact = 0; contact < 100; contact++) {
            put(&fixture, 1 + contact % 3, contact, (uint64_t)until_ms, until_ms);
        }
        sweep(&fixture);
        assert_in_range(fixture.watcher.changes_seen, 20, 22);
    }
    struct dm_applier_stats stats;
    dm_applier_stats(fixture.applier, &stats);
    assert_int_equal(stats.transactions, 10 + 15);
    assert_int_equal(stats.contacts, 200);
    assert_int_equal(stats.last_sweep_contacts, 100);
    fixture_close(&fixture);
}

static void a_failed_commit_is_tried_again_and_told(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 2);
    for (uint32_t contact = 0; contact < 6; contact++) {
        put(&fixture, 1, contact, 1, 1000);
    }
    sweep_begin(&fixture);
    assert_true(dm_applier_work(fixture.applier));
    dm_store_memory_fail(fixture.watcher.inner, 2);
    struct dm_error error = {0};
    for (int i = 0; i < 2; i++) {
        assert_true(dm_applier_work(fixture.applier));
        assert_int_equal(dm_applier_state(fixture.applier, &error), DM_UNAVAILABLE);
        assert_int_equal(error.code, DM_UNAVAILABLE);
        assert_int_equal(rows_in(fixture.watcher.inner, DM_TABLE_CONTACTS), 2);
    }
    assert_true(dm_applier_work(fixture.applier));
    assert_int_equal(dm_applier_state(fixture.applier, &error), DM_OK);
    assert_int_equal(applied(fixture.watcher.inner), 0);
    sweep_end(&fixture);
    assert_int_equal(rows_in(fixture.watcher.inner, DM_TABLE_CONTACTS), 6);
    assert_int_equal(applied(fixture.watcher.inner), 6);
    assert_wakes_match(fixture.watcher.inner);
    struct dm_applier_stats stats;
    dm_applier_stats(fixture.applier, &stats);
    assert_int_equal(stats.failures, 2);
    assert_int_equal(stats.contacts, 6);
    fixture_close(&fixture);
}

static void a_transaction_that_is_too_large_is_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, dm_store_open_memory(), 2000);
    fixture.watcher.changes_max = 700;
    for (uint32_t contact = 0; contact < 3000; contact++) {
        put(&fixture, 1, contact, 1, 0);
    }
    sweep(&fixture);
    assert_int_equal(rows_in(fixture.watcher.inner, DM_TABLE_CONTACTS), 3000);
    assert_int_equal(applied(fixture.watcher.inner), 3000);
    fixture_close(&fixture);
}

/* ---- any history ---------------------------------------------------------- */

enum { HISTORY_CONTACTS = 60, HISTORY_SWEEPS = 40, HISTORY_PUTS = 50 };

static void put_random(struct fixture *fixture, uint64_t *random)
{
    uint32_t account = 1 + random_below(random, 3);
    uint32_t contact = random_below(random, HISTORY_CONTACTS);
    uint32_t what = random_below(random, 10);
    if (what == 0) {
        put_deleted(fixture, account, contact);
    } else {
        int64_t until_ms = what < 5 ? 0 : 1000 + random_below(random, 8);
        put(fixture, account, contact, 1 + random_below(random, 4), until_ms);
    }
}

/* What a start after a power cut would do: the journal's rest once more. */
static void replay_over(struct dm_store *store, const struct dm_generation *generation,
                        uint32_t per_txn)
{
    struct fixture again;
    fixture_open(&again, store, per_txn);
    size_t count;
    struct dm_row_slices *entries = dm_generation_sorted(generation, &count);
    for (size_t i = count; i-- > 0;) {
        assert_true(
            dm_overlay_put(again.overlay, dm_key_hashed(entries[i].key), entries[i].value, 1));
    }
    free(entries);
    again.lsn = dm_generation_lsn(generation);
    sweep(&again);
    again.watcher.inner = dm_store_open_memory(); /* the caller closes the other */
    fixture_close(&again);
}

static void assert_same(struct dm_store *a, struct dm_store *b, enum dm_table table)
{
    struct dm_slice key_a = dm_slice(NULL, 0), key_b = key_a, value_a, value_b;
    while (dm_store_seek(a, table, key_a, true, &key_a, &value_a)) {
        assert_true(dm_store_seek(b, table, key_b, true, &key_b, &value_b));
        assert_true(dm_slice_equal(key_a, key_b));
        assert_true(dm_slice_equal(value_a, value_b));
    }
    assert_false(dm_store_seek(b, table, key_b, true, &key_b, &value_b));
    dm_store_read_end(a);
    dm_store_read_end(b);
}

static void wakes_are_always_the_snoozed_contacts_and_a_crash_anywhere_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    uint64_t random = 11;
    fixture_open(&fixture, dm_store_open_memory(), 7);
    for (int i = 0; i < HISTORY_SWEEPS; i++) {
        for (int n = 0; n < HISTORY_PUTS; n++) {
            put_random(&fixture, &random);
        }
        sweep_begin(&fixture);
        struct dm_generation *frozen = dm_overlay_drop(fixture.overlay);
        uint32_t cut = random_below(&random, 6);
        struct dm_store *crashed = dm_store_memory_clone(fixture.watcher.inner);
        while (dm_applier_work(fixture.applier)) {
            assert_wakes_match(fixture.watcher.inner);
            if (cut-- == 0) {
                dm_store_close(crashed);
                crashed = dm_store_memory_clone(fixture.watcher.inner);
            }
        }
        assert_wakes_match(fixture.watcher.inner);
        replay_over(crashed, frozen, 5);
        for (enum dm_table table = 0; table < DM_TABLE_COUNT; table++) {
            assert_same(fixture.watcher.inner, crashed, table);
        }
        dm_store_close(crashed);
        dm_generation_destroy(frozen);
    }
    fixture_close(&fixture);
}

static void lmdb_ends_up_like_memory(void **state)
{
    (void)state;
    char folder[32];
    struct fixture fixtures[2];
    struct dm_store *lmdb = NULL;
    folder_make(folder);
    assert_int_equal(dm_store_open_lmdb(&lmdb, folder, 64ULL << 20, NULL), DM_OK);
    fixture_open(&fixtures[0], lmdb, 7);
    fixture_open(&fixtures[1], dm_store_open_memory(), 50);
    for (int i = 0; i < HISTORY_SWEEPS; i++) {
        for (int which = 0; which < 2; which++) {
            uint64_t random = (uint64_t)i * 1000;
            for (int n = 0; n < HISTORY_PUTS; n++) {
                put_random(&fixtures[which], &random);
            }
            sweep(&fixtures[which]);
        }
    }
    for (enum dm_table table = 0; table < DM_TABLE_COUNT; table++) {
        assert_same(lmdb, fixtures[1].watcher.inner, table);
    }
    assert_wakes_match(lmdb);
    fixture_close(&fixtures[0]);
    fixture_close(&fixtures[1]);
    folder_remove(folder);
}

static void a_full_disk_holds_a_sweep_up_and_no_more(void **state)
{
    (void)state;
    char folder[32];
    folder_make(folder);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=512k") != 0) {
        rmdir(folder);
        skip();
    }
    struct dm_store *lmdb = NULL;
    assert_int_equal(dm_store_open_lmdb(&lmdb, folder, 64ULL << 20, NULL), DM_OK);
    struct fixture fixture;
    fixture_open(&fixture, lmdb, 500);
    for (uint32_t contact = 0; contact < 10000; contact++) {
        put(&fixture, 1, contact, 1, 1000 + contact);
    }
    sweep_begin(&fixture);
    struct dm_error error = {0};
    while (dm_applier_state(fixture.applier, &error) == DM_OK) {
        assert_true(dm_applier_work(fixture.applier));
    }
    assert_int_equal(error.code, DM_UNAVAILABLE);
    assert_wakes_match(lmdb);
    assert_int_equal(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=32m"), 0);
    sweep_end(&fixture);
    assert_int_equal(rows_in(lmdb, DM_TABLE_CONTACTS), 10000);
    assert_wakes_match(lmdb);
    fixture_close(&fixture);
    assert_int_equal(umount(folder), 0);
    rmdir(folder);
}

/* ---- the thread ----------------------------------------------------------- */

struct bell {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t rung;
};

static void bell_ring(void *context)
{
    struct bell *bell = context;
    pthread_mutex_lock(&bell->mutex);
    bell->rung++;
    pthread_cond_signal(&bell->cond);
    pthread_mutex_unlock(&bell->mutex);
}

static void bell_wait(struct bell *bell)
{
    pthread_mutex_lock(&bell->mutex);
    while (bell->rung == 0) {
        pthread_cond_wait(&bell->cond, &bell->mutex);
    }
    bell->rung = 0;
    pthread_mutex_unlock(&bell->mutex);
}

static void thread_open(struct fixture *fixture, struct bell *bell, struct dm_store *store)
{
    *bell = (struct bell){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    *fixture = (struct fixture){0};
    fixture->watcher.inner = store;
    fixture->overlay = dm_overlay_create(100000);
    struct dm_applier_options options = {
        .store = store, .contacts_per_txn = 20, .notify = bell_ring, .notify_context = bell};
    fixture->applier = dm_applier_create(&options);
}

/* The contact's value as the loop would read it, while the applier works. */
static void read_one(struct fixture *fixture, uint32_t account, uint32_t contact)
{
    struct dm_store *store = fixture->watcher.inner;
    struct dm_key key;
    struct dm_slice value;
    struct dm_record_head head;
    key_of(&key, account, contact);
    if (!dm_overlay_get(fixture->overlay, dm_key_hashed(dm_key_slice(&key)), &value, NULL) &&
        !dm_store_get(store, DM_TABLE_CONTACTS, dm_key_slice(&key), &value)) {
        value = dm_slice(NULL, 0);
    }
    assert_true(value.size == 0 || dm_record_head(&head, value));
    dm_store_read_end(store);
}

static void work_beside_the_thread(struct dm_store *store)
{
    struct fixture fixture;
    struct bell bell;
    uint64_t random = 5;
    thread_open(&fixture, &bell, store);
    for (int sweeps = 0; sweeps < 20;) {
        for (int i = 0; i < 20; i++) {
            put_random(&fixture, &random);
            read_one(&fixture, 1 + random_below(&random, 3), random_below(&random, 60));
        }
        if (!dm_applier_busy(fixture.applier)) { /* asked once: it may be done any moment */
            struct dm_generation *dropped = dm_overlay_drop(fixture.overlay);
            if (dropped != NULL) {
                dm_applier_bury(fixture.applier, dropped, true);
                sweeps++;
            }
            dm_applier_begin(fixture.applier, dm_overlay_freeze(fixture.overlay, fixture.lsn));
        }
        if (random_below(&random, 4) == 0) {
            while (!dm_applier_done(fixture.applier)) {
                bell_wait(&bell);
            }
        }
    }
    while (!dm_applier_done(fixture.applier)) {
        bell_wait(&bell);
    }
    assert_wakes_match(store);
    dm_applier_destroy(fixture.applier);
    dm_overlay_destroy(fixture.overlay);
    dm_store_close(store);
}

static void the_thread_applies_while_the_loop_goes_on(void **state)
{
    (void)state;
    work_beside_the_thread(dm_store_open_memory());
    char folder[32];
    struct dm_store *lmdb = NULL;
    folder_make(folder);
    assert_int_equal(dm_store_open_lmdb(&lmdb, folder, 64ULL << 20, NULL), DM_OK);
    work_beside_the_thread(lmdb);
    folder_remove(folder);
}

static void the_thread_tries_a_failed_commit_again(void **state)
{
    (void)state;
    struct fixture fixture;
    struct bell bell;
    struct dm_store *store = dm_store_open_memory();
    thread_open(&fixture, &bell, store);
    put(&fixture, 1, 1, 1, 1000);
    dm_store_memory_fail(store, 1);
    dm_applier_begin(fixture.applier, dm_overlay_freeze(fixture.overlay, fixture.lsn));
    bell_wait(&bell);
    assert_int_equal(dm_applier_state(fixture.applier, NULL), DM_UNAVAILABLE);
    while (!dm_applier_done(fixture.applier)) {
        bell_wait(&bell);
    }
    assert_int_equal(dm_applier_state(fixture.applier, NULL), DM_OK);
    assert_int_equal(rows_in(store, DM_TABLE_WAKES), 1);
    dm_applier_bury(fixture.applier, dm_overlay_drop(fixture.overlay), true);
    dm_applier_destroy(fixture.applier);
    dm_overlay_destroy(fixture.overlay);
    dm_store_close(store);
}

static void destroy_does_not_wait_for_a_sweep_that_keeps_failing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct bell bell;
    struct dm_store *store = dm_store_open_memory();
    thread_open(&fixture, &bell, store);
    dm_store_memory_fail(store, INT_MAX);
    put(&fixture, 1, 1, 1, 1000);
    dm_applier_begin(fixture.applier, dm_overlay_freeze(fixture.overlay, fixture.lsn));
    bell_wait(&bell);
    dm_applier_destroy(fixture.applier);
    assert_int_equal(rows_in(store, DM_TABLE_CONTACTS), 0);
    dm_overlay_destroy(fixture.overlay);
    dm_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wake_keys_are_read_back_and_sort_by_time),
        cmocka_unit_test(a_sweep_brings_contacts_wakes_and_side_rows),
        cmocka_unit_test(a_deleted_contact_takes_its_wake_along),
        cmocka_unit_test(only_what_differs_is_written),
        cmocka_unit_test(a_transaction_has_a_bounded_number_of_changes),
        cmocka_unit_test(a_failed_commit_is_tried_again_and_told),
        cmocka_unit_test(a_transaction_that_is_too_large_is_cut),
        cmocka_unit_test(
            wakes_are_always_the_snoozed_contacts_and_a_crash_anywhere_changes_nothing),
        cmocka_unit_test(lmdb_ends_up_like_memory),
        cmocka_unit_test(a_full_disk_holds_a_sweep_up_and_no_more),
        cmocka_unit_test(the_thread_applies_while_the_loop_goes_on),
        cmocka_unit_test(the_thread_tries_a_failed_commit_again),
        cmocka_unit_test(destroy_does_not_wait_for_a_sweep_that_keeps_failing),
    };
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
