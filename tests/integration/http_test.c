#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "integration/support.h"

/* The real server and what it lets browsers and proxies do. */

static int set_up(void **state)
{
    static struct server server;
    server_folder(&server);
    *state = &server;
    return 0;
}

static int tear_down(void **state)
{
    server_remove(*state);
    return 0;
}

/* Sends these bytes, and reads until the other end closes. */
static const char *answer_of(struct peer *peer, const char *request)
{
    static char answer[1 << 18];
    assert_true(peer_send(peer, request, strlen(request)));
    while (peer_fill(peer)) {
    }
    struct dm_slice all = dm_buf_slice(&peer->in);
    assert_true(all.size < sizeof answer);
    memcpy(answer, dm_buf_head(&peer->in), all.size);
    answer[all.size] = '\0';
    peer_close(peer);
    return answer;
}

static const char *ask(const struct server *server, const char *request)
{
    struct peer peer;
    peer_open_tcp(&peer, server->port);
    return answer_of(&peer, request);
}

static void assert_status(const char *answer, int status)
{
    char start[32];
    (void)snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
    if (strncmp(answer, start, strlen(start)) != 0) {
        print_error("%.300s\n is not a %d\n", answer, status);
        fail();
    }
}

#define SWITCH_OFF                                                            \
    "POST /dormouse.v1.BotStatus/SetStatus HTTP/1.1\r\nConnection: close\r\n" \
    "Content-Type: application/json\r\nContent-Length: 76\r\n"
#define BODY                                                                             \
    "\r\n{\"accountId\":\"acme\",\"contactId\":\"ann\",\"change\":{\"status\":\"STATUS_" \
    "INACTIVE\"}}"
#define METRICS "GET /metrics HTTP/1.1\r\nConnection: close\r\n"

static void a_page_changes_and_reads_nothing(void **state)
{
    struct server *server = *state;
    struct peer peer;
    assert_int_equal(server_start(server, NULL), 0);
    static const char *const strangers[] = {
        "Host: evil.example:7400\r\n",
        "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
        "Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n",
        "Host: 127.0.0.1\r\nOrigin: null\r\n",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
    };
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        char request[512];
        int status = i < 2 ? 421 : 403;
        (void)snprintf(request, sizeof request, SWITCH_OFF "%s" BODY, strangers[i]);
        assert_status(ask(server, request), status);
        (void)snprintf(request, sizeof request, METRICS "%s\r\n", strangers[i]);
        const char *answer = ask(server, request);
        assert_status(answer, status);
        assert_null(strstr(answer, "dormouse_"));
        assert_non_null(strstr(answer, i < 2 ? "--host NAME" : "--cors-origin"));
    }
    peer_open_tcp(&peer, server->port);
    assert_int_equal(check(&peer, "ann"), DECISION_REPLY);
    assert_status(ask(server, SWITCH_OFF "Host: localhost\r\n" BODY), 200);
    assert_int_equal(check(&peer, "ann"), DECISION_SILENT);
    peer_close(&peer);
    assert_int_equal(server_stop(server), 0);
}

/* RFC 9112, 2.2: also where the first bytes tell the protocol. */
static void an_empty_line_may_come_first(void **state)
{
    struct server *server = *state;
    struct peer peer;
    assert_int_equal(server_start(server, NULL), 0);
    assert_status(ask(server, "\r\n" METRICS "Host: localhost\r\n\r\n"), 200);
    peer_open_tcp(&peer, server->port);
    assert_true(peer_send(&peer, "\r", 1));
    (void)usleep(20000); /* most often they come as two reads */
    assert_status(answer_of(&peer, "\n" METRICS "Host: localhost\r\n\r\n"), 200);
    assert_status(ask(server, "get /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), 501);
    assert_int_equal(server_stop(server), 0);
}

static void names_and_origins_are_let_in_by_option(void **state)
{
    struct server *server = *state;
    char address[160];
    (void)snprintf(address, sizeof address, "unix:%s/socket", server->folder);
    const char *const arguments[] = {
        "--host", "dormouse.example", "--cors-origin", "https://app.example", "--listen", address,
        NULL};
    assert_int_equal(server_start(server, arguments), 0);
    assert_status(ask(server, METRICS "Host: dormouse.example\r\n\r\n"), 200);
    assert_status(ask(server, METRICS "Host: other.example\r\n\r\n"), 421);
    const char *answer = ask(server, SWITCH_OFF "Host: dormouse.example\r\nOrigin: "
                                                "https://app.example\r\n" BODY);
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "access-control-allow-origin: https://app.example\r\n"));
    assert_non_null(strstr(answer, "cache-control: no-store\r\n"));
    struct peer peer;
    peer_open_unix(&peer, address + 5);
    assert_status(answer_of(&peer, METRICS "Host: whatever.example\r\n\r\n"), 200);
    assert_int_equal(server_stop(server), 0);
}

static void what_can_never_match_ends_the_start(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"--cors-origin", "https://app.example/", "slash"},
        {"--cors-origin", "null", "sandboxed"},
        {"--host", "http://dormouse.example", "scheme"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char output[4096];
        const char *const arguments[] = {bad[i][0], bad[i][1], NULL};
        assert_int_equal(server_run(arguments, output, sizeof output), 2);
        assert_non_null(strstr(output, bad[i][2]));
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_page_changes_and_reads_nothing),
        WITH(an_empty_line_may_come_first),
        WITH(names_and_origins_are_let_in_by_option),
        cmocka_unit_test(what_can_never_match_ends_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
