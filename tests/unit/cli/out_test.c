#include "cli/out.h"
#include "cli/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_text(struct dm_out *out, const char *expected)
{
    dm_out_bytes(out, "", 1);
    assert_string_equal((const char *)dm_buf_head(&out->buf), expected);
    dm_out_finish(out);
}

static void a_terminal_gets_no_control_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *safe;
    } table[] = {
        {"plain +49", "plain +49"},
        {"\x1b[31mred", "\\x1b[31mred"},
        {"a\nb\r\tc\x7f", "a\\nb\\r\\tc\\x7f"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xad", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xad"},
        {"c1 \xc2\x9b"
         "0m",
         "c1 \\x9b0m"},
        {"bidi \xe2\x80\xae", "bidi \\u202e"},
        {"cut \xe2\x80", "cut \\xe2\\x80"},
        {"overlong \xc0\xaf", "overlong \\xc0\\xaf"},
        {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
        {"beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct dm_out out = {.colour = false};
        (void)dm_out_safe(&out, dormouse_text(table[i].text));
        assert_text(&out, table[i].safe);
    }
}

static void columns_are_code_points(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_out_padded(&out, dormouse_text("\xc3\xbc"), 3);
    dm_out_padded(&out, dormouse_text("\x1b"), 5);
    dm_out_padded(&out, dormouse_text("long"), 2);
    assert_text(&out, "\xc3\xbc  \\x1b long");
}

static void json_texts_are_always_valid(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_out_json(&out, dormouse_text("q\" b\\ n\n e\x1b u\xc3\xbc bad\xff"));
    assert_text(&out, "\"q\\\" b\\\\ n\\n e\\u001b u\xc3\xbc bad\xef\xbf\xbd\"");
}

static void csv_fields_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_out_csv(&out, dormouse_text("plain"));
    dm_out_str(&out, ";");
    dm_out_csv(&out, dormouse_text("a,\"b\"\n"));
    assert_text(&out, "plain;\"a,\"\"b\"\"\n\"");
}

static void counts_have_thousands(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_out_count(&out, 0);
    dm_out_str(&out, " ");
    dm_out_count(&out, 999);
    dm_out_str(&out, " ");
    dm_out_count(&out, 1234567);
    assert_text(&out, "0 999 1,234,567");
}

static void colours_come_only_where_they_are_wanted(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_out_colour(&out, DM_RED);
    assert_text(&out, "");
    out.colour = true;
    dm_out_colour(&out, DM_RED);
    assert_text(&out, "\033[31m");
}

static void words_are_read_in_every_spelling(void **state)
{
    (void)state;
    static const char *const spellings[] = {"auto_pilot", "auto-pilot", "AUTO_PILOT",
                                            "MODE_AUTO_PILOT", "mode-auto-pilot"};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        int32_t value = 0;
        if (i == 4) { /* a prefix ends in an underscore */
            assert_false(dm_word_parse(&dm_mode_words, dormouse_text(spellings[i]), &value));
            continue;
        }
        assert_true(dm_word_parse(&dm_mode_words, dormouse_text(spellings[i]), &value));
        assert_int_equal(value, DORMOUSE_MODE_AUTO_PILOT);
    }
    int32_t value = 0;
    assert_false(dm_word_parse(&dm_mode_words, dormouse_text("unspecified"), &value));
    assert_false(dm_word_parse(&dm_mode_words, dormouse_text(""), &value));
}

static void words_have_the_contract_s_numbers(void **state)
{
    (void)state;
    assert_string_equal(dm_word(&dm_status_words, DORMOUSE_INACTIVE), "inactive");
    assert_string_equal(dm_word(&dm_reason_words, DORMOUSE_REASON_MODE_OFF), "mode_off");
    assert_string_equal(dm_word(&dm_reason_words, DORMOUSE_REASON_MESSAGE_LIMIT), "message_limit");
    assert_string_equal(dm_word(&dm_activity_words, DORMOUSE_APPOINTMENT_BOOKED),
                        "appointment_booked");
    assert_string_equal(dm_word(&dm_decision_words, DORMOUSE_SILENT), "silent");
    assert_string_equal(dm_word(&dm_action_words, DORMOUSE_ACTION_ACTIVATE), "activate");
    assert_string_equal(dm_word(&dm_repeat_words, DORMOUSE_REPEAT_REPLACE), "replace");
    assert_string_equal(dm_word(&dm_status_words, 77), "unknown");
    struct dm_out out = {.colour = false};
    dm_word_json(&out, &dm_status_words, DORMOUSE_SNOOZED);
    dm_word_json(&out, &dm_status_words, 77);
    assert_text(&out, "\"STATUS_SNOOZED\"77");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_no_control_characters),
        cmocka_unit_test(columns_are_code_points),
        cmocka_unit_test(json_texts_are_always_valid),
        cmocka_unit_test(csv_fields_are_quoted_where_they_must_be),
        cmocka_unit_test(counts_have_thousands),
        cmocka_unit_test(colours_come_only_where_they_are_wanted),
        cmocka_unit_test(words_are_read_in_every_spelling),
        cmocka_unit_test(words_have_the_contract_s_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
