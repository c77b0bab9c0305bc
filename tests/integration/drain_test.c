#include "integration/support.h"

#include <fcntl.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* How a server ends: whoever has begun to ask is answered. */

#define HEAD                                                            \
    "POST /dormouse.v1.BotStatus/Check HTTP/1.1\r\nHost: localhost\r\n" \
    "content-type: application/json\r\n"
#define LENGTH "content-length: 33\r\n\r\n"

static int setup(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server_folder(server);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    server_remove(*state);
    free(*state);
    return 0;
}

static void await_log(struct server *server, const char *text)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; !server_logged(server, text);) {
        assert_true(peer_now_ms() < end);
        (void)usleep(2000);
    }
}

/* All that comes until the other end closes. */
static const char *read_all(struct peer *peer)
{
    static char text[8192];
    while (peer_fill(peer)) {
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)dm_buf_size(&peer->in),
                   peer->in.data == NULL ? "" : (const char *)dm_buf_head(&peer->in));
    return text;
}

static void say(struct peer *peer, const char *text)
{
    assert_true(peer_send(peer, text, strlen(text)));
}

static const char *ask(struct server *server, const char *request)
{
    struct peer peer;
    peer_open_tcp(&peer, server->port);
    say(&peer, request);
    const char *answer = read_all(&peer);
    peer_close(&peer);
    return answer;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#define HEALTH                                                                               \
    "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" \
    "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

static void a_request_that_is_coming_in_is_answered(void **state)
{
    struct server *server = *state;
    struct peer peer;
    assert_int_equal(server_start(server, NULL), 0);
    peer_open_tcp(&peer, server->port);
    say(&peer, HEAD LENGTH "{\"account");
    (void)ask(server, GET("/healthz")); /* the loop has read what came before this */
    (void)kill(server->pid, SIGTERM);
    await_log(server, "event=draining");
    say(&peer, "Id\":\"a\",\"contactId\":\"c\"}");
    const char *answer = read_all(&peer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 503 ", 13), 0);
    assert_non_null(strstr(answer, "connection: close"));
    assert_non_null(strstr(answer, "\"code\":\"unavailable\""));
    peer_close(&peer);
    assert_int_equal(server_wait(server), 0);
}

static void one_that_stays_half_is_answered_before_the_end(void **state)
{
    struct server *server = *state;
    struct peer head, body, ttrpc;
    struct dm_buf frame = {0};
    struct dm_ttrpc_response response;
    const struct dm_ttrpc_request request = {.service = dm_slice_str(BOT_STATUS),
                                             .method = dm_slice_str("Check"),
                                             .payload = dm_slice_str("12345678")};
    const char *const arguments[] = {"--drain-timeout", "1s", NULL};
    assert_int_equal(server_start(server, arguments), 0);
    peer_open_tcp(&head, server->port);
    peer_open_tcp(&body, server->port);
    peer_open_tcp(&ttrpc, server->port);
    say(&head, HEAD);
    say(&body, HEAD LENGTH "{");
    assert_true(dm_ttrpc_request_write(&frame, 1, 0, &request));
    assert_true(peer_send(&ttrpc, dm_buf_head(&frame), dm_buf_size(&frame) - 1));
    (void)ask(server, GET("/healthz"));
    (void)kill(server->pid, SIGTERM);
    assert_int_equal(strncmp(read_all(&head), "HTTP/1.1 503 ", 13), 0);
    assert_non_null(strstr(read_all(&body), "\"code\":\"unavailable\""));
    assert_true(peer_response(&ttrpc, 1, &response));
    assert_int_equal(response.code, 14);
    assert_int_equal(server_wait(server), 0);
    peer_close(&head);
    peer_close(&body);
    peer_close(&ttrpc);
    dm_buf_finish(&frame);
}

static void a_server_that_leaves_serves_but_is_not_ready(void **state)
{
    struct server *server = *state;
    struct peer before, after;
    const char *const arguments[] = {"--drain-delay", "1h", NULL};
    assert_int_equal(server_start(server, arguments), 0);
    assert_int_equal(strncmp(ask(server, GET("/readyz")), "HTTP/1.1 200 ", 13), 0);
    assert_non_null(strstr(ask(server, HEALTH), "\"SERVING\""));
    peer_open_tcp(&before, server->port);
    assert_int_equal(set_status(&before, "ann", STATUS_INACTIVE), 0);
    (void)kill(server->pid, SIGTERM);
    await_log(server, "event=leaving");
    assert_int_equal(strncmp(ask(server, GET("/readyz")), "HTTP/1.1 503 ", 13), 0);
    assert_int_equal(strncmp(ask(server, GET("/healthz")), "HTTP/1.1 200 ", 13), 0);
    assert_non_null(strstr(ask(server, HEALTH), "\"NOT_SERVING\""));
    peer_open_tcp(&after, server->port);
    assert_int_equal(set_status(&after, "bob", STATUS_INACTIVE), 0);
    assert_int_equal(check(&before, "bob"), DECISION_SILENT);
    (void)kill(server->pid, SIGTERM); /* no need to wait */
    await_log(server, "event=draining");
    assert_int_equal(server_wait(server), 0);
    peer_close(&before);
    peer_close(&after);
}

static void a_delay_ends_by_itself(void **state)
{
    struct server *server = *state;
    const char *const arguments[] = {"--drain-delay", "50ms", NULL};
    assert_int_equal(server_start(server, arguments), 0);
    (void)kill(server->pid, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_true(server_logged(server, "event=leaving"));
    assert_true(server_logged(server, "event=draining"));
    assert_true(server_logged(server, "event=stopped"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_request_that_is_coming_in_is_answered),
        WITH(one_that_stays_half_is_answered_before_the_end),
        WITH(a_server_that_leaves_serves_but_is_not_ready),
        WITH(a_delay_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
