#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

static struct dm_slice s(const char *text)
{
    return dm_slice_str(text);
}

static void equality_is_of_size_and_bytes(void **state)
{
    (void)state;
    assert_true(dm_slice_equal(s("abc"), dm_slice("abcdef", 3)));
    assert_false(dm_slice_equal(s("abc"), s("abd")));
    assert_false(dm_slice_equal(s("abc"), s("ab")));
    assert_true(dm_slice_equal(dm_slice(NULL, 0), s("")));
}

static void order_is_bytewise_and_a_prefix_comes_first(void **state)
{
    (void)state;
    assert_true(dm_slice_compare(s("ab"), s("abc")) < 0);
    assert_true(dm_slice_compare(s("abc"), s("ab")) > 0);
    assert_true(dm_slice_compare(s("b"), s("abc")) > 0);
    assert_true(dm_slice_compare(s("a\x7f"), s("a\x80")) < 0);
    assert_int_equal(dm_slice_compare(s("abc"), s("abc")), 0);
    assert_int_equal(dm_slice_compare(dm_slice(NULL, 0), s("")), 0);
    assert_true(dm_slice_compare(dm_slice(NULL, 0), s("a")) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_size_and_bytes),
        cmocka_unit_test(order_is_bytewise_and_a_prefix_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
