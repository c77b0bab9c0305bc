#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "lib/journal_model.h"

static void what_is_flushed_is_durable(void **state)
{
    (void)state;
    struct dm_journal *journal = dm_journal_open_memory();
    assert_int_equal(dm_order_append(journal->order, dm_slice_str("one"), 1), 1);
    assert_int_equal(dm_order_append(journal->order, dm_slice_str("two"), 0), 2);
    assert_int_equal(dm_order_durable(journal->order), 0);
    assert_int_equal(dm_order_pending(journal->order), 6);
    dm_order_flush(journal->order);
    assert_int_equal(dm_order_durable(journal->order), 2);
    assert_int_equal(dm_journal_committed_seq(journal), 1);
    assert_int_equal(dm_order_pending(journal->order), 0);
    dm_journal_close(journal);
}

static void a_held_journal_makes_nothing_durable(void **state)
{
    (void)state;
    struct dm_journal *journal = dm_journal_open_memory();
    dm_journal_memory_hold(journal, true);
    dm_order_append(journal->order, dm_slice_str("one"), 1);
    dm_order_flush(journal->order);
    assert_int_equal(dm_order_durable(journal->order), 0);
    dm_journal_memory_hold(journal, false);
    dm_order_flush(journal->order);
    assert_int_equal(dm_order_durable(journal->order), 1);
    dm_journal_close(journal);
}

static void a_failed_journal_says_so_and_makes_nothing_durable(void **state)
{
    (void)state;
    struct dm_journal *journal = dm_journal_open_memory();
    struct dm_error error = {0};
    assert_int_equal(dm_order_state(journal->order, &error), DM_ORDER_OK);
    dm_journal_memory_fail(journal, DM_ORDER_FAILED);
    dm_order_append(journal->order, dm_slice_str("one"), 1);
    dm_order_flush(journal->order);
    assert_int_equal(dm_order_durable(journal->order), 0);
    assert_int_equal(dm_order_state(journal->order, &error), DM_ORDER_FAILED);
    assert_int_equal(error.code, DM_UNAVAILABLE);
    dm_journal_close(journal);
}

static void it_reads_and_replays_what_was_appended(void **state)
{
    (void)state;
    struct dm_journal *journal = dm_journal_open_memory();
    struct journal_model model;
    journal_model_init(&model, 7, 3000);
    for (int i = 0; i < 500; i++) {
        journal_model_append(&model, journal);
    }
    dm_order_flush(journal->order);
    assert_null(journal_model_check_replay(&model, journal, 0));
    assert_null(journal_model_check_replay(&model, journal, 321));
    assert_null(journal_model_check_events(&model, journal, 0, 100));
    assert_null(journal_model_check_events(&model, journal, 100, 1));
    assert_non_null(journal_model_check_replay(&model, journal, 501));
    journal_model_finish(&model);
    dm_journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_flushed_is_durable),
        cmocka_unit_test(a_held_journal_makes_nothing_durable),
        cmocka_unit_test(a_failed_journal_says_so_and_makes_nothing_durable),
        cmocka_unit_test(it_reads_and_replays_what_was_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
