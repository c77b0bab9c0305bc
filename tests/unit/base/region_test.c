#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/region.h"

enum { PAGE = 4096 };

static void a_region_reads_as_zero_and_keeps_what_is_written(void **state)
{
    (void)state;
    struct dm_region region;
    assert_true(dm_region_init(&region, (size_t)1 << 36));
    uint8_t *bytes = region.base;
    size_t last = ((size_t)1 << 36) - 1;
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[last], 0);
    bytes[last] = 7;
    assert_int_equal(bytes[last], 7);
    dm_region_finish(&region);
}

static void released_pages_read_as_zero_and_their_neighbours_stay(void **state)
{
    (void)state;
    struct dm_region region;
    assert_true(dm_region_init(&region, (size_t)8 * PAGE));
    dm_region_prefer_huge(&region);
    uint8_t *bytes = region.base;
    for (size_t i = 0; i < (size_t)8 * PAGE; i++) {
        bytes[i] = 1;
    }
    dm_region_release(&region, PAGE + 1, (size_t)3 * PAGE);
    for (size_t i = 0; i < (size_t)8 * PAGE; i++) {
        assert_int_equal(bytes[i], i >= (size_t)2 * PAGE && i < (size_t)4 * PAGE ? 0 : 1);
    }
    dm_region_release(&region, 10, PAGE);
    assert_int_equal(bytes[10], 1);
    assert_int_equal(bytes[PAGE], 1);
    dm_region_finish(&region);
}

static void space_that_cannot_be_had_leaves_an_empty_region(void **state)
{
    (void)state;
    struct dm_region region;
    assert_false(dm_region_init(&region, SIZE_MAX / 2));
    assert_null(region.base);
    assert_int_equal(region.size, 0);
    dm_region_finish(&region);
    dm_region_finish(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_reads_as_zero_and_keeps_what_is_written),
        cmocka_unit_test(released_pages_read_as_zero_and_their_neighbours_stay),
        cmocka_unit_test(space_that_cannot_be_had_leaves_an_empty_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
