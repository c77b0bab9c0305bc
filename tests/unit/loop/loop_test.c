#include "base/limits.h"
#include "base/log.h"
#include "lib/peer.h"
#include "loop/drain.h"
#include "loop/listen.h"
#include "loop/loop.h"
#include "rpc/prefetch.h"
#include "rpc/ready.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The loop with an engine and an rpc that stand in for the real ones: they are defined
 * here, so the linker takes nothing from those layers. The loop runs in a thread of its own,
 * the test speaks to it over real sockets.
 *
 * Methods: Echo answers at once; Later in the next turn; Hold when the test lets go, as if it
 * waited for the disk; Stop holds the loop itself until then; Mark notes how many calls had begun;
 * Big answers with as many bytes as its payload's number says; Flood streams without end, as
 * fast as there is room; any other fails. */

enum { CALLS_MAX = 4096 };

struct fake_call {
    struct dm_sink *sink;
    uint64_t id;
    enum { FAKE_LATER, FAKE_HOLD, FAKE_FLOOD } kind;
};

struct dm_engine {
    atomic_bool failed, full;
    atomic_uint turns, flushes;
    int event;
};

struct dm_rpc {
    struct fake_call calls[CALLS_MAX];
    uint32_t count;
    bool left, draining;
    atomic_bool let_go;
    atomic_uint begun, marked, cancelled, gone;
    atomic_ullong flooded;
};

/* ---- the stand-ins --------------------------------------------------------------- */

int dm_engine_turn(struct dm_engine *engine)
{
    atomic_fetch_add(&engine->turns, 1);
    return 3600000; /* so every turn before is for a reason */
}

int dm_engine_event(struct dm_engine *engine)
{
    return engine->event;
}

void dm_engine_flush(struct dm_engine *engine)
{
    atomic_fetch_add(&engine->flushes, 1);
}

enum dm_code dm_engine_writable(struct dm_engine *engine, struct dm_error *error)
{
    return atomic_load(&engine->full) ? dm_fail(error, DM_UNAVAILABLE, "no space") : DM_OK;
}

bool dm_engine_failed(struct dm_engine *engine, struct dm_error *error)
{
    if (!atomic_load(&engine->failed)) {
        return false;
    }
    (void)dm_fail(error, DM_UNAVAILABLE, "the disk is gone");
    return true;
}

bool dm_rpc_known_service(struct dm_slice service)
{
    return dm_slice_equal(service, dm_slice_str("t.T"));
}

bool dm_rpc_client_streaming(struct dm_slice service, struct dm_slice method)
{
    (void)service;
    (void)method;
    return false;
}

static void reply_big(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    char digits[16] = "";
    memcpy(digits, payload.data, payload.size);
    size_t size = strtoul(digits, NULL, 10);
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    sink->ops->reply(sink, id, dm_slice(bytes, size));
    free(bytes);
}

void dm_rpc_call(struct dm_rpc *rpc, struct dm_sink *sink, const struct dm_rpc_request *request)
{
    struct fake_call call = {.sink = sink, .id = request->id};
    atomic_fetch_add(&rpc->begun, 1);
    if (dm_slice_equal(request->method, dm_slice_str("Mark"))) {
        atomic_store(&rpc->marked, atomic_load(&rpc->begun));
    }
    while (dm_slice_equal(request->method, dm_slice_str("Stop")) && !atomic_load(&rpc->let_go)) {
        (void)usleep(1000);
    }
    if (dm_slice_equal(request->method, dm_slice_str("Echo")) ||
        dm_slice_equal(request->method, dm_slice_str("Stop")) ||
        dm_slice_equal(request->method, dm_slice_str("Mark"))) {
        sink->ops->reply(sink, request->id, request->payload);
        return;
    }
    if (dm_slice_equal(request->method, dm_slice_str("Big"))) {
        reply_big(sink, request->id, request->payload);
        return;
    }
    if (dm_slice_equal(request->method, dm_slice_str("Later"))) {
        call.kind = FAKE_LATER;
    } else if (dm_slice_equal(request->method, dm_slice_str("Hold"))) {
        call.kind = FAKE_HOLD;
    } else if (dm_slice_equal(request->method, dm_slice_str("Flood"))) {
        call.kind = FAKE_FLOOD;
    } else {
        (sink->ops->fail)(sink, request->id, DM_UNIMPLEMENTED, "no such method here");
        return;
    }
    sink->waiting += call.kind == FAKE_HOLD ? 1 : 0;
    assert_true(rpc->count < CALLS_MAX);
    rpc->calls[rpc->count++] = call;
}

void dm_rpc_input(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)rpc;
    sink->ops->stream_message(sink, id, payload);
}

void dm_rpc_input_end(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    (void)rpc;
    sink->ops->stream_end(sink, id);
}

static void forget_calls(struct dm_rpc *rpc, const struct dm_sink *sink, uint64_t id, bool all)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rpc->count; i++) {
        if (rpc->calls[i].sink != sink || (!all && rpc->calls[i].id != id)) {
            rpc->calls[kept++] = rpc->calls[i];
        }
    }
    rpc->count = kept;
}

void dm_rpc_prefetch(struct dm_rpc *rpc, const struct dm_slice *payloads, size_t count)
{
    (void)rpc;
    (void)payloads;
    assert_in_range(count, 2, 32);
}

void dm_rpc_cancel(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id)
{
    atomic_fetch_add(&rpc->cancelled, 1);
    forget_calls(rpc, sink, id, false);
}

void dm_rpc_sink_gone(struct dm_rpc *rpc, struct dm_sink *sink)
{
    atomic_fetch_add(&rpc->gone, 1);
    forget_calls(rpc, sink, 0, true);
}

static bool flood(struct dm_rpc *rpc, const struct fake_call *call)
{
    static const char bytes[16384];
    if (rpc->draining) {
        call->sink->ops->stream_end(call->sink, call->id);
        return false;
    }
    while (call->sink->ops->stream_room(call->sink, call->id) >= sizeof bytes) {
        call->sink->ops->stream_message(call->sink, call->id, dm_slice(bytes, sizeof bytes));
        atomic_fetch_add(&rpc->flooded, sizeof bytes);
    }
    return true;
}

int dm_rpc_turn(struct dm_rpc *rpc)
{
    uint32_t kept = 0;
    bool hold = !atomic_load(&rpc->let_go); /* once: all of a turn go, or none, in their order */
    for (uint32_t i = 0; i < rpc->count; i++) {
        struct fake_call call = rpc->calls[i];
        if (call.kind == FAKE_FLOOD ? flood(rpc, &call) : call.kind == FAKE_HOLD && hold) {
            rpc->calls[kept++] = call;
        } else if (call.kind != FAKE_FLOOD) {
            call.sink->ops->reply(call.sink, call.id, dm_slice_str("done"));
            call.sink->waiting -= call.kind == FAKE_HOLD ? 1 : 0;
        }
    }
    rpc->count = kept;
    return -1;
}

void dm_rpc_leave(struct dm_rpc *rpc)
{
    rpc->left = true;
}

void dm_rpc_drain(struct dm_rpc *rpc)
{
    rpc->draining = true;
}

uint32_t dm_rpc_open_calls(const struct dm_rpc *rpc)
{
    return rpc->count;
}

/* ---- the fixture ------------------------------------------------------------------- */

struct fixture {
    struct dm_loop *loop;
    struct dm_engine engine;
    struct dm_rpc rpc;
    pthread_t thread;
    char folder[64], path[128];
    enum dm_code result;
    struct dm_error error;
    bool joined;
};

static void answer_http(void *context, const struct dm_page_request *request, struct dm_page *page)
{
    (void)context;
    page->answer.status = 200;
    (void)dm_buf_append(&page->text, request->path.data, request->path.size);
}

static void *run(void *context)
{
    struct fixture *f = context;
    f->result = dm_loop_run(f->loop, &f->error);
    return NULL;
}

static int setup_with(void **state, const struct dm_loop_options *options)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    dm_log_configure(DM_LOG_ERROR, DM_LOG_FORMAT_LOGFMT);
    (void)signal(SIGPIPE, SIG_IGN);
    memcpy(f->folder, "loop_test_XXXXXX", sizeof "loop_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "unix:%s/socket", f->folder);
    assert_int_equal(dm_loop_create(&f->loop, options, &f->error), DM_OK);
    f->engine.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(f->engine.event >= 0);
    dm_loop_attach(f->loop, &f->engine, &f->rpc);
    if (dm_loop_listen(f->loop, f->path, &f->error) != DM_OK) {
        fail_msg("%s", f->error.message);
    }
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    const struct dm_loop_options options = {
        .clock = dm_clock_system(), .drain_timeout_ms = 60000, .http = answer_http};
    return setup_with(state, &options);
}

static int setup_narrow(void **state)
{
    const struct dm_loop_options options = {
        .clock = dm_clock_system(), .drain_timeout_ms = 60000, .connections_max = 2};
    return setup_with(state, &options);
}

static int setup_impatient(void **state)
{
    const struct dm_loop_options options = {.clock = dm_clock_system(), .drain_timeout_ms = 1};
    return setup_with(state, &options);
}

/* Once the loop can be seen to serve, its signal handlers are there as well. */
static void await_start(struct fixture *f)
{
    while (atomic_load(&f->engine.turns) == 0) {
        (void)usleep(1000);
    }
}

static void end_loop(struct fixture *f)
{
    if (!f->joined) {
        f->joined = true;
        assert_int_equal(pthread_join(f->thread, NULL), 0);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (!f->joined) {
        await_start(f);
        atomic_store(&f->rpc.let_go, true);
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        end_loop(f);
    }
    (void)close(f->engine.event); /* as the journal's is: before the loop */
    dm_loop_destroy(f->loop);
    assert_int_not_equal(access(f->path + 5, F_OK), 0); /* its file is gone */
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void open_peer(struct fixture *f, struct peer *peer)
{
    peer_open_unix(peer, f->path + 5);
}

static uint32_t request(struct peer *peer, const char *method, const char *payload)
{
    return peer_request(peer, 0, "t.T", method, dm_slice_str(payload));
}

static void expect(struct peer *peer, uint32_t id, const char *payload)
{
    struct dm_ttrpc_response response;
    assert_true(peer_response(peer, id, &response));
    assert_int_equal(response.code, 0);
    assert_true(dm_slice_equal(response.payload, dm_slice_str(payload)));
}

/* Any frame of this call, past those of others. */
static void await_frame(struct peer *peer, uint32_t id)
{
    struct peer_frame frame = {.header = {.stream = 0}};
    while (frame.header.stream != id) {
        assert_true(peer_next(peer, &frame));
    }
}

static void expect_end(struct peer *peer)
{
    struct peer_frame frame;
    assert_false(peer_next(peer, &frame));
}

/* ---- the tests ---------------------------------------------------------------------- */

static void calls_are_answered_at_once_and_later(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    expect(&peer, request(&peer, "Echo", "hello"), "hello");
    expect(&peer, request(&peer, "Later", ""), "done");
    struct dm_ttrpc_response response;
    assert_true(peer_response(&peer, request(&peer, "Other", ""), &response));
    assert_int_equal(response.code, DM_UNIMPLEMENTED);
    assert_true(atomic_load(&f->engine.flushes) > 0);
    peer_close(&peer);
}

static void many_calls_in_one_write_are_all_answered(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    struct dm_buf out = {0};
    open_peer(f, &peer);
    for (uint32_t id = 1; id < 8000; id += 2) {
        const struct dm_ttrpc_request one = {.service = dm_slice_str("t.T"),
                                             .method = dm_slice_str(id % 3 == 0 ? "Later" : "Echo"),
                                             .payload = dm_slice_str("done")};
        assert_true(dm_ttrpc_request_write(&out, id, 0, &one));
    }
    assert_true(peer_send(&peer, dm_buf_head(&out), dm_buf_size(&out)));
    for (uint32_t answers = 0; answers < 4000; answers++) {
        struct peer_frame frame;
        assert_true(peer_next(&peer, &frame));
        assert_int_equal(frame.header.type, DM_TTRPC_RESPONSE);
    }
    dm_buf_finish(&out);
    peer_close(&peer);
}

static void await_begun(struct fixture *f, uint32_t count)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; atomic_load(&f->rpc.begun) < count;) {
        assert_true(peer_now_ms() < end);
        (void)usleep(1000);
    }
}

static void what_the_disk_has_done_wakes_it(void **state)
{
    struct fixture *f = *state;
    await_start(f);
    for (uint32_t round = 1; round <= 100; round++) {
        uint32_t turns = atomic_load(&f->engine.turns);
        assert_int_equal(eventfd_write(f->engine.event, 1), 0);
        for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS;
             atomic_load(&f->engine.turns) == turns;) {
            assert_true(peer_now_ms() < end);
            (void)usleep(100);
        }
    }
}

/* While the loop stands still in the first call, both connections' requests gather. */
static void who_sends_much_at_once_delays_others_by_one_read(void **state)
{
    struct fixture *f = *state;
    struct peer hot = {0};
    struct peer other = {0};
    struct dm_buf out = {0};
    const uint32_t calls = 2000;
    open_peer(f, &hot);
    open_peer(f, &other);
    expect(&other, request(&other, "Echo", "x"), "x");
    for (uint32_t i = 0; i < calls; i++) {
        const struct dm_ttrpc_request one = {.service = dm_slice_str("t.T"),
                                             .method = dm_slice_str(i == 0 ? "Stop" : "Echo"),
                                             .payload = dm_slice_str("as much as it can")};
        assert_true(dm_ttrpc_request_write(&out, 1 + 2 * i, 0, &one));
    }
    size_t one_read = DM_READ_SIZE / (dm_buf_size(&out) / calls) + 1;
    assert_true(calls > 4 * one_read);
    assert_true(peer_send(&hot, dm_buf_head(&out), dm_buf_size(&out)));
    await_begun(f, 2);
    uint32_t id = request(&other, "Mark", "");
    atomic_store(&f->rpc.let_go, true);
    expect(&other, id, "");
    /* What came with the first call, and one read more if its turn was first. */
    assert_in_range(atomic_load(&f->rpc.marked), 1 + 1, 2 + 2 * one_read + 1);
    for (uint32_t i = 0; i < calls; i++) {
        struct peer_frame frame;
        assert_true(peer_next(&hot, &frame));
        assert_int_equal(frame.header.stream, 1 + 2 * i);
    }
    dm_buf_finish(&out);
    peer_close(&hot);
    peer_close(&other);
}

static void a_doorbell_leads_to_a_turn(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    uint32_t id = request(&peer, "Hold", "");
    expect(&peer, request(&peer, "Echo", "x"), "x");
    atomic_store(&f->rpc.let_go, true);
    dm_loop_ring(f->loop);
    expect(&peer, id, "done");
    peer_close(&peer);
}

static void bytes_of_no_protocol_close_the_connection(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    assert_true(peer_send(&peer, "\x16\x03\x01", 3));
    expect_end(&peer);
    peer_close(&peer);
    open_peer(f, &peer);
    assert_true(peer_send(&peer, "\0\0\0\0", 4)); /* half a header, then gone */
    peer_close(&peer);
    open_peer(f, &peer);
    expect(&peer, request(&peer, "Echo", "alive"), "alive");
    peer_close(&peer);
}

static void a_frame_of_garbage_length_is_answered_by_the_end(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    struct dm_ttrpc_response response;
    open_peer(f, &peer);
    uint32_t id = request(&peer, "Echo", "before");
    assert_true(peer_send(&peer, "\xff\xff\xff\xff\0\0\0\x03\x01\0more bytes", 20));
    assert_true(peer_response(&peer, id, &response));
    expect_end(&peer);
    peer_close(&peer);
}

static void a_client_that_only_closes_its_side_still_gets_its_answers(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    uint32_t first = request(&peer, "Later", "");
    uint32_t second = request(&peer, "Echo", "b");
    assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        struct peer_frame frame;
        assert_true(peer_next(&peer, &frame));
        assert_true(frame.header.stream == first || frame.header.stream == second);
    }
    expect_end(&peer);
    peer_close(&peer);
}

static void await_gone(struct fixture *f, uint32_t count)
{
    for (uint64_t end = peer_now_ms() + PEER_DEADLINE_MS; atomic_load(&f->rpc.gone) < count;) {
        assert_true(peer_now_ms() < end);
        (void)usleep(1000);
    }
}

static void a_connection_that_ends_takes_its_calls_along(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 20; i++) {
        struct peer peer = {0};
        const struct linger hard = {.l_onoff = 1, .l_linger = 0};
        open_peer(f, &peer);
        (void)request(&peer, "Hold", "");
        assert_int_not_equal(peer_request(&peer, 1, "t.T", "Flood", dm_slice(NULL, 0)), 0);
        await_frame(&peer, request(&peer, "Echo", ""));
        if (i % 2 == 0) {
            (void)setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        peer_close(&peer);
    }
    await_gone(f, 20);
}

static void a_slow_reader_is_not_read_from_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct peer slow = {0};
    struct peer other = {0};
    enum { ANSWERS = 40, ANSWER_SIZE = 1000000 };
    open_peer(f, &slow);
    open_peer(f, &other);
    for (int i = 0; i < ANSWERS; i++) {
        (void)request(&slow, "Big", "1000000");
    }
    for (int i = 0; i < 50; i++) {
        expect(&other, request(&other, "Echo", "quick"), "quick");
    }
    /* Not all have begun: the rest waits, unread or unparsed, for the reader. */
    assert_true(atomic_load(&f->rpc.begun) < 50 + ANSWERS);
    for (uint32_t i = 0; i < ANSWERS; i++) {
        struct dm_ttrpc_response response;
        assert_true(peer_response(&slow, 1 + 2 * i, &response));
        assert_int_equal(response.payload.size, ANSWER_SIZE);
    }
    peer_close(&slow);
    peer_close(&other);
}

/* A write that the socket refused can succeed a moment later, before the loop has waited for
 * anything: its end must be seen all the same. No other event comes here to help. */
static void who_reads_as_fast_as_it_is_sent_is_never_left_waiting(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    enum { ROUNDS = 40, CALLS = 16, ANSWER_SIZE = 400000 };
    open_peer(f, &peer);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t call = 0; call < CALLS; call++) {
            (void)request(&peer, "Big", "400000");
        }
        for (uint32_t call = 0; call < CALLS; call++) {
            struct dm_ttrpc_response response;
            assert_true(peer_response(&peer, 1 + 2 * (i * CALLS + call), &response));
            assert_int_equal(response.payload.size, ANSWER_SIZE);
        }
    }
    peer_close(&peer);
}

/* Many calls that wait for the disk, in one write. Returns how many of them one read takes. */
static size_t send_held(struct peer *peer, uint32_t calls)
{
    struct dm_buf out = {0};
    for (uint32_t i = 0; i < calls; i++) {
        const struct dm_ttrpc_request one = {.service = dm_slice_str("t.T"),
                                             .method = dm_slice_str("Hold"),
                                             .payload = dm_slice_str("to be written to disk")};
        assert_true(dm_ttrpc_request_write(&out, 1 + 2 * i, 0, &one));
    }
    size_t one_read = DM_READ_SIZE / (dm_buf_size(&out) / calls) + 1;
    assert_true(peer_send(peer, dm_buf_head(&out), dm_buf_size(&out)));
    dm_buf_finish(&out);
    return one_read;
}

static void let_all_go(struct fixture *f, struct peer *peer, uint32_t calls)
{
    atomic_store(&f->rpc.let_go, true);
    dm_loop_ring(f->loop);
    for (uint32_t i = 0; i < calls; i++) {
        expect(peer, 1 + 2 * i, "done");
    }
}

static void who_waits_for_the_disk_is_not_read_from(void **state)
{
    struct fixture *f = *state;
    struct peer many = {0};
    struct peer other = {0};
    const uint32_t calls = 2000, echoes = 50;
    open_peer(f, &many);
    open_peer(f, &other);
    size_t one_read = send_held(&many, calls);
    await_begun(f, DM_WAITING_HIGH);
    for (uint32_t i = 0; i < echoes; i++) {
        expect(&other, request(&other, "Echo", "quick"), "quick");
    }
    assert_true(atomic_load(&f->rpc.begun) <= DM_WAITING_HIGH + one_read + echoes);
    let_all_go(f, &many, calls);
    peer_close(&many);
    peer_close(&other);
}

static void while_the_disk_is_full_all_are_read_from(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    const uint32_t calls = 2000;
    open_peer(f, &peer);
    (void)send_held(&peer, calls);
    await_begun(f, DM_WAITING_HIGH);
    atomic_store(&f->engine.full, true);
    dm_loop_ring(f->loop);
    await_begun(f, calls);
    let_all_go(f, &peer, calls);
    peer_close(&peer);
}

static void a_stream_waits_for_its_reader(void **state)
{
    struct fixture *f = *state;
    struct peer slow = {0};
    struct peer other = {0};
    open_peer(f, &slow);
    open_peer(f, &other);
    assert_int_not_equal(peer_request(&slow, 1, "t.T", "Flood", dm_slice(NULL, 0)), 0);
    for (int i = 0; i < 200; i++) {
        expect(&other, request(&other, "Later", ""), "done");
    }
    unsigned long long stopped = atomic_load(&f->rpc.flooded);
    assert_true(stopped < 16ULL * (unsigned long long)DM_OUTPUT_HIGH);
    for (unsigned long long seen = 0; seen <= 4ULL * stopped;) {
        struct peer_frame frame;
        assert_true(peer_next(&slow, &frame));
        seen += frame.header.size;
    }
    peer_close(&slow);
    peer_close(&other);
}

static void past_the_limit_connections_are_closed(void **state)
{
    struct fixture *f = *state;
    struct peer peers[3];
    for (int i = 0; i < 2; i++) {
        open_peer(f, &peers[i]);
        expect(&peers[i], request(&peers[i], "Echo", "in"), "in");
    }
    open_peer(f, &peers[2]);
    expect_end(&peers[2]);
    peer_close(&peers[2]);
    peer_close(&peers[0]);
    await_gone(f, 1);
    /* The place is free once the loop has seen the end; until then it refuses. */
    for (uint32_t id = 0; id == 0;) {
        struct dm_ttrpc_response response;
        open_peer(f, &peers[2]);
        id = request(&peers[2], "Echo", "in");
        if (id == 0 || !peer_response(&peers[2], id, &response)) {
            id = 0;
            peer_close(&peers[2]);
        }
    }
    peer_close(&peers[1]);
    peer_close(&peers[2]);
}

static void a_signal_drains(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    struct peer idle = {0};
    open_peer(f, &peer);
    open_peer(f, &idle);
    uint32_t id = request(&peer, "Hold", "");
    expect(&peer, request(&peer, "Echo", "x"), "x");
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    /* Its socket goes first: nobody new gets in. */
    while (access(f->path + 5, F_OK) == 0) {
        (void)usleep(1000);
    }
    expect(&peer, request(&peer, "Echo", "still here"), "still here");
    atomic_store(&f->rpc.let_go, true);
    dm_loop_ring(f->loop);
    expect(&peer, id, "done");
    expect_end(&peer);
    expect_end(&idle);
    peer_close(&peer);
    peer_close(&idle);
    end_loop(f);
    assert_int_equal(f->result, DM_OK);
}

static void a_drain_does_not_wait_for_ever(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    (void)request(&peer, "Hold", "");
    expect(&peer, request(&peer, "Echo", "x"), "x");
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    expect_end(&peer);
    peer_close(&peer);
    end_loop(f);
    assert_int_equal(f->result, DM_OK);
}

static void when_the_engine_fails_nothing_more_is_answered(void **state)
{
    struct fixture *f = *state;
    struct peer peer = {0};
    open_peer(f, &peer);
    (void)request(&peer, "Hold", "");
    expect(&peer, request(&peer, "Echo", "x"), "x");
    atomic_store(&f->engine.failed, true);
    atomic_store(&f->rpc.let_go, true);
    dm_loop_ring(f->loop);
    end_loop(f);
    assert_int_equal(f->result, DM_INTERNAL);
    assert_non_null(strstr(f->error.message, "the disk is gone"));
    dm_loop_destroy(f->loop);
    f->loop = NULL;
    expect_end(&peer);
    peer_close(&peer);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct fixture *f = *state;
    const struct dm_loop_options options = {.clock = dm_clock_system()};
    struct dm_loop *second;
    struct dm_error error;
    char path[128];
    assert_int_equal(dm_loop_create(&second, &options, &error), DM_OK);
    assert_int_equal(dm_loop_listen(second, f->path, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "another process listens"));
    (void)snprintf(path, sizeof path, "unix:%s/stale", f->folder);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path + 5, strlen(path + 5) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    (void)close(fd);
    assert_int_equal(dm_loop_listen(second, path, &error), DM_OK);
    dm_loop_destroy(second);
    assert_int_not_equal(access(path + 5, F_OK), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    const struct dm_loop_options options = {.clock = dm_clock_system()};
    struct dm_loop *second;
    struct dm_error error;
    char path[128];
    assert_int_equal(dm_loop_create(&second, &options, &error), DM_OK);
    (void)snprintf(path, sizeof path, "unix:%s/file", f->folder);
    int fd = open(path + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(dm_loop_listen(second, path, &error), DM_UNAVAILABLE);
    dm_loop_destroy(second);
    assert_int_equal(unlink(path + 5), 0);
}

static void addresses_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "7400",  "localhost", ":7400",
                                      "::1:7400", "[::1]", "[::1:7400", "127.0.0.1:99999",
                                      "h:",       "h:12x", "unix:",     "[]:1"};
    const struct dm_loop_options options = {.clock = dm_clock_system()};
    struct dm_loop *loop;
    struct dm_error error;
    assert_int_equal(dm_loop_create(&loop, &options, &error), DM_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(dm_loop_listen(loop, bad[i], &error), DM_INVALID_ARGUMENT);
    }
    assert_int_equal(dm_loop_listen(loop, "127.0.0.1:0", &error), DM_OK);
    assert_int_equal(dm_loop_listen(loop, "localhost:0", &error), DM_OK);
    dm_loop_destroy(loop);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(calls_are_answered_at_once_and_later),
        WITH(many_calls_in_one_write_are_all_answered),
        WITH(what_the_disk_has_done_wakes_it),
        WITH(who_sends_much_at_once_delays_others_by_one_read),
        WITH(a_doorbell_leads_to_a_turn),
        WITH(bytes_of_no_protocol_close_the_connection),
        WITH(a_frame_of_garbage_length_is_answered_by_the_end),
        WITH(a_client_that_only_closes_its_side_still_gets_its_answers),
        WITH(a_connection_that_ends_takes_its_calls_along),
        WITH(a_slow_reader_is_not_read_from_and_loses_nothing),
        WITH(who_reads_as_fast_as_it_is_sent_is_never_left_waiting),
        WITH(who_waits_for_the_disk_is_not_read_from),
        WITH(while_the_disk_is_full_all_are_read_from),
        WITH(a_stream_waits_for_its_reader),
        cmocka_unit_test_setup_teardown(past_the_limit_connections_are_closed, setup_narrow,
                                        teardown),
        WITH(a_signal_drains),
        cmocka_unit_test_setup_teardown(a_drain_does_not_wait_for_ever, setup_impatient, teardown),
        WITH(when_the_engine_fails_nothing_more_is_answered),
        WITH(a_stale_socket_is_replaced_and_a_live_one_is_not),
        WITH(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(addresses_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
