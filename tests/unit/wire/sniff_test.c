#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/session.h"

static enum dm_sniff sniff(const char *bytes, size_t size)
{
    return dm_sniff(dm_slice(bytes, size));
}

static void a_zero_byte_is_ttrpc(void **state)
{
    (void)state;
    assert_int_equal(sniff("\0", 1), DM_SNIFF_TTRPC);
    assert_int_equal(sniff("\0\0\0\x10", 4), DM_SNIFF_TTRPC);
}

static void the_preface_of_http2_needs_three_bytes(void **state)
{
    (void)state;
    assert_int_equal(sniff("", 0), DM_SNIFF_MORE);
    assert_int_equal(sniff("P", 1), DM_SNIFF_MORE);
    assert_int_equal(sniff("PR", 2), DM_SNIFF_MORE);
    assert_int_equal(sniff("PRI", 3), DM_SNIFF_H2);
    assert_int_equal(sniff("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), DM_SNIFF_H2);
}

static void a_method_is_http1(void **state)
{
    (void)state;
    assert_int_equal(sniff("G", 1), DM_SNIFF_HTTP1);
    assert_int_equal(sniff("PO", 2), DM_SNIFF_HTTP1);
    assert_int_equal(sniff("PUT /", 5), DM_SNIFF_HTTP1);
    assert_int_equal(sniff("PROPFIND", 8), DM_SNIFF_HTTP1);
    assert_int_equal(sniff("get", 3), DM_SNIFF_HTTP1); /* which says what is wrong */
    assert_int_equal(sniff("\r", 1), DM_SNIFF_MORE);
    assert_int_equal(sniff("\r\n", 2), DM_SNIFF_HTTP1);
    assert_int_equal(sniff("\r\nGET", 5), DM_SNIFF_HTTP1);
}

static void all_else_is_refused(void **state)
{
    (void)state;
    assert_int_equal(sniff("\x16\x03\x01", 3), DM_SNIFF_REFUSE); /* a TLS hello */
    assert_int_equal(sniff("{\"a\"", 4), DM_SNIFF_REFUSE);
    assert_int_equal(sniff("@", 1), DM_SNIFF_REFUSE);
    assert_int_equal(sniff("[", 1), DM_SNIFF_REFUSE);
    assert_int_equal(sniff("\n", 1), DM_SNIFF_REFUSE);
    assert_int_equal(sniff("\rG", 2), DM_SNIFF_REFUSE);
    assert_int_equal(sniff("\xff", 1), DM_SNIFF_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zero_byte_is_ttrpc),
        cmocka_unit_test(the_preface_of_http2_needs_three_bytes),
        cmocka_unit_test(a_method_is_http1),
        cmocka_unit_test(all_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
