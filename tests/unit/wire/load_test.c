#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "wire/session.h"
#include "wire/ttrpc_frame.h"

/* What one connection may hold and make: output is looked at before more input is shown, what
 * is half received is known and has its time, and when all hold too much nothing large is
 * begun. The same of each protocol. */

#define MS UINT64_C(1000000)

struct wire {
    struct dm_session *s;
    struct dm_buf in;    /* what the client will send next */
    nghttp2_session *ng; /* HTTP/2 only: the client's end */
    uint32_t calls, inputs, ends, cancels, pages;
    int64_t timeout_ns; /* of the last call */
    uint64_t id;        /* of the last event */
    size_t answer;      /* bytes that each input is answered with */
    int status;         /* HTTP/2: of the answers */
};

static struct dm_crowd crowd;

static bool takes_stream(struct dm_slice service, struct dm_slice method)
{
    (void)service;
    return dm_slice_equal(method, dm_slice_str("Chat"));
}

static const struct dm_session_limits limits = {
    .output_high = 65536, .client_streaming = takes_stream, .crowd = &crowd};

static void wire_open(struct wire *w, struct dm_session *session)
{
    crowd = (struct dm_crowd){0};
    *w = (struct wire){.s = session};
    assert_non_null(session);
}

static void wire_close(struct wire *w)
{
    dm_session_destroy(w->s);
    nghttp2_session_del(w->ng);
    dm_buf_finish(&w->in);
}

static void pull(struct wire *w)
{
    static const char bytes[65536];
    struct dm_session_event e;
    while (dm_session_next(w->s, &e)) {
        w->id = e.id;
        switch (e.kind) {
        case DM_EVENT_CALL:
            w->calls++;
            w->timeout_ns = e.timeout_ns;
            break;
        case DM_EVENT_INPUT:
            assert_true(dm_session_stream_room(w->s, e.id) > 0);
            w->inputs++;
            dm_session_stream_message(w->s, e.id, dm_slice(bytes, w->answer));
            break;
        case DM_EVENT_INPUT_END:
            w->ends++;
            break;
        case DM_EVENT_CANCEL:
            w->cancels++;
            break;
        case DM_EVENT_HTTP:
            w->pages++;
            dm_session_http_reply(w->s, e.id, 200, "text/plain", dm_slice(bytes, w->answer));
            break;
        }
    }
}

/* From memory that is gone afterwards. */
static void feed(struct wire *w, const void *bytes, size_t size)
{
    void *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    dm_session_feed(w->s, dm_slice(copy, size));
    pull(w);
    free(copy);
}

static void feed_in(struct wire *w)
{
    feed(w, dm_buf_head(&w->in), dm_buf_size(&w->in));
    dm_buf_consume(&w->in, dm_buf_size(&w->in));
}

static struct dm_load load_of(struct wire *w)
{
    struct dm_load load;
    dm_session_load(w->s, &load);
    return load;
}

static void assert_half(struct wire *w, bool head, bool body)
{
    struct dm_load load = load_of(w);
    assert_int_equal(load.head, head);
    assert_int_equal(load.body, body);
}

static bool out_has(const struct wire *w, const char *text)
{
    struct dm_slice out = dm_buf_slice(&w->s->out);
    return out.size != 0 && memmem(out.data, out.size, text, strlen(text)) != NULL;
}

/* Pulls and throws away what comes out until all inputs are shown. Returns the most that was
 * ever made at once, and in *rounds how often there was a pause. */
static size_t take_all(struct wire *w, uint32_t inputs, uint32_t *rounds)
{
    size_t most = 0;
    for (*rounds = 0; w->inputs < inputs; ++*rounds) {
        uint32_t before = w->inputs;
        dm_session_flush(w->s);
        size_t size = dm_buf_size(&w->s->out);
        most = size > most ? size : most;
        if (w->ng != NULL) {
            assert_true(nghttp2_session_mem_recv(w->ng, dm_buf_head(&w->s->out), size) >= 0);
        }
        dm_buf_consume(&w->s->out, size);
        const uint8_t *data;
        ssize_t windows = w->ng == NULL ? 0 : nghttp2_session_mem_send(w->ng, &data);
        if (windows > 0) {
            feed(w, data, (size_t)windows);
        } else {
            pull(w);
        }
        assert_true(w->inputs - before <= DM_INPUTS_PER_TURN);
        assert_true(w->inputs > before || *rounds < inputs * 4);
    }
    return most;
}

/* ---- ttrpc ----------------------------------------------------------------------------------- */

static void ttrpc_request(struct wire *w, uint32_t id, uint8_t flags, struct dm_slice payload,
                          int64_t timeout_ns)
{
    const struct dm_ttrpc_request request = {.service = dm_slice_str("a.B"),
                                             .method = dm_slice_str("Chat"),
                                             .payload = payload,
                                             .timeout_ns = timeout_ns};
    assert_true(dm_ttrpc_request_write(&w->in, id, flags, &request));
}

static void ttrpc_open(struct wire *w)
{
    wire_open(w, dm_ttrpc_session(&limits));
}

static void ttrpc_messages_wait_for_room(void **state)
{
    (void)state;
    struct wire w;
    uint32_t rounds;
    ttrpc_open(&w);
    w.answer = 10000;
    ttrpc_request(&w, 1, DM_TTRPC_REMOTE_OPEN, dm_slice(NULL, 0), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(dm_ttrpc_data_write(&w.in, 1, 0, dm_slice_str("q")));
    }
    feed_in(&w);
    assert_int_equal(w.inputs, 7);
    assert_true(w.s->paused);
    assert_half(&w, false, false); /* it waits for us, not for the client */
    assert_true(take_all(&w, 100, &rounds) < 65536 + 11000);
    assert_false(w.s->paused);
    wire_close(&w);
}

static void ttrpc_messages_wait_for_a_socket(void **state)
{
    (void)state;
    struct wire w;
    ttrpc_open(&w);
    ttrpc_request(&w, 1, DM_TTRPC_REMOTE_OPEN, dm_slice(NULL, 0), 0);
    assert_true(dm_ttrpc_data_write(&w.in, 1, 0, dm_slice_str("q")));
    ttrpc_request(&w, 3, 0, dm_slice(NULL, 0), 0);
    w.s->unsent = 1;
    feed_in(&w);
    assert_int_equal(w.inputs, 0);
    assert_int_equal(w.calls, 1);
    w.s->unsent = 0;
    pull(&w);
    assert_int_equal(w.inputs, 1);
    assert_int_equal(w.calls, 2);
    wire_close(&w);
}

static void ttrpc_many_small_messages_take_turns(void **state)
{
    (void)state;
    struct wire w;
    uint32_t rounds;
    ttrpc_open(&w);
    ttrpc_request(&w, 1, DM_TTRPC_REMOTE_OPEN, dm_slice(NULL, 0), 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(dm_ttrpc_data_write(&w.in, 1, 0, dm_slice(NULL, 0)));
    }
    feed_in(&w);
    assert_int_equal(w.inputs, DM_INPUTS_PER_TURN);
    assert_true(w.s->more);
    (void)take_all(&w, 1000, &rounds);
    assert_int_equal(rounds, 3);
    assert_false(w.s->more);
    wire_close(&w);
}

static void ttrpc_half_frames_are_known(void **state)
{
    (void)state;
    static const char bytes[100000];
    struct wire w;
    ttrpc_open(&w);
    ttrpc_request(&w, 1, 0, dm_slice(bytes, sizeof bytes), 0);
    const uint8_t *at = dm_buf_head(&w.in);
    size_t size = dm_buf_size(&w.in);
    assert_half(&w, false, false);
    feed(&w, at, 4);
    assert_half(&w, true, false);
    uint32_t number = load_of(&w).head_number;
    feed(&w, at + 4, size - 5);
    assert_half(&w, false, true);
    assert_int_equal(load_of(&w).body_number, number);
    assert_in_range(load_of(&w).memory, size - 1, 2 * size);
    feed(&w, at + size - 1, 1);
    assert_int_equal(w.calls, 1);
    assert_half(&w, false, false);
    assert_int_not_equal(load_of(&w).body_number, number);
    dm_session_fail(w.s, 1, DM_NOT_FOUND, "there is none");
    pull(&w);
    assert_true(load_of(&w).memory < DM_BUFFERS_FREE);
    wire_close(&w);
}

static void ttrpc_refuses_large_frames_in_a_crowd(void **state)
{
    (void)state;
    static const char bytes[100000];
    struct wire w;
    ttrpc_open(&w);
    ttrpc_request(&w, 1, 0, dm_slice(bytes, sizeof bytes), 0);
    size_t begun = dm_buf_size(&w.in) / 2;
    feed(&w, dm_buf_head(&w.in), begun); /* what was begun goes on */
    dm_buf_consume(&w.in, begun);
    crowd.full = true;
    ttrpc_request(&w, 3, 0, dm_slice(bytes, sizeof bytes), 0);
    ttrpc_request(&w, 5, 0, dm_slice(bytes, 1000), 0);
    size_t all = dm_buf_size(&w.in);
    for (size_t size = 0; all != 0; all -= size) {
        size = all < 1000 ? all : 1000;
        feed(&w, dm_buf_head(&w.in), size);
        dm_buf_consume(&w.in, size);
        assert_true(load_of(&w).memory < 200000);
    }
    assert_int_equal(w.calls, 2);
    assert_true(out_has(&w, "too many unfinished requests"));
    assert_int_equal(crowd.refused, 1);
    assert_false(w.s->closing);
    wire_close(&w);
}

static void ttrpc_gives_up_what_is_half_there(void **state)
{
    (void)state;
    struct wire w;
    ttrpc_open(&w);
    ttrpc_request(&w, 1, 0, dm_slice_str("payload"), 0);
    feed(&w, dm_buf_head(&w.in), dm_buf_size(&w.in) - 1);
    dm_session_give_up(w.s);
    assert_true(out_has(&w, DM_STOPPING_SENTENCE));
    assert_true(w.s->closing);
    wire_close(&w);
}

/* ---- HTTP/1.1 -------------------------------------------------------------------------------- */

static void http1_open(struct wire *w)
{
    wire_open(w, dm_http1_session(&limits));
}

static void http1_post(struct wire *w, const char *method, const char *type, const char *extra,
                       const void *body, size_t size)
{
    char head[512];
    int length = snprintf(head, sizeof head,
                          "POST /a.B/%s HTTP/1.1\r\nHost: localhost\r\ncontent-type: %s\r\n"
                          "%scontent-length: %zu\r\n\r\n",
                          method, type, extra, size);
    assert_true(dm_buf_append(&w->in, head, (size_t)length));
    assert_true(dm_buf_append(&w->in, body, size));
}

static void http1_messages_wait_for_room(void **state)
{
    (void)state;
    static const char *const types[] = {"application/connect+proto", "application/grpc-web"};
    static const char messages[1000 * 5];
    for (size_t i = 0; i < 2; i++) {
        struct wire w;
        uint32_t rounds;
        http1_open(&w);
        w.answer = 10000;
        http1_post(&w, "Chat", types[i], "", messages, sizeof messages);
        feed_in(&w);
        assert_int_equal(w.inputs, 7);
        assert_true(take_all(&w, 999, &rounds) < 65536 + 11000);
        w.s->unsent = 1;
        pull(&w);
        assert_int_equal(w.ends, 1);
        dm_session_stream_end(w.s, w.id);
        wire_close(&w);
    }
}

static void http1_many_small_messages_take_turns(void **state)
{
    (void)state;
    static const char messages[1001 * 5];
    struct wire w;
    uint32_t rounds;
    http1_open(&w);
    http1_post(&w, "Chat", "application/connect+proto", "", messages, sizeof messages);
    feed_in(&w);
    assert_int_equal(w.inputs, DM_INPUTS_PER_TURN);
    assert_true(w.s->more);
    (void)take_all(&w, 1000, &rounds);
    assert_int_equal(rounds, 3);
    dm_session_stream_end(w.s, w.id);
    wire_close(&w);
}

static void http1_pages_take_turns(void **state)
{
    (void)state;
    struct wire w;
    http1_open(&w);
    for (int i = 0; i < 10; i++) {
        static const char get[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_true(dm_buf_append(&w.in, get, sizeof get - 1));
    }
    feed_in(&w);
    assert_int_equal(w.pages, DM_INPUTS_PER_TURN / DM_INPUTS_OF_PAGE);
    assert_true(w.s->more);
    for (int i = 0; i < 3; i++) {
        pull(&w);
    }
    assert_int_equal(w.pages, 10);
    assert_false(w.s->more);
    wire_close(&w);
}

static void http1_half_requests_are_known(void **state)
{
    (void)state;
    static const char body[100000];
    struct wire w;
    http1_open(&w);
    http1_post(&w, "Get", "application/proto", "connect-timeout-ms: 1000\r\n", body, sizeof body);
    const uint8_t *at = dm_buf_head(&w.in);
    size_t size = dm_buf_size(&w.in);
    assert_half(&w, false, false);
    feed(&w, at, 20);
    assert_half(&w, true, false);
    w.s->now_ns = 5000 * MS;
    feed(&w, at + 20, size - 21);
    assert_half(&w, false, true);
    assert_in_range(load_of(&w).memory, sizeof body - 1, 4 * sizeof body);
    w.s->now_ns = 5300 * MS;
    feed(&w, at + size - 1, 1);
    assert_half(&w, false, false);
    assert_int_equal(w.timeout_ns, 700 * MS); /* it counts from the head */
    uint32_t number = load_of(&w).head_number;
    dm_session_reply(w.s, w.id, dm_slice_str("done"));
    pull(&w);
    /* an idle connection does not keep its last request */
    assert_true(load_of(&w).memory < DM_BUFFERS_FREE);
    assert_int_not_equal(load_of(&w).head_number, number);
    feed(&w, at, size - 1);
    w.s->now_ns = 6300 * MS;
    feed(&w, at + size - 1, 1);
    assert_int_equal(w.timeout_ns, -1); /* it has passed */
    wire_close(&w);
}

static void http1_refuses_large_bodies_in_a_crowd(void **state)
{
    (void)state;
    static const char body[100000];
    static const struct {
        const char *type, *extra, *answer;
    } cases[] = {
        {"application/proto", "", "HTTP/1.1 429 "},
        {"application/proto", "expect: 100-continue\r\n", "HTTP/1.1 429 "},
        {"application/connect+proto", "", "\"resource_exhausted\""},
        {"application/grpc-web", "", "grpc-status: 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        http1_open(&w);
        crowd.full = true;
        http1_post(&w, "Get", "application/proto", "", body, 1000); /* small: served */
        feed_in(&w);
        assert_int_equal(w.calls, 1);
        dm_session_reply(w.s, w.id, dm_slice(NULL, 0));
        dm_buf_consume(&w.s->out, dm_buf_size(&w.s->out));
        http1_post(&w, "Get", cases[i].type, cases[i].extra, body, sizeof body);
        feed_in(&w);
        assert_true(out_has(&w, cases[i].answer));
        assert_true(out_has(&w, "too many unfinished requests"));
        assert_false(out_has(&w, "100 Continue"));
        assert_int_equal(w.calls, 1);
        assert_int_equal(crowd.refused, 1);
        assert_true(load_of(&w).memory < 2 * (size_t)DM_BUFFERS_FREE);
        wire_close(&w);
    }
}

static void http1_gives_up_what_is_half_there(void **state)
{
    (void)state;
    static const struct {
        const char *begun, *answer;
    } cases[] = {
        {"POST /a.B/Get HTTP/1.1\r\nHost: local", "HTTP/1.1 503 "},
        {"POST /a.B/Get HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\n"
         "content-length: 9\r\n\r\n{",
         "\"code\":\"unavailable\""},
        {"POST /a.B/Get HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/grpc-web\r\n"
         "transfer-encoding: chunked\r\n\r\n",
         "grpc-status: 14"},
        {"POST /nowhere HTTP/1.1\r\nHost: localhost\r\ncontent-length: 9\r\n\r\n", "HTTP/1.1 503 "},
        {"", ""}, /* nothing was asked for */
        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        http1_open(&w);
        feed(&w, cases[i].begun, strlen(cases[i].begun));
        dm_session_drain(w.s);
        dm_session_give_up(w.s);
        assert_true(cases[i].answer[0] == '\0' || out_has(&w, cases[i].answer));
        assert_int_equal(out_has(&w, DM_STOPPING_SENTENCE), i < 4);
        assert_true(w.s->closing);
        wire_close(&w);
    }
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

static int client_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                         void *user)
{
    (void)ng, (void)frame, (void)flags;
    struct wire *w = user;
    if (dm_slice_equal(dm_slice(name, name_size), dm_slice_str("grpc-status"))) {
        w->status = 0;
        for (size_t i = 0; i < value_size; i++) {
            w->status = w->status * 10 + (value[i] - '0');
        }
    }
    return 0;
}

static void h2_open(struct wire *w)
{
    nghttp2_session_callbacks *callbacks;
    wire_open(w, dm_h2_session(&limits));
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    assert_int_equal(nghttp2_session_client_new(&w->ng, callbacks, w), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(w->ng, 0, NULL, 0), 0);
    w->status = -1;
}

/* What the client has to say, and what it is told. */
static void h2_talk(struct wire *w)
{
    for (int i = 0; i < 10; i++) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(w->ng, &data);
        if (size > 0) {
            feed(w, data, (size_t)size);
        }
        dm_session_flush(w->s);
        size_t out = dm_buf_size(&w->s->out);
        if (out != 0) {
            assert_true(nghttp2_session_mem_recv(w->ng, dm_buf_head(&w->s->out), out) >= 0);
        }
        dm_buf_consume(&w->s->out, out);
        pull(w);
    }
}

static ssize_t client_body(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng, (void)id, (void)flags, (void)user;
    struct dm_buf *body = source->ptr;
    size_t size = dm_buf_size(body);
    if (size == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size = size < length ? size : length;
    memcpy(room, dm_buf_head(body), size);
    dm_buf_consume(body, size);
    return (ssize_t)size;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

/* A call whose body goes on as long as `body` gets more; NULL: a page. */
static int32_t h2_request(struct wire *w, const char *path, struct dm_buf *body)
{
    const nghttp2_nv headers[] = {nv(":method", body == NULL ? "GET" : "POST"),
                                  nv(":scheme", "http"),
                                  nv(":authority", "localhost"),
                                  nv(":path", path),
                                  nv("content-type", "application/grpc"),
                                  nv("grpc-timeout", "1S")};
    nghttp2_data_provider provider = {.source.ptr = body, .read_callback = client_body};
    int32_t id = nghttp2_submit_request(w->ng, NULL, headers, body == NULL ? 4 : 6,
                                        body == NULL ? NULL : &provider, NULL);
    assert_true(id > 0);
    return id;
}

static void put_message(struct dm_buf *body, uint32_t declared, size_t size)
{
    static const char zeroes[100000];
    uint8_t head[5] = {0};
    dm_store_be32(head + 1, declared);
    assert_true(dm_buf_append(body, head, sizeof head));
    assert_true(dm_buf_append(body, zeroes, size));
}

static void h2_messages_wait_for_room(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf body = {0};
    uint32_t rounds;
    h2_open(&w);
    w.answer = 10000;
    for (int i = 0; i < 101; i++) {
        put_message(&body, 0, 0);
    }
    (void)h2_request(&w, "/a.B/Chat", &body);
    const uint8_t *data;
    for (ssize_t size; (size = nghttp2_session_mem_send(w.ng, &data)) > 0;) {
        feed(&w, data, (size_t)size);
    }
    assert_int_equal(w.inputs, 2); /* a quarter of the output for each stream */
    assert_true(take_all(&w, 100, &rounds) < 65536 + 11000);
    dm_buf_finish(&body);
    wire_close(&w);
}

static void h2_messages_wait_for_a_socket(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf body = {0};
    h2_open(&w);
    (void)h2_request(&w, "/a.B/Chat", &body);
    put_message(&body, 0, 0);
    put_message(&body, 0, 0);
    w.s->unsent = 1;
    h2_talk(&w);
    assert_int_equal(w.inputs, 0);
    w.s->unsent = 0;
    pull(&w);
    assert_int_equal(w.inputs, 1);
    dm_buf_finish(&body);
    wire_close(&w);
}

/* Each answer waits for its window: nothing of it comes into `out`, and still it counts. */
static void h2_pages_take_turns(void **state)
{
    (void)state;
    struct wire w;
    h2_open(&w);
    w.answer = 65536;
    for (int i = 0; i < 6; i++) {
        (void)h2_request(&w, "/metrics", NULL);
    }
    const uint8_t *data;
    for (ssize_t size; (size = nghttp2_session_mem_send(w.ng, &data)) > 0;) {
        feed(&w, data, (size_t)size);
        assert_true(w.pages <= 1);
    }
    assert_int_equal(w.pages, 1);
    assert_true(w.s->more);
    w.s->unsent = 1; /* then the socket's turn comes first: asking again would be in vain */
    pull(&w);
    assert_false(w.s->more);
    w.s->unsent = 0;
    h2_talk(&w);
    assert_int_equal(w.pages, 6);
    w.answer = 0;
    w.pages = 0;
    for (int i = 0; i < 6; i++) {
        (void)h2_request(&w, "/metrics", NULL);
    }
    for (ssize_t size; (size = nghttp2_session_mem_send(w.ng, &data)) > 0;) {
        assert_true(dm_buf_append(&w.in, data, (size_t)size));
    }
    feed_in(&w);
    assert_int_equal(w.pages, DM_INPUTS_PER_TURN / DM_INPUTS_OF_PAGE);
    h2_talk(&w);
    assert_int_equal(w.pages, 6);
    wire_close(&w);
}

static void h2_half_requests_are_known(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf body = {0};
    h2_open(&w);
    assert_half(&w, true, false); /* no SETTINGS yet */
    h2_talk(&w);
    assert_half(&w, false, false);
    size_t idle = load_of(&w).memory;
    assert_true(idle < 1024); /* what every session has does not count */
    w.s->now_ns = 5000 * MS;
    int32_t id = h2_request(&w, "/a.B/Get", &body);
    const uint8_t *data;
    ssize_t size = nghttp2_session_mem_send(w.ng, &data);
    assert_true(size > 20);
    feed(&w, data, (size_t)size - 10);
    assert_half(&w, true, false);
    feed(&w, data + size - 10, 10);
    assert_half(&w, false, true);
    h2_talk(&w);
    put_message(&body, 100000, 100000);
    assert_int_equal(nghttp2_session_resume_data(w.ng, id), 0);
    h2_talk(&w);
    assert_half(&w, false, true);
    assert_in_range(load_of(&w).memory - idle, 50000, 400000);
    w.s->now_ns = 5300 * MS;
    assert_int_equal(nghttp2_submit_rst_stream(w.ng, 0, id, NGHTTP2_CANCEL), 0);
    h2_talk(&w);
    assert_half(&w, false, false);
    assert_true(load_of(&w).memory < idle + 8192);
    dm_buf_finish(&body);
    wire_close(&w);
}

static void h2_a_timeout_counts_from_the_head(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf body = {0};
    h2_open(&w);
    w.s->now_ns = 5000 * MS;
    int32_t id = h2_request(&w, "/a.B/Chat", &body);
    h2_talk(&w);
    w.s->now_ns = 5300 * MS;
    put_message(&body, 0, 0);
    assert_int_equal(nghttp2_session_resume_data(w.ng, id), 0);
    h2_talk(&w);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.timeout_ns, 700 * MS);
    dm_buf_finish(&body);
    wire_close(&w);
}

/* Three streams: one does not move, one comes at its pace, one is silent between messages.
 * Only the first one is refused, and the connection lives. */
static void h2_slow_messages_are_refused(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf stuck = {0};
    struct dm_buf steady = {0};
    struct dm_buf silent = {0};
    h2_open(&w);
    w.s->now_ns = 1000 * MS;
    put_message(&stuck, 1000000, 10);
    put_message(&steady, 1000000, 10);
    put_message(&silent, 0, 0);
    (void)h2_request(&w, "/a.B/Get", &stuck);
    int32_t id = h2_request(&w, "/a.B/Get", &steady);
    (void)h2_request(&w, "/a.B/Chat", &silent);
    h2_talk(&w);
    assert_int_equal(w.calls, 1);
    assert_half(&w, false, true);
    for (uint64_t window = 1; window < 4; window++) {
        uint64_t end_ns = (1000 + window * DM_BODY_WINDOW_MS) * MS;
        w.s->now_ns = end_ns - MS;
        assert_true(dm_session_hurry(w.s)); /* too early: no effect */
        assert_true(dm_buf_append(&steady, (char[DM_BODY_WINDOW_BYTES]){0}, DM_BODY_WINDOW_BYTES));
        assert_int_equal(nghttp2_session_resume_data(w.ng, id), 0);
        h2_talk(&w);
        assert_int_equal(w.status, window == 1 ? -1 : DM_DEADLINE_EXCEEDED);
        w.s->now_ns = end_ns;
        assert_true(dm_session_hurry(w.s));
        h2_talk(&w);
        assert_int_equal(w.status, DM_DEADLINE_EXCEEDED);
        assert_half(&w, false, true);
    }
    w.status = -1;
    w.s->now_ns += (uint64_t)DM_BODY_WINDOW_MS * MS;
    assert_true(dm_session_hurry(w.s));
    h2_talk(&w);
    assert_int_equal(w.status, DM_DEADLINE_EXCEEDED); /* now the steady one */
    assert_half(&w, false, false);
    assert_int_equal(w.s->calls, 1);
    assert_false(w.s->closing);
    dm_buf_finish(&stuck);
    dm_buf_finish(&steady);
    dm_buf_finish(&silent);
    wire_close(&w);
}

static void h2_gives_up_what_is_half_there(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf half = {0};
    h2_open(&w);
    put_message(&half, 1000, 10);
    (void)h2_request(&w, "/a.B/Get", &half);
    h2_talk(&w);
    assert_half(&w, false, true);
    dm_session_give_up(w.s);
    h2_talk(&w);
    assert_int_equal(w.status, DM_UNAVAILABLE);
    assert_half(&w, false, false);
    dm_buf_finish(&half);
    wire_close(&w);
}

static void h2_refuses_large_messages_in_a_crowd(void **state)
{
    (void)state;
    struct wire w;
    struct dm_buf large = {0};
    struct dm_buf small = {0};
    h2_open(&w);
    crowd.full = true;
    put_message(&small, 0, 0);
    (void)h2_request(&w, "/a.B/Chat", &small);
    h2_talk(&w);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.status, -1);
    put_message(&large, 100000, 50000);
    (void)h2_request(&w, "/a.B/Get", &large);
    h2_talk(&w);
    assert_int_equal(w.status, DM_RESOURCE_EXHAUSTED);
    assert_int_equal(crowd.refused, 1);
    assert_half(&w, false, false);
    assert_false(w.s->closing);
    dm_buf_finish(&large);
    dm_buf_finish(&small);
    wire_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ttrpc_messages_wait_for_room),
        cmocka_unit_test(ttrpc_messages_wait_for_a_socket),
        cmocka_unit_test(ttrpc_many_small_messages_take_turns),
        cmocka_unit_test(ttrpc_half_frames_are_known),
        cmocka_unit_test(ttrpc_refuses_large_frames_in_a_crowd),
        cmocka_unit_test(http1_messages_wait_for_room),
        cmocka_unit_test(http1_many_small_messages_take_turns),
        cmocka_unit_test(http1_pages_take_turns),
        cmocka_unit_test(http1_half_requests_are_known),
        cmocka_unit_test(http1_refuses_large_bodies_in_a_crowd),
        cmocka_unit_test(h2_messages_wait_for_room),
        cmocka_unit_test(h2_messages_wait_for_a_socket),
        cmocka_unit_test(h2_pages_take_turns),
        cmocka_unit_test(h2_half_requests_are_known),
        cmocka_unit_test(h2_a_timeout_counts_from_the_head),
        cmocka_unit_test(h2_slow_messages_are_refused),
        cmocka_unit_test(h2_refuses_large_messages_in_a_crowd),
        cmocka_unit_test(ttrpc_gives_up_what_is_half_there),
        cmocka_unit_test(http1_gives_up_what_is_half_there),
        cmocka_unit_test(h2_gives_up_what_is_half_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
