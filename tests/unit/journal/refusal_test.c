/* A disk that takes no batch without waiting, as btrfs does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "journal/journal.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

struct bench {
    struct dm_sim_disk *sim;
    struct virtual_clock clock;
    struct dm_journal *journal;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct dm_error error;
    assert_non_null(b);
    b->sim = dm_sim_disk_create();
    b->clock = (struct virtual_clock){.wall_ms = 1700000000000, .monotonic_ns = 5};
    dm_sim_disk_begins(b->sim, 1);
    const struct dm_journal_options options = {
        .disk = dm_sim_disk_port(b->sim),
        .clock = virtual_clock_port(&b->clock),
        .manual = true,
    };
    assert_int_equal(dm_journal_open_file(&b->journal, &options, &error), DM_OK);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    dm_journal_close(b->journal);
    dm_sim_disk_destroy(b->sim);
    free(b);
    return 0;
}

/* So many batches, each of which becomes durable; returns how often the disk was asked. */
static uint64_t write_batches(struct bench *b, unsigned count)
{
    uint64_t before = dm_sim_disk_begin_calls(b->sim);
    for (unsigned i = 0; i < count; i++) {
        uint64_t lsn = dm_order_append(b->journal->order, dm_slice_str("entry"), 0);
        dm_order_flush(b->journal->order);
        while (dm_order_durable(b->journal->order) < lsn) {
            (void)dm_journal_work(b->journal);
        }
    }
    return dm_sim_disk_begin_calls(b->sim) - before;
}

static void assert_rarely_asked(struct bench *b)
{
    assert_int_equal(write_batches(b, DM_JOURNAL_REFUSALS_MAX), DM_JOURNAL_REFUSALS_MAX);
    assert_int_equal(write_batches(b, DM_JOURNAL_REFUSED_BATCHES), 0);
    /* Once more: it may have been for a while only. */
    assert_int_equal(write_batches(b, 1), 1);
    assert_int_equal(write_batches(b, DM_JOURNAL_REFUSED_BATCHES), 0);
}

static void a_disk_that_refuses_is_asked_rarely(void **state)
{
    struct bench *b = *state;
    dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_AT_ONCE);
    assert_rarely_asked(b);
}

static void a_disk_that_gives_every_batch_back_is_asked_rarely(void **state)
{
    struct bench *b = *state;
    dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_LATER);
    assert_rarely_asked(b);
}

static void a_disk_that_takes_them_again_is_asked_each_time(void **state)
{
    struct bench *b = *state;
    dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_AT_ONCE);
    (void)write_batches(b, DM_JOURNAL_REFUSALS_MAX);
    dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_NONE);
    assert_int_equal(write_batches(b, DM_JOURNAL_REFUSED_BATCHES), 0);
    assert_true(write_batches(b, 3 * DM_JOURNAL_REFUSED_BATCHES) >= DM_JOURNAL_REFUSED_BATCHES);
}

static void a_refusal_now_and_then_changes_nothing(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 100; i++) {
        dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_AT_ONCE);
        assert_int_equal(write_batches(b, 1), 1);
        dm_sim_disk_refuse(b->sim, DM_SIM_REFUSES_NONE);
        assert_int_equal(write_batches(b, 5), 5);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        CASE(a_disk_that_refuses_is_asked_rarely),
        CASE(a_disk_that_gives_every_batch_back_is_asked_rarely),
        CASE(a_disk_that_takes_them_again_is_asked_each_time),
        CASE(a_refusal_now_and_then_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
