#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lib/virtual_clock.h"
#include "view/overlay.h"

/* What is not in the view yet has its bounds: what happens at them, over restarts too. */

static const int64_t start_ms = 1800000000000;
static const int64_t minute_ms = 60000;
static const char *const long_text =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

enum { OVERLAY_MAX = 600, FOR_EVER = 1 << 30 };

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    uint32_t overlay_max, sleepers_max;
    bool threads; /* the applier has its own */
};

static enum dm_code open_engine(struct fixture *f, struct dm_error *error)
{
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .horizon_ms = 60 * minute_ms,
        .overlay_max = f->overlay_max,
        .sleepers_max = f->sleepers_max,
        .contacts_per_txn = 100,
        .manual_applier = !f->threads,
    };
    return dm_engine_open(&f->engine, &options, error);
}

/* With all of it in the journal. */
static void close_engine(struct fixture *f)
{
    dm_engine_flush(f->engine);
    dm_engine_close(f->engine);
    f->engine = NULL;
}

static void restart(struct fixture *f)
{
    struct dm_error error = {0};
    close_engine(f);
    enum dm_code code = open_engine(f, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(code, DM_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct dm_error error;
    f->clock = (struct virtual_clock){.wall_ms = start_ms, .monotonic_ns = 1};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    f->overlay_max = OVERLAY_MAX;
    assert_int_equal(open_engine(f, &error), DM_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->engine != NULL) {
        dm_engine_close(f->engine);
    }
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

static void apply(struct fixture *f)
{
    virtual_clock_advance(&f->clock, 20000);
    settle(f);
    while (dm_engine_apply_work(f->engine)) {
    }
    settle(f);
}

/* Until everything is in the view. */
static void apply_all(struct fixture *f)
{
    struct dm_engine_stats stats;
    for (int i = 0; i < 10; i++) {
        apply(f);
    }
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.overlay_contacts, 0);
    assert_int_equal(stats.applied_lsn, stats.order.last_lsn);
}

/* The view cannot be written from now on, and a sweep of one contact waits for it. */
static void fill_view(struct fixture *f)
{
    dm_store_memory_fail(f->store, FOR_EVER);
    settle(f);
    (void)dm_engine_apply_work(f->engine);
}

static enum dm_code set(struct fixture *f, const char *account, const char *contact,
                        enum dm_status status, int64_t for_ms, const char *actor, uint64_t request,
                        struct dm_error *error)
{
    struct dm_outcome out;
    struct dm_op op = {.kind = DM_OP_SET_STATUS, .request = request};
    op.set.change = (struct dm_change){.status = (uint8_t)status,
                                       .has_for = for_ms != 0,
                                       .for_ms = for_ms,
                                       .unlock = true,
                                       .actor = dm_slice_str(actor)};
    return dm_engine_mutate(f->engine, dm_slice_str(account), dm_slice_str(contact),
                            dm_slice(NULL, 0), &op, &out, error);
}

static enum dm_code set_numbered(struct fixture *f, const char *kind, unsigned number,
                                 enum dm_status status, int64_t for_ms, const char *actor,
                                 uint64_t request, struct dm_error *error)
{
    char contact[40];
    (void)snprintf(contact, sizeof contact, "%s-%u", kind, number);
    return set(f, "acme", contact, status, for_ms, actor, request, error);
}

static uint8_t status_of(struct fixture *f, const char *account, const char *contact)
{
    struct dm_contact found;
    assert_int_equal(
        dm_engine_get(f->engine, dm_slice_str(account), dm_slice_str(contact), &found, NULL),
        DM_OK);
    return found.status;
}

static uint64_t snoozed(struct fixture *f)
{
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    return stats.counts.snoozed;
}

/* Each contact of its own account; how many until they were refused. */
static unsigned fill_with_accounts(struct fixture *f)
{
    struct dm_error error;
    for (unsigned i = 0;; i++) {
        char account[80];
        (void)snprintf(account, sizeof account, "%.50s-%u", long_text, i);
        if (set(f, account, "c", DM_STATUS_INACTIVE, 0, "", 0, &error) != DM_OK) {
            assert_non_null(strstr(error.message, "wait to be applied"));
            return i;
        }
        if (i % 100 == 0) {
            settle(f);
        }
    }
}

/* Contacts with all the answers that are remembered, until they are refused. */
static unsigned fill_with_contacts(struct fixture *f, const char *kind, const char *actor,
                                   uint64_t request)
{
    struct dm_error error;
    for (unsigned i = 0;; i++) {
        for (unsigned r = 0; r < 8; r++) {
            if (set_numbered(f, kind, i, DM_STATUS_INACTIVE, 0, actor, request + r, &error) !=
                DM_OK) {
                return i;
            }
        }
        settle(f);
    }
}

static void rows_of_many_accounts_have_their_room(void **state)
{
    struct fixture *f = *state;
    fill_view(f);
    unsigned accounts = fill_with_accounts(f);
    assert_in_range(accounts, OVERLAY_MAX / 2, OVERLAY_MAX);
    dm_store_memory_fail(f->store, 0);
    apply_all(f);
    assert_int_equal(set(f, "one more", "c", DM_STATUS_INACTIVE, 0, "", 0, NULL), DM_OK);
}

static void rows_of_many_accounts_have_their_room_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct dm_engine_stats stats;
    fill_view(f);
    unsigned accounts = fill_with_accounts(f);
    (void)fill_with_contacts(f, "more", long_text, 1);
    restart(f);
    dm_store_memory_fail(f->store, 0);
    apply_all(f);
    restart(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_in_range(stats.accounts, accounts, accounts + 1);
    assert_in_range(stats.counts.inactive, accounts, accounts + OVERLAY_MAX);
}

static void rows_of_bots_count(void **state)
{
    struct fixture *f = *state;
    struct dm_error error;
    struct dm_engine_stats stats;
    enum dm_code code = DM_OK;
    fill_view(f);
    unsigned bots = 0;
    while (code == DM_OK) {
        char account[16], bot[80];
        struct dm_policy policy = *dm_policy_default();
        (void)snprintf(account, sizeof account, "acme%u", bots / 500);
        (void)snprintf(bot, sizeof bot, "%.50s-%u", long_text, bots % 500);
        code = dm_engine_set_policy(f->engine, dm_slice_str(account), dm_slice_str(bot), &policy,
                                    false, 0, &error);
        bots += code == DM_OK;
    }
    assert_int_equal(code, DM_RESOURCE_EXHAUSTED);
    /* No contact was written, and a row of theirs takes more than 200 bytes. */
    assert_in_range(bots, 500, OVERLAY_MAX * DM_OVERLAY_CONTACT_SIZE / 200);
    restart(f);
    dm_store_memory_fail(f->store, 0);
    apply_all(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.accounts, (bots + 499) / 500);
}

static void wakes_go_on_when_callers_are_refused_and_then_wait(void **state)
{
    struct fixture *f = *state;
    struct dm_error error;
    enum { SLEEPERS = 400 };
    for (unsigned i = 0; i < SLEEPERS; i++) {
        assert_int_equal(
            set_numbered(f, "sleeper", i, DM_STATUS_SNOOZED, 30 * minute_ms, "", 0, &error), DM_OK);
    }
    apply_all(f);
    fill_view(f);
    while (set_numbered(f, "busy", (unsigned)dm_order_last(f->journal->order), DM_STATUS_INACTIVE,
                        0, "", 0, &error) == DM_OK) {
    }
    virtual_clock_advance(&f->clock, 31 * minute_ms);
    settle(f);
    assert_in_range(snoozed(f), 1, SLEEPERS - OVERLAY_MAX / 16);
    restart(f); /* with all of it still only in the journal */
    settle(f);
    assert_in_range(snoozed(f), 1, SLEEPERS - OVERLAY_MAX / 16);
    assert_int_equal(set(f, "acme", "new", DM_STATUS_INACTIVE, 0, "", 0, &error),
                     DM_RESOURCE_EXHAUSTED);
    dm_store_memory_fail(f->store, 0);
    apply_all(f);
    assert_int_equal(snoozed(f), 0);
}

/* Two generations, of the same contacts; in the second each is larger. */
static void fill_both_generations(struct fixture *f)
{
    struct dm_error error;
    unsigned contacts = fill_with_contacts(f, "c", "s", 100) / 2;
    apply_all(f);
    for (unsigned i = 0; i < contacts; i++) {
        assert_int_equal(set_numbered(f, "c", i, DM_STATUS_SNOOZED, minute_ms, "s", 200, &error),
                         DM_OK);
    }
    dm_store_memory_fail(f->store, FOR_EVER);
    virtual_clock_advance(&f->clock, 20000);
    settle(f);
    (void)dm_engine_apply_work(f->engine);
    for (unsigned r = 300; r < 310; r++) {
        for (unsigned i = 0; i < contacts; i++) {
            if (set_numbered(f, "c", i, DM_STATUS_INACTIVE, 0, long_text, r, &error) != DM_OK) {
                return;
            }
        }
    }
    fail_msg("the overlay did not fill");
}

static void what_fitted_into_two_generations_fits_into_one(void **state)
{
    struct fixture *f = *state;
    fill_both_generations(f);
    for (int i = 0; i < 3; i++) {
        restart(f);
        assert_int_equal(status_of(f, "acme", "c-1"), DM_STATUS_INACTIVE);
    }
    dm_store_memory_fail(f->store, 0);
    apply_all(f);
    assert_int_equal(status_of(f, "acme", "c-1"), DM_STATUS_INACTIVE);
}

static void fill_journal(struct fixture *f, unsigned contacts)
{
    struct dm_error error;
    f->overlay_max = 2 * contacts;
    restart(f);
    fill_view(f);
    for (unsigned i = 0; i < contacts; i++) {
        assert_int_equal(
            set_numbered(f, "c", i, DM_STATUS_SNOOZED, 40 * minute_ms, "", i + 1, &error), DM_OK);
    }
}

static void a_smaller_overlay_starts_by_way_of_the_view(void **state)
{
    struct fixture *f = *state;
    enum { CONTACTS = 5000 };
    struct dm_engine_stats stats;
    fill_journal(f, CONTACTS);
    dm_store_memory_fail(f->store, 0);
    f->overlay_max = 100;
    restart(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.counts.snoozed, CONTACTS);
    assert_in_range(stats.overlay_contacts, 1, 102);
    assert_int_equal(status_of(f, "acme", "c-17"), DM_STATUS_SNOOZED);
    assert_int_equal(status_of(f, "acme", "c-4999"), DM_STATUS_SNOOZED);
    /* All of them wake, those in the view and those on their way. */
    virtual_clock_advance(&f->clock, 41 * minute_ms);
    for (int i = 0; i < 1000 && snoozed(f) != 0; i++) {
        apply(f);
    }
    assert_int_equal(snoozed(f), 0);
    settle(f); /* a wake counts once it is durable */
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.wakes, CONTACTS);
}

static void with_a_thread_it_does_the_same(void **state)
{
    struct fixture *f = *state;
    struct dm_engine_stats stats;
    fill_journal(f, 5000);
    dm_store_memory_fail(f->store, 0);
    f->overlay_max = 100;
    f->threads = true;
    restart(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.counts.snoozed, 5000);
    assert_in_range(stats.overlay_contacts, 1, 102);
}

static void what_fits_nowhere_is_said_with_the_option(void **state)
{
    struct fixture *f = *state;
    struct dm_error error = {0};
    fill_journal(f, 20000);
    close_engine(f);
    f->overlay_max = 100;
    assert_int_equal(open_engine(f, &error), DM_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "--overlay-max than 100"));
    assert_non_null(strstr(error.message, "nothing is damaged"));
    assert_non_null(strstr(error.message, "told to fail")); /* the view's own reason */
    /* Either of the two helps. */
    f->overlay_max = 15000;
    assert_int_equal(open_engine(f, &error), DM_OK);
    assert_int_equal(snoozed(f), 20000);
    dm_store_memory_fail(f->store, 0);
    f->overlay_max = 100;
    restart(f);
    assert_int_equal(snoozed(f), 20000);
}

static void what_a_replay_cannot_read_is_still_called_damaged(void **state)
{
    struct fixture *f = *state;
    struct dm_error error = {0};
    (void)dm_order_append(f->journal->order, dm_slice_str("no entry of ours"), 0);
    close_engine(f);
    assert_int_equal(open_engine(f, &error), DM_DATA_LOSS);
}

/* ---- timers ------------------------------------------------------------------------- */

enum { TIMERS = 64 };

static void start_with_timers(struct fixture *f, uint32_t timers)
{
    f->overlay_max = 10000;
    f->sleepers_max = timers;
    restart(f);
}

static uint64_t wakes_of(struct fixture *f)
{
    struct dm_engine_stats stats;
    settle(f);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    return stats.wakes;
}

static void a_snooze_for_which_there_is_no_timer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct dm_error error = {0};
    start_with_timers(f, TIMERS);
    unsigned taken = 0;
    while (set_numbered(f, "c", taken, DM_STATUS_SNOOZED, 30 * minute_ms, "", 0, &error) == DM_OK) {
        taken++;
    }
    assert_int_equal(taken, TIMERS - 1);
    assert_int_equal(error.code, DM_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "--horizon"));
    /* Whoever has one may move it; what is beyond the horizon needs none; the rest goes on. */
    assert_int_equal(set(f, "acme", "c-1", DM_STATUS_SNOOZED, 20 * minute_ms, "", 0, &error),
                     DM_OK);
    assert_int_equal(set(f, "acme", "far", DM_STATUS_SNOOZED, 90 * minute_ms, "", 0, &error),
                     DM_OK);
    assert_int_equal(set(f, "acme", "on", DM_STATUS_INACTIVE, 0, "", 0, &error), DM_OK);
    assert_int_equal(set(f, "acme", "c-2", DM_STATUS_ACTIVE, 0, "", 0, &error), DM_OK);
    assert_int_equal(set(f, "acme", "new", DM_STATUS_SNOOZED, minute_ms, "", 0, &error), DM_OK);
    for (int i = 0; i < 95; i++) {
        virtual_clock_advance(&f->clock, minute_ms);
        settle(f);
    }
    assert_int_equal(snoozed(f), 0);
    assert_int_equal(wakes_of(f), TIMERS); /* c-2 was woken by hand, "far" and "new" came */
}

/* Many more sleep soon than there are timers: a restart with fewer of them. */
static void more_sleepers_than_timers_wake_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct dm_error error;
    enum { SLEEPERS = 1000 };
    start_with_timers(f, 2000);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        char account[16];
        (void)snprintf(account, sizeof account, "a%u", i % 7);
        char contact[80];
        (void)snprintf(contact, sizeof contact, "%s%u", i % 3 == 0 ? long_text + 20 : "c", i);
        assert_int_equal(set(f, account, contact, DM_STATUS_SNOOZED,
                             minute_ms + (int64_t)(i * 7919 % SLEEPERS) * 3000, "", 0, &error),
                         DM_OK);
        if (i == SLEEPERS / 2) {
            apply(f); /* half of them are in the index, half in the overlay */
        }
    }
    start_with_timers(f, TIMERS);
    uint64_t before = wakes_of(f);
    int64_t end_ms = f->clock.wall_ms + 60 * minute_ms;
    while (snoozed(f) != 0 && f->clock.wall_ms < end_ms) {
        int wait_ms = dm_engine_turn(f->engine);
        virtual_clock_advance(&f->clock, wait_ms);
    }
    assert_int_equal(snoozed(f), 0);
    assert_in_range(wakes_of(f) - before, SLEEPERS - 200, SLEEPERS);
}

#define engine_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        engine_test(rows_of_many_accounts_have_their_room),
        engine_test(rows_of_many_accounts_have_their_room_after_a_restart),
        engine_test(rows_of_bots_count),
        engine_test(wakes_go_on_when_callers_are_refused_and_then_wait),
        engine_test(what_fitted_into_two_generations_fits_into_one),
        engine_test(a_smaller_overlay_starts_by_way_of_the_view),
        engine_test(with_a_thread_it_does_the_same),
        engine_test(what_fits_nowhere_is_said_with_the_option),
        engine_test(what_a_replay_cannot_read_is_still_called_damaged),
        engine_test(a_snooze_for_which_there_is_no_timer_is_refused),
        engine_test(more_sleepers_than_timers_wake_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
