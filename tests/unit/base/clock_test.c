#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "lib/virtual_clock.h"

static void a_held_clock_stands_and_then_goes_on(void **state)
{
    (void)state;
    struct virtual_clock under = {.wall_ms = 1000, .monotonic_ns = 5};
    struct dm_held_clock held = {.base = virtual_clock_port(&under)};
    struct dm_clock clock = dm_clock_held(&held);
    assert_int_equal(dm_clock_wall_ms(&clock), 1000);
    under.wall_ms = 1001;
    assert_int_equal(dm_clock_wall_ms(&clock), 1001);
    dm_clock_hold(&held);
    under.wall_ms = 1500;
    under.monotonic_ns = 6;
    assert_int_equal(dm_clock_wall_ms(&clock), 1001);
    assert_int_equal(dm_clock_monotonic_ns(&clock), 6);
    dm_clock_hold(&held); /* again: it moves on */
    assert_int_equal(dm_clock_wall_ms(&clock), 1500);
    under.wall_ms = 1400; /* a step back is seen, too */
    dm_clock_let_go(&held);
    assert_int_equal(dm_clock_wall_ms(&clock), 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_clock_stands_and_then_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
