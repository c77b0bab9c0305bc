#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/ttrpc_calls.h"

enum { CALLS = 4096, PLACES = 8192 };

static uint32_t longest_run(const struct dm_ttrpc_calls *calls)
{
    uint32_t longest = 0, run = 0;
    for (uint32_t i = 0; i < 2 * calls->size; i++) {
        run = calls->places[i % calls->size].id != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Counted, not timed: ids so far apart that they would all want one place. */
static void chosen_ids_stand_far_from_each_other(void **state)
{
    (void)state;
    struct dm_ttrpc_calls calls = {0};
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(dm_ttrpc_calls_add(&calls, (struct dm_ttrpc_call){.id = 1 + i * 2 * PLACES}));
    }
    assert_int_equal(calls.size, PLACES);
    assert_in_range(longest_run(&calls), 1, 400);
    for (uint32_t i = 0; i < CALLS; i += 2) {
        dm_ttrpc_calls_remove(&calls, dm_ttrpc_calls_find(&calls, 1 + i * 2 * PLACES));
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(dm_ttrpc_calls_find(&calls, 1 + i * 2 * PLACES) != NULL, i % 2);
    }
    dm_ttrpc_calls_finish(&calls);
}

/* As clients use them: nothing ever has to move. */
static void ids_in_a_row_stand_in_their_own_places(void **state)
{
    (void)state;
    struct dm_ttrpc_calls calls = {0};
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(dm_ttrpc_calls_add(&calls, (struct dm_ttrpc_call){.id = 1 + 2 * i}));
        assert_int_equal(calls.displaced, 0);
    }
    assert_null(dm_ttrpc_calls_find(&calls, 1 + 2 * CALLS));
    assert_null(dm_ttrpc_calls_find(&calls, 1ULL << 32 | 1));
    for (uint32_t i = 0; i < CALLS; i++) {
        dm_ttrpc_calls_remove(&calls, dm_ttrpc_calls_find(&calls, 1 + 2 * i));
    }
    assert_int_equal(calls.used, 0);
    assert_int_equal(calls.size, 0);
    assert_true(dm_ttrpc_calls_add(&calls, (struct dm_ttrpc_call){.id = 7}));
    dm_ttrpc_calls_finish(&calls);
}

/* A hundred at a time, for many rounds of the table: each is found until it is over, whatever
 * round was asked for meanwhile. */
static void calls_are_found_over_the_end_of_a_round(void **state)
{
    enum { AT_ONCE = 100, IDS = 5000 };
    (void)state;
    struct dm_ttrpc_calls calls = {0};
    for (uint32_t i = 0; i < IDS; i++) {
        assert_true(dm_ttrpc_calls_add(&calls, (struct dm_ttrpc_call){.id = 1 + 2 * i}));
        for (uint32_t k = i < AT_ONCE ? 0 : i - AT_ONCE + 1; k <= i; k++) {
            assert_non_null(dm_ttrpc_calls_find(&calls, 1 + 2 * k));
        }
        if (i + 1 >= AT_ONCE) {
            uint32_t oldest = 1 + 2 * (i + 1 - AT_ONCE);
            dm_ttrpc_calls_remove(&calls, dm_ttrpc_calls_find(&calls, oldest));
            assert_null(dm_ttrpc_calls_find(&calls, oldest));
        }
    }
    dm_ttrpc_calls_finish(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_stand_far_from_each_other),
        cmocka_unit_test(ids_in_a_row_stand_in_their_own_places),
        cmocka_unit_test(calls_are_found_over_the_end_of_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
