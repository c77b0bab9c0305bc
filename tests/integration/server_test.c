#include "integration/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Every test starts the real server on a port and in a folder of its own. */

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

static void start(struct server *server)
{
    assert_int_equal(server_start(server, NULL), 0);
    assert_int_not_equal(server->pid, 0);
}

/* ---- what several tests do ---------------------------------------------------------------- */

static void name_contact(char *name, size_t size, uint32_t number)
{
    (void)snprintf(name, size, "contact-%u", number);
}

static void set_many(struct server *server, uint32_t from, uint32_t count, int status)
{
    struct peer peer;
    struct dm_ttrpc_response response;
    peer_open_tcp(&peer, server->port);
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        name_contact(name, sizeof name, from + i);
        (void)send_set_status(&peer, name, status);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct peer_frame frame;
        assert_true(peer_next(&peer, &frame));
        assert_true(dm_ttrpc_response_read(frame.body, &response));
        assert_int_equal(response.code, 0);
    }
    peer_close(&peer);
}

/* GET, answered in full on a connection of its own. */
static void http_get(struct server *server, const char *path, char *answer, size_t size)
{
    struct peer peer;
    char head[256];
    int length = snprintf(head, sizeof head,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    peer_open_tcp(&peer, server->port);
    assert_true(peer_send(&peer, head, (size_t)length));
    while (peer_fill(&peer)) {
    }
    struct dm_slice all = dm_buf_slice(&peer.in);
    assert_true(all.size < size);
    (void)snprintf(answer, size, "%.*s", (int)all.size,
                   all.size == 0 ? "" : (const char *)all.data);
    peer_close(&peer);
}

static bool server_metric(struct server *server, const char *line)
{
    static char answer[1 << 18];
    http_get(server, "/metrics", answer, sizeof answer);
    return strstr(answer, line) != NULL;
}

/* ---- life ------------------------------------------------------------------------------- */

static void it_serves_and_a_signal_ends_it_with_zero(void **state)
{
    struct server *server = *state;
    struct peer peer;
    start(server);
    peer_open_tcp(&peer, server->port);
    assert_int_equal(check(&peer, "ann"), DECISION_REPLY);
    assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
    assert_int_equal(check(&peer, "ann"), DECISION_SILENT);
    assert_int_equal(server_stop(server), 0);
    assert_true(server_logged(server, "event=draining"));
    assert_true(server_logged(server, "event=stopped"));
    peer_close(&peer);
}

static void a_drain_ends_streams_and_connections_in_order(void **state)
{
    struct server *server = *state;
    struct peer peer;
    struct peer_frame frame = {.header = {.type = 0}};
    struct peer_frame last = frame;
    start(server);
    peer_open_tcp(&peer, server->port);
    uint32_t id = send_watch(&peer, 0, true);
    assert_int_not_equal(id, 0);
    assert_true(peer_next(&peer, &frame)); /* it has begun */
    (void)kill(server->pid, SIGTERM);
    while (peer_next(&peer, &frame)) {
        last = frame;
    }
    assert_int_equal(last.header.stream, id);
    assert_true(last.header.type == DM_TTRPC_RESPONSE ||
                (last.header.flags & DM_TTRPC_REMOTE_CLOSED) != 0);
    assert_int_equal(server_wait(server), 0);
    peer_close(&peer);
}

/* A drain is held up by a client that does not fetch what it asked for. It uses a unix
 * socket, for the buffers of those do not grow. */
static void begin_long_drain(struct server *server, struct peer *slow)
{
    char address[160];
    (void)snprintf(address, sizeof address, "unix:%s/socket", server->folder);
    const char *const arguments[] = {"--drain-timeout", "1h", "--listen", address, NULL};
    assert_int_equal(server_start(server, arguments), 0);
    for (int round = 0; round < 40; round++) {
        set_many(server, 0, 1000, round % 2 == 0 ? STATUS_INACTIVE : STATUS_ACTIVE);
    }
    peer_open_unix(slow, address + 5);
    assert_int_not_equal(send_watch(slow, 0, true), 0);
    while (!server_metric(server, "dormouse_connections_waiting 1\n")) {
        (void)usleep(2000);
    }
}

static void await_log(struct server *server, const char *text)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; !server_logged(server, text);) {
        assert_true(peer_now_ms() < end);
        (void)usleep(2000);
    }
}

/* A connection that waits for its next request is closed by a drain; this one is in the
 * middle of a request, so it is still answered. */
static void a_probe_that_meets_a_drain_hears_that_it_is_not_ready(void **state)
{
    static const char first[] = "GET /readyz HTTP/1.1\r\n";
    static const char rest[] = "Host: localhost\r\n\r\n";
    struct server *server = *state;
    struct peer slow = {0};
    struct peer http = {0};
    begin_long_drain(server, &slow);
    peer_open_tcp(&http, server->port);
    assert_true(peer_send(&http, first, sizeof first - 1));
    while (!server_metric(server, "dormouse_connections{protocol=\"http1\"} 2\n")) {
        (void)usleep(2000); /* it, and the one that asks */
    }
    (void)kill(server->pid, SIGTERM);
    await_log(server, "event=draining");
    assert_true(peer_send(&http, rest, sizeof rest - 1));
    assert_true(peer_fill(&http));
    assert_int_equal(memcmp(dm_buf_head(&http.in), "HTTP/1.1 503", 12), 0);
    peer_close(&http);
    peer_close(&slow);
    assert_int_equal(server_wait(server), 0);
}

static void a_second_signal_ends_it_at_once(void **state)
{
    struct server *server = *state;
    struct peer slow = {0};
    begin_long_drain(server, &slow);
    (void)kill(server->pid, SIGTERM);
    await_log(server, "event=draining");
    (void)kill(server->pid, SIGINT);
    assert_int_equal(server_wait(server), 128 + SIGINT);
    peer_close(&slow);
}

static void what_was_set_is_there_after_a_restart(void **state)
{
    struct server *server = *state;
    struct peer peer;
    for (int round = 0; round < 3; round++) {
        start(server);
        peer_open_tcp(&peer, server->port);
        if (round == 0) {
            assert_int_equal(set_status(&peer, "ann", STATUS_INACTIVE), 0);
            assert_int_equal(set_status(&peer, "bob", STATUS_SNOOZED), 0);
        }
        assert_int_equal(check(&peer, "ann"), DECISION_SILENT);
        assert_int_equal(check(&peer, "bob"), DECISION_SILENT);
        assert_int_equal(check(&peer, "eve"), DECISION_REPLY);
        peer_close(&peer);
        assert_int_equal(server_stop(server), 0);
    }
}

static void a_second_process_is_refused_and_told_by_whom(void **state)
{
    struct server *server = *state;
    struct server second;
    char pid[64];
    start(server);
    second = *server;
    (void)snprintf(pid, sizeof pid, "in use by process %d", (int)server->pid);
    second.starts = 100;
    assert_int_equal(server_start(&second, NULL), 1);
    assert_true(server_logged(&second, pid));
    assert_int_equal(server_stop(server), 0);
}

static void a_folder_that_cannot_be_used_is_named(void **state)
{
    struct server *server = *state;
    char path[200];
    (void)snprintf(path, sizeof path, "%s/data", server->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(server_start(server, NULL), 1);
    assert_true(server_logged(server, path));
    (void)snprintf(path, sizeof path, "%s/data/below/a/file", server->folder);
    const char *const arguments[] = {"--data", path, NULL};
    assert_int_equal(server_start(server, arguments), 1);
    assert_true(server_logged(server, path));
}

/* Before anything is made or opened. */
static void a_listen_address_that_is_none_leaves_no_folder(void **state)
{
    struct server *server = *state;
    char data[160], output[1024];
    (void)snprintf(data, sizeof data, "%s/data", server->folder);
    char long_path[128] = "unix:/";
    memset(long_path + 6, 'x', 108);
    const char *const wrong[] = {"foo", "127.0.0.1:99999", "::1:7400", "unix:", ":80", long_path};
    static const char *const why[] = {"must end in :PORT",        "must end in :PORT",
                                      "needs brackets",           "have 1 to 107 bytes",
                                      "must have 1 to 255 bytes", "have 1 to 107 bytes"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *arguments[] = {"--data", data, "--listen", wrong[i], NULL};
        assert_int_equal(server_run(arguments, output, sizeof output), 2);
        assert_non_null(strstr(output, "is not an address: "));
        assert_non_null(strstr(output, why[i]));
        assert_int_not_equal(access(data, F_OK), 0);
    }
}

static void an_address_in_use_is_named(void **state)
{
    struct server *server = *state;
    struct server second;
    char address[32];
    start(server);
    server_folder(&second);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", server->port);
    const char *const arguments[] = {"--listen", address, NULL};
    assert_int_equal(server_start(&second, arguments), 1);
    assert_true(server_logged(&second, address));
    server_remove(&second);
}

static void bad_options_end_with_two_and_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[][3] = {{"--frobnicate", NULL},
                                         {"--horizon", "soon", NULL},
                                         {"--retention-bytes=8GB", NULL},
                                         {"--data", NULL},
                                         {"7400", NULL}};
    char output[8192];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(server_run(bad[i], output, sizeof output), 2);
        assert_non_null(strstr(output, "dormoused: "));
    }
    assert_int_equal(server_run((const char *const[]){"--help", NULL}, output, sizeof output), 0);
    assert_non_null(strstr(output, "DORMOUSE_DRAIN_TIMEOUT; default: 10s"));
    assert_int_equal(server_run((const char *const[]){"--version", NULL}, output, sizeof output),
                     0);
    assert_non_null(strstr(output, "dormoused 0."));
}

/* ---- crashes ------------------------------------------------------------------------------ */

/* Kills it while writes are under way: those that were answered must be there. */
static void a_kill_loses_nothing_that_was_acknowledged(void **state)
{
    enum { WRITES = 3000, BEFORE_KILL = 1000 };
    struct server *server = *state;
    struct peer peer;
    char name[32];
    uint32_t answered = 0;
    struct peer_frame frame;
    start(server);
    peer_open_tcp(&peer, server->port);
    for (uint32_t i = 0; i < WRITES; i++) {
        name_contact(name, sizeof name, i);
        assert_int_not_equal(send_set_status(&peer, name, STATUS_INACTIVE), 0);
    }
    uint8_t *acknowledged = calloc(1, WRITES);
    while (peer_next(&peer, &frame)) {
        struct dm_ttrpc_response response;
        assert_true(dm_ttrpc_response_read(frame.body, &response));
        assert_int_equal(response.code, 0);
        acknowledged[frame.header.stream / 2] = 1;
        if (++answered == BEFORE_KILL) {
            server_kill(server); /* what it has sent still comes */
        }
    }
    assert_true(answered >= BEFORE_KILL);
    peer_close(&peer);
    start(server);
    peer_open_tcp(&peer, server->port);
    for (uint32_t i = 0; i < WRITES; i++) {
        name_contact(name, sizeof name, i);
        int decision = check(&peer, name);
        assert_true(decision == DECISION_SILENT || !acknowledged[i]);
    }
    free(acknowledged);
    peer_close(&peer);
}

/* ---- watching ------------------------------------------------------------------------------ */

/* Reads `count` events that must follow `seq` without a gap; the last one's seq. */
static uint64_t read_events(struct peer *peer, uint32_t id, uint64_t seq, uint32_t count)
{
    char name[80];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t next = next_event(peer, id, name, sizeof name);
        assert_int_equal(next, seq + 1);
        seq = next;
    }
    return seq;
}

static void a_watch_goes_on_where_it_was_left(void **state)
{
    struct server *server = *state;
    struct peer peer;
    start(server);
    set_many(server, 0, 100, STATUS_INACTIVE);
    peer_open_tcp(&peer, server->port);
    uint64_t seq = read_events(&peer, send_watch(&peer, 0, true), 0, 40);
    peer_close(&peer);
    set_many(server, 100, 10, STATUS_INACTIVE);
    peer_open_tcp(&peer, server->port);
    seq = read_events(&peer, send_watch(&peer, seq, false), seq, 50);
    peer_close(&peer);
    server_kill(server);
    start(server);
    set_many(server, 110, 10, STATUS_INACTIVE);
    peer_open_tcp(&peer, server->port);
    uint32_t id = send_watch(&peer, seq, false);
    seq = read_events(&peer, id, seq, 30);
    set_many(server, 120, 5, STATUS_SNOOZED);
    seq = read_events(&peer, id, seq, 5); /* and what comes while it watches */
    assert_int_equal(seq, 125);
    peer_close(&peer);
}

static void a_watcher_that_does_not_read_holds_up_nobody(void **state)
{
    enum { CONTACTS = 20000, ROUNDS = 3 };
    struct server *server = *state;
    struct peer slow;
    start(server);
    peer_open_tcp(&slow, server->port);
    uint32_t id = send_watch(&slow, 0, true);
    for (int round = 0; round < ROUNDS; round++) {
        int status = round % 2 == 0 ? STATUS_INACTIVE : STATUS_ACTIVE;
        for (uint32_t from = 0; from < CONTACTS; from += 1000) {
            set_many(server, from, 1000, status);
        }
    }
    assert_int_equal(read_events(&slow, id, 0, ROUNDS * CONTACTS), ROUNDS * CONTACTS);
    peer_close(&slow);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void bad_bytes_close_only_their_own_connection(void **state)
{
    static const char *const garbage[] = {
        "\x16\x03\x01\x02\x00\x01",
        "hello",
        "\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnothing like a settings frame"};
    struct server *server = *state;
    struct peer good = {0};
    struct peer bad = {0};
    struct peer_frame frame;
    start(server);
    peer_open_tcp(&good, server->port);
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        peer_open_tcp(&bad, server->port);
        (void)peer_send(&bad, garbage[i], strlen(garbage[i]));
        (void)shutdown(bad.fd, SHUT_WR);
        while (peer_fill(&bad)) {
        }
        peer_close(&bad);
    }
    peer_open_tcp(&bad, server->port);
    assert_true(peer_send(&bad, "\0\x7f\xff\xff\0\0\0\x01\x01\0", 10)); /* 8 MiB are announced */
    assert_true(peer_next(&bad, &frame));
    assert_int_equal(frame.header.type, DM_TTRPC_RESPONSE);
    peer_close(&bad);
    assert_int_equal(check(&good, "ann"), DECISION_REPLY);
    peer_close(&good);
    assert_int_equal(server_stop(server), 0);
}

static void a_payload_that_is_no_message_is_answered(void **state)
{
    struct server *server = *state;
    struct peer peer;
    struct dm_ttrpc_response response;
    start(server);
    peer_open_tcp(&peer, server->port);
    uint32_t id = peer_request(&peer, 0, BOT_STATUS, "Check", dm_slice_str("\xff\xff"));
    assert_true(peer_response(&peer, id, &response));
    assert_int_equal(response.code, 3);
    id = peer_request(&peer, 0, BOT_STATUS, "Chuck", dm_slice(NULL, 0));
    assert_true(peer_response(&peer, id, &response));
    assert_int_equal(response.code, 12);
    id = peer_request(&peer, 0, "dormouse.v9.None", "Check", dm_slice(NULL, 0));
    assert_true(peer_response(&peer, id, &response));
    assert_int_equal(response.code, 12);
    assert_int_equal(check(&peer, "ann"), DECISION_REPLY);
    peer_close(&peer);
}

static void a_thousand_idle_connections_disturb_nobody(void **state)
{
    enum { IDLE = 1000 };
    struct server *server = *state;
    struct peer *idle = calloc(IDLE, sizeof *idle);
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < IDLE + 100) {
        free(idle);
        skip();
        return;
    }
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    start(server);
    for (int i = 0; i < IDLE; i++) {
        peer_open_tcp(&idle[i], server->port);
    }
    assert_int_equal(set_status(&idle[IDLE - 1], "ann", STATUS_INACTIVE), 0);
    for (int i = 0; i < IDLE; i += 100) {
        assert_int_equal(check(&idle[i], "ann"), DECISION_SILENT);
    }
    for (int i = 0; i < IDLE; i += 2) {
        peer_close(&idle[i]);
    }
    assert_int_equal(server_stop(server), 0);
    for (int i = 1; i < IDLE; i += 2) {
        peer_close(&idle[i]);
    }
    free(idle);
}

static void connections_over_the_limit_are_closed_and_others_live(void **state)
{
    struct server *server = *state;
    struct peer kept[5], extra;
    struct peer_frame frame;
    const char *const arguments[] = {"--connections-max", "5", NULL};
    assert_int_equal(server_start(server, arguments), 0);
    for (int i = 0; i < 5; i++) {
        peer_open_tcp(&kept[i], server->port);
        assert_int_equal(check(&kept[i], "ann"), DECISION_REPLY);
    }
    for (int i = 0; i < 20; i++) {
        peer_open_tcp(&extra, server->port);
        assert_false(peer_next(&extra, &frame));
        peer_close(&extra);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(check(&kept[i], "ann"), DECISION_REPLY);
        peer_close(&kept[i]);
    }
}

/* With fewer descriptors than connections are allowed, the limit follows them. */
static void few_descriptors_are_no_end(void **state)
{
    struct server *server = *state;
    struct peer first = {0};
    struct peer extra[120];
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = few.rlim_max = 100;
    const char *const arguments[] = {NULL};
    assert_int_equal(server_start_limited(server, arguments, &few), 0);
    peer_open_tcp(&first, server->port);
    assert_int_equal(check(&first, "ann"), DECISION_REPLY);
    for (int i = 0; i < 120; i++) {
        peer_open_tcp(&extra[i], server->port);
    }
    assert_int_equal(check(&first, "ann"), DECISION_REPLY);
    assert_int_equal(set_status(&first, "ann", STATUS_INACTIVE), 0);
    for (int i = 0; i < 120; i++) {
        peer_close(&extra[i]);
    }
    assert_true(server_logged(server, "fewer descriptors"));
    peer_close(&first);
    assert_int_equal(server_stop(server), 0);
}

/* ---- HTTP --------------------------------------------------------------------------------- */

static void probes_and_metrics_answer(void **state)
{
    static char answer[1 << 18];
    struct server *server = *state;
    start(server);
    set_many(server, 0, 10, STATUS_INACTIVE);
    http_get(server, "/healthz", answer, sizeof answer);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    http_get(server, "/readyz", answer, sizeof answer);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    http_get(server, "/nowhere", answer, sizeof answer);
    assert_non_null(strstr(answer, "HTTP/1.1 404"));
    http_get(server, "/metrics", answer, sizeof answer);
    assert_non_null(strstr(answer, "text/plain; version=0.0.4"));
    assert_non_null(strstr(answer, "dormouse_contacts{status=\"inactive\"} 10\n"));
    assert_non_null(strstr(answer, "method=\"SetStatus\",protocol=\"ttrpc\",code=\"OK\"} 10\n"));
    assert_non_null(strstr(answer, "dormouse_journal_sync_seconds_count "));
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    char *rest = NULL;
    for (char *line = strtok_r(answer + (body + 4 - answer), "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_true(strncmp(line, "dormouse_", 9) == 0 ||
                    strncmp(line, "# HELP dormouse_", 16) == 0 ||
                    strncmp(line, "# TYPE dormouse_", 16) == 0);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(it_serves_and_a_signal_ends_it_with_zero),
        WITH(a_drain_ends_streams_and_connections_in_order),
        WITH(a_probe_that_meets_a_drain_hears_that_it_is_not_ready),
        WITH(a_second_signal_ends_it_at_once),
        WITH(what_was_set_is_there_after_a_restart),
        WITH(a_second_process_is_refused_and_told_by_whom),
        WITH(a_folder_that_cannot_be_used_is_named),
        WITH(a_listen_address_that_is_none_leaves_no_folder),
        WITH(an_address_in_use_is_named),
        cmocka_unit_test(bad_options_end_with_two_and_a_sentence),
        WITH(a_kill_loses_nothing_that_was_acknowledged),
        WITH(a_watch_goes_on_where_it_was_left),
        WITH(a_watcher_that_does_not_read_holds_up_nobody),
        WITH(bad_bytes_close_only_their_own_connection),
        WITH(a_payload_that_is_no_message_is_answered),
        WITH(a_thousand_idle_connections_disturb_nobody),
        WITH(connections_over_the_limit_are_closed_and_others_live),
        WITH(few_descriptors_are_no_end),
        WITH(probes_and_metrics_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
