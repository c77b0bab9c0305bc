#include "base/flag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_flag(const char *text, const char *name, const char *value, bool is_long)
{
    struct dm_flag flag;
    assert_true(dm_flag_read(text, &flag));
    assert_int_equal(flag.name_size, strlen(name));
    assert_memory_equal(flag.name, name, flag.name_size);
    assert_int_equal(flag.is_long, is_long);
    if (value == NULL) {
        assert_null(flag.value);
    } else {
        assert_string_equal(flag.value, value);
    }
}

static void flags_are_read(void **state)
{
    (void)state;
    struct dm_flag flag;
    assert_flag("--name", "name", NULL, true);
    assert_flag("--name=", "name", "", true);
    assert_flag("--name=a=b", "name", "a=b", true);
    assert_flag("-n", "n", NULL, false);
    assert_flag("-n=1", "n=1", NULL, false);
    assert_flag("--", "", NULL, true);
    assert_false(dm_flag_read("word", &flag));
    assert_false(dm_flag_read("-", &flag));
    assert_false(dm_flag_read("", &flag));
}

static void a_name_is_a_whole_one_of_a_long_flag(void **state)
{
    (void)state;
    struct dm_flag flag;
    assert_true(dm_flag_read("--data=x", &flag));
    assert_true(dm_flag_is(&flag, "data"));
    assert_false(dm_flag_is(&flag, "dat"));
    assert_false(dm_flag_is(&flag, "data=x"));
    assert_true(dm_flag_read("-d", &flag));
    assert_false(dm_flag_is(&flag, "d"));
}

static void a_value_stands_behind_or_follows(void **state)
{
    (void)state;
    char *const argv[] = {"--a=1", "--b", "--c", "--d", NULL};
    struct dm_flag flag;
    int i = 0;
    assert_true(dm_flag_read(argv[i], &flag));
    assert_string_equal(dm_flag_value(&flag, 4, argv, &i), "1");
    assert_int_equal(i, 0);
    i = 1;
    assert_true(dm_flag_read(argv[i], &flag));
    assert_string_equal(dm_flag_value(&flag, 4, argv, &i), "--c");
    assert_int_equal(i, 2);
    i = 3;
    assert_true(dm_flag_read(argv[i], &flag));
    assert_null(dm_flag_value(&flag, 4, argv, &i));
}

static const char *guess(const char *text)
{
    static const char *const names[] = {"retention-age", "listen", "data"};
    struct dm_flag flag;
    struct dm_flag_guess guess = {0};
    assert_true(dm_flag_read(text, &flag));
    for (size_t i = 0; i < 3; i++) {
        dm_flag_guess(&guess, &flag, names[i]);
    }
    return guess.nearest;
}

static void what_is_near_is_guessed(void **state)
{
    (void)state;
    assert_string_equal(guess("--lisetn=x"), "listen");
    assert_string_equal(guess("--retentionage"), "retention-age");
    assert_null(guess("--port"));
    assert_null(guess("--"));
    assert_null(
        guess("--a-name-that-is-much-longer-than-any-name-which-a-program-would-have-of-its-own"));
}

static void distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(dm_flag_distance("list", "list"), 0);
    assert_int_equal(dm_flag_distance("lst", "list"), 1);
    assert_int_equal(dm_flag_distance("lits", "list"), 1);
    assert_int_equal(dm_flag_distance("snoze", "snooze"), 1);
    assert_int_equal(dm_flag_distance("", "abc"), 3);
    assert_int_equal(dm_flag_distance("kitten", "sitting"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_read),
        cmocka_unit_test(a_name_is_a_whole_one_of_a_long_flag),
        cmocka_unit_test(a_value_stands_behind_or_follows),
        cmocka_unit_test(what_is_near_is_guessed),
        cmocka_unit_test(distance_counts_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
