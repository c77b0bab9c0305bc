#include "base/limits.h"
#include "base/log.h"
#include "lib/peer.h"
#include "loop/drain.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "rpc/prefetch.h"
#include "rpc/ready.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What connections may hold and how long they may take: the loop over real sockets, in a
 * thread of its own, under a clock that goes only when the test says so. Engine and rpc are
 * stand-ins, defined here.
 *
 * Methods: Echo; Stats answers with a struct told; Hold is never answered, as if it waited for
 * the disk; Flood streams without end, as fast as there is room; Big answers with 8 MiB in
 * pieces of a stream, whatever room there is; Dear takes longer than a turn may read, holds the
 * loop until the test lets go, and notes its payload's first letter; Noted answers with how many
 * of these there were. */

enum { CALLS_MAX = 1024, PIECE = 65536, DEAR_MAX = 1024 };

struct told {
    uint64_t received, buffers, crowded, connections;
    uint64_t closed[DM_CLOSED_COUNT];
    uint32_t waiting;
};

struct dm_engine {
    atomic_uint turns;
};

struct dm_rpc {
    const struct dm_loop *loop;
    struct {
        struct dm_sink *sink;
        uint64_t id;
    } floods[CALLS_MAX];
    uint32_t count;
    bool draining;
    atomic_ullong *now_ns;
    char noted[DEAR_MAX];
    atomic_uint noted_count;
    atomic_bool let_go;
};

/* ---- the stand-ins --------------------------------------------------------------- */

int dm_engine_turn(struct dm_engine *engine)
{
    atomic_fetch_add(&engine->turns, 1);
    return 3600000;
}

int dm_engine_event(struct dm_engine *engine)
{
    (void)engine;
    return -1;
}

void dm_engine_flush(struct dm_engine *engine)
{
    (void)engine;
}

enum dm_code dm_engine_writable(struct dm_engine *engine, struct dm_error *error)
{
    (void)engine, (void)error;
    return DM_OK;
}

bool dm_engine_failed(struct dm_engine *engine, struct dm_error *error)
{
    (void)engine, (void)error;
    return false;
}

bool dm_rpc_known_service(struct dm_slice service)
{
    return dm_slice_equal(service, dm_slice_str("t.T"));
}

bool dm_rpc_client_streaming(struct dm_slice service, struct dm_slice method)
{
    (void)service, (void)method;
    return false;
}

static void tell(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    const struct dm_loop_stats *stats = dm_loop_stats(rpc->loop);
    struct told told = {.received = stats->bytes_in,
                        .buffers = stats->buffers,
                        .crowded = stats->crowded,
                        .waiting = stats->waiting};
    for (int i = 0; i < DM_PROTOCOL_COUNT; i++) {
        told.connections += stats->connections[i];
    }
    memcpy(told.closed, stats->closed, sizeof told.closed);
    sink->ops->reply(sink, id, dm_slice(&told, sizeof told));
}

static void be_dear(struct dm_rpc *rpc, char letter)
{
    uint32_t at = atomic_load(&rpc->noted_count);
    assert_true(at < DEAR_MAX);
    rpc->noted[at] = letter;
    atomic_store(&rpc->noted_count, at + 1);
    while (!atomic_load(&rpc->let_go)) {
        (void)usleep(1000);
    }
    atomic_fetch_add(rpc->now_ns, (DM_TURN_READ_MS + 1) * 1000000ULL);
}

void dm_rpc_call(struct dm_rpc *rpc, struct dm_sink *sink, const struct dm_rpc_request *request)
{
    static const char piece[PIECE];
    if (dm_slice_equal(request->method, dm_slice_str("Dear"))) {
        be_dear(rpc, *(const char *)request->payload.data);
    }
    if (dm_slice_equal(request->method, dm_slice_str("Stats"))) {
        tell(rpc, sink, request->id);
    } else if (dm_slice_equal(request->method, dm_slice_str("Noted"))) {
        uint32_t noted = atomic_load(&rpc->noted_count);
        sink->ops->reply(sink, request->id, dm_slice(&noted, sizeof noted));
    } else if (dm_slice_equal(request->method, dm_slice_str("Hold"))) {
        sink->waiting++;
    } else if (dm_slice_equal(request->method, dm_slice_str("Flood"))) {
        assert_true(rpc->count < CALLS_MAX);
        rpc->floods[rpc->count].sink = sink;
        rpc->floods[rpc->count++].id = request->id;
    } else if (dm_slice_equal(request->method, dm_slice_str("Big"))) {
        for (int i = 0; i < (8 << 20) / PIECE; i++) {
            sink->ops->stream_message(sink, request->id, dm_slice(piece, sizeof piece));
        }
    } else {
        sink->ops->reply(sink, request->id, request->payload);
    }
}

void dm_rpc_input(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)rpc, (void)sink, (void)id, (void)payload;
}

void dm_rpc_input_end(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    (void)rpc, (void)sink, (void)id;
}

void dm_rpc_prefetch(struct dm_rpc *rpc, const struct dm_slice *payloads, size_t count)
{
    (void)rpc, (void)payloads, (void)count;
}

void dm_rpc_cancel(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    (void)rpc, (void)sink, (void)id;
}

void dm_rpc_sink_gone(struct dm_rpc *rpc, struct dm_sink *sink)
{
    uint32_t kept = 0;
    sink->waiting = 0;
    for (uint32_t i = 0; i < rpc->count; i++) {
        if (rpc->floods[i].sink != sink) {
            rpc->floods[kept++] = rpc->floods[i];
        }
    }
    rpc->count = kept;
}

int dm_rpc_turn(struct dm_rpc *rpc)
{
    static const char bytes[16384];
    for (uint32_t i = 0; i < rpc->count && !rpc->draining; i++) {
        struct dm_sink *sink = rpc->floods[i].sink;
        while (sink->ops->stream_room(sink, rpc->floods[i].id) >= sizeof bytes) {
            sink->ops->stream_message(sink, rpc->floods[i].id, dm_slice(bytes, sizeof bytes));
        }
    }
    return -1;
}

void dm_rpc_drain(struct dm_rpc *rpc)
{
    rpc->draining = true;
}

void dm_rpc_leave(struct dm_rpc *rpc)
{
    (void)rpc;
}

uint32_t dm_rpc_open_calls(const struct dm_rpc *rpc)
{
    (void)rpc;
    return 0;
}

/* ---- the fixture ------------------------------------------------------------------- */

struct fixture {
    struct dm_loop *loop;
    struct dm_engine engine;
    struct dm_rpc rpc;
    atomic_ullong now_ns;
    pthread_t thread;
    char folder[64], path[128];
    struct peer control; /* a connection that behaves */
};

static int64_t wall(void *context)
{
    (void)context;
    return 1800000000000;
}

static uint64_t monotonic(void *context)
{
    return atomic_load((atomic_ullong *)context);
}

static void *run(void *context)
{
    struct fixture *f = context;
    struct dm_error error;
    (void)dm_loop_run(f->loop, &error);
    return NULL;
}

static int setup_with(void **state, uint32_t connections_max, int64_t buffers_max)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct dm_error error;
    assert_non_null(f);
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    (void)signal(SIGPIPE, SIG_IGN);
    atomic_store(&f->now_ns, 1000000000);
    const struct dm_loop_options options = {
        .clock = {.wall_ms = wall, .monotonic_ns = monotonic, .context = &f->now_ns},
        .drain_timeout_ms = 60000,
        .connections_max = connections_max,
        .buffers_max = buffers_max,
    };
    memcpy(f->folder, "guard_test_XXXXXX", sizeof "guard_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "unix:%s/socket", f->folder);
    assert_int_equal(dm_loop_create(&f->loop, &options, &error), DM_OK);
    f->rpc.loop = f->loop;
    f->rpc.now_ns = &f->now_ns;
    dm_loop_attach(f->loop, &f->engine, &f->rpc);
    assert_int_equal(dm_loop_listen(f->loop, f->path, &error), DM_OK);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    while (atomic_load(&f->engine.turns) == 0) {
        (void)usleep(1000);
    }
    peer_open_unix(&f->control, f->path + 5);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 0, 0);
}

static int setup_narrow(void **state)
{
    return setup_with(state, 3, 0);
}

enum { SMALL_BUDGET = 4 << 20 };
static int setup_poor(void **state)
{
    return setup_with(state, 0, SMALL_BUDGET);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    peer_close(&f->control);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    while (pthread_tryjoin_np(f->thread, NULL) != 0) { /* it lingers by this clock */
        atomic_fetch_add(&f->now_ns, 1000000000);
        dm_loop_ring(f->loop);
        (void)usleep(1000);
    }
    dm_loop_destroy(f->loop);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void open_peer(struct fixture *f, struct peer *peer)
{
    peer_open_unix(peer, f->path + 5);
}

static void expect_answer(struct peer *peer, uint32_t id, struct dm_slice *payload, int code)
{
    struct dm_ttrpc_response response;
    assert_true(peer_response(peer, id, &response));
    assert_int_equal(response.code, code);
    *payload = response.payload;
}

static void echo(struct peer *peer)
{
    struct dm_slice payload;
    uint32_t id = peer_request(peer, 0, "t.T", "Echo", dm_slice_str("hello"));
    expect_answer(peer, id, &payload, DM_OK);
    assert_true(dm_slice_equal(payload, dm_slice_str("hello")));
}

static struct told told(struct fixture *f)
{
    struct told told;
    struct dm_slice payload;
    uint32_t id = peer_request(&f->control, 0, "t.T", "Stats", dm_slice(NULL, 0));
    expect_answer(&f->control, id, &payload, DM_OK);
    assert_int_equal(payload.size, sizeof told);
    memcpy(&told, payload.data, sizeof told);
    return told;
}

/* Sends it, and returns when the loop has it. */
static void deliver(struct fixture *f, struct peer *peer, const void *bytes, size_t size)
{
    uint64_t before = told(f).received;
    assert_true(peer_send(peer, bytes, size));
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;;) {
        struct dm_buf request = {0};
        const struct dm_ttrpc_request stats = {.service = dm_slice_str("t.T"),
                                               .method = dm_slice_str("Stats")};
        assert_true(dm_ttrpc_request_write(&request, 1, 0, &stats));
        size_t own = dm_buf_size(&request);
        dm_buf_finish(&request);
        before += own; /* what it takes to ask */
        if (told(f).received - before >= size) {
            return;
        }
        assert_true(peer_now_ms() < end);
    }
}

/* Time passes, and the loop takes a turn at the new one, and one more. */
static void pass(struct fixture *f, uint64_t ms)
{
    atomic_fetch_add(&f->now_ns, ms * 1000000);
    dm_loop_ring(f->loop);
    echo(&f->control);
    echo(&f->control);
}

static bool is_open(const struct peer *peer)
{
    char byte;
    return recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

static void expect_closed(struct peer *peer)
{
    while (peer_fill(peer)) {
    }
}

/* Half of a frame that would have `size` bytes. */
static void deliver_half(struct fixture *f, struct peer *peer, uint32_t size, size_t sent)
{
    static char bytes[4 << 20];
    const struct dm_ttrpc_header header = {.size = size, .stream = 1, .type = DM_TTRPC_REQUEST};
    dm_ttrpc_header_store((uint8_t *)bytes, &header);
    deliver(f, peer, bytes, DM_TTRPC_HEADER_SIZE + sent);
}

/* ---- time ---------------------------------------------------------------------------- */

static void what_has_begun_has_to_be_whole_in_time(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\0", 1},
        {"\0\0\0\1\0\0\0\1\1", 9},
        {"P", 1},
        {"GET / HT", 8},
        {"GET / HTTP/1.1\r\nhost: localhost\r\n", 33},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", 23},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24}, /* its SETTINGS belong to it */
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\5\1\0\0\0\0\1\x82", 43},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer peer;
        open_peer(f, &peer);
        deliver(f, &peer, cases[i].bytes, 1);
        pass(f, DM_HEAD_MS / 2);
        if (cases[i].size > 1) { /* more of it does not buy time */
            deliver(f, &peer, cases[i].bytes + 1, cases[i].size - 1);
        }
        pass(f, DM_HEAD_MS / 2 - 1);
        assert_int_equal(told(f).closed[DM_CLOSED_HEAD], i);
        pass(f, i < 7 ? 1 : DM_HEAD_MS / 2 + 1); /* the last one's preface was whole */
        assert_int_equal(told(f).closed[DM_CLOSED_HEAD], i + 1);
        expect_closed(&peer);
        peer_close(&peer);
    }
}

static void who_is_silent_may_stay(void **state)
{
    struct fixture *f = *state;
    struct peer never;
    struct peer idle;
    struct peer http;
    open_peer(f, &never);
    open_peer(f, &idle);
    echo(&idle);
    open_peer(f, &http);
    static const char get[] = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_true(peer_send(&http, get, sizeof get - 1));
    assert_true(peer_fill(&http));
    for (int i = 0; i < 10; i++) {
        pass(f, 3600000);
    }
    assert_true(peer_send(&http, get, sizeof get - 1));
    assert_true(peer_fill(&http));
    echo(&idle);
    echo(&never);
    assert_int_equal(told(f).connections, 4);
    peer_close(&never);
    peer_close(&idle);
    peer_close(&http);
}

static void a_silent_one_gives_up_its_place_when_all_are_taken(void **state)
{
    struct fixture *f = *state;
    struct peer busy;
    struct peer silent;
    struct peer third;
    echo(&f->control);
    open_peer(f, &busy);
    echo(&busy);
    open_peer(f, &silent);
    open_peer(f, &third);
    expect_closed(&third); /* there is no place, and the silent one has come just now */
    peer_close(&third);
    pass(f, DM_HEAD_MS);
    open_peer(f, &third);
    echo(&third);
    expect_closed(&silent);
    assert_int_equal(told(f).closed[DM_CLOSED_SILENT], 1);
    echo(&busy);
    peer_close(&busy);
    peer_close(&silent);
    peer_close(&third);
}

static void a_message_has_to_come_at_some_pace(void **state)
{
    struct fixture *f = *state;
    static const char bytes[DM_BODY_WINDOW_BYTES];
    static const char post[] = "POST /t.T/Echo HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Type: application/proto\r\nContent-Length: 1000000\r\n\r\n";
    struct peer ttrpc;
    struct peer http;
    open_peer(f, &ttrpc);
    open_peer(f, &http);
    deliver_half(f, &ttrpc, 1 << 20, 1);
    deliver(f, &http, post, sizeof post - 1);
    for (int i = 0; i < 10; i++) {
        pass(f, DM_BODY_WINDOW_MS - 1);
        deliver(f, &ttrpc, bytes, sizeof bytes);
        deliver(f, &http, bytes, sizeof bytes);
        pass(f, 1);
        assert_true(is_open(&ttrpc) && is_open(&http));
    }
    deliver(f, &ttrpc, bytes, sizeof bytes - 1);
    deliver(f, &http, bytes, sizeof bytes - 1);
    pass(f, DM_BODY_WINDOW_MS);
    expect_closed(&ttrpc);
    expect_closed(&http);
    assert_int_equal(told(f).closed[DM_CLOSED_BODY], 2);
    assert_int_equal(told(f).buffers, 0);
    peer_close(&ttrpc);
    peer_close(&http);
}

/* It waits for the disk, so it is not read from: that is not the client's fault. */
static void who_is_not_read_from_is_not_blamed(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    struct dm_buf out = {0};
    open_peer(f, &peer);
    for (uint32_t i = 0; i <= DM_WAITING_HIGH; i++) {
        const struct dm_ttrpc_request one = {.service = dm_slice_str("t.T"),
                                             .method = dm_slice_str("Hold")};
        assert_true(dm_ttrpc_request_write(&out, 1 + 2 * i, 0, &one));
    }
    assert_true(dm_buf_append(&out, "\0\0\1\0", 4)); /* and half a header */
    assert_true(peer_send(&peer, dm_buf_head(&out), dm_buf_size(&out)));
    dm_buf_finish(&out);
    for (int i = 0; i < 5; i++) {
        pass(f, DM_BODY_WINDOW_MS);
    }
    assert_true(is_open(&peer));
    peer_close(&peer);
}

/* The loop's own delay, of a process that was stopped, is not the clients'. */
static void a_late_loop_waits_once_more(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    open_peer(f, &peer);
    deliver(f, &peer, "GET", 3);
    pass(f, DM_HEAD_MS + 60000);
    assert_true(is_open(&peer));
    pass(f, DM_HEAD_MS - 1);
    assert_true(is_open(&peer));
    pass(f, 1);
    expect_closed(&peer);
    peer_close(&peer);
}

static void await_waiting(struct fixture *f, uint32_t connections)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; told(f).waiting != connections;) {
        assert_true(peer_now_ms() < end);
        (void)usleep(1000);
    }
}

static void who_takes_nothing_of_what_is_sent_is_closed(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    open_peer(f, &peer);
    assert_int_not_equal(peer_request(&peer, 1, "t.T", "Flood", dm_slice(NULL, 0)), 0);
    await_waiting(f, 1);
    assert_true(told(f).buffers > DM_OUTPUT_HIGH / 2); /* what waits for the socket counts */
    for (int i = 0; i < 3; i++) {                      /* slowly is fine */
        pass(f, DM_WRITE_WINDOW_MS - 1);
        for (size_t seen = 0; seen < 4 * (size_t)DM_WRITE_WINDOW_BYTES;) {
            struct peer_frame frame;
            assert_true(peer_next(&peer, &frame));
            seen += frame.header.size;
        }
        pass(f, 1);
        assert_int_equal(told(f).closed[DM_CLOSED_WRITE], 0);
        await_waiting(f, 1);
    }
    pass(f, DM_WRITE_WINDOW_MS);
    pass(f, DM_WRITE_WINDOW_MS); /* a new write may have begun after the last look */
    assert_int_equal(told(f).closed[DM_CLOSED_WRITE], 1);
    assert_int_equal(told(f).buffers, 0);
    expect_closed(&peer);
    peer_close(&peer);
}

/* ---- memory ---------------------------------------------------------------------------- */

static void what_is_half_received_is_counted_to_the_byte(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    open_peer(f, &peer);
    assert_int_equal(told(f).buffers, 0);
    deliver_half(f, &peer, 1 << 20, 1000000);
    assert_int_equal(told(f).buffers, (1 << 20) - DM_BUFFERS_FREE); /* buffers double */
    peer_close(&peer);
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; told(f).connections != 1;) {
        assert_true(peer_now_ms() < end);
    }
    assert_int_equal(told(f).buffers, 0);
}

static void in_a_crowd_large_messages_are_refused_and_small_ones_served(void **state)
{
    struct fixture *f = *state;
    struct peer large[2];
    struct peer late;
    struct dm_slice payload;
    open_peer(f, &large[0]);
    open_peer(f, &large[1]);
    deliver_half(f, &large[0], 4 << 20, 1100000); /* 2 MiB each, by doubling */
    deliver_half(f, &large[1], 4 << 20, 1100000);
    assert_in_range(told(f).buffers, SMALL_BUDGET / 8 * DM_BUFFERS_HIGH + 1, SMALL_BUDGET);
    open_peer(f, &late);
    echo(&late);
    late.last_id = 1;
    deliver_half(f, &late, 100000, 50000);
    expect_answer(&late, 1, &payload, DM_RESOURCE_EXHAUSTED);
    assert_int_equal(told(f).crowded, 1);
    deliver_half(f, &late, 0, 0); /* the rest of it is thrown away */
    assert_true(is_open(&large[0]) && is_open(&large[1]) && is_open(&late));
    peer_close(&large[0]);
    peer_close(&large[1]);
    peer_close(&late);
}

static void who_holds_most_has_to_go_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct peer small;
    struct peer middle;
    struct peer large;
    open_peer(f, &small);
    open_peer(f, &middle);
    open_peer(f, &large);
    deliver_half(f, &small, 200000, 100000);
    deliver_half(f, &middle, 1 << 20, 700000);
    static char most[2200000] = "\0\x3f\xff\xff\0\0\0\1\1"; /* 4 MiB by doubling */
    (void)peer_send(&large, most, sizeof most);             /* it is closed on the way */
    expect_closed(&large);
    struct told now = told(f);
    assert_int_equal(now.closed[DM_CLOSED_MEMORY], 1);
    assert_in_range(now.buffers, 1, SMALL_BUDGET / 2);
    assert_true(is_open(&small) && is_open(&middle));
    /* They go on as if nothing had been. */
    static const char rest[100000];
    deliver(f, &small, rest, sizeof rest);
    struct dm_slice payload;
    expect_answer(&small, 1, &payload, DM_INVALID_ARGUMENT); /* zeroes are no request */
    peer_close(&small);
    peer_close(&middle);
    peer_close(&large);
}

static void unread_answers_count_as_well(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    open_peer(f, &peer);
    assert_int_not_equal(peer_request(&peer, 1, "t.T", "Big", dm_slice(NULL, 0)), 0);
    expect_closed(&peer);
    assert_int_equal(told(f).closed[DM_CLOSED_MEMORY], 1);
    assert_int_equal(told(f).buffers, 0);
    peer_close(&peer);
}

/* ---- what a turn reads of each ------------------------------------------------------------ */

static void await_noted(struct fixture *f, uint32_t count)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;
         atomic_load(&f->rpc.noted_count) < count;) {
        assert_true(peer_now_ms() < end);
        (void)usleep(1000);
    }
}

/* Calls of Dear from stream `first` on, each with `size` letters. */
static void write_dear(struct dm_buf *out, char letter, uint32_t first, uint32_t calls, size_t size)
{
    static char letters[2 * (size_t)DM_BUFFERS_FREE];
    assert_true(size <= sizeof letters);
    memset(letters, letter, size);
    for (uint32_t i = 0; i < calls; i++) {
        const struct dm_ttrpc_request one = {.service = dm_slice_str("t.T"),
                                             .method = dm_slice_str("Dear"),
                                             .payload = dm_slice(letters, size)};
        assert_true(dm_ttrpc_request_write(out, first + 2 * i, 0, &one));
    }
}

/* The last bytes of all come while the loop works on the first. */
static void large_messages_that_are_whole_at_once_do_not_hold_up_the_others(void **state)
{
    enum { PEERS = 20 };
    struct fixture *f = *state;
    struct peer peers[PEERS];
    struct dm_buf message = {0};
    struct dm_slice payload;
    write_dear(&message, 'a', 1, 1, 2 * (size_t)DM_BUFFERS_FREE);
    const uint8_t *bytes = dm_buf_head(&message);
    size_t size = dm_buf_size(&message);
    for (int i = 0; i < PEERS; i++) {
        open_peer(f, &peers[i]);
        deliver(f, &peers[i], bytes, size - 1);
    }
    for (int i = 0; i < PEERS; i++) {
        assert_true(peer_send(&peers[i], bytes + size - 1, 1));
        await_noted(f, 1);
    }
    uint32_t id = peer_request(&f->control, 0, "t.T", "Noted", dm_slice(NULL, 0));
    atomic_store(&f->rpc.let_go, true);
    uint32_t noted = 0;
    expect_answer(&f->control, id, &payload, DM_OK);
    memcpy(&noted, payload.data, sizeof noted);
    assert_in_range(noted, 1, 2);
    for (int i = 0; i < PEERS; i++) {
        expect_answer(&peers[i], 1, &payload, DM_OK);
        peer_close(&peers[i]);
    }
    dm_buf_finish(&message);
}

/* Calls of one in a row, while the other had some left. */
static uint32_t longest_run(const struct dm_rpc *rpc, uint32_t calls_of_each)
{
    uint32_t count[2] = {0};
    uint32_t run = 0;
    uint32_t longest = 0;
    for (uint32_t i = 0; i < 2 * calls_of_each; i++) {
        int who = rpc->noted[i] == 'b';
        run = i > 0 && rpc->noted[i] == rpc->noted[i - 1] ? run + 1 : 1;
        count[who]++;
        if (count[!who] < calls_of_each && run > longest) {
            longest = run;
        }
    }
    return longest;
}

static void the_greedy_come_one_after_the_other(void **state)
{
    enum { FIRST = 3, CALLS = 200, SIZE = 500 }; /* stream 1 was the echo */
    struct fixture *f = *state;
    struct peer peers[2];
    struct dm_slice payload;
    uint32_t one_read = 0;
    for (int i = 0; i < 2; i++) {
        open_peer(f, &peers[i]);
        echo(&peers[i]);
    }
    for (int i = 0; i < 2; i++) {
        struct dm_buf calls = {0};
        write_dear(&calls, (char)('a' + i), FIRST, CALLS, SIZE);
        one_read = (uint32_t)((size_t)DM_READ_SIZE / (dm_buf_size(&calls) / CALLS) + 1);
        assert_true(peer_send(&peers[i], dm_buf_head(&calls), dm_buf_size(&calls)));
        await_noted(f, 1);
        dm_buf_finish(&calls);
    }
    atomic_store(&f->rpc.let_go, true);
    for (uint32_t i = 0; i < CALLS; i++) {
        expect_answer(&peers[0], FIRST + 2 * i, &payload, DM_OK);
        expect_answer(&peers[1], FIRST + 2 * i, &payload, DM_OK);
    }
    assert_int_equal(atomic_load(&f->rpc.noted_count), 2 * CALLS);
    assert_true(CALLS > 5 * one_read);
    assert_in_range(longest_run(&f->rpc, CALLS), 1, 2 * one_read);
    peer_close(&peers[0]);
    peer_close(&peers[1]);
}

#define WITH(test, set) cmocka_unit_test_setup_teardown(test, set, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(what_has_begun_has_to_be_whole_in_time, setup),
        WITH(who_is_silent_may_stay, setup),
        WITH(a_silent_one_gives_up_its_place_when_all_are_taken, setup_narrow),
        WITH(a_message_has_to_come_at_some_pace, setup),
        WITH(who_is_not_read_from_is_not_blamed, setup),
        WITH(a_late_loop_waits_once_more, setup),
        WITH(who_takes_nothing_of_what_is_sent_is_closed, setup),
        WITH(what_is_half_received_is_counted_to_the_byte, setup),
        WITH(in_a_crowd_large_messages_are_refused_and_small_ones_served, setup_poor),
        WITH(who_holds_most_has_to_go_and_nobody_else, setup_poor),
        WITH(unread_answers_count_as_well, setup_poor),
        WITH(large_messages_that_are_whole_at_once_do_not_hold_up_the_others, setup),
        WITH(the_greedy_come_one_after_the_other, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
