#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lib/virtual_clock.h"

/* What the simulation (tests/sim) found, each as the few calls that show it. */

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
        .horizon_ms = 2000,
        .overlay_max = 16384,
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

static int settle(struct fixture *f)
{
    int wait_ms = 0;
    while (wait_ms == 0) {
        wait_ms = dm_engine_turn(f->engine);
    }
    return wait_ms;
}

static struct dm_outcome mutate(struct fixture *f, const char *account, const char *contact,
                                struct dm_op op)
{
    struct dm_outcome out;
    struct dm_error error;
    assert_int_equal(dm_engine_mutate(f->engine, dm_slice_str(account), dm_slice_str(contact),
                                      dm_slice(NULL, 0), &op, &out, &error),
                     DM_OK);
    return out;
}

static struct dm_outcome set_status(struct fixture *f, const char *account, const char *contact,
                                    enum dm_status status, int64_t for_ms)
{
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change =
        (struct dm_change){.status = (uint8_t)status, .has_for = for_ms != 0, .for_ms = for_ms};
    return mutate(f, account, contact, op);
}

static struct dm_engine_stats stats(struct fixture *f)
{
    struct dm_engine_stats out;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &out);
    return out;
}

static void a_history_position_of_another_account_shows_nothing(void **state)
{
    struct fixture *f = *state;
    struct dm_event event;
    size_t budget = SIZE_MAX;
    (void)set_status(f, "theirs", "c", DM_STATUS_INACTIVE, 0); /* event 1 */
    (void)set_status(f, "theirs", "c", DM_STATUS_ACTIVE, 0);   /* event 2 */
    (void)set_status(f, "ours", "c", DM_STATUS_INACTIVE, 0);   /* event 3 */
    (void)settle(f);
    struct dm_history *history =
        dm_history_open(f->engine, dm_slice_str("ours"), dm_slice_str("c"), 2);
    assert_int_equal(dm_history_next(history, &event, &budget), DM_NEXT_END);
    dm_history_close(history);
}

static void a_list_waits_for_what_it_leaves_out_to_be_durable(void **state)
{
    struct fixture *f = *state;
    struct dm_contact contact;
    (void)set_status(f, "acme", "c", DM_STATUS_ACTIVE, 0);
    (void)settle(f);
    (void)set_status(f, "acme", "c", DM_STATUS_INACTIVE, 0);
    uint64_t barrier = dm_engine_barrier(f->engine);
    dm_engine_call_begin(f->engine, 0);
    const struct dm_scan_options options = {
        .account_id = dm_slice_str("acme"), .status = DM_STATUS_ACTIVE, .limit = 10};
    struct dm_scan *scan = dm_scan_open(f->engine, &options);
    size_t budget = 100;
    assert_int_equal(dm_scan_next(scan, &contact, &budget), DM_NEXT_END);
    assert_true(barrier > dm_engine_durable(f->engine));
    assert_int_equal(dm_engine_barrier(f->engine), barrier);
    dm_scan_close(scan);
}

static void the_fence_of_a_contact_never_seen_waits_for_the_delete_that_raised_it(void **state)
{
    struct fixture *f = *state;
    struct dm_effective now;
    (void)set_status(f, "acme", "gone", DM_STATUS_INACTIVE, 0);
    (void)settle(f);
    (void)mutate(f, "acme", "gone", (struct dm_op){.kind = DM_OP_DELETE});
    uint64_t deleted = dm_engine_barrier(f->engine);
    dm_engine_call_begin(f->engine, 0);
    dm_engine_check(f->engine, dm_slice_str("acme"), dm_slice_str("new"), &now, NULL);
    assert_int_equal(dm_engine_barrier(f->engine), deleted);
    struct dm_contact contact;
    dm_engine_call_begin(f->engine, 0);
    dm_engine_get(f->engine, dm_slice_str("acme"), dm_slice_str("new"), &contact, NULL);
    assert_int_equal(dm_engine_barrier(f->engine), deleted);
    struct dm_op op = {.kind = DM_OP_ACTIVITY};
    op.activity.activity = DM_ACTIVITY_CONVERSATION_READ; /* writes nothing, and shows the fence */
    dm_engine_call_begin(f->engine, 0);
    (void)mutate(f, "acme", "new", op);
    assert_int_equal(dm_engine_barrier(f->engine), deleted);
}

static void a_wake_that_a_mutation_met_is_counted(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "acme", "c", DM_STATUS_SNOOZED, 1000);
    (void)settle(f);
    virtual_clock_advance(&f->clock, 1300); /* no turn */
    (void)set_status(f, "acme", "c", DM_STATUS_INACTIVE, 0);
    (void)settle(f);
    (void)settle(f);
    assert_int_equal(stats(f).wakes, 1);
    assert_int_equal(stats(f).wake_lag_ms->count, 1);
    assert_int_equal(stats(f).wake_lag_ms->max, 300);
}

static void a_snooze_set_after_the_clock_went_back_ends_on_time(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "acme", "before", DM_STATUS_SNOOZED, 1500);
    (void)settle(f);
    f->clock.wall_ms -= hour_ms;
    (void)set_status(f, "acme", "after", DM_STATUS_SNOOZED, 1000);
    int wait_ms = settle(f);
    assert_true(wait_ms <= 1000);
    virtual_clock_advance(&f->clock, 1000);
    (void)settle(f);
    (void)settle(f);
    assert_int_equal(stats(f).wakes, 1);
    assert_int_equal(stats(f).counts.snoozed, 1); /* the other one waits for its time */
    virtual_clock_advance(&f->clock, hour_ms + 500);
    (void)settle(f);
    assert_int_equal(stats(f).counts.snoozed, 0);
}

static void sweeps_go_on_after_the_clock_went_back(void **state)
{
    struct fixture *f = *state;
    (void)settle(f);
    f->clock.wall_ms -= hour_ms;
    (void)set_status(f, "acme", "c", DM_STATUS_INACTIVE, 0);
    (void)settle(f);
    virtual_clock_advance(&f->clock, 1000);
    (void)settle(f);
    while (dm_engine_apply_work(f->engine)) {
    }
    (void)settle(f);
    assert_int_equal(stats(f).overlay_contacts, 0);
}

static void a_clock_set_forward_while_sleepers_are_loaded_delays_nobody(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "acme", "c", DM_STATUS_SNOOZED, 7000); /* beyond the horizon */
    virtual_clock_advance(&f->clock, 18000); /* the first loading is still under way */
    (void)settle(f);
    assert_int_equal(stats(f).counts.snoozed, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_history_position_of_another_account_shows_nothing),
        T(a_list_waits_for_what_it_leaves_out_to_be_durable),
        T(the_fence_of_a_contact_never_seen_waits_for_the_delete_that_raised_it),
        T(a_wake_that_a_mutation_met_is_counted),
        T(a_snooze_set_after_the_clock_went_back_ends_on_time),
        T(sweeps_go_on_after_the_clock_went_back),
        T(a_clock_set_forward_while_sleepers_are_loaded_delays_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
