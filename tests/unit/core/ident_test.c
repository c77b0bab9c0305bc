#include "core/ident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A copy in memory of just its size, so that a sanitizer sees every byte too far. */
static enum dm_code check(const char *bytes, size_t size)
{
    char *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum dm_code code = dm_id_check(dm_slice(copy, size), "contact_id", NULL);
    free(copy);
    return code;
}
#define CHECK(text) check(text, sizeof(text) - 1)

static void an_id_is_1_to_64_bytes(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(check(longest, 0), DM_INVALID_ARGUMENT);
    assert_int_equal(check(longest, 1), DM_OK);
    assert_int_equal(check(longest, 64), DM_OK);
    assert_int_equal(check(longest, 65), DM_INVALID_ARGUMENT);
}

static void utf8_of_every_length_passes(void **state)
{
    (void)state;
    assert_int_equal(CHECK("+49 170 1234567"), DM_OK);
    assert_int_equal(CHECK("\u00a0\u00e9"), DM_OK); /* C2 A0, the first that is no control */
    assert_int_equal(CHECK("\u0800\uffff\ud7ff\ue000"), DM_OK);
    assert_int_equal(CHECK("\U00010000\U0010ffff"), DM_OK);
}

static void what_is_no_utf8_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x80", 1},             /* a continuation alone */
        {"\xc3", 1},             /* cut */
        {"\xe2\x82", 2},         /* cut */
        {"\xf0\x9f\x98", 3},     /* cut */
        {"\xc3(", 2},            /* no continuation */
        {"\xe2(\xac", 3},        /* in the second place */
        {"\xe2\x82(", 3},        /* in the third */
        {"\xf0\x9f\x98(", 4},    /* in the fourth */
        {"\xc0\xaf", 2},         /* overlong */
        {"\xc1\xbf", 2},         /* overlong */
        {"\xe0\x9f\xbf", 3},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 4}, /* overlong */
        {"\xed\xa0\x80", 3},     /* a surrogate */
        {"\xed\xbf\xbf", 3},     /* a surrogate */
        {"\xf4\x90\x80\x80", 4}, /* past U+10FFFF */
        {"\xf5\x80\x80\x80", 4}, /* past U+10FFFF */
        {"\xff", 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(check(bad[i].bytes, bad[i].size), DM_INVALID_ARGUMENT);
    }
}

static void control_characters_do_not(void **state)
{
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        char byte = (char)c;
        bool control = c < 0x20 || c == 0x7f;
        assert_int_equal(check(&byte, 1), control ? DM_INVALID_ARGUMENT : DM_OK);
    }
    assert_int_equal(CHECK("\xc2\x80"), DM_INVALID_ARGUMENT);
    assert_int_equal(CHECK("\xc2\x9f"), DM_INVALID_ARGUMENT);
}

static void text_may_be_empty_and_has_its_own_limit(void **state)
{
    (void)state;
    assert_int_equal(dm_text_check(dm_slice(NULL, 0), 4, "actor", NULL), DM_OK);
    assert_int_equal(dm_text_check(dm_slice_str("four"), 4, "actor", NULL), DM_OK);
    assert_int_equal(dm_text_check(dm_slice_str("fives"), 4, "actor", NULL), DM_INVALID_ARGUMENT);
}

static void the_sentence_begins_with_the_field(void **state)
{
    (void)state;
    struct dm_error error;
    assert_int_equal(dm_id_check(dm_slice(NULL, 0), "account_id", &error), DM_INVALID_ARGUMENT);
    assert_string_equal(error.message, "account_id: is missing; give 1 to 64 bytes");
    assert_int_equal(dm_text_check(dm_slice_str("ab\n"), 64, "change.actor", &error),
                     DM_INVALID_ARGUMENT);
    assert_string_equal(error.message,
                        "change.actor: has a control character at byte 2; remove it");
}

static void keys_order_by_account_then_contact(void **state)
{
    (void)state;
    static const struct {
        uint32_t account;
        const char *contact;
    } ordered[] = {{1, "a"},   {1, "aa"},  {1, "b"},         {2, "a"},
                   {255, "z"}, {256, "a"}, {UINT32_MAX, "a"}};
    struct dm_key keys[7];
    for (int i = 0; i < 7; i++) {
        dm_key_make(&keys[i], ordered[i].account, dm_slice_str(ordered[i].contact));
        struct dm_slice key = dm_key_slice(&keys[i]);
        assert_int_equal(dm_key_account(key), ordered[i].account);
        assert_true(dm_slice_equal(dm_key_contact(key), dm_slice_str(ordered[i].contact)));
        assert_true(i == 0 || dm_slice_compare(dm_key_slice(&keys[i - 1]), key) < 0);
    }
}

static void the_longest_contact_fits_a_key(void **state)
{
    (void)state;
    char longest[DM_ID_SIZE_MAX];
    memset(longest, 'x', sizeof longest);
    struct dm_key key;
    dm_key_make(&key, 7, dm_slice(longest, sizeof longest));
    assert_int_equal(key.size, DM_KEY_SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_1_to_64_bytes),
        cmocka_unit_test(utf8_of_every_length_passes),
        cmocka_unit_test(what_is_no_utf8_does_not),
        cmocka_unit_test(control_characters_do_not),
        cmocka_unit_test(text_may_be_empty_and_has_its_own_limit),
        cmocka_unit_test(the_sentence_begins_with_the_field),
        cmocka_unit_test(keys_order_by_account_then_contact),
        cmocka_unit_test(the_longest_contact_fits_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
