#include "cli/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR 3600000LL

static void assert_text(struct dm_out *out, const char *expected)
{
    dm_out_bytes(out, "", 1);
    assert_string_equal((const char *)dm_buf_head(&out->buf), expected);
    dm_out_finish(out);
}

static int64_t duration(const char *text)
{
    int64_t ms = -1;
    return dm_duration_parse(dormouse_text(text), &ms) == NULL ? ms : -1;
}

static int64_t time_of(const char *text)
{
    int64_t ms = -1;
    return dm_time_parse(dormouse_text(text), &ms) == NULL ? ms : -1;
}

static void durations_are_numbers_with_units_largest_first(void **state)
{
    (void)state;
    assert_int_equal(duration("2h"), 2 * HOUR);
    assert_int_equal(duration("1h30m"), 90 * 60000);
    assert_int_equal(duration("90s"), 90000);
    assert_int_equal(duration("500ms"), 500);
    assert_int_equal(duration("3d"), 72 * HOUR);
    assert_int_equal(duration("1w2d3h4m5s6ms"), (7 + 2) * 24 * HOUR + 3 * HOUR + 245006);
    assert_int_equal(duration("1.5h"), 90 * 60000);
    assert_int_equal(duration("0.250s"), 250);
    assert_int_equal(duration("7200s"), 2 * HOUR);
    assert_int_equal(duration("366d"), 366 * 24 * HOUR);
}

static void what_is_no_duration_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "h",
        "2",
        "2x",
        "2H",
        " 2h",
        "2h ",
        "-2h",
        "30m1h",
        "1h1h",
        "1.h",
        ".5h",
        "1h30",
        "0s",
        "1..5s",
        "1h 30m",
        "9999999999999h",
        "999999999999w",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (duration(wrong[i]) != -1) {
            fail_msg("taken: \"%s\"", wrong[i]);
        }
    }
}

static void a_printed_duration_reads_back_the_same(void **state)
{
    (void)state;
    static const int64_t values[] = {
        1, 999, 1000, 61000, 90 * 60000, 24 * HOUR, 366 * 24 * HOUR + 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct dm_out out = {.colour = false};
        int64_t ms = 0;
        dm_duration_print(&out, values[i]);
        struct dm_slice text = dm_buf_slice(&out.buf);
        assert_null(dm_duration_parse((struct dormouse_text){text.data, text.size}, &ms));
        assert_int_equal(ms, values[i]);
        dm_out_finish(&out);
    }
}

static void times_are_rfc_3339_with_their_zone(void **state)
{
    (void)state;
    assert_int_equal(time_of("2026-12-01T09:00:00Z"), 1796115600000);
    assert_int_equal(time_of("2026-12-01T10:00:00+01:00"), 1796115600000);
    assert_int_equal(time_of("2026-12-01T03:30:00-05:30"), 1796115600000);
    assert_int_equal(time_of("2026-12-01 09:00:00z"), 1796115600000);
    assert_int_equal(time_of("2026-12-01t09:00:00.25Z"), 1796115600250);
    assert_int_equal(time_of("2026-12-01T09:00:00.123456789Z"), 1796115600123);
    assert_int_equal(time_of("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(time_of("2024-02-29T00:00:00Z"), 1709164800000);
    assert_int_equal(time_of("2000-02-29T23:59:59Z"), 951868799000);
    assert_int_equal(time_of("9999-12-31T23:59:59Z"), 253402300799000);
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "2026-12-01",
        "2026-12-01T09:00:00",
        "2026-12-01T09:00Z",
        "2026-13-01T09:00:00Z",
        "2026-00-01T09:00:00Z",
        "2026-02-29T09:00:00Z",
        "2100-02-29T09:00:00Z",
        "2026-04-31T09:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T09:60:00Z",
        "2026-12-01T09:00:60Z",
        "2026-12-01T09:00:00.Z",
        "2026-12-01T09:00:00Zx",
        "2026-12-01T09:00:00+0100",
        "2026-12-01T09:00:00+24:00",
        "2026-1-01T09:00:00Z",
        "1969-12-31T23:59:59Z",
        "tomorrow",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (time_of(wrong[i]) != -1) {
            fail_msg("taken: \"%s\"", wrong[i]);
        }
    }
}

static void every_day_of_four_centuries_reads_back_the_same(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 146097 + 1000; day++) {
        struct dm_out out = {.colour = false};
        int64_t ms = 0, wanted = day * 24 * HOUR + 12345;
        dm_time_print_rfc3339(&out, wanted);
        struct dm_slice text = dm_buf_slice(&out.buf);
        assert_null(dm_time_parse((struct dormouse_text){text.data, text.size}, &ms));
        assert_int_equal(ms, wanted);
        dm_out_finish(&out);
    }
}

static void times_are_printed_for_people_and_for_programs(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_time_print(&out, 1796115600123);
    assert_text(&out, "2026-12-01 09:00:00 UTC");
    dm_time_print_rfc3339(&out, 1796115600123);
    assert_text(&out, "2026-12-01T09:00:00.123Z");
    dm_time_print_rfc3339(&out, 1796115600000);
    assert_text(&out, "2026-12-01T09:00:00Z");
}

static void what_is_ahead_and_behind_is_told_in_two_units(void **state)
{
    (void)state;
    struct dm_out out = {.colour = false};
    dm_time_print_relative(&out, 100 * HOUR + 118 * 60000, 100 * HOUR);
    assert_text(&out, "in 1 h 58 min");
    dm_time_print_relative(&out, 100 * HOUR, 175 * HOUR);
    assert_text(&out, "3 d 3 h ago");
    dm_time_print_relative(&out, 100 * HOUR + 59500, 100 * HOUR);
    assert_text(&out, "in 59 s");
    dm_time_print_relative(&out, 100 * HOUR + 400, 100 * HOUR);
    assert_text(&out, "now");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_numbers_with_units_largest_first),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(a_printed_duration_reads_back_the_same),
        cmocka_unit_test(times_are_rfc_3339_with_their_zone),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(every_day_of_four_centuries_reads_back_the_same),
        cmocka_unit_test(times_are_printed_for_people_and_for_programs),
        cmocka_unit_test(what_is_ahead_and_behind_is_told_in_two_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
