#include "client/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    static const uint32_t wanted[] = {50, 100, 200, 400, 800, 1000, 1000, 1000};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct dm_backoff backoff;
        dm_backoff_init(&backoff, 50, 1000, seed);
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            uint64_t pause = dm_backoff_next(&backoff);
            assert_in_range(pause, wanted[i] / 2, wanted[i]);
        }
    }
}

static void clients_come_back_at_different_moments(void **state)
{
    (void)state;
    bool seen[512] = {false};
    size_t different = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct dm_backoff backoff;
        dm_backoff_init(&backoff, 1000, 1000, seed * 1000003);
        uint64_t pause = dm_backoff_next(&backoff) - 500;
        different += !seen[pause];
        seen[pause] = true;
    }
    assert_true(different > 250);
}

static void only_a_connection_that_lasted_makes_pauses_short_again(void **state)
{
    (void)state;
    struct dm_backoff backoff;
    dm_backoff_init(&backoff, 50, 1000, 7);
    for (int i = 0; i < 10; i++) {
        (void)dm_backoff_next(&backoff);
        dm_backoff_lasted(&backoff, 999);
    }
    assert_in_range(dm_backoff_next(&backoff), 500, 1000);
    dm_backoff_lasted(&backoff, 1000);
    assert_in_range(dm_backoff_next(&backoff), 25, 50);
    assert_in_range(dm_backoff_next(&backoff), 50, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(clients_come_back_at_different_moments),
        cmocka_unit_test(only_a_connection_that_lasted_makes_pauses_short_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
