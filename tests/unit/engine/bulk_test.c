#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lib/colliding.h"
#include "lib/virtual_clock.h"

static const int64_t start_ms = 1800000000000;
static const int64_t hour_ms = 3600000;

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct dm_error error;
    f->clock = (struct virtual_clock){.wall_ms = start_ms, .monotonic_ns = 1};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .horizon_ms = hour_ms,
        .manual_applier = true,
    };
    assert_int_equal(dm_engine_open(&f->engine, &options, &error), DM_OK);
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
    for (int i = 0; i < 3; i++) {
        virtual_clock_advance(&f->clock, 1000);
        while (dm_engine_turn(f->engine) == 0 || dm_engine_apply_work(f->engine)) {
        }
    }
}

static void set(struct fixture *f, const char *account, struct dm_slice contact,
                enum dm_status status, int64_t for_ms)
{
    struct dm_outcome out;
    struct dm_error error;
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change =
        (struct dm_change){.status = (uint8_t)status, .has_for = for_ms != 0, .for_ms = for_ms};
    assert_int_equal(dm_engine_mutate(f->engine, dm_slice_str(account), contact, dm_slice(NULL, 0),
                                      &op, &out, &error),
                     DM_OK);
}

/* All of acme's to `status`, in one call of many steps; its barrier stays in the engine. */
static struct dm_bulk_progress bulk(struct fixture *f, enum dm_status status, bool dry_run)
{
    struct dm_bulk *walk;
    struct dm_error error;
    struct dm_bulk_progress progress;
    const struct dm_bulk_options options = {
        .account_id = dm_slice_str("acme"),
        .change = {.status = (uint8_t)status},
        .dry_run = dry_run,
    };
    dm_engine_call_begin(f->engine, 0);
    assert_int_equal(dm_bulk_open(&walk, f->engine, &options, &error), DM_OK);
    enum dm_next next;
    while ((next = dm_bulk_step(walk, &progress, 7, &error)) == DM_NEXT_PENDING) {
    }
    assert_int_equal(next, DM_NEXT_END);
    dm_bulk_close(walk);
    return progress;
}

/* Thousands of ids that somebody chose to share a hash: in the view, in the overlay, in both. */
static void chosen_ids_are_changed_each(void **state)
{
    enum { CONTACTS = 3000 };
    struct fixture *f = *state;
    struct colliding ids = colliding_make("\0\0\0\1", 4);
    for (uint32_t i = 0; i < CONTACTS; i++) {
        set(f, "acme", colliding_id(&ids, i), DM_STATUS_ACTIVE, 0);
        if (i == CONTACTS / 3 * 2) {
            settle(f);
        }
    }
    for (uint32_t i = 0; i < CONTACTS / 3; i++) {
        set(f, "acme", colliding_id(&ids, i), DM_STATUS_SNOOZED, hour_ms);
    }
    struct dm_bulk_progress progress = bulk(f, DM_STATUS_INACTIVE, false);
    assert_int_equal(progress.scanned, CONTACTS);
    assert_int_equal(progress.changed, CONTACTS);
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice_str("acme"), &stats);
    assert_int_equal(stats.counts.inactive, CONTACTS);
}

static void what_is_only_looked_at_is_waited_for(void **state)
{
    struct fixture *f = *state;
    set(f, "acme", dm_slice_str("old"), DM_STATUS_INACTIVE, 0);
    settle(f);
    (void)bulk(f, DM_STATUS_ACTIVE, true);
    assert_int_equal(dm_engine_barrier(f->engine), 0);
    dm_journal_memory_hold(f->journal, true);
    set(f, "acme", dm_slice_str("new"), DM_STATUS_INACTIVE, 0);
    (void)dm_engine_turn(f->engine);
    uint64_t last = dm_order_last(f->journal->order);
    assert_true(last > dm_engine_durable(f->engine));
    assert_int_equal(bulk(f, DM_STATUS_ACTIVE, true).matched, 2);
    assert_int_equal(dm_engine_barrier(f->engine), last);
    assert_int_equal(bulk(f, DM_STATUS_INACTIVE, false).changed, 0);
    assert_int_equal(dm_engine_barrier(f->engine), last);
}

static int64_t next_wake(struct fixture *f)
{
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    return stats.next_wake_ms == 0 ? 0 : stats.next_wake_ms - start_ms;
}

/* However many accounts and changes there are: nobody looks through them. */
static void the_next_wake_of_the_server_is_known(void **state)
{
    struct fixture *f = *state;
    while (dm_engine_turn(f->engine) == 0) { /* the loading of nobody */
    }
    assert_int_equal(next_wake(f), 0);
    set(f, "acme", dm_slice_str("far"), DM_STATUS_SNOOZED, 30 * hour_ms);
    assert_int_equal(next_wake(f), 30 * hour_ms);
    set(f, "zeta", dm_slice_str("near"), DM_STATUS_SNOOZED, 1234567);
    assert_int_equal(next_wake(f), 1234567);
    set(f, "acme", dm_slice_str("nearer"), DM_STATUS_SNOOZED, 234567);
    assert_int_equal(next_wake(f), 234567);
    set(f, "acme", dm_slice_str("nearer"), DM_STATUS_SNOOZED, 2345678);
    assert_int_equal(next_wake(f), 1234567);
    set(f, "zeta", dm_slice_str("near"), DM_STATUS_ACTIVE, 0);
    assert_int_equal(next_wake(f), 2345678);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(chosen_ids_are_changed_each),
        T(what_is_only_looked_at_is_waited_for),
        T(the_next_wake_of_the_server_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
