#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void every_code_point_is_written_and_read(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x110000; point++) {
        uint8_t bytes[4];
        uint32_t read = 0;
        bool valid = point < 0x110000 && (point < 0xD800 || point > 0xDFFF);
        size_t size = dm_utf8_write(bytes, point);
        assert_int_equal(dm_utf8_read(bytes, bytes + size, &read), valid ? size : 0);
        assert_int_equal(read, valid ? point : 0);
        if (size > 1) {
            assert_int_equal(dm_utf8_read(bytes, bytes + size - 1, &read), 0);
        }
    }
    assert_int_equal(dm_utf8_read((const uint8_t *)"", (const uint8_t *)"", &(uint32_t){0}), 0);
}

/* Three bytes of any value: as many sequences are valid as there are code points of each size. */
static void nothing_else_is_valid(void **state)
{
    (void)state;
    size_t of_size[5] = {0};
    for (uint32_t all = 0; all < 1U << 24; all++) {
        const uint8_t bytes[] = {(uint8_t)(all >> 16), (uint8_t)(all >> 8), (uint8_t)all};
        uint32_t point;
        of_size[dm_utf8_read(bytes, bytes + 3, &point)]++;
    }
    assert_int_equal(of_size[1], 0x80 << 16);
    assert_int_equal(of_size[2], (0x800 - 0x80) << 8);
    assert_int_equal(of_size[3], 0x10000 - 0x800 - 0x800);
    assert_int_equal(of_size[4], 0);
    static const char *const four[] = {"\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                       "\xF0\x90\x80\x7F", "\xF0\x90\xC0\x80", "\xF8\x88\x80\x80"};
    for (size_t i = 0; i < sizeof four / sizeof four[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)four[i];
        uint32_t point;
        assert_int_equal(dm_utf8_read(bytes, bytes + 4, &point), 0);
    }
}

static void assert_quoted(const char *text, enum dm_quoting how, const char *expected, size_t taken)
{
    char to[DM_QUOTED_MAX];
    size_t size_taken;
    const uint8_t *at = (const uint8_t *)text;
    size_t size = dm_utf8_quote(at, at + strlen(text), how, to, &size_taken);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(to, expected, size);
    assert_int_equal(size_taken, taken);
}

static void what_json_asks_for_is_escaped(void **state)
{
    (void)state;
    for (int shown = 0; shown < 2; shown++) {
        enum dm_quoting how = shown ? DM_QUOTE_SHOWN : DM_QUOTE_JSON;
        assert_quoted("ab", how, "a", 1);
        assert_quoted("\"", how, "\\\"", 1);
        assert_quoted("\\", how, "\\\\", 1);
        assert_quoted("\n", how, "\\n", 1);
        assert_quoted("\x1B[", how, "\\u001b", 1);
        assert_quoted("\xC3\xA9!", how, "\xC3\xA9", 2);
        assert_quoted("\xF0\x9F\x98\x80", how, "\xF0\x9F\x98\x80", 4);
        assert_quoted("\xC3", how, "", 1);
        assert_quoted("\xFF", how, "", 1);
    }
}

static void what_a_terminal_obeys_is_escaped_where_it_is_shown(void **state)
{
    (void)state;
    assert_quoted("\x7F", DM_QUOTE_JSON, "\x7F", 1);
    assert_quoted("\x7F", DM_QUOTE_SHOWN, "\\u007f", 1);
    assert_quoted("\xC2\x9B", DM_QUOTE_SHOWN, "\\u009b", 2);
    assert_quoted("\xE2\x80\xAE", DM_QUOTE_JSON, "\xE2\x80\xAE", 3);
    assert_quoted("\xE2\x80\xAE", DM_QUOTE_SHOWN, "\\u202e", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_written_and_read),
        cmocka_unit_test(nothing_else_is_valid),
        cmocka_unit_test(what_json_asks_for_is_escaped),
        cmocka_unit_test(what_a_terminal_obeys_is_escaped_where_it_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
