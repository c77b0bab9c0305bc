#include "base/limits.h"
#include "integration/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Clients that ask for much, send halves or read nothing, at the real server: what it takes of
 * memory and of the others' time. (That deadlines come, and when: unit/loop/guard_test.c. Here
 * the shortest of them is waited for once.) */

enum { QUESTIONS = 100000, MIB = 1024 * 1024 };

/* The thread sanitizer keeps words of its own for each word of ours, and never gives them back. */
#ifdef __SANITIZE_THREAD__
enum { MEMORY_FACTOR = 6 };
#else
enum { MEMORY_FACTOR = 1 };
#endif

/* Memory is measured here: a sanitizer must not keep what was freed. */
static void free_at_once(void)
{
    char options[512];
    const char *given = getenv("ASAN_OPTIONS");
    (void)snprintf(options, sizeof options,
                   "%s:quarantine_size_mb=1:thread_local_quarantine_size_kb=64:"
                   "allocator_release_to_os_interval_ms=0",
                   given == NULL ? "" : given);
    assert_int_equal(setenv("ASAN_OPTIONS", options, 1), 0);
}

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

/* A line of the server's /proc/PID/status, in bytes. */
static size_t memory_of(const struct server *server, const char *name)
{
    char path[64];
    char line[256];
    size_t kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)server->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtoul(line + strlen(name) + 1, NULL, 10);
        }
    }
    (void)fclose(file);
    assert_int_not_equal(kib, 0);
    return kib * 1024;
}

/* The value of a series of /metrics; series must not be followed by more of its name. */
static uint64_t metric(struct server *server, const char *series)
{
    static const char get[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                              "Connection: close\r\n\r\n";
    struct peer peer;
    char line[128];
    peer_open_tcp(&peer, server->port);
    assert_true(peer_send(&peer, get, sizeof get - 1));
    while (peer_fill(&peer)) {
    }
    assert_true(dm_buf_append(&peer.in, "", 1));
    (void)snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr((const char *)dm_buf_head(&peer.in), line);
    assert_non_null(at);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    peer_close(&peer);
    return value;
}

/* One request that asks for 600 MiB: QUESTIONS of 28 bytes, each with some 6 KiB of answer. */
static void many_questions_in_one_request_cost_little(void **state)
{
    struct server *server = *state;
    static const char symbol[] = "dormouse.v1.BotStatus";
    uint8_t one[5 + 2 + sizeof symbol - 1] = {
        0, 0, 0, 0, 2 + sizeof symbol - 1, 0x22, sizeof symbol - 1};
    char head[256];
    struct peer greedy;
    struct peer other;
    struct dm_buf body = {0};
    memcpy(one + 7, symbol, sizeof symbol - 1);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_true(dm_buf_append(&body, one, sizeof one));
    }
    int length = snprintf(head, sizeof head,
                          "POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo "
                          "HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                          "application/connect+proto\r\nContent-Length: %zu\r\n\r\n",
                          dm_buf_size(&body));
    assert_int_equal(server_start(server, NULL), 0);
    peer_open_tcp(&other, server->port);
    assert_int_equal(check(&other, "ann"), DECISION_REPLY);
    size_t before = memory_of(server, "VmHWM:");
    peer_open_tcp(&greedy, server->port);
    assert_true(peer_send(&greedy, head, (size_t)length));
    assert_true(peer_send(&greedy, dm_buf_head(&body), dm_buf_size(&body)));
    assert_true(peer_fill(&greedy)); /* it is being answered */
    for (size_t seen = 0; seen < 40 * (size_t)MIB;) {
        assert_int_equal(check(&other, "ann"), DECISION_REPLY);
        assert_true(peer_fill(&greedy));
        seen += dm_buf_size(&greedy.in);
        dm_buf_consume(&greedy.in, dm_buf_size(&greedy.in));
    }
    /* the body, in a buffer that doubles and moves once more, and two of output */
    assert_true(memory_of(server, "VmHWM:") - before < MEMORY_FACTOR * 24 * (size_t)MIB);
    dm_buf_finish(&body);
    peer_close(&greedy);
    peer_close(&other);
}

static void send_half(struct server *server, struct peer *peer)
{
    static char frame[4 * MIB];
    const struct dm_ttrpc_header header = {
        .size = sizeof frame, .stream = 1, .type = DM_TTRPC_REQUEST};
    dm_ttrpc_header_store((uint8_t *)frame, &header);
    peer_open_tcp(peer, server->port);
    (void)peer_send(peer, frame, 3 * MIB); /* it may be closed on the way */
}

static uint64_t ended(struct server *server)
{
    return metric(server, "dormouse_connection_buffers_refused_total") +
           metric(server, "dormouse_connections_closed_total{reason=\"memory\"}");
}

static void halves_of_many_connections_have_a_sum(void **state)
{
    struct server *server = *state;
    static const char *const arguments[] = {"--buffers-max", "32MiB", NULL};
    enum { PEERS = 60 };
    struct peer peers[PEERS];
    struct peer modest;
    assert_int_equal(server_start(server, arguments), 0);
    peer_open_tcp(&modest, server->port);
    assert_int_equal(set_status(&modest, "ann", STATUS_INACTIVE), 0);
    size_t before = memory_of(server, "VmHWM:");
    for (int i = 0; i < PEERS; i++) {
        send_half(server, &peers[i]);
        assert_int_equal(check(&modest, "ann"), DECISION_SILENT);
    }
    assert_true(metric(server, "dormouse_connection_buffers_bytes") <= 32 * MIB);
    assert_int_equal(metric(server, "dormouse_connection_buffers_max_bytes"), 32 * MIB);
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; ended(server) < PEERS - 16;) {
        assert_true(peer_now_ms() < end); /* some of it is still on its way */
    }
    assert_true(memory_of(server, "VmHWM:") - before < MEMORY_FACTOR * 64 * (size_t)MIB);
    assert_int_equal(set_status(&modest, "ann", STATUS_ACTIVE), 0);
    for (int i = 0; i < PEERS; i++) {
        peer_close(&peers[i]);
    }
    peer_close(&modest);
}

/* `size` bytes of a message of 4 MiB. */
static void send_part(struct server *server, struct peer *peer, size_t size)
{
    static char part[2 * MIB];
    const struct dm_ttrpc_header header = {
        .size = 4 * MIB - 1, .stream = 1, .type = DM_TTRPC_REQUEST};
    dm_ttrpc_header_store((uint8_t *)part, &header);
    peer_open_tcp(peer, server->port);
    assert_true(peer_send(peer, part, size));
}

/* Until what all connections hold is within [least, most]. */
static void await_buffers(struct server *server, uint64_t least, uint64_t most)
{
    uint64_t held;
    uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;
    do {
        assert_true(peer_now_ms() < end);
        held = metric(server, "dormouse_connection_buffers_bytes");
    } while (held < least || held > most);
}

/* Also where others came among them, and stay. */
static void what_halves_took_is_given_back(void **state)
{
    struct server *server = *state;
    enum { PEERS = 60, HELD = PEERS * MIB };
    static const size_t sizes[] = {1900000, 900000, 900000}; /* of each wave */
    struct peer halves[PEERS];
    struct peer others[PEERS];
    assert_int_equal(server_start(server, NULL), 0);
    peer_open_tcp(&others[0], server->port);
    assert_int_equal(set_status(&others[0], "ann", STATUS_INACTIVE), 0);
    size_t before = memory_of(server, "VmRSS:");
    for (size_t wave = 0; wave < sizeof sizes / sizeof sizes[0]; wave++) {
        for (int i = 0; i < PEERS; i++) {
            send_part(server, &halves[i], sizes[wave]);
        }
        await_buffers(server, sizes[wave] * PEERS, UINT64_MAX);
        for (int i = 1; i < PEERS && wave + 1 == sizeof sizes / sizeof sizes[0]; i++) {
            peer_open_tcp(&others[i], server->port);
            assert_int_equal(check(&others[i], "ann"), DECISION_SILENT);
        }
        for (int i = 0; i < PEERS; i++) {
            peer_close(&halves[i]);
        }
        await_buffers(server, 0, MIB);
    }
    assert_true(MEMORY_FACTOR > 1 || memory_of(server, "VmRSS:") < before + HELD / 8);
    for (int i = 0; i < PEERS; i++) {
        peer_close(&others[i]);
    }
}

/* While one with half a head is waited for, and closed, others that say nothing stay. */
static void half_a_head_ends_and_silence_stays(void **state)
{
    struct server *server = *state;
    struct peer half;
    struct peer silent;
    struct peer idle;
    assert_int_equal(server_start(server, NULL), 0);
    peer_open_tcp(&silent, server->port);
    peer_open_tcp(&idle, server->port);
    assert_int_equal(check(&idle, "ann"), DECISION_REPLY);
    peer_open_tcp(&half, server->port);
    assert_true(peer_send(&half, "GET / HT", 8));
    uint64_t begin_ms = peer_now_ms();
    assert_false(peer_fill(&half));
    assert_true(peer_now_ms() - begin_ms >= DM_HEAD_MS - 100);
    assert_int_equal(metric(server, "dormouse_connections_closed_total{reason=\"head\"}"), 1);
    assert_int_equal(check(&silent, "ann"), DECISION_REPLY);
    assert_int_equal(check(&idle, "ann"), DECISION_REPLY);
    peer_close(&half);
    peer_close(&silent);
    peer_close(&idle);
}

/* A stream of requests whose first message comes as data: its deadline comes all the same. */
static void a_deadline_comes_however_the_first_message_did(void **state)
{
    struct server *server = *state;
    static const struct dm_ttrpc_request request = {
        .service = {"grpc.reflection.v1.ServerReflection", 35},
        .method = {"ServerReflectionInfo", 20},
        .timeout_ns = 50000000,
    };
    assert_int_equal(server_start(server, NULL), 0);
    for (int with_message = 0; with_message < 2; with_message++) {
        struct peer peer;
        struct peer_frame frame;
        struct dm_ttrpc_response response;
        struct dm_buf out = {0};
        peer_open_tcp(&peer, server->port);
        assert_true(dm_ttrpc_request_write(&out, 1, DM_TTRPC_REMOTE_OPEN, &request));
        if (with_message != 0) {
            assert_true(dm_ttrpc_data_write(&out, 1, 0, dm_slice("\x3a", 2)));
        }
        assert_true(peer_send(&peer, dm_buf_head(&out), dm_buf_size(&out)));
        do {
            assert_true(peer_next(&peer, &frame));
        } while (frame.header.type == DM_TTRPC_DATA);
        assert_true(dm_ttrpc_response_read(frame.body, &response));
        assert_int_equal(response.code, 4); /* DEADLINE_EXCEEDED */
        dm_buf_finish(&out);
        peer_close(&peer);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    free_at_once();
    const struct CMUnitTest tests[] = {
        WITH(many_questions_in_one_request_cost_little),
        WITH(halves_of_many_connections_have_a_sum),
        WITH(what_halves_took_is_given_back),
        WITH(half_a_head_ends_and_silence_stays),
        WITH(a_deadline_comes_however_the_first_message_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
