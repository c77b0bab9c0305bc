#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct dm_option general[] = {{"json", 'j', NULL, ""}, {"account", 'a', "ID", ""}};
static const struct dm_option own[] = {{"for", 0, "DURATION", ""}, {"limit", 'n', "N", ""}};

static bool read(struct dm_args *args, int argc, const char *const *argv)
{
    return dm_args_read(args, argc, (char **)(uintptr_t)argv, general, 2, own, 2);
}

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    static const char *const argv[] = {"-a", "acme", "snooze", "c1", "--for=2h", "-j", "c2"};
    struct dm_args args;
    assert_true(read(&args, 7, argv));
    assert_int_equal(args.words_count, 3);
    assert_string_equal(args.words[2], "c2");
    assert_string_equal(dm_args_value(&args, "account"), "acme");
    assert_true(dm_args_flag(&args, "json"));
    assert_false(dm_args_flag(&args, "limit"));
    int64_t ms = 0;
    assert_true(dm_args_duration(&args, "for", &ms));
    assert_int_equal(ms, 7200000);
    dm_args_finish(&args);
}

static void behind_two_dashes_are_only_words(void **state)
{
    (void)state;
    static const char *const argv[] = {"get", "--", "--json", "-"};
    struct dm_args args;
    assert_true(read(&args, 4, argv));
    assert_int_equal(args.words_count, 3);
    assert_string_equal(args.words[1], "--json");
    assert_false(dm_args_flag(&args, "json"));
    dm_args_finish(&args);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *argv[2];
        int argc;
        const char *said;
    } table[] = {
        {{"--acount", "x"}, 2, "there is no option --acount; did you mean --account?"},
        {{"--zzz", ""}, 1, "there is no option --zzz"},
        {{"--account", ""}, 1, "--account needs a value: ID"},
        {{"--json=1", ""}, 1, "--json takes no value"},
        {{"-x", ""}, 1, "there is no option -x"},
        {{"--a", "x"}, 2, "there is no option --a"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_args args;
        assert_false(read(&args, table[i].argc, table[i].argv));
        dm_out_bytes(&args.error, "", 1);
        assert_string_equal((const char *)dm_buf_head(&args.error.buf), table[i].said);
        dm_args_finish(&args);
    }
}

static void repeated_options_are_all_kept_and_the_last_one_counts(void **state)
{
    (void)state;
    static const char *const argv[] = {"-n", "1", "-n", "2"};
    struct dm_args args;
    assert_true(read(&args, 4, argv));
    assert_string_equal(dm_args_each(&args, "limit", 0), "1");
    assert_string_equal(dm_args_each(&args, "limit", 1), "2");
    assert_null(dm_args_each(&args, "limit", 2));
    assert_string_equal(dm_args_value(&args, "limit"), "2");
    dm_args_finish(&args);
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t most, value;
        bool ok;
    } table[] = {
        {"0", 10, 0, true},
        {"10", 10, 10, true},
        {"11", 10, 0, false},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", UINT64_MAX, 0, false},
        {"-1", 10, 0, false},
        {"", 10, 0, false},
        {"1x", 100, 0, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *argv[] = {"-n", table[i].text};
        struct dm_args args;
        uint64_t value = 0;
        assert_true(read(&args, 2, argv));
        assert_int_equal(dm_args_number(&args, "limit", table[i].most, &value), table[i].ok);
        assert_true(value == table[i].value);
        dm_args_finish(&args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(behind_two_dashes_are_only_words),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(repeated_options_are_all_kept_and_the_last_one_counts),
        cmocka_unit_test(numbers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
