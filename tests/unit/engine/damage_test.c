/* What lies in the view is no longer what was put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/engine.h"
#include "lib/virtual_clock.h"
#include "view/wake_key.h"

static const int64_t start_ms = 1800000000000;
static const int64_t hour_ms = 3600000;

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    struct dm_error error;
};

static enum dm_code try_open(struct fixture *f)
{
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .horizon_ms = hour_ms,
        .overlay_max = 16384,
        .manual_applier = true,
    };
    return dm_engine_open(&f->engine, &options, &f->error);
}

static void open_engine(struct fixture *f)
{
    if (try_open(f) != DM_OK) {
        fail_msg("%s", f->error.message);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->clock = (struct virtual_clock){.wall_ms = start_ms, .monotonic_ns = 1};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    open_engine(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dm_engine_close(f->engine);
    dm_journal_close(f->journal);
    dm_store_close(f->store);
    free(f);
    return 0;
}

static void settle(struct fixture *f)
{
    while (dm_engine_turn(f->engine) == 0) {
    }
}

/* Everything into the view, and nothing of it left in memory. */
static void into_the_view(struct fixture *f)
{
    struct dm_engine_stats stats;
    do {
        virtual_clock_advance(&f->clock, 2000);
        settle(f);
        while (dm_engine_apply_work(f->engine)) {
        }
        settle(f);
        dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    } while (stats.overlay_contacts != 0 || stats.applied_lsn != stats.order.last_lsn);
    dm_engine_close(f->engine);
    open_engine(f);
    settle(f);
}

/* ---- what clients do ------------------------------------------------------------------ */

static enum dm_code mutate(struct fixture *f, const char *contact, struct dm_op op,
                           struct dm_outcome *out)
{
    memset(&f->error, 0, sizeof f->error);
    return dm_engine_mutate(f->engine, dm_slice_str("acme"), dm_slice_str(contact),
                            dm_slice(NULL, 0), &op, out, &f->error);
}

static struct dm_op set_op(enum dm_status status, int64_t for_ms, bool unlock)
{
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){.status = (uint8_t)status,
                                       .has_for = for_ms != 0,
                                       .for_ms = for_ms,
                                       .unlock = unlock,
                                       .actor = dm_slice_str("anna")};
    return op;
}

static struct dm_outcome set_status(struct fixture *f, const char *contact, enum dm_status status,
                                    int64_t for_ms)
{
    struct dm_outcome out;
    assert_int_equal(mutate(f, contact, set_op(status, for_ms, false), &out), DM_OK);
    return out;
}

static enum dm_code check(struct fixture *f, const char *contact, struct dm_effective *out)
{
    memset(&f->error, 0, sizeof f->error);
    return dm_engine_check(f->engine, dm_slice_str("acme"), dm_slice_str(contact), out, &f->error);
}

static enum dm_code get(struct fixture *f, const char *contact)
{
    struct dm_contact out;
    memset(&f->error, 0, sizeof f->error);
    return dm_engine_get(f->engine, dm_slice_str("acme"), dm_slice_str(contact), &out, &f->error);
}

/* The ids of a whole list, page by page, with a space behind each. */
static const char *list(struct fixture *f, enum dm_scan_order order, uint32_t limit)
{
    static char text[512];
    static char after[DM_ID_SIZE_MAX];
    struct dm_scan_options options = {
        .account_id = dm_slice_str("acme"), .order = order, .limit = limit};
    text[0] = '\0';
    for (bool more = true; more;) {
        struct dm_scan *scan = dm_scan_open(f->engine, &options);
        struct dm_contact contact;
        size_t budget = 1000;
        enum dm_next next;
        while ((next = dm_scan_next(scan, &contact, &budget)) == DM_NEXT_ITEM) {
            size_t size = strlen(text);
            (void)snprintf(text + size, sizeof text - size, "%.*s ", (int)contact.contact_id.size,
                           (const char *)contact.contact_id.data);
        }
        assert_int_equal(next, DM_NEXT_END);
        more = dm_scan_more(scan);
        if (more) {
            struct dm_slice last;
            dm_scan_last(scan, &last, &options.after_until_ms);
            memcpy(after, last.data, last.size);
            options.after_contact = dm_slice(after, last.size);
        }
        dm_scan_close(scan);
    }
    return text;
}

static uint64_t damage_met(struct fixture *f)
{
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    return stats.damage;
}

static struct dm_counts counts(struct fixture *f)
{
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice_str("acme"), &stats);
    return stats.counts;
}

/* ---- what a disk does ------------------------------------------------------------------- */

static void put(struct fixture *f, enum dm_table table, struct dm_slice key, struct dm_slice value)
{
    dm_store_read_end(f->store);
    assert_int_equal(dm_store_txn_begin(f->store, NULL), DM_OK);
    if (value.size == 0) {
        dm_store_txn_delete(f->store, table, key);
    } else {
        dm_store_txn_put(f->store, table, key, value);
    }
    assert_int_equal(dm_store_txn_commit(f->store, NULL), DM_OK);
}

static struct dm_slice contact_key(struct dm_key *key, const char *contact)
{
    dm_key_make(key, 1, dm_slice_str(contact));
    return dm_key_slice(key);
}

static void flip(struct fixture *f, const char *contact, size_t at, uint8_t bits)
{
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    struct dm_key key;
    struct dm_slice value;
    assert_true(dm_store_get(f->store, DM_TABLE_CONTACTS, contact_key(&key, contact), &value));
    memcpy(bytes, value.data, value.size);
    bytes[at % value.size] ^= bits;
    put(f, DM_TABLE_CONTACTS, contact_key(&key, contact), dm_slice(bytes, value.size));
}

static size_t record_size(struct fixture *f, const char *contact)
{
    struct dm_key key;
    struct dm_slice value;
    bool found = dm_store_get(f->store, DM_TABLE_CONTACTS, contact_key(&key, contact), &value);
    dm_store_read_end(f->store);
    assert_true(found);
    return value.size;
}

static void assert_damaged(struct fixture *f, enum dm_code code, const char *contact)
{
    char named[80];
    (void)snprintf(named, sizeof named, "contact \"%s\" of account \"acme\"", contact);
    assert_int_equal(code, DM_DATA_LOSS);
    if (strstr(f->error.message, named) == NULL || strstr(f->error.message, "unlock") == NULL) {
        fail_msg("%s", f->error.message);
    }
}

/* anna, carl and emil sleep, ben and dora are off. */
static void some_contacts(struct fixture *f)
{
    (void)set_status(f, "anna", DM_STATUS_SNOOZED, 600000);
    (void)set_status(f, "ben", DM_STATUS_INACTIVE, 0);
    (void)set_status(f, "carl", DM_STATUS_SNOOZED, 700000);
    (void)set_status(f, "dora", DM_STATUS_INACTIVE, 0);
    (void)set_status(f, "emil", DM_STATUS_SNOOZED, 800000);
    into_the_view(f);
}

/* ---- one contact ------------------------------------------------------------------------- */

static void whatever_byte_is_wrong_that_contact_alone_is_lost(void **state)
{
    struct fixture *f = *state;
    struct dm_effective now;
    some_contacts(f);
    size_t size = record_size(f, "ben");
    for (size_t at = 0; at < size; at++) {
        flip(f, "ben", at, (uint8_t)(1U << at % 8));
        assert_damaged(f, check(f, "ben", &now), "ben");
        assert_damaged(f, get(f, "ben"), "ben");
        flip(f, "ben", at, (uint8_t)(1U << at % 8));
        dm_store_read_end(f->store);
    }
    assert_int_equal(damage_met(f), 2 * size);
    flip(f, "ben", 5, 1);
    assert_int_equal(check(f, "anna", &now), DM_OK);
    assert_int_equal(now.status, DM_STATUS_SNOOZED);
    assert_int_equal(check(f, "dora", &now), DM_OK);
    assert_int_equal(now.status, DM_STATUS_INACTIVE);
    assert_int_equal(check(f, "somebody else", &now), DM_OK);
}

static void a_change_that_needs_the_record_is_refused(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    some_contacts(f);
    flip(f, "ben", 20, 1);
    uint64_t before = dm_order_last(f->journal->order);
    assert_damaged(f, mutate(f, "ben", set_op(DM_STATUS_ACTIVE, 0, false), &out), "ben");
    struct dm_op op = set_op(DM_STATUS_ACTIVE, 0, true);
    op.set.has_if_revision = true;
    op.set.if_revision = 1;
    assert_damaged(f, mutate(f, "ben", op, &out), "ben");
    op = (struct dm_op){.kind = DM_OP_COMMIT_REPLY};
    assert_damaged(f, mutate(f, "ben", op, &out), "ben");
    op = (struct dm_op){.kind = DM_OP_ACTIVITY};
    op.activity.activity = DM_ACTIVITY_STOP_KEYWORD;
    assert_damaged(f, mutate(f, "ben", op, &out), "ben");
    assert_int_equal(dm_order_last(f->journal->order), before);
    struct dm_history *history =
        dm_history_open(f->engine, dm_slice_str("acme"), dm_slice_str("ben"), 0);
    struct dm_event event;
    size_t budget = 1000;
    assert_int_equal(dm_history_next(history, &event, &budget), DM_NEXT_DAMAGED);
    dm_history_close(history);
}

/* Its fences were given to somebody: none of them may ever be good again. */
static void assert_set_anew(struct fixture *f, uint64_t old_fence)
{
    struct dm_effective now;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(check(f, "ben", &now), DM_OK);
        assert_true(now.fence > old_fence);
        struct dm_counts there = counts(f);
        uint64_t known = there.active + there.snoozed + there.inactive;
        assert_int_equal(there.contacts, known);
        uint64_t met = damage_met(f);
        into_the_view(f);
        (void)list(f, DM_SCAN_BY_CONTACT, 10);
        (void)list(f, DM_SCAN_BY_WAKE, 10);
        assert_true(met == 0 || damage_met(f) == 0);
    }
}

static void a_delete_helps(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    struct dm_effective now;
    some_contacts(f);
    for (int i = 0; i < 5; i++) {
        (void)set_status(f, "ben", i % 2 == 0 ? DM_STATUS_ACTIVE : DM_STATUS_INACTIVE, 0);
    }
    into_the_view(f);
    assert_int_equal(check(f, "ben", &now), DM_OK);
    uint64_t fence = now.fence;
    into_the_view(f);
    flip(f, "ben", 9, 1);
    assert_int_equal(mutate(f, "ben", (struct dm_op){.kind = DM_OP_DELETE}, &out), DM_OK);
    assert_true(out.existed);
    assert_int_equal(dm_engine_barrier(f->engine), dm_order_last(f->journal->order));
    assert_int_equal(check(f, "ben", &now), DM_OK);
    assert_int_equal(now.status, DM_STATUS_ACTIVE);
    assert_int_equal(counts(f).contacts, 4);
    assert_int_equal(counts(f).active, 0);
    assert_set_anew(f, fence);
    assert_string_equal(list(f, DM_SCAN_BY_CONTACT, 2), "anna carl dora emil ");
}

static void a_set_status_with_unlock_helps(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    struct dm_effective now;
    some_contacts(f);
    assert_int_equal(check(f, "ben", &now), DM_OK);
    uint64_t fence = now.fence;
    into_the_view(f);
    flip(f, "ben", 40, 1);
    assert_int_equal(mutate(f, "ben", set_op(DM_STATUS_SNOOZED, 900000, true), &out), DM_OK);
    assert_true(out.changed);
    assert_int_equal(out.contact.status, DM_STATUS_SNOOZED);
    assert_int_equal(counts(f).contacts, 5);
    assert_int_equal(counts(f).snoozed, 4);
    assert_int_equal(counts(f).inactive, 1);
    assert_set_anew(f, fence);
    assert_string_equal(list(f, DM_SCAN_BY_WAKE, 1), "anna carl emil ben ");
}

/* What it was is gone, so a refusal must leave it as it is: damaged. */
static void a_refused_set_status_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    struct dm_effective now;
    some_contacts(f);
    struct dm_policy policy = *dm_policy_default();
    policy.mode = DM_MODE_OFF;
    assert_int_equal(dm_engine_set_policy(f->engine, dm_slice_str("acme"), dm_slice(NULL, 0),
                                          &policy, false, 0, NULL),
                     DM_OK);
    flip(f, "ben", 40, 1);
    assert_int_equal(mutate(f, "ben", set_op(DM_STATUS_SNOOZED, 900000, true), &out),
                     DM_FAILED_PRECONDITION);
    assert_damaged(f, check(f, "ben", &now), "ben");
}

/* Most likely the byte that says how it was counted is good. If it is not, counts are off by
 * one, and nothing worse. */
static void counts_stay_in_bounds_when_the_status_is_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    (void)set_status(f, "ben", DM_STATUS_INACTIVE, 0);
    into_the_view(f);
    flip(f, "ben", 1, 2);
    assert_int_equal(mutate(f, "ben", (struct dm_op){.kind = DM_OP_DELETE}, &out), DM_OK);
    assert_in_range(counts(f).contacts, 0, 1);
    assert_int_equal(counts(f).active, 0);
}

/* ---- lists, bulk changes, wakes -------------------------------------------------------------- */

static void a_list_goes_on_behind_it(void **state)
{
    struct fixture *f = *state;
    some_contacts(f);
    flip(f, "ben", 8, 1);
    flip(f, "carl", 8, 1);
    for (uint32_t limit = 1; limit < 6; limit++) {
        assert_string_equal(list(f, DM_SCAN_BY_CONTACT, limit), "anna dora emil ");
        assert_string_equal(list(f, DM_SCAN_BY_WAKE, limit), "anna emil ");
    }
    assert_true(damage_met(f) != 0);
}

static void an_index_entry_without_its_contact_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct dm_key key;
    some_contacts(f);
    put(f, DM_TABLE_CONTACTS, contact_key(&key, "anna"), dm_slice(NULL, 0));
    for (uint32_t limit = 1; limit < 4; limit++) {
        assert_string_equal(list(f, DM_SCAN_BY_WAKE, limit), "carl emil ");
    }
    assert_true(damage_met(f) != 0);
}

static void keys_that_are_none_are_passed_over(void **state)
{
    struct fixture *f = *state;
    uint8_t wake[100] = {0, 0, 0, 1}, contact[300] = {0, 0, 0, 1, 'b'};
    some_contacts(f);
    memset(contact + 5, 'x', sizeof contact - 5);
    put(f, DM_TABLE_CONTACTS, dm_slice(contact, sizeof contact), dm_slice_str("value"));
    put(f, DM_TABLE_CONTACTS, dm_slice(contact, 4), dm_slice_str("value"));
    put(f, DM_TABLE_CONTACTS, dm_slice("\0\0\0\1c\x80", 6), dm_slice_str("value"));
    dm_store_be64(wake + 4, (uint64_t)start_ms + 650000);
    put(f, DM_TABLE_WAKES, dm_slice(wake, sizeof wake), dm_slice_str("value"));
    put(f, DM_TABLE_WAKES, dm_slice(wake, 12), dm_slice_str("12345678"));
    put(f, DM_TABLE_WAKES, dm_slice(wake, 6), dm_slice_str("12345678"));
    put(f, DM_TABLE_WAKES, dm_slice(wake, 20), dm_slice_str("short"));
    for (uint32_t limit = 1; limit < 7; limit++) {
        assert_string_equal(list(f, DM_SCAN_BY_CONTACT, limit), "anna ben carl dora emil ");
        assert_string_equal(list(f, DM_SCAN_BY_WAKE, limit), "anna carl emil ");
    }
    assert_true(damage_met(f) != 0);
}

static void a_bulk_change_leaves_it_out(void **state)
{
    struct fixture *f = *state;
    some_contacts(f);
    flip(f, "ben", 8, 1);
    flip(f, "carl", 8, 1);
    const struct dm_bulk_options options = {
        .account_id = dm_slice_str("acme"),
        .change = set_op(DM_STATUS_INACTIVE, 0, true).set.change,
    };
    struct dm_bulk *bulk;
    struct dm_bulk_progress progress;
    assert_int_equal(dm_bulk_open(&bulk, f->engine, &options, NULL), DM_OK);
    assert_int_equal(dm_bulk_step(bulk, &progress, 1000, NULL), DM_NEXT_END);
    dm_bulk_close(bulk);
    assert_int_equal(progress.scanned, 3);
    assert_int_equal(progress.changed, 2);
    assert_int_equal(damage_met(f), 2);
}

static void the_others_wake_in_time(void **state)
{
    struct fixture *f = *state;
    struct dm_engine_stats stats;
    uint8_t wake[20] = {0, 0, 0, 1};
    some_contacts(f);
    flip(f, "carl", 8, 1);
    dm_store_be64(wake + 4, (uint64_t)start_ms + 100);
    put(f, DM_TABLE_WAKES, dm_slice(wake, sizeof wake), dm_slice_str("short"));
    put(f, DM_TABLE_WAKES, dm_slice(wake, 6), dm_slice_str("12345678"));
    dm_engine_close(f->engine);
    open_engine(f);
    virtual_clock_advance(&f->clock, 1000000);
    settle(f);
    virtual_clock_advance(&f->clock, 1000);
    settle(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.wakes, 2);
    assert_true(stats.damage >= 2);
}

/* The record says when a snooze ends, and no other. */
static void a_wrong_fence_in_the_index_loses_no_wake(void **state)
{
    struct fixture *f = *state;
    struct dm_engine_stats stats;
    struct dm_key key;
    uint8_t wake[DM_WAKE_KEY_SIZE_MAX];
    some_contacts(f);
    size_t size = dm_wake_key_make(wake, contact_key(&key, "carl"), start_ms + 700000);
    struct dm_slice value;
    assert_true(dm_store_get(f->store, DM_TABLE_WAKES, dm_slice(wake, size), &value));
    put(f, DM_TABLE_WAKES, dm_slice(wake, size), dm_slice_str("12345678"));
    dm_engine_close(f->engine);
    open_engine(f);
    virtual_clock_advance(&f->clock, 650000);
    settle(f);
    virtual_clock_advance(&f->clock, 350000);
    settle(f);
    virtual_clock_advance(&f->clock, 1000);
    settle(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.wakes, 3);
}

/* ---- older records --------------------------------------------------------------------------- */

/* A contact as versions 1 and 2 wrote it: INACTIVE by a stop keyword, locked, actor "b". */
static struct dm_slice old_record(uint8_t *out, uint8_t version)
{
    static const uint8_t head[] = {2, 3, 10, 1, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0,  0, 0,
                                   0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  1, 0,
                                   0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'b'};
    memcpy(out, head, sizeof head);
    out[0] = version;
    return dm_slice(out, sizeof head);
}

static void records_of_older_versions_are_served(void **state)
{
    struct fixture *f = *state;
    struct dm_effective now;
    struct dm_outcome out;
    struct dm_key key;
    for (uint8_t version = 1; version <= 2; version++) {
        uint8_t bytes[128];
        some_contacts(f);
        put(f, DM_TABLE_CONTACTS, contact_key(&key, "ben"), old_record(bytes, version));
        assert_int_equal(check(f, "ben", &now), DM_OK);
        assert_int_equal(now.status, DM_STATUS_INACTIVE);
        assert_true(now.locked);
        assert_int_equal(now.fence, 7);
        assert_string_equal(list(f, DM_SCAN_BY_CONTACT, 2), "anna ben carl dora emil ");
        assert_int_equal(mutate(f, "ben", set_op(DM_STATUS_ACTIVE, 0, true), &out), DM_OK);
        assert_int_equal(out.contact.fence, 8);
        into_the_view(f);
        assert_int_equal(check(f, "ben", &now), DM_OK);
        assert_int_equal(now.fence, 8);
        assert_int_equal(damage_met(f), 0);
    }
}

/* ---- what everything hangs on --------------------------------------------------------------- */

static size_t row_of(struct fixture *f, enum dm_table table, struct dm_slice key, uint8_t *out)
{
    struct dm_slice value = {0};
    bool found = dm_store_get(f->store, table, key, &value);
    assert_true(found);
    memcpy(out, value.data, value.size);
    dm_store_read_end(f->store);
    return value.size;
}

/* Whatever bit of the row is wrong, the start is refused by a sentence that names it. */
static void assert_refused(struct fixture *f, enum dm_table table, struct dm_slice key,
                           const char *named)
{
    uint8_t row[256];
    size_t size = row_of(f, table, key, row);
    for (size_t at = 0; at < size; at++) {
        row[at] ^= (uint8_t)(1U << at % 8);
        put(f, table, key, dm_slice(row, size));
        dm_engine_close(f->engine);
        assert_int_equal(try_open(f), DM_DATA_LOSS);
        if (strstr(f->error.message, named) == NULL ||
            strstr(f->error.message, "move the view away") == NULL) {
            fail_msg("%s", f->error.message);
        }
        row[at] ^= (uint8_t)(1U << at % 8);
        put(f, table, key, dm_slice(row, size));
        open_engine(f);
    }
}

static void with_a_policy(struct fixture *f)
{
    some_contacts(f);
    struct dm_policy policy = *dm_policy_default();
    policy.message_limit = 7;
    dm_engine_call_begin(f->engine, 0);
    assert_int_equal(dm_engine_set_policy(f->engine, dm_slice_str("acme"), dm_slice_str("night"),
                                          &policy, false, 0, NULL),
                     DM_OK);
    into_the_view(f);
}

static void a_damaged_row_of_accounts_or_bots_is_named(void **state)
{
    struct fixture *f = *state;
    with_a_policy(f);
    assert_refused(f, DM_TABLE_ACCOUNTS, dm_slice("\0\0\0\1", 4), "the row of account number 1;");
    assert_refused(f, DM_TABLE_POLICIES, dm_slice("\0\0\0\1\0\0\0\1", 8),
                   "the row of account number 1, bot number 1;");
    assert_refused(f, DM_TABLE_META, dm_slice_str("applied"), "\"applied\"");
}

/* Version 1 of the rows ended before the checksum, as did "applied"; and no log had an id. */
static void rows_of_older_versions_are_read(void **state)
{
    struct fixture *f = *state;
    struct dm_effective now;
    struct dm_policy policy;
    static const char *const keys[] = {"\0\0\0\1", "\0\0\0\1\0\0\0\1", "applied"};
    static const enum dm_table tables[] = {DM_TABLE_ACCOUNTS, DM_TABLE_POLICIES, DM_TABLE_META};
    static const size_t sizes[] = {4, 8, 7};
    with_a_policy(f);
    for (int i = 0; i < 3; i++) {
        uint8_t row[256];
        struct dm_slice key = dm_slice(keys[i], sizes[i]);
        size_t size = row_of(f, tables[i], key, row);
        row[0] = tables[i] == DM_TABLE_META ? row[0] : 1;
        put(f, tables[i], key, dm_slice(row, size - 4));
    }
    put(f, DM_TABLE_META, dm_slice_str("log"), dm_slice(NULL, 0));
    dm_engine_close(f->engine);
    open_engine(f);
    assert_int_equal(check(f, "ben", &now), DM_OK);
    assert_int_equal(now.status, DM_STATUS_INACTIVE);
    assert_int_equal(counts(f).contacts, 5);
    dm_engine_policy(f->engine, dm_slice_str("acme"), dm_slice_str("night"), &policy);
    assert_int_equal(policy.message_limit, 7);
}

static void the_view_of_another_journal_is_refused(void **state)
{
    struct fixture *f = *state;
    some_contacts(f);
    dm_engine_close(f->engine);
    struct dm_journal *mine = f->journal;
    f->journal = dm_journal_open_memory();
    assert_int_equal(try_open(f), DM_FAILED_PRECONDITION);
    assert_non_null(strstr(f->error.message, "another journal"));
    dm_journal_close(f->journal);
    f->journal = mine;
    open_engine(f);
}

/* The id only guards the rest: without it the view becomes this journal's again. */
static void a_damaged_id_of_the_log_is_written_anew(void **state)
{
    struct fixture *f = *state;
    uint8_t row[64];
    some_contacts(f);
    size_t size = row_of(f, DM_TABLE_META, dm_slice_str("log"), row);
    row[5] ^= 1;
    put(f, DM_TABLE_META, dm_slice_str("log"), dm_slice(row, size));
    dm_engine_close(f->engine);
    open_engine(f);
    assert_int_equal(damage_met(f), 1);
    row[5] ^= 1;
    uint8_t again[64];
    assert_int_equal(row_of(f, DM_TABLE_META, dm_slice_str("log"), again), size);
    assert_memory_equal(again, row, size);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        CASE(whatever_byte_is_wrong_that_contact_alone_is_lost),
        CASE(a_change_that_needs_the_record_is_refused),
        CASE(a_delete_helps),
        CASE(a_set_status_with_unlock_helps),
        CASE(a_refused_set_status_changes_nothing),
        CASE(counts_stay_in_bounds_when_the_status_is_what_is_wrong),
        CASE(a_list_goes_on_behind_it),
        CASE(an_index_entry_without_its_contact_is_passed_over),
        CASE(keys_that_are_none_are_passed_over),
        CASE(a_bulk_change_leaves_it_out),
        CASE(the_others_wake_in_time),
        CASE(a_wrong_fence_in_the_index_loses_no_wake),
        CASE(records_of_older_versions_are_served),
        CASE(a_damaged_row_of_accounts_or_bots_is_named),
        CASE(rows_of_older_versions_are_read),
        CASE(the_view_of_another_journal_is_refused),
        CASE(a_damaged_id_of_the_log_is_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
