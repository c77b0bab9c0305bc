#include "base/varint.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void comes_back(uint64_t value, size_t size)
{
    uint8_t bytes[DM_VARINT_MAX];
    uint64_t read;
    const uint8_t *at = bytes;
    assert_int_equal(dm_varint_size(value), size);
    assert_ptr_equal(dm_varint_put(bytes, value), bytes + size);
    assert_true(dm_varint_get(&at, bytes + size, &read));
    assert_ptr_equal(at, bytes + size);
    assert_true(read == value);
    for (size_t short_of = 0; short_of < size; short_of++) {
        at = bytes;
        assert_false(dm_varint_get(&at, bytes + short_of, &read));
    }
}

static void every_size_comes_back(void **state)
{
    (void)state;
    comes_back(0, 1);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t power = (uint64_t)1 << bit;
        comes_back(power, bit / 7 + 1);
        comes_back(power | (power - 1), bit / 7 + 1);
    }
}

static void what_is_past_64_bits_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[11] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00};
    uint64_t value;
    const uint8_t *at = bytes;
    assert_true(dm_varint_get(&at, bytes + 11, &value));
    assert_true(value == UINT64_MAX);
    bytes[9] = 0x02;
    at = bytes;
    assert_false(dm_varint_get(&at, bytes + 11, &value));
    bytes[9] = 0x81;
    at = bytes;
    assert_false(dm_varint_get(&at, bytes + 11, &value));
}

static void bytes_that_are_not_needed_are_read(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x85, 0x80, 0x00};
    uint64_t value;
    const uint8_t *at = bytes;
    assert_true(dm_varint_get(&at, bytes + 3, &value));
    assert_int_equal(value, 5);
    assert_ptr_equal(at, bytes + 3);
}

static void zigzag_comes_back(void **state)
{
    (void)state;
    static const int64_t values[] = {0, -1, 1, -2, INT64_MAX, INT64_MIN};
    static const uint64_t as[] = {0, 1, 2, 3, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(dm_zigzag(values[i]) == as[i]);
        assert_true(dm_unzigzag(as[i]) == values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_comes_back),
        cmocka_unit_test(what_is_past_64_bits_is_refused),
        cmocka_unit_test(bytes_that_are_not_needed_are_read),
        cmocka_unit_test(zigzag_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
