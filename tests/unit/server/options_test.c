#include "server/amount.h"
#include "server/options.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *const no_variables[] = {NULL};

static enum dm_code parse(struct dm_options *options, char *const *arguments,
                          char *const *variables, struct dm_error *error)
{
    char *argv[16] = {(char[]){"dormoused"}};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++) {
        argv[argc] = arguments[argc - 1];
    }
    return dm_options_parse(options, argc, argv, variables, error);
}

#define ARGS(...) ((char *const[]){__VA_ARGS__, NULL})

static void defaults_are_those_of_the_help(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error;
    assert_int_equal(parse(&options, no_variables, no_variables, &error), DM_OK);
    assert_string_equal(options.data, "dormouse-data");
    assert_int_equal(options.listen.count, 1);
    assert_string_equal(options.listen.values[0], "127.0.0.1:7400");
    assert_int_equal(options.horizon_ms, 3600000);
    assert_int_equal(options.retention_bytes, 8LL << 30);
    assert_int_equal(options.retention_ms, 30LL * 86400000);
    assert_int_equal(options.drain_timeout_ms, 10000);
    assert_int_equal(options.log_level, DM_LOG_INFO);
    assert_int_equal(options.hosts.count, 0);
    assert_int_equal(options.cors_origins.count, 0);
    dm_options_finish(&options);
}

static void a_flag_wins_over_its_variable(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error;
    assert_int_equal(
        parse(&options, ARGS("--horizon", "2h", "--listen=a:1", "--listen", "b:2"),
              ARGS("DORMOUSE_HORIZON=1m", "DORMOUSE_LISTEN=c:3,d:4", "DORMOUSE_DRAIN_TIMEOUT=1s",
                   "DORMOUSE_LOG_FORMAT=json", "DORMOUSE_CORS_ORIGIN=http://x,http://y"),
              &error),
        DM_OK);
    assert_int_equal(options.horizon_ms, 7200000);
    assert_int_equal(options.listen.count, 2);
    assert_string_equal(options.listen.values[1], "b:2");
    assert_int_equal(options.drain_timeout_ms, 1000);
    assert_int_equal(options.log_format, DM_LOG_FORMAT_JSON);
    assert_string_equal(options.cors_origins.values[1], "http://y");
    assert_null(options.cors_origins.values[2]);
    dm_options_finish(&options);
}

static void a_bad_option_is_named(void **state)
{
    (void)state;
    static char *const bad[][3] = {{"--horizon", "1x", NULL},
                                   {"--horizon", "", NULL},
                                   {"--horizon", "10ms", NULL},
                                   {"--listen", "", NULL},
                                   {"--retention-bytes", "8GB", NULL},
                                   {"--retention-bytes", "-1", NULL},
                                   {"--retention-bytes", "99999999999999999999", NULL},
                                   {"--overlay-max", "1e9", NULL},
                                   {"--log-level", "loud", NULL},
                                   {"--drain-timeout", NULL, NULL},
                                   {"--unknown", "x", NULL},
                                   {"--horizo", "1h", NULL},
                                   {"data", NULL, NULL},
                                   {"-d", NULL, NULL},
                                   {"--data=", NULL, NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dm_options options;
        struct dm_error error = {0};
        assert_int_equal(parse(&options, bad[i], no_variables, &error), DM_INVALID_ARGUMENT);
        size_t name = strcspn(bad[i][0], "=");
        char text[64];
        memcpy(text, bad[i][0], name);
        text[name] = '\0';
        assert_non_null(strstr(error.message, text));
        dm_options_finish(&options);
    }
}

static void a_bad_variable_is_named(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error = {0};
    assert_int_equal(parse(&options, no_variables, ARGS("DORMOUSE_SEGMENT_SIZE=tiny"), &error),
                     DM_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "DORMOUSE_SEGMENT_SIZE"));
    dm_options_finish(&options);
}

/* What an origin or host that can never match is told; NULL: it is fine. */
static void assert_told(char *flag, char *value, const char *part)
{
    struct dm_options options;
    struct dm_error error = {0};
    enum dm_code code = parse(&options, ARGS(flag, value), no_variables, &error);
    bool right = part == NULL
                     ? code == DM_OK
                     : code == DM_INVALID_ARGUMENT && strstr(error.message, part) != NULL &&
                           strstr(error.message, flag) != NULL;
    if (!right) {
        print_error("%s \"%s\": %s\n", flag, value, code == DM_OK ? "taken" : error.message);
        fail();
    }
    dm_options_finish(&options);
}

static void an_origin_that_never_matches_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *part;
    } cases[] = {
        {"https://app.example", NULL},
        {"http://localhost:3000", NULL},
        {"http://127.0.0.1:8080", NULL},
        {"http://[::1]:8080", NULL},
        {"https://xn--bcher-kva.example", NULL},
        {"https://a_b.app-1.example:65535", NULL},
        {"http://app.example:443", NULL},
        {"chrome-extension://abcdefgh", NULL},
        {"*", NULL},
        {"null", "sandboxed"},
        {"https://app.example/", "slash"},
        {"https://app.example/x", "path"},
        {"https://app.example?x", "nothing behind"},
        {"https://app.example#x", "behind"},
        {"app.example", "scheme"},
        {"app.example:443", "scheme"},
        {"//app.example", "scheme"},
        {"://app.example", "scheme"},
        {"https:app.example", "scheme"},
        {"https://App.example", "small letters"},
        {"HTTPS://app.example", "small letters"},
        {"https://", "a host"},
        {"https://:80", "a host"},
        {"https://user@app.example", "a host"},
        {"https://b\xc3\xbc"
         "cher.example",
         "xn--"},
        {"https://app.example ", "a host"},
        {" https://app.example", "scheme"},
        {"https://*.example", "patterns"},
        {"https://app.example:443", "scheme's own"},
        {"http://app.example:80", "scheme's own"},
        {"https://app.example:", "a port"},
        {"https://app.example:0", "a port"},
        {"https://app.example:080", "a port"},
        {"https://app.example:65536", "a port"},
        {"https://app.example:x", "a port"},
        {"http://[::1", "a host"},
        {"http://[0:0::1]", "shortest"},
        {"http://[]", "a host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_told((char[]){"--cors-origin"}, (char *)cases[i].origin, cases[i].part);
    }
}

static void a_host_that_never_matches_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host, *part;
    } cases[] = {
        {"dormouse.example", NULL},
        {"Dormouse", NULL},
        {"inner_name-1", NULL},
        {"http://dormouse.example", "scheme"},
        {"dormouse.example:7400", "any port"},
        {"[::1]", "any port"},
        {"*.example", "patterns"},
        {"*", "patterns"},
        {"dormouse.example/", "letters"},
        {"dor mouse", "letters"},
        {"b\xc3\xbc"
         "cher",
         "letters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_told((char[]){"--host"}, (char *)cases[i].host, cases[i].part);
    }
}

static void names_come_from_variables_too(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error = {0};
    assert_int_equal(parse(&options, no_variables, ARGS("DORMOUSE_HOST=a.example,b"), &error),
                     DM_OK);
    assert_int_equal(options.hosts.count, 2);
    assert_string_equal(options.hosts.values[1], "b");
    dm_options_finish(&options);
    assert_int_equal(
        parse(&options, no_variables, ARGS("DORMOUSE_CORS_ORIGIN=http://a,http://b/"), &error),
        DM_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "DORMOUSE_CORS_ORIGIN \"http://b/\""));
    dm_options_finish(&options);
}

static void durations_and_sizes_have_units(void **state)
{
    (void)state;
    int64_t value;
    assert_true(dm_parse_duration("1h30m", &value) && value == 5400000);
    assert_true(dm_parse_duration("500ms", &value) && value == 500);
    assert_true(dm_parse_duration("30d", &value) && value == 30LL * 86400000);
    assert_true(dm_parse_duration("1s1ms", &value) && value == 1001);
    assert_false(dm_parse_duration("", &value));
    assert_false(dm_parse_duration("5", &value));
    assert_false(dm_parse_duration("5 s", &value));
    assert_false(dm_parse_duration("-5s", &value));
    assert_false(dm_parse_duration("9223372036854775807d", &value));
    assert_false(dm_parse_duration("9223372036854775807ms1ms", &value));
    assert_true(dm_parse_bytes("8GiB", &value) && value == 8LL << 30);
    assert_true(dm_parse_bytes("1000", &value) && value == 1000);
    assert_true(dm_parse_bytes("64B", &value) && value == 64);
    assert_false(dm_parse_bytes("1GiB1MiB", &value));
    assert_false(dm_parse_bytes("GiB", &value));
}

static void a_range_is_told_with_its_units(void **state)
{
    (void)state;
    static char *const cases[][4] = {
        {"--segment-size", "4MiB", "needs a size from 8MiB to 1GiB, like", NULL},
        {"--segment-size", "8GiB", "needs a size from 8MiB to 1GiB, like", NULL},
        {"--retention-bytes", "0", "needs a size of at least 1B, like", NULL},
        {"--horizon", "1ms", "needs a duration from 1s to 366d, like", NULL},
        {"--drain-delay", "5", "needs a duration from 0ms to 1d, like", NULL},
        {"--connections-max", "0", "needs a whole number from 1 to 1000000, not", NULL},
        {"--unix-mode", "0066", "needs an octal mode", NULL},
        {"--unix-mode", "660x", "needs an octal mode", NULL},
        {"--unix-mode", "01777", "needs an octal mode", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dm_options options;
        struct dm_error error = {0};
        assert_int_equal(parse(&options, ARGS(cases[i][0], cases[i][1]), no_variables, &error),
                         DM_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, cases[i][2]));
        dm_options_finish(&options);
    }
}

static void amounts_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const int64_t amounts[] = {
        0, 1, 999, 1000, 1024, 60000, 90000, 86400000, 1LL << 40, (1LL << 40) + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        char text[DM_AMOUNT_SIZE];
        int64_t value = -1;
        dm_duration_write(amounts[i], text);
        assert_true(dm_parse_duration(text, &value) && value == amounts[i]);
        dm_bytes_write(amounts[i], text);
        assert_true(dm_parse_bytes(text, &value) && value == amounts[i]);
        dm_count_write(amounts[i], text);
        assert_true(dm_parse_count(text, &value) && value == amounts[i]);
    }
}

static void a_mode_is_octal_and_spaces_separate_nothing(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error;
    assert_int_equal(parse(&options, ARGS("--unix-mode", "0660"),
                           ARGS("DORMOUSE_LISTEN=a:1, b:2 ,\tc:3"), &error),
                     DM_OK);
    assert_int_equal(options.unix_mode, 0660);
    assert_int_equal(options.listen.count, 3);
    assert_string_equal(options.listen.values[0], "a:1");
    assert_string_equal(options.listen.values[1], "b:2");
    assert_string_equal(options.listen.values[2], "c:3");
    dm_options_finish(&options);
    assert_int_equal(parse(&options, no_variables, ARGS("DORMOUSE_LISTEN=a:1, ,b:2"), &error),
                     DM_INVALID_ARGUMENT);
    dm_options_finish(&options);
}

static void help_and_version_ask_for_nothing_else(void **state)
{
    (void)state;
    struct dm_options options;
    struct dm_error error;
    assert_int_equal(parse(&options, ARGS("--help"), no_variables, &error), DM_OK);
    assert_true(options.help);
    dm_options_finish(&options);
    assert_int_equal(parse(&options, ARGS("--version"), no_variables, &error), DM_OK);
    assert_true(options.version);
    dm_options_finish(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_help),
        cmocka_unit_test(a_flag_wins_over_its_variable),
        cmocka_unit_test(a_bad_option_is_named),
        cmocka_unit_test(a_bad_variable_is_named),
        cmocka_unit_test(an_origin_that_never_matches_is_refused),
        cmocka_unit_test(a_host_that_never_matches_is_refused),
        cmocka_unit_test(names_come_from_variables_too),
        cmocka_unit_test(durations_and_sizes_have_units),
        cmocka_unit_test(a_range_is_told_with_its_units),
        cmocka_unit_test(amounts_are_written_as_they_are_read),
        cmocka_unit_test(a_mode_is_octal_and_spaces_separate_nothing),
        cmocka_unit_test(help_and_version_ask_for_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
