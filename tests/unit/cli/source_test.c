#include "cli/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRACE_SIZE = 2048 };

static void append(char *out, const char *text)
{
    size_t length = strlen(out);
    (void)snprintf(out + length, TRACE_SIZE - length, "%s", text);
}

static void append_row(char *out, const struct dm_row *row)
{
    char part[256];
    (void)snprintf(part, sizeof part, "%d:", (int)row->line);
    append(out, part);
    for (int i = 0; i < DM_COLUMNS; i++) {
        if (row->fields[i].size > 0) {
            (void)snprintf(part, sizeof part, "%s=%.*s ", dm_column_names[i],
                           (int)row->fields[i].size, row->fields[i].data);
            append(out, part);
        }
    }
    append(out, "\n");
}

/* What comes out of a pipe that got `text`, as one text. */
static void drain(struct dm_source *source, char *out)
{
    struct dm_row row = {.line = 0};
    char part[300];
    for (;;) {
        enum dm_source_result result = dm_source_next(source, &row, true);
        if (result == DM_SOURCE_ROW) {
            append_row(out, &row);
            continue;
        }
        if (result == DM_SOURCE_BAD) {
            (void)snprintf(part, sizeof part, "%d! %s\n", (int)row.line, source->why);
            append(out, part);
            continue;
        }
        append(out, result == DM_SOURCE_FAILED ? "failed " : "end");
        append(out, result == DM_SOURCE_FAILED ? source->why : "");
        break;
    }
    dm_row_finish(&row);
}

static void trace(const char *text, size_t size, enum dm_format format, char *out)
{
    FILE *file = tmpfile();
    struct dm_source source;
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fflush(file), 0);
    rewind(file);
    *out = '\0';
    dm_source_init(&source, fileno(file), format);
    drain(&source, out);
    dm_source_finish(&source);
    (void)fclose(file);
}

static void assert_trace(const char *text, const char *expected)
{
    char out[TRACE_SIZE];
    trace(text, strlen(text), DM_FORMAT_GUESS, out);
    assert_string_equal(out, expected);
}

static void the_header_tells_which_column_is_which(void **state)
{
    (void)state;
    assert_trace("status,contact_id,account_id\nactive,c1,a1\n",
                 "2:account_id=a1 contact_id=c1 status=active \nend");
    assert_trace("contactId,status,snoozedUntil\nc1,snoozed,x\n",
                 "2:contact_id=c1 status=snoozed snoozed_until=x \nend");
}

static void bom_crlf_and_empty_lines_are_no_matter(void **state)
{
    (void)state;
    assert_trace("\xef\xbb\xbf\r\ncontact_id,status\r\n\r\nc1,active\r\n\r\n",
                 "4:contact_id=c1 status=active \nend");
    assert_trace("\xef\xbb\xbf{\"contact_id\":\"c1\"}\r\n\r\n  \n{\"contactId\":\"c2\"}",
                 "1:contact_id=c1 \n4:contact_id=c2 \nend");
}

static void lines_are_those_of_the_file(void **state)
{
    (void)state;
    assert_trace("contact_id,status,actor\nc1,active,\"x\ny\"\nc2,active,\nc3,act\"ive,\nc4,a,b\n",
                 "2:contact_id=c1 status=active actor=x\ny \n"
                 "4:contact_id=c2 status=active \n"
                 "5! a quote inside a field that does not begin with one\n"
                 "6:contact_id=c4 status=a actor=b \nend");
}

static void a_wrong_header_is_the_end(void **state)
{
    (void)state;
    assert_trace("contact_id,status,colour,\x1b[0m\nc,a,b,c\n",
                 "failed header: unknown columns: colour, \\x1b[0m; there are account_id, "
                 "contact_id, status, snoozed_until, snooze_for, reason, actor, bot_id, locked");
    assert_trace("contact_id,status,contact_id\n", "failed header: contact_id comes twice");
    assert_trace("status\n", "failed header: there must be the columns contact_id and status");
    assert_trace("", "failed is empty: there is no header");
}

/* What people have instead of such a file, and what they are told. */
static void other_files_are_recognised(void **state)
{
    (void)state;
    assert_trace("contact_id;status\nc1;active\n", "failed header: the columns are separated by "
                                                   "semicolons; they must be separated by commas");
    assert_trace("\"contact_id\";\"status\"\n",
                 "failed header: the columns are separated by semicolons; they must be separated "
                 "by commas");
    assert_trace("contact_id\tstatus\r\n", "failed header: the columns are separated by tabs; they "
                                           "must be separated by commas");
    assert_trace("contact_id|status\n", "failed header: the columns are separated by bars; they "
                                        "must be separated by commas");
    assert_trace(" [{\"contact_id\":\"c1\"}]", "failed is one JSON array; write one object a line, "
                                               "e.g. with jq -c '.[]'");
    assert_trace("\xef\xbb\xbf[\n{}]", "failed is one JSON array; write one object a line, e.g. "
                                       "with jq -c '.[]'");
    assert_trace("{\r\n  \"contact_id\": \"c1\"\n}\n",
                 "failed an object goes over several lines; write one object a line, e.g. with "
                 "jq -c .");
    assert_trace("\x1f\x8b\x08", "failed is compressed with gzip; try: zcat FILE | dormouse "
                                 "import -");
    assert_trace("PK\3\4", "failed is a spreadsheet or a zip archive; save it as CSV");
    assert_trace("\xff\xfe"
                 "c",
                 "failed is UTF-16; save it as UTF-8");
    assert_trace("c1,active\nc2,active\n",
                 "failed header: unknown columns: c1, active (is the header row missing?); there "
                 "are account_id, contact_id, status, snoozed_until, snooze_for, reason, actor, "
                 "bot_id, locked");
}

static void a_row_has_as_many_fields_as_the_header(void **state)
{
    (void)state;
    assert_trace("contact_id,status\nc1\nc2,active,x\nc3,active\n",
                 "2! 1 fields where the header has 2\n3! 3 fields where the header has 2\n"
                 "4:contact_id=c3 status=active \nend");
}

static void ndjson_is_strict_about_its_members(void **state)
{
    (void)state;
    assert_trace("{\"contactId\":\"c1\",\"locked\":true,\"actor\":null,\"fence\":\"7\"}\n"
                 "{\"contactId\":\"c2\",\"colour\":1}\n"
                 "{\"contactId\":\"c3\",\"contact_id\":\"c3\"}\n"
                 "{\"contactId\":7}\n"
                 "[1]\n"
                 "{\"contactId\":\"gr\\u00fc\\u00df\"}\n",
                 "1:contact_id=c1 locked=true \n"
                 "2! no column is called \"colour\"\n"
                 "3! a column is given twice, under two names\n"
                 "4! a value must be text\n"
                 "5! each line must be one JSON object\n"
                 "6:contact_id=gr\xc3\xbc\xc3\x9f \nend");
}

static void what_is_no_json_is_told_and_left(void **state)
{
    (void)state;
    char out[TRACE_SIZE];
    static const char text[] =
        "{\"contactId\":\n{\"a\":\"b\",\"a\":\"c\"}\n{\"contactId\":\"c3\"} x\n"
        "{\"contactId\":\"c4\"}\n";
    trace(text, sizeof text - 1, DM_FORMAT_NDJSON, out);
    assert_non_null(strstr(out, "1! not valid JSON"));
    assert_non_null(strstr(out, "2! not valid JSON: duplicate object key"));
    assert_non_null(strstr(out, "3! not valid JSON"));
    assert_non_null(strstr(out, "4:contact_id=c4 \nend"));
}

/* A line that is far longer than what is read at once. */
static void assert_long_line_is_left(const char *before, const char *after, const char *expected,
                                     enum dm_format format)
{
    size_t size = 700000, before_size = strlen(before), after_size = strlen(after);
    char *text = malloc(before_size + size + after_size);
    char out[TRACE_SIZE];
    memcpy(text, before, before_size);
    memset(text + before_size, 'x', size);
    memcpy(text + before_size + size, after, after_size);
    trace(text, before_size + size + after_size, format, out);
    assert_string_equal(out, expected);
    free(text);
}

static void very_long_lines_are_left(void **state)
{
    (void)state;
    assert_long_line_is_left("contact_id,status\nc1,active\n", "\nc3,active\n",
                             "2:contact_id=c1 status=active \n"
                             "3! longer than 64 KiB, or a quote is never closed\n"
                             "4:contact_id=c3 status=active \nend",
                             DM_FORMAT_CSV);
    assert_long_line_is_left("{\"contactId\":\"", "\n{\"contactId\":\"c2\"}\n",
                             "1! longer than 64 KiB\n2:contact_id=c2 \nend", DM_FORMAT_NDJSON);
}

static void a_quote_that_is_never_closed_costs_one_line(void **state)
{
    (void)state;
    assert_trace("contact_id,status\n\"c1,active\nc2,active\n",
                 "2! a quote is never closed\n3:contact_id=c2 status=active \nend");
}

static void a_pipe_may_bring_a_row_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "contact_id,status\nc1,active\nc2,\"sno\"\"ozed\"\n";
    int ends[2];
    char out[TRACE_SIZE] = "";
    struct dm_source source;
    struct dm_row row = {.line = 0};
    assert_int_equal(pipe(ends), 0);
    dm_source_init(&source, ends[0], DM_FORMAT_GUESS);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        enum dm_source_result result = dm_source_next(&source, &row, false);
        if (result == DM_SOURCE_ROW) {
            append_row(out, &row);
        } else {
            assert_int_equal(result, DM_SOURCE_WAIT);
        }
        assert_int_equal(write(ends[1], &text[i], 1), 1);
    }
    (void)close(ends[1]);
    drain(&source, out);
    assert_string_equal(out,
                        "2:contact_id=c1 status=active \n3:contact_id=c2 status=sno\"ozed \nend");
    (void)close(ends[0]);
    dm_row_finish(&row);
    dm_source_finish(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_tells_which_column_is_which),
        cmocka_unit_test(bom_crlf_and_empty_lines_are_no_matter),
        cmocka_unit_test(lines_are_those_of_the_file),
        cmocka_unit_test(a_wrong_header_is_the_end),
        cmocka_unit_test(other_files_are_recognised),
        cmocka_unit_test(a_row_has_as_many_fields_as_the_header),
        cmocka_unit_test(ndjson_is_strict_about_its_members),
        cmocka_unit_test(what_is_no_json_is_told_and_left),
        cmocka_unit_test(very_long_lines_are_left),
        cmocka_unit_test(a_quote_that_is_never_closed_costs_one_line),
        cmocka_unit_test(a_pipe_may_bring_a_row_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
