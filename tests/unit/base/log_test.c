#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char text[8192];
static FILE *caught;
static int stderr_before;

static int catch_stderr(void **state)
{
    (void)state;
    caught = tmpfile();
    stderr_before = dup(STDERR_FILENO);
    return dup2(fileno(caught), STDERR_FILENO) < 0;
}

static int let_stderr_go(void **state)
{
    (void)state;
    (void)dup2(stderr_before, STDERR_FILENO);
    (void)close(stderr_before);
    dm_log_configure(DM_LOG_INFO, DM_LOG_FORMAT_LOGFMT);
    return fclose(caught);
}

/* All that has been logged since the test began. */
static const char *logged(void)
{
    ssize_t size = pread(fileno(caught), text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    return text;
}

static void assert_matches(const char *line, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int no_match = regexec(&regex, line, 0, NULL, 0);
    regfree(&regex);
    if (no_match != 0) {
        fail_msg("%s does not match %s", line, pattern);
    }
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"

static void a_logfmt_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    dm_log(DM_LOG_WARN, "journal opened", DM_LOG_TEXT("file", "00001.seg"),
           DM_LOG_NUMBER("seq", -42));
    assert_matches(logged(), "^time=" TIME " level=warn event=\"journal opened\" file=00001[.]seg "
                             "seq=-42\n$");
}

static void a_json_line_has_the_same(void **state)
{
    (void)state;
    dm_log_configure(DM_LOG_INFO, DM_LOG_FORMAT_JSON);
    dm_log(DM_LOG_ERROR, "cut", DM_LOG_TEXT("file", "a b"), DM_LOG_NUMBER("offset", 7));
    assert_matches(logged(), "^[{] ?\"time\":\"" TIME "\",\"level\":\"error\",\"event\":\"cut\","
                             "\"file\":\"a b\",\"offset\":7[}]\n$");
}

static void an_event_without_fields_is_a_line_too(void **state)
{
    (void)state;
    dm_log(DM_LOG_INFO, "ready");
    assert_matches(logged(), "level=info event=ready\n$");
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void)state;
    dm_log(DM_LOG_DEBUG, "unheard");
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    dm_log(DM_LOG_WARN, "unheard");
    assert_false(dm_log_enabled(DM_LOG_WARN));
    assert_true(dm_log_enabled(DM_LOG_ERROR));
    assert_string_equal(logged(), "");
}

static void no_text_can_forge_a_line_or_reach_a_terminal(void **state)
{
    (void)state;
    dm_log(DM_LOG_INFO, "x", DM_LOG_TEXT("a", "1\n2"), DM_LOG_TEXT("b", "\033[31m"),
           DM_LOG_TEXT("c", "q\"u\\o"), DM_LOG_TEXT("d", ""));
    assert_non_null(strstr(logged(), " a=\"1\\n2\" b=\"\\u001b[31m\" c=\"q\\\"u\\\\o\" d=\"\"\n"));
    assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
}

static void what_is_no_utf8_shows_as_replaced(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xc0\xaf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[32];
        (void)ftruncate(fileno(caught), 0);
        (void)lseek(STDERR_FILENO, 0, SEEK_SET);
        (void)snprintf(line, sizeof line, "a%sz", bad[i]);
        dm_log(DM_LOG_INFO, "x", DM_LOG_TEXT("t", line));
        const char *shown = strstr(logged(), " t=\"a\xef\xbf\xbd");
        assert_non_null(shown);
        assert_null(strstr(shown, bad[i]));
    }
    dm_log(DM_LOG_INFO, "x", DM_LOG_TEXT("t", "\xc3\xa9\xf0\x9f\x92\xa4\xc2\x9b"));
    assert_non_null(strstr(logged(), " t=\"\xc3\xa9\xf0\x9f\x92\xa4\\u009b\"\n"));
}

/* A text that fills the line and beyond, by what repeats in it. */
static void check_overlong(const char *piece)
{
    static char overlong[6001];
    size_t size = strlen(piece);
    memset(overlong, 0, sizeof overlong);
    for (size_t at = 0; at < 3000; at++) {
        overlong[at] = piece[at % size];
    }
    (void)ftruncate(fileno(caught), 0);
    (void)lseek(STDERR_FILENO, 0, SEEK_SET);
    dm_log(DM_LOG_INFO, "long", DM_LOG_TEXT("text", overlong), DM_LOG_TEXT("more", "lost"));
    size_t length = strlen(logged());
    assert_in_range(length, 1950, 2002);
    assert_string_equal(text + length - 3, "\"}\n");
    const char *quoted = strstr(text, "\"text\":\"") + strlen("\"text\":\"");
    size_t escaped = piece[0] == '\n' ? 6 : piece[0] == '"' ? 2 : piece[0] == '\x80' ? 3 : size;
    assert_int_equal((size_t)(text + length - 3 - quoted) % escaped, 0);
}

static void an_overlong_json_line_is_cut_between_characters_and_closed(void **state)
{
    (void)state;
    dm_log_configure(DM_LOG_INFO, DM_LOG_FORMAT_JSON);
    check_overlong("x");
    check_overlong("\"");
    check_overlong("\n");
    check_overlong("\xc3\xa9");
    check_overlong("\xf0\x9f\x92\xa4");
    check_overlong("\x80");
}

static void fields_past_the_end_of_the_line_are_left_out_whole(void **state)
{
    (void)state;
    char key[200];
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    struct dm_log_field fields[16];
    for (int i = 0; i < 16; i++) {
        fields[i] = DM_LOG_NUMBER(key, INT64_MIN);
    }
    dm_log_configure(DM_LOG_INFO, DM_LOG_FORMAT_JSON);
    dm_log_write(DM_LOG_INFO, "many", fields, 16);
    assert_matches(logged(), ":-9223372036854775808[}]\n$");
    assert_in_range(strlen(text), 1700, 2002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_logfmt_line_has_time_level_event_and_fields, catch_stderr,
                                        let_stderr_go),
        cmocka_unit_test_setup_teardown(a_json_line_has_the_same, catch_stderr, let_stderr_go),
        cmocka_unit_test_setup_teardown(an_event_without_fields_is_a_line_too, catch_stderr,
                                        let_stderr_go),
        cmocka_unit_test_setup_teardown(what_is_below_the_level_is_not_written, catch_stderr,
                                        let_stderr_go),
        cmocka_unit_test_setup_teardown(no_text_can_forge_a_line_or_reach_a_terminal, catch_stderr,
                                        let_stderr_go),
        cmocka_unit_test_setup_teardown(what_is_no_utf8_shows_as_replaced, catch_stderr,
                                        let_stderr_go),
        cmocka_unit_test_setup_teardown(an_overlong_json_line_is_cut_between_characters_and_closed,
                                        catch_stderr, let_stderr_go),
        cmocka_unit_test_setup_teardown(fields_past_the_end_of_the_line_are_left_out_whole,
                                        catch_stderr, let_stderr_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
