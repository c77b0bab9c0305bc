#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/code.h"

static void names_follow_the_numbers(void **state)
{
    (void)state;
    assert_string_equal(dm_code_name(DM_OK), "OK");
    assert_string_equal(dm_code_name(DM_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(dm_code_name(17), "UNKNOWN");
    assert_string_equal(dm_code_name(-1), "UNKNOWN");
}

static void a_failure_carries_its_sentence(void **state)
{
    (void)state;
    struct dm_error error = {0};
    assert_int_equal(dm_fail(&error, DM_ABORTED, "revision is %d", 7), DM_ABORTED);
    assert_int_equal(error.code, DM_ABORTED);
    assert_string_equal(error.message, "revision is 7");
    assert_int_equal(dm_fail(NULL, DM_INTERNAL, "nobody listens"), DM_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_numbers),
        cmocka_unit_test(a_failure_carries_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
