#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_written(enum dm_base64 form, const char *bytes, const char *text)
{
    struct dm_buf buf = {0};
    uint8_t room[32];
    assert_int_equal(dm_base64_size(form, strlen(bytes)), strlen(text));
    assert_true(dm_base64_append(&buf, form, dm_slice_str(bytes)));
    assert_true(dm_slice_equal(dm_buf_slice(&buf), dm_slice_str(text)));
    assert_int_equal(dm_base64_read(dm_buf_slice(&buf), room), strlen(bytes));
    assert_memory_equal(room, bytes, strlen(bytes));
    dm_buf_finish(&buf);
}

/* RFC 4648, section 10, and the letters in which the alphabets differ. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const vectors[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xFB\xFF\xFE", "+//+", "-__-"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_written(DM_BASE64_PADDED, vectors[i][0], vectors[i][1]);
        assert_written(DM_BASE64_URL, vectors[i][0], vectors[i][2]);
    }
}

static ptrdiff_t size_of(const char *text)
{
    uint8_t room[64];
    return dm_base64_read(dm_slice_str(text), room);
}

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z",      "Zg=",      "Z===",  "====",    "=",    "Zm9vY", "Zm 9v",
        "Zm9v\n", "Zg==Zg==", "Zm9=v", "Zm8=Zm8", "Zm9*", "Zm9v=", "\xFF\xFF\xFF\xFF"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(size_of(wrong[i]), -1);
    }
    assert_int_equal(dm_base64_read(dm_slice("Zm9\0", 4), (uint8_t[4]){0}), -1);
}

static void segments_may_follow_one_another(void **state)
{
    (void)state;
    char text[] = "Zg==Zm8=Zm9vYg"; /* in place */
    ptrdiff_t size = dm_base64_read_segments(dm_slice(text, sizeof text - 1), (uint8_t *)text);
    assert_int_equal(size, 7);
    assert_memory_equal(text, "ffofoob", 7);
    assert_int_equal(dm_base64_read_segments(dm_slice_str("ZgZm8="), (uint8_t[8]){0}), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(segments_may_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
