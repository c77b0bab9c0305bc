#include "cli/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TRACE_SIZE = 256 };

static void append_bytes(char *out, const char *data, size_t size)
{
    size_t length = strlen(out);
    assert_true(length + size < TRACE_SIZE);
    memcpy(out + length, data, size);
    out[length + size] = '\0';
}

static void append(char *out, const char *text)
{
    append_bytes(out, text, strlen(text));
}

/* Records as one text: fields in [], records end in ;, mistakes are !. */
static void trace_record(const struct dm_csv *csv, char *out)
{
    if (csv->blank) {
        append(out, "blank");
    }
    for (size_t i = 0; !csv->blank && i < csv->count; i++) {
        append(out, "[");
        append_bytes(out, csv->fields[i].data, csv->fields[i].size);
        append(out, "]");
    }
    append(out, ";");
}

/* Hands the text over in pieces of `step` bytes. */
static void trace(const char *text, size_t step, char *out)
{
    struct dm_csv csv = {.count = 0};
    size_t size = strlen(text), at = 0, have = step < size ? step : size;
    *out = '\0';
    while (at < size) {
        switch (dm_csv_read(&csv, dm_slice(text + at, have - at), have == size)) {
        case DM_CSV_RECORD:
            trace_record(&csv, out);
            at += csv.used;
            break;
        case DM_CSV_MORE:
            assert_true(have < size);
            have = have + step < size ? have + step : size;
            break;
        case DM_CSV_BAD:
            append(out, "!");
            at += csv.used;
            break;
        case DM_CSV_TOO_LONG:
            fail();
        }
        have = have < at ? at : have;
        if (have == at && at < size) {
            have = have + step < size ? have + step : size;
        }
    }
    dm_csv_finish(&csv);
}

static const struct {
    const char *text, *records;
} good[] = {
    {"a,b\r\nc,d\r\n", "[a][b];[c][d];"},
    {"a,b\nc,d", "[a][b];[c][d];"},
    {"a,b\r\nc,d\r", "[a][b];[c][d];"},
    {"a,,c\n,\n", "[a][][c];[][];"},
    {"\n\r\na\n", "blank;blank;[a];"},
    {"\"a\",\"b\"\r\n", "[a][b];"},
    {"\"a,b\",c\n", "[a,b][c];"},
    {"\"a\r\nb\",c\n", "[a\r\nb][c];"},
    {"\"say \"\"hi\"\"\"\n", "[say \"hi\"];"},
    {"\"\"\"\"\n", "[\"];"},
    {"\"\",x\n", "[][x];"},
    {"\"\"\n", "[];"},
    {"\"\"", "[];"},
    {"a,\"\"", "[a][];"},
    {"a,", "[a][];"},
    {" a , b \n", "[ a ][ b ];"},
    {"gr\xc3\xbc\xc3\x9f\n", "[gr\xc3\xbc\xc3\x9f];"},
    {"a\rb\n", "[a\rb];"},
};

static void records_are_read_as_rfc_4180_has_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char out[TRACE_SIZE];
        trace(good[i].text, 1000, out);
        assert_string_equal(out, good[i].records);
    }
}

static void it_does_not_matter_where_the_bytes_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t step = 1; step < 8; step++) {
            char out[TRACE_SIZE];
            trace(good[i].text, step, out);
            assert_string_equal(out, good[i].records);
        }
    }
}

static void after_a_mistake_reading_goes_on_with_the_next_line(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"a\"b\nc\n", "![c];"},     {"\"a\"b\nc\n", "![c];"},
        {"\"a\" ,b\nc\n", "![c];"}, {"x\n\"open\nc\nd\n", "[x];![c];[d];"},
        {"\"a\"\rb\nc\n", "![c];"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char out[TRACE_SIZE];
        trace(bad[i][0], 1000, out);
        assert_string_equal(out, bad[i][1]);
    }
}

static void lines_are_counted_inside_quotes_too(void **state)
{
    (void)state;
    static const char text[] = "\"a\nb\n\",c\nd";
    struct dm_csv csv = {.count = 0};
    assert_int_equal(dm_csv_read(&csv, dm_slice(text, sizeof text - 1), true), DM_CSV_RECORD);
    assert_int_equal(csv.lines, 3);
    dm_csv_finish(&csv);
}

static void a_record_is_bounded(void **state)
{
    (void)state;
    size_t size = DM_RECORD_SIZE_MAX + 10;
    char *text = malloc(size);
    struct dm_csv csv = {.count = 0};
    memset(text, 'x', size);
    assert_int_equal(dm_csv_read(&csv, dm_slice(text, size), true), DM_CSV_TOO_LONG);
    assert_int_equal(dm_csv_read(&csv, dm_slice(text, 100), false), DM_CSV_MORE);
    text[0] = '"';
    assert_int_equal(dm_csv_read(&csv, dm_slice(text, size), false), DM_CSV_TOO_LONG);
    memset(text, ',', size);
    assert_int_equal(dm_csv_read(&csv, dm_slice(text, size), false), DM_CSV_BAD);
    dm_csv_finish(&csv);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_as_rfc_4180_has_them),
        cmocka_unit_test(it_does_not_matter_where_the_bytes_are_split),
        cmocka_unit_test(after_a_mistake_reading_goes_on_with_the_next_line),
        cmocka_unit_test(lines_are_counted_inside_quotes_too),
        cmocka_unit_test(a_record_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
