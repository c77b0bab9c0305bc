#include "base/limits.h"
#include "base/log.h"
#include "lib/peer.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "loop/state.h"

#include <netdb.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What a name stands for is this test's own. */

enum { ADDRESSES_MAX = 4 };
static const char *addresses[ADDRESSES_MAX];
static struct addrinfo entries[ADDRESSES_MAX];
static struct sockaddr_in names[ADDRESSES_MAX];

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **found)
{
    assert_string_equal(host, "many.example");
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    *found = &entries[0];
    for (size_t i = 0; i < ADDRESSES_MAX && addresses[i] != NULL; i++) {
        names[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
        assert_int_equal(inet_pton(AF_INET, addresses[i], &names[i].sin_addr), 1);
        entries[i] = (struct addrinfo){.ai_family = AF_INET,
                                       .ai_addr = (struct sockaddr *)&names[i],
                                       .ai_addrlen = sizeof names[i]};
        if (i > 0) {
            entries[i - 1].ai_next = &entries[i];
        }
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    assert_ptr_equal(found, &entries[0]);
}

static int setup(void **state)
{
    const struct dm_loop_options options = {.clock = dm_clock_system()};
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    struct dm_error error;
    memset(addresses, 0, sizeof addresses);
    struct dm_loop *loop = NULL;
    assert_int_equal(dm_loop_create(&loop, &options, &error), DM_OK);
    *state = loop;
    return 0;
}

static int teardown(void **state)
{
    dm_loop_destroy(*state);
    return 0;
}

static struct sockaddr_in bound_to(const struct dm_loop *loop, uint32_t i)
{
    struct sockaddr_in bound;
    int size = sizeof bound;
    assert_int_equal(
        uv_tcp_getsockname(&loop->listeners[i]->uv.tcp, (struct sockaddr *)&bound, &size), 0);
    return bound;
}

static void a_name_means_all_its_addresses_on_one_port(void **state)
{
    struct dm_loop *loop = *state;
    struct dm_error error;
    addresses[0] = "127.0.0.1";
    addresses[1] = "192.0.2.1"; /* not this machine's */
    addresses[2] = "127.0.0.2";
    addresses[3] = "127.0.0.1";
    assert_int_equal(dm_loop_listen(loop, "many.example:0", &error), DM_OK);
    assert_int_equal(loop->listener_count, 2);
    struct sockaddr_in first = bound_to(loop, 0);
    struct sockaddr_in second = bound_to(loop, 1);
    assert_int_equal(first.sin_addr.s_addr, htonl(0x7f000001));
    assert_int_equal(second.sin_addr.s_addr, htonl(0x7f000002));
    assert_int_not_equal(first.sin_port, 0);
    assert_int_equal(first.sin_port, second.sin_port);
}

static void one_that_is_nowhere_here_is_named(void **state)
{
    struct dm_loop *loop = *state;
    struct dm_error error;
    addresses[0] = "192.0.2.1";
    assert_int_equal(dm_loop_listen(loop, "many.example:0", &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "many.example:0"));
    assert_int_equal(loop->listener_count, 0);
}

static void there_is_a_limit(void **state)
{
    struct dm_loop *loop = *state;
    struct dm_error error;
    addresses[0] = "127.0.0.1";
    for (int i = 0; i < DM_LISTENERS_MAX; i++) {
        assert_int_equal(dm_loop_listen(loop, "many.example:0", &error), DM_OK);
    }
    assert_int_equal(dm_loop_listen(loop, "many.example:0", &error), DM_INVALID_ARGUMENT);
    assert_int_equal(loop->listener_count, DM_LISTENERS_MAX);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_name_means_all_its_addresses_on_one_port),
        WITH(one_that_is_nowhere_here_is_named),
        WITH(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
