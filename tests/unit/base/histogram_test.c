#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"

static struct dm_histogram histogram;

static void reset(void)
{
    memset(&histogram, 0, sizeof histogram);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 64; value++) {
        reset();
        dm_histogram_add(&histogram, value);
        dm_histogram_add(&histogram, 1000);
        assert_true(dm_histogram_quantile(&histogram, 0.5) == value);
        assert_true(dm_histogram_count_le(&histogram, value) == 1);
        assert_true(value == 0 || dm_histogram_count_le(&histogram, value - 1) == 0);
    }
}

/* What a value is reported as: never less, and at most a 32nd more. */
static void check_error(uint64_t value)
{
    reset();
    dm_histogram_add(&histogram, value);
    dm_histogram_add(&histogram, UINT64_MAX);
    uint64_t reported = dm_histogram_quantile(&histogram, 0.5);
    assert_true(reported >= value);
    assert_true(reported - value <= value / 32);
    assert_true(dm_histogram_count_le(&histogram, reported) >= 1);
    assert_true(reported == 0 || dm_histogram_count_le(&histogram, reported - 1) == 0);
}

static void every_value_is_within_a_32nd(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 10000; value++) {
        check_error(value);
    }
    for (unsigned bit = 6; bit < 64; bit++) {
        uint64_t power = (uint64_t)1 << bit;
        check_error(power - 1);
        check_error(power);
        check_error(power + 1);
        check_error(power + power / 3);
        check_error(power + (power - 1));
    }
}

static void a_quantile_never_exceeds_the_largest_value(void **state)
{
    (void)state;
    reset();
    assert_true(dm_histogram_quantile(&histogram, 0.99) == 0);
    dm_histogram_add(&histogram, 1000001);
    assert_true(dm_histogram_quantile(&histogram, 0.0) == 1000001);
    assert_true(dm_histogram_quantile(&histogram, 1.0) == 1000001);
    assert_true(histogram.max == 1000001 && histogram.sum == 1000001);
}

static void quantiles_are_of_ranks(void **state)
{
    (void)state;
    reset();
    for (uint64_t value = 1; value <= 50; value++) {
        dm_histogram_add(&histogram, value);
    }
    assert_true(dm_histogram_quantile(&histogram, 0.0) == 1);
    assert_true(dm_histogram_quantile(&histogram, 0.02) == 1);
    assert_true(dm_histogram_quantile(&histogram, 0.021) == 2);
    assert_true(dm_histogram_quantile(&histogram, 0.5) == 25);
    assert_true(dm_histogram_quantile(&histogram, 0.98) == 49);
    assert_true(dm_histogram_quantile(&histogram, 1.0) == 50);
    assert_true(dm_histogram_count_le(&histogram, 25) == 25);
    assert_true(dm_histogram_count_le(&histogram, UINT64_MAX) == 50);
}

static void merging_is_adding_all_of_the_other(void **state)
{
    (void)state;
    static struct dm_histogram other;
    reset();
    dm_histogram_add(&histogram, 3);
    dm_histogram_add(&other, 900);
    dm_histogram_add(&other, 5);
    dm_histogram_merge(&histogram, &other);
    assert_true(histogram.count == 3 && histogram.sum == 908 && histogram.max == 900);
    assert_true(dm_histogram_quantile(&histogram, 0.5) == 5);
    assert_true(dm_histogram_count_le(&histogram, 5) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(every_value_is_within_a_32nd),
        cmocka_unit_test(a_quantile_never_exceeds_the_largest_value),
        cmocka_unit_test(quantiles_are_of_ranks),
        cmocka_unit_test(merging_is_adding_all_of_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
