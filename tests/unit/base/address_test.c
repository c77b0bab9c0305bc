#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void hosts_and_paths_are_told_apart(void **state)
{
    (void)state;
    struct dm_address address;
    assert_null(dm_address_parse("localhost:7070", DM_ADDRESS_CONNECT, &address));
    assert_false(address.unix_socket);
    assert_string_equal(address.host, "localhost");
    assert_string_equal(address.port, "7070");
    assert_null(dm_address_parse("[::1]:80", DM_ADDRESS_CONNECT, &address));
    assert_string_equal(address.host, "::1");
    assert_null(dm_address_parse("unix:run/dormouse.sock", DM_ADDRESS_CONNECT, &address));
    assert_true(address.unix_socket);
    assert_string_equal(address.host, "run/dormouse.sock");
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,  "",       "host",  "host:", "host:0", "host:65536", "host:12x",
        ":80", "::1:80", "[]:80", "unix:", "a:-1",   "a:999999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dm_address address;
        assert_non_null(dm_address_parse(bad[i], DM_ADDRESS_CONNECT, &address));
    }
    struct dm_address any;
    assert_null(dm_address_parse("[::]:0", DM_ADDRESS_LISTEN, &any));
    assert_string_equal(any.port, "0");
    assert_non_null(dm_address_parse("host:65536", DM_ADDRESS_LISTEN, &any));
    struct dm_address url;
    assert_non_null(
        strstr(dm_address_parse("http://host:80", DM_ADDRESS_CONNECT, &url), "not a URL"));
    assert_non_null(
        strstr(dm_address_parse("/run/dormouse.sock", DM_ADDRESS_CONNECT, &url), "needs unix:"));
    char path[160] = "unix:";
    memset(path + 5, 'p', 108);
    struct dm_address address;
    assert_non_null(dm_address_parse(path, DM_ADDRESS_CONNECT, &address));
    path[5 + 107] = '\0';
    assert_null(dm_address_parse(path, DM_ADDRESS_CONNECT, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_paths_are_told_apart),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
