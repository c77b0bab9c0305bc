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

/* A scripted client and the session under test, joined in memory. What the session hands
 * out is written into a readable trace. */

enum { ANSWERS_MAX = 64 };

struct answer {
    int status;
    int grpc_status; /* -1: none */
    bool closed, trailers_only;
    uint32_t reset; /* the code of RST_STREAM or of the close */
    bool was_reset;
    char message[256], content_type[64], accept_encoding[32];
    struct dm_buf body;
};

struct peer {
    struct dm_session *s;
    nghttp2_session *ng;
    size_t cut;       /* bytes fed at a time; 0: all at once */
    bool echo;        /* calls are answered with their payload at once */
    bool blind;       /* the client reads nothing */
    char trace[4096]; /* events */
    uint64_t last_id;
    struct answer answers[ANSWERS_MAX]; /* by (stream id - 1) / 2 */
    int goaways;
    int32_t goaway_last[4];
    uint32_t goaway_code;
    bool settings_seen;
};

static struct answer *answer_of(struct peer *p, int32_t id)
{
    size_t index = (size_t)(id - 1) / 2;
    assert_true(index < ANSWERS_MAX);
    return &p->answers[index];
}

static void copy_text(char *to, size_t room, const uint8_t *text, size_t size)
{
    assert_true(size < room);
    memcpy(to, text, size);
    to[size] = '\0';
}

static int client_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                         void *user)
{
    (void)ng;
    (void)flags;
    if ((size_t)(frame->hd.stream_id - 1) / 2 >= ANSWERS_MAX) {
        return 0;
    }
    struct answer *a = answer_of(user, frame->hd.stream_id);
    char text[16] = "";
    if (value_size < sizeof text) {
        copy_text(text, sizeof text, value, value_size);
    }
    struct dm_slice key = dm_slice(name, name_size);
    if (dm_slice_equal(key, dm_slice_str(":status"))) {
        a->status = (int)strtol(text, NULL, 10);
    } else if (dm_slice_equal(key, dm_slice_str("grpc-status"))) {
        a->grpc_status = (int)strtol(text, NULL, 10);
        a->trailers_only = frame->headers.cat == NGHTTP2_HCAT_RESPONSE;
    } else if (dm_slice_equal(key, dm_slice_str("grpc-message"))) {
        copy_text(a->message, sizeof a->message, value, value_size);
    } else if (dm_slice_equal(key, dm_slice_str("content-type"))) {
        copy_text(a->content_type, sizeof a->content_type, value, value_size);
    } else if (dm_slice_equal(key, dm_slice_str("grpc-accept-encoding"))) {
        copy_text(a->accept_encoding, sizeof a->accept_encoding, value, value_size);
    }
    return 0;
}

static int client_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                       size_t size, void *user)
{
    (void)ng;
    (void)flags;
    if ((size_t)(id - 1) / 2 < ANSWERS_MAX) {
        assert_true(dm_buf_append(&answer_of(user, id)->body, data, size));
    }
    return 0;
}

static int client_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    struct peer *p = user;
    if (frame->hd.type == NGHTTP2_GOAWAY && p->goaways < 4) {
        p->goaway_last[p->goaways++] = frame->goaway.last_stream_id;
        p->goaway_code = frame->goaway.error_code;
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM &&
        (size_t)(frame->hd.stream_id - 1) / 2 < ANSWERS_MAX) {
        answer_of(p, frame->hd.stream_id)->was_reset = true;
    }
    p->settings_seen = p->settings_seen || frame->hd.type == NGHTTP2_SETTINGS;
    return 0;
}

static int client_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    (void)ng;
    if ((size_t)(id - 1) / 2 < ANSWERS_MAX) {
        answer_of(user, id)->closed = true;
        answer_of(user, id)->reset = code;
    }
    return 0;
}

static bool takes_stream(struct dm_slice service, struct dm_slice method)
{
    (void)service;
    return dm_slice_equal(method, dm_slice_str("Chat"));
}

static const struct dm_session_limits defaults = {.client_streaming = takes_stream};

static void peer_init(struct peer *p, const struct dm_session_limits *limits)
{
    *p = (struct peer){0};
    for (int i = 0; i < ANSWERS_MAX; i++) {
        p->answers[i].grpc_status = -1;
    }
    p->s = dm_h2_session(limits);
    assert_non_null(p->s);
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_peer_max_concurrent_streams(option, 100000);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
    assert_int_equal(nghttp2_session_client_new2(&p->ng, callbacks, p, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(p->ng, 0, NULL, 0), 0);
}

static void peer_finish(struct peer *p)
{
    dm_session_destroy(p->s);
    nghttp2_session_del(p->ng);
    for (int i = 0; i < ANSWERS_MAX; i++) {
        dm_buf_finish(&p->answers[i].body);
    }
}

static void traced(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void traced(struct peer *p, const char *format, ...)
{
    size_t at = strlen(p->trace);
    if (at > sizeof p->trace - 300) {
        return;
    }
    va_list list;
    va_start(list, format);
    vsnprintf(p->trace + at, sizeof p->trace - at, format, list);
    va_end(list);
}

#define TEXT(slice) (int)((slice).size > 40 ? 40 : (slice).size), (const char *)(slice).data

static void pull(struct peer *p)
{
    struct dm_session_event e;
    while (dm_session_next(p->s, &e)) {
        p->last_id = e.id;
        switch (e.kind) {
        case DM_EVENT_CALL:
            traced(p, "%sCALL %d %.*s.%.*s(%.*s)%s", p->trace[0] ? "; " : "", (int)e.id,
                   TEXT(e.service), TEXT(e.method), TEXT(e.payload), e.open ? " open" : "");
            if (e.timeout_ns != 0) {
                traced(p, " %lldns", (long long)e.timeout_ns);
            }
            if (e.codec == DM_CODEC_JSON) {
                traced(p, " json");
            }
            break;
        case DM_EVENT_CANCEL:
            traced(p, "%sCANCEL %d", p->trace[0] ? "; " : "", (int)e.id);
            break;
        case DM_EVENT_HTTP:
            traced(p, "%sHTTP %.*s?%.*s", p->trace[0] ? "; " : "", TEXT(e.method), TEXT(e.payload));
            break;
        case DM_EVENT_INPUT:
            traced(p, "; INPUT(%.*s)", TEXT(e.payload));
            break;
        case DM_EVENT_INPUT_END:
            traced(p, "; END");
            break;
        }
        if (p->echo && e.kind == DM_EVENT_CALL) {
            dm_session_reply(p->s, e.id, e.payload);
        } else if (p->echo && e.kind == DM_EVENT_INPUT) {
            dm_session_stream_message(p->s, e.id, e.payload);
        }
    }
}

static void feed(struct peer *p, const uint8_t *data, size_t size)
{
    size_t cut = p->cut == 0 ? size : p->cut;
    for (size_t at = 0; at < size; at += cut) {
        size_t part = size - at < cut ? size - at : cut;
        uint8_t *copy = malloc(part); /* so that a late read of it is seen */
        assert_non_null(copy);
        memcpy(copy, data + at, part);
        dm_session_feed(p->s, dm_slice(copy, part));
        free(copy);
        pull(p);
    }
}

/* Until neither side has anything to say. */
static void pump(struct peer *p)
{
    bool moved = true;
    while (moved) {
        moved = false;
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(p->ng, &data);
        if (size > 0) {
            feed(p, data, (size_t)size);
            moved = true;
        }
        pull(p);
        dm_session_flush(p->s);
        size_t out = dm_buf_size(&p->s->out);
        if (out != 0 && !p->blind) {
            assert_true(nghttp2_session_mem_recv(p->ng, dm_buf_head(&p->s->out), out) >= 0);
            dm_buf_consume(&p->s->out, out);
            moved = true;
        }
    }
}

/* ---- requests -------------------------------------------------------------------- */

struct body {
    struct dm_buf bytes;
    bool keep_open; /* no END_STREAM */
};

static ssize_t client_body(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)id;
    (void)user;
    struct body *body = source->ptr;
    size_t size = dm_buf_size(&body->bytes);
    if (size == 0 && body->keep_open) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size = size < length ? size : length;
    if (size != 0) {
        memcpy(room, dm_buf_head(&body->bytes), size);
    }
    dm_buf_consume(&body->bytes, size);
    if (dm_buf_size(&body->bytes) == 0 && !body->keep_open) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)size;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

/* Extra headers as name, value, ..., NULL; they come last. */
static int32_t request(struct peer *p, const char *verb, const char *path, const char *type,
                       struct body *body, const char *const *extra)
{
    nghttp2_nv headers[160] = {nv(":method", verb), nv(":scheme", "http"), nv(":authority", "test"),
                               nv(":path", path)};
    size_t count = 4;
    if (type != NULL) {
        headers[count++] = nv("content-type", type);
    }
    for (; extra != NULL && extra[0] != NULL; extra += 2) {
        headers[count++] = nv(extra[0], extra[1]);
    }
    nghttp2_data_provider provider = {.source.ptr = body, .read_callback = client_body};
    int32_t id =
        nghttp2_submit_request(p->ng, NULL, headers, count, body == NULL ? NULL : &provider, NULL);
    assert_true(id > 0);
    return id;
}

static void envelope(struct body *body, uint8_t flags, const void *data, size_t size)
{
    uint8_t head[5] = {flags};
    dm_store_be32(head + 1, (uint32_t)size);
    assert_true(dm_buf_append(&body->bytes, head, 5));
    assert_true(dm_buf_append(&body->bytes, data, size));
}

static int32_t call(struct peer *p, struct body *body, const char *message,
                    const char *const *extra)
{
    if (message != NULL) {
        envelope(body, 0, message, strlen(message));
    }
    return request(p, "POST", "/a.B/Get", "application/grpc", body, extra);
}

static void assert_body(const struct answer *a, const char *expected)
{
    assert_true(dm_buf_size(&a->body) >= 5);
    assert_int_equal(dm_load_be32(dm_buf_head(&a->body) + 1), dm_buf_size(&a->body) - 5);
    assert_int_equal(dm_buf_size(&a->body) - 5, strlen(expected));
    assert_memory_equal(dm_buf_head(&a->body) + 5, expected, strlen(expected));
}

/* ---- what works -------------------------------------------------------------------- */

static void settings_are_sent_before_the_client_speaks(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    assert_true(dm_buf_size(&p.s->out) > 9);
    assert_int_equal(dm_buf_head(&p.s->out)[3], NGHTTP2_SETTINGS);
    peer_finish(&p);
}

static void a_unary_call_gets_its_answer(void **state)
{
    (void)state;
    static const char *const extra[] = {"grpc-timeout", "250m",    "te", "trailers",
                                        "x-user-key",   "ignored", NULL};
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    int32_t id = call(&p, &body, "hello", extra);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Get(hello) 250000000ns");
    assert_int_equal(p.s->calls, 1);
    dm_session_reply(p.s, p.last_id, dm_slice_str("world"));
    assert_int_equal(p.s->calls, 0);
    dm_session_reply(p.s, p.last_id, dm_slice_str("twice is ignored"));
    pump(&p);
    struct answer *a = answer_of(&p, id);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->grpc_status, 0);
    assert_string_equal(a->content_type, "application/grpc");
    assert_body(a, "world");
    assert_true(a->closed);
    assert_false(a->was_reset);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void bytes_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 120; cut++) {
        struct peer p;
        peer_init(&p, &defaults);
        p.cut = cut;
        p.echo = true;
        struct body one = {0};
        struct body two = {0};
        int32_t id = call(&p, &one, "hello", NULL);
        int32_t other = call(&p, &two, "", NULL);
        pump(&p);
        assert_string_equal(p.trace, "CALL 1 a.B.Get(hello); CALL 3 a.B.Get()");
        assert_body(answer_of(&p, id), "hello");
        assert_body(answer_of(&p, other), "");
        peer_finish(&p);
        dm_buf_finish(&one.bytes);
        dm_buf_finish(&two.bytes);
    }
}

static void a_message_may_be_cut_over_data_frames(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 10; cut++) {
        struct peer p;
        peer_init(&p, &defaults);
        struct body whole = {0};
        envelope(&whole, 0, "hello", 5);
        struct body body = {.keep_open = true};
        int32_t id = call(&p, &body, NULL, NULL);
        for (size_t at = 0; at < 10; at += cut) {
            size_t part = 10 - at < cut ? 10 - at : cut;
            assert_true(dm_buf_append(&body.bytes, dm_buf_head(&whole.bytes) + at, part));
            body.keep_open = at + part < 10;
            nghttp2_session_resume_data(p.ng, id);
            pump(&p);
        }
        assert_string_equal(p.trace, "CALL 1 a.B.Get(hello)");
        peer_finish(&p);
        dm_buf_finish(&body.bytes);
        dm_buf_finish(&whole.bytes);
    }
}

static void json_is_answered_in_json(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    p.echo = true;
    struct body body = {0};
    envelope(&body, 0, "{}", 2);
    int32_t id =
        request(&p, "POST", "/a.B/Get", "Application/grpc+JSON; charset=utf-8", &body, NULL);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Get({}) json");
    assert_string_equal(answer_of(&p, id)->content_type, "application/grpc+json");
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_server_stream_flows_and_ends_with_its_status(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    struct answer *a = answer_of(&p, call(&p, &body, "watch", NULL));
    pump(&p);
    dm_session_stream_message(p.s, p.last_id, dm_slice_str("one"));
    pump(&p);
    assert_body(a, "one");
    assert_int_equal(a->grpc_status, -1);
    dm_session_stream_message(p.s, p.last_id, dm_slice_str("two"));
    dm_session_stream_message(p.s, p.last_id, dm_slice_str(""));
    pump(&p);
    assert_int_equal(dm_buf_size(&a->body), 8 + 8 + 5);
    assert_int_equal(p.s->calls, 1);
    dm_session_fail(p.s, p.last_id, DM_UNAVAILABLE, "the server stops");
    pump(&p);
    assert_int_equal(a->grpc_status, DM_UNAVAILABLE);
    assert_string_equal(a->message, "the server stops");
    assert_false(a->trailers_only);
    assert_int_equal(p.s->calls, 0);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_stream_may_end_with_no_message(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    struct answer *a = answer_of(&p, call(&p, &body, "watch", NULL));
    pump(&p);
    dm_session_stream_end(p.s, p.last_id);
    pump(&p);
    assert_int_equal(a->grpc_status, 0);
    assert_int_equal(dm_buf_size(&a->body), 0);
    assert_true(a->closed);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_stream_of_requests_comes_message_by_message(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {.keep_open = true};
    envelope(&body, 0, "one", 3);
    int32_t id = request(&p, "POST", "/a.B/Chat", "application/grpc", &body, NULL);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Chat(one) open");
    dm_session_stream_message(p.s, p.last_id, dm_slice_str("ONE"));
    envelope(&body, 0, "two", 3);
    envelope(&body, 0, "three", 5);
    nghttp2_session_resume_data(p.ng, id);
    pump(&p);
    body.keep_open = false;
    nghttp2_session_resume_data(p.ng, id);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Chat(one) open; INPUT(two); INPUT(three); END");
    assert_int_equal(p.s->calls, 1);
    dm_session_stream_end(p.s, p.last_id);
    pump(&p);
    assert_int_equal(answer_of(&p, id)->grpc_status, 0);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_stream_of_requests_in_one_go_is_the_same(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    envelope(&body, 0, "one", 3);
    envelope(&body, 0, "two", 3);
    request(&p, "POST", "/a.B/Chat", "application/grpc", &body, NULL);
    struct body empty = {0};
    int32_t none = request(&p, "POST", "/a.B/Chat", "application/grpc", &empty, NULL);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Chat(one) open; INPUT(two); END");
    assert_int_equal(answer_of(&p, none)->grpc_status, 0);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_bad_message_later_in_a_stream_cancels_the_open_call(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {.keep_open = true};
    envelope(&body, 0, "one", 3);
    envelope(&body, 1, "two", 3);
    int32_t id = request(&p, "POST", "/a.B/Chat", "application/grpc", &body, NULL);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Chat(one) open; CANCEL 1");
    assert_int_equal(p.s->calls, 0);
    assert_int_equal(answer_of(&p, id)->grpc_status, DM_INTERNAL);
    assert_true(answer_of(&p, id)->closed);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void plain_http_is_handed_out(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    int32_t get = request(&p, "GET", "/metrics?a=b", NULL, NULL, NULL);
    pump(&p);
    assert_string_equal(p.trace, "HTTP /metrics?a=b");
    dm_session_http_reply(p.s, p.last_id, 200, "text/plain", dm_slice_str("x 1\n"));
    int32_t head = request(&p, "HEAD", "/metrics", NULL, NULL, NULL);
    pump(&p);
    dm_session_http_reply(p.s, p.last_id, 404, "text/plain", dm_slice_str("gone\n"));
    pump(&p);
    assert_int_equal(answer_of(&p, get)->status, 200);
    assert_string_equal(answer_of(&p, get)->content_type, "text/plain");
    assert_int_equal(dm_buf_size(&answer_of(&p, get)->body), 4);
    assert_true(answer_of(&p, get)->closed);
    assert_int_equal(answer_of(&p, head)->status, 404);
    assert_int_equal(dm_buf_size(&answer_of(&p, head)->body), 0);
    assert_true(answer_of(&p, head)->closed);
    assert_int_equal(p.s->calls, 0);
    peer_finish(&p);
}

static void a_large_message_passes_both_ways(void **state)
{
    (void)state;
    size_t size = (size_t)DM_MESSAGE_SIZE_MAX;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    struct peer p;
    peer_init(&p, &defaults);
    p.echo = true;
    struct body body = {0};
    envelope(&body, 0, text, size);
    struct answer *a =
        answer_of(&p, request(&p, "POST", "/a.B/Get", "application/grpc", &body, NULL));
    pump(&p);
    assert_int_equal(a->grpc_status, 0);
    assert_int_equal(dm_buf_size(&a->body), size + 5);
    assert_memory_equal(dm_buf_head(&a->body) + 5, text, size);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
    free(text);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static const struct {
    const char *verb, *path, *type;
    const char *extra[5];
    const char *bytes;
    size_t size;
    int status, grpc_status;
    const char *message;
} refused_cases[] = {
    {"POST", "/a.B/Get", "application/xml", {NULL}, "", 0, 415, -1, ""},
    {"POST", "/a.B/Get", "application/grpc-webs", {NULL}, "", 0, 415, -1, ""},
    {"POST", "/a.B/Get", "application/grpc+thrift", {NULL}, "", 0, 415, -1, ""},
    {"POST", "/a.B/Get", NULL, {NULL}, "", 0, 415, -1, ""},
    {"PUT", "/a.B/Get", "application/grpc", {NULL}, "", 0, 405, -1, ""},
    {"POST",
     "/aB",
     "application/grpc",
     {NULL},
     "\0\0\0\0\0",
     5,
     200,
     DM_UNIMPLEMENTED,
     "the path is not /service/method"},
    {"POST",
     "/a/b/c",
     "application/grpc",
     {NULL},
     "\0\0\0\0\0",
     5,
     200,
     DM_UNIMPLEMENTED,
     "the path is not /service/method"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {"grpc-encoding", "gzip"},
     "\1\0\0\0\1x",
     6,
     200,
     DM_UNIMPLEMENTED,
     "this server takes no compressed messages"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {"grpc-timeout", "5"},
     "\0\0\0\0\0",
     5,
     200,
     DM_INVALID_ARGUMENT,
     "grpc-timeout is malformed"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {"grpc-timeout", "123456789S"},
     "\0\0\0\0\0",
     5,
     200,
     DM_INVALID_ARGUMENT,
     "grpc-timeout is malformed"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {"grpc-timeout", "1S", "grpc-timeout", "1H"},
     "\0\0\0\0\0",
     5,
     200,
     DM_INVALID_ARGUMENT,
     "grpc-timeout is malformed"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {"grpc-encoding", "gzip", "grpc-encoding", "identity"},
     "\0\0\0\0\0",
     5,
     200,
     DM_UNIMPLEMENTED,
     "this server takes no compressed messages"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\1\0\0\0\1x",
     6,
     200,
     DM_INTERNAL,
     "a message is flagged as compressed, but no encoding was agreed"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\7\0\0\0\1x",
     6,
     200,
     DM_INTERNAL,
     "a message has unknown flags"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "",
     0,
     200,
     DM_UNIMPLEMENTED,
     "this method takes one request message"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\0\0\0\0\1x\0\0\0\0\1y",
     12,
     200,
     DM_UNIMPLEMENTED,
     "this method takes one request message"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\0\0\0\0\2x",
     6,
     200,
     DM_INTERNAL,
     "the request ends inside a message"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\0\0\0",
     3,
     200,
     DM_INTERNAL,
     "the request ends inside a message"},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     {NULL},
     "\0\1\0\0\0x",
     6,
     200,
     DM_RESOURCE_EXHAUSTED,
     "the message is larger than this server takes"},
};

static void refused_requests_say_why(void **state)
{
    (void)state;
    static const struct dm_session_limits small = {.message_size_max = 1 << 16};
    for (size_t i = 0; i < sizeof refused_cases / sizeof refused_cases[0]; i++) {
        for (int open = 0; open < 2; open++) {
            struct peer p;
            peer_init(&p, &small);
            struct body body = {.keep_open = open != 0 && refused_cases[i].size > 0};
            assert_true(dm_buf_append(&body.bytes, refused_cases[i].bytes, refused_cases[i].size));
            int32_t id = request(&p, refused_cases[i].verb, refused_cases[i].path,
                                 refused_cases[i].type, &body, refused_cases[i].extra);
            pump(&p);
            struct answer *a = answer_of(&p, id);
            if (body.keep_open && refused_cases[i].grpc_status == DM_INTERNAL && a->status == 0) {
                body.keep_open = false; /* what is wrong is only that it ends here */
                nghttp2_session_resume_data(p.ng, id);
                pump(&p);
            }
            assert_string_equal(p.trace, "");
            assert_int_equal(a->status, refused_cases[i].status);
            assert_int_equal(a->grpc_status, refused_cases[i].grpc_status);
            assert_string_equal(a->message, refused_cases[i].message);
            assert_true(a->closed);
            assert_int_equal(a->reset, NGHTTP2_NO_ERROR);
            if (a->grpc_status > 0) {
                assert_true(a->trailers_only);
                assert_string_equal(a->content_type, "application/grpc");
            }
            assert_string_equal(a->accept_encoding, refused_cases[i].extra[0] != NULL &&
                                                            refused_cases[i].extra[1][0] == 'g'
                                                        ? "identity"
                                                        : "");
            assert_false(p.s->closing);
            peer_finish(&p);
            dm_buf_finish(&body.bytes);
        }
    }
}

static void an_answer_before_the_requests_end_resets_the_stream_without_error(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {.keep_open = true};
    envelope(&body, 1, "x", 1);
    struct answer *a = answer_of(&p, call(&p, &body, NULL, NULL));
    pump(&p);
    assert_int_equal(a->grpc_status, DM_INTERNAL);
    assert_true(a->was_reset);
    assert_int_equal(a->reset, NGHTTP2_NO_ERROR);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void error_messages_are_percent_encoded(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    struct answer *a = answer_of(&p, call(&p, &body, "x", NULL));
    pump(&p);
    dm_session_fail(p.s, p.last_id, DM_NOT_FOUND, "100% \xc3\xa4\n~");
    pump(&p);
    assert_int_equal(a->grpc_status, DM_NOT_FOUND);
    assert_string_equal(a->message, "100%25 %C3%A4%0A~");
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void timeouts_are_read_and_clamped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"1H", " 3600000000000ns"},
        {"1M", " 60000000000ns"},
        {"1S", " 1000000000ns"},
        {"1m", " 1000000ns"},
        {"1u", " 1000ns"},
        {"99999999n", " 99999999ns"},
        {"0S", " 1ns"},
        {"99999999H", " 31622400000000000ns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *extra[] = {"grpc-timeout", cases[i].text, NULL};
        struct peer p;
        peer_init(&p, &defaults);
        struct body body = {0};
        call(&p, &body, "", extra);
        pump(&p);
        char expected[64];
        snprintf(expected, sizeof expected, "CALL 1 a.B.Get()%s", cases[i].shown);
        assert_string_equal(p.trace, expected);
        peer_finish(&p);
        dm_buf_finish(&body.bytes);
    }
}

static void an_answer_that_is_too_large_becomes_a_status(void **state)
{
    (void)state;
    static const struct dm_session_limits small = {.message_size_max = 1024};
    char text[1025] = {0};
    struct peer p;
    peer_init(&p, &small);
    struct body body = {0};
    struct answer *a = answer_of(&p, call(&p, &body, "x", NULL));
    pump(&p);
    dm_session_reply(p.s, p.last_id, dm_slice(text, sizeof text));
    pump(&p);
    assert_int_equal(a->grpc_status, DM_RESOURCE_EXHAUSTED);
    assert_int_equal(p.s->calls, 0);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void too_many_or_too_large_headers_are_refused(void **state)
{
    (void)state;
    const char *extra[2 * 120 + 1] = {NULL};
    for (size_t i = 0; i < 120; i++) {
        extra[2 * i] = "x-header";
        extra[2 * i + 1] = "v";
    }
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    int32_t many = call(&p, &body, "x", extra);
    char *large = malloc(20000);
    assert_non_null(large);
    memset(large, 'v', 19999);
    large[19999] = '\0';
    const char *big[] = {"x-a", large, "x-b", large, NULL};
    struct body other = {0};
    int32_t bytes = call(&p, &other, "x", big);
    pump(&p);
    assert_int_equal(answer_of(&p, many)->status, 431);
    assert_int_equal(answer_of(&p, bytes)->status, 431);
    assert_false(p.s->closing);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
    dm_buf_finish(&other.bytes);
    free(large);
}

/* ---- the life of calls and connections --------------------------------------------------- */

static void a_reset_cancels_the_open_call(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    int32_t id = call(&p, &body, "x", NULL);
    pump(&p);
    nghttp2_submit_rst_stream(p.ng, 0, id, NGHTTP2_CANCEL);
    pump(&p);
    assert_string_equal(p.trace, "CALL 1 a.B.Get(x); CANCEL 1");
    assert_int_equal(p.s->calls, 0);
    dm_session_reply(p.s, 1, dm_slice_str("too late"));
    dm_session_stream_message(p.s, 1, dm_slice_str("too late"));
    dm_session_fail(p.s, 1, DM_INTERNAL, "too late");
    dm_session_fail(p.s, UINT64_MAX, DM_INTERNAL, "never was");
    assert_int_equal(dm_session_stream_room(p.s, 1), 0);
    assert_int_equal(p.s->calls, 0);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void a_reset_before_the_request_is_whole_is_silent(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {.keep_open = true};
    int32_t id = call(&p, &body, "x", NULL);
    pump(&p);
    nghttp2_submit_rst_stream(p.ng, 0, id, NGHTTP2_CANCEL);
    pump(&p);
    assert_string_equal(p.trace, "");
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void draining_says_goaway_twice_and_lets_calls_finish(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    struct body body = {0};
    struct answer *a = answer_of(&p, call(&p, &body, "x", NULL));
    pump(&p);
    dm_session_drain(p.s);
    dm_session_drain(p.s);
    assert_true(p.s->announcing);
    pump(&p);
    assert_false(p.s->announcing); /* the client has answered the PING */
    assert_int_equal(p.goaways, 2);
    assert_int_equal(p.goaway_last[0], INT32_MAX);
    assert_int_equal(p.goaway_last[1], 1);
    assert_false(p.s->closing);
    dm_session_reply(p.s, p.last_id, dm_slice_str("done"));
    pump(&p);
    assert_body(a, "done");
    assert_true(p.s->closing);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void garbage_closes_the_connection(void **state)
{
    (void)state;
    struct dm_session *s = dm_h2_session(&defaults);
    dm_session_feed(s, dm_slice_str("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    assert_true(s->closing);
    dm_session_feed(s, dm_slice_str("more is ignored"));
    dm_session_destroy(s);
}

/* Sends as many of these frames as should end the connection. */
static void flood(struct peer *p, const uint8_t *frame, size_t size)
{
    struct dm_buf bytes = {0};
    for (int i = 0; i < 900; i++) {
        assert_true(dm_buf_append(&bytes, frame, size));
    }
    for (int i = 0; i < 10 && !p->s->closing; i++) {
        feed(p, dm_buf_head(&bytes), dm_buf_size(&bytes));
        pump(p);
    }
    dm_buf_finish(&bytes);
    assert_true(p->s->closing);
    assert_int_equal(p->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void a_flood_of_frames_without_requests_is_ended(void **state)
{
    (void)state;
    static const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING, 0, 0, 0, 0, 0};
    struct peer p;
    peer_init(&p, &defaults);
    pump(&p);
    flood(&p, ping, sizeof ping);
    peer_finish(&p);
}

/* Padding counts towards no message, and its window is given back at once. */
static void a_flood_of_data_that_is_padding_is_ended(void **state)
{
    (void)state;
    enum { PADDING = 3 };
    struct peer p;
    peer_init(&p, &defaults);
    pump(&p);
    struct body body = {.keep_open = true};
    uint8_t data[9 + 1 + PADDING] = {0, 0, 1 + PADDING, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED};
    dm_store_be32(data + 5, (uint32_t)call(&p, &body, "x", NULL));
    data[9] = PADDING;
    pump(&p);
    flood(&p, data, sizeof data);
    dm_buf_finish(&body.bytes);
    peer_finish(&p);
}

static void keepalive_pings_are_no_flood(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    for (int i = 0; i < 3 * DM_H2_IDLE_FRAMES_MAX; i++) {
        nghttp2_submit_ping(p.ng, 0, NULL);
        pump(&p);
    }
    assert_false(p.s->closing);
    peer_finish(&p);
}

static void rapid_reset_is_ended(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    int resets = 0;
    for (; resets < 3 * DM_H2_WASTED_CALLS_MAX && !p.s->closing; resets++) {
        struct body body = {0};
        int32_t id = call(&p, &body, "x", NULL);
        pump(&p);
        if (!p.s->closing) {
            nghttp2_submit_rst_stream(p.ng, 0, id, NGHTTP2_CANCEL);
            pump(&p);
        }
        dm_buf_finish(&body.bytes);
    }
    assert_int_equal(resets, DM_H2_WASTED_CALLS_MAX + 1);
    assert_int_equal(p.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(p.s->calls, 0);
    peer_finish(&p);
}

static void resets_among_answered_calls_are_no_abuse(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    for (int i = 0; i < 2 * DM_H2_WASTED_CALLS_MAX; i++) {
        struct body one = {0};
        struct body two = {0};
        int32_t id = call(&p, &one, "x", NULL);
        call(&p, &two, "y", NULL);
        pump(&p);
        nghttp2_submit_rst_stream(p.ng, 0, id, NGHTTP2_CANCEL);
        dm_session_reply(p.s, p.last_id, dm_slice_str("z"));
        pump(&p);
        dm_buf_finish(&one.bytes);
        dm_buf_finish(&two.bytes);
    }
    assert_false(p.s->closing);
    peer_finish(&p);
}

/* HEADERS, then a WINDOW_UPDATE that overflows: we have to reset the stream. */
static void resets_that_we_are_made_to_send_are_counted(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    int rounds = 0;
    for (; rounds < 3 * DM_H2_WASTED_CALLS_MAX && !p.s->closing; rounds++) {
        struct body body = {0};
        int32_t id = call(&p, &body, "x", NULL);
        pump(&p);
        uint8_t update[13] = {0, 0, 4, NGHTTP2_WINDOW_UPDATE};
        dm_store_be32(update + 5, (uint32_t)id);
        dm_store_be32(update + 9, INT32_MAX);
        feed(&p, update, sizeof update);
        pump(&p);
        dm_buf_finish(&body.bytes);
    }
    assert_true(p.s->closing);
    assert_int_equal(p.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    peer_finish(&p);
}

static void calls_over_the_limit_are_refused_by_the_protocol(void **state)
{
    (void)state;
    static const struct dm_session_limits few = {.calls_max = 2};
    struct peer p;
    peer_init(&p, &few);
    struct body bodies[3] = {0};
    for (int i = 0; i < 3; i++) {
        call(&p, &bodies[i], "x", NULL);
    }
    p.blind = true; /* it has not seen our SETTINGS */
    pump(&p);
    p.blind = false;
    pump(&p);
    assert_int_equal(p.s->calls, 2);
    assert_int_equal(answer_of(&p, 5)->reset, NGHTTP2_REFUSED_STREAM);
    peer_finish(&p);
    for (int i = 0; i < 3; i++) {
        dm_buf_finish(&bodies[i].bytes);
    }
}

/* ---- memory is bounded ------------------------------------------------------------------- */

static void a_reader_that_does_not_read_is_not_served(void **state)
{
    (void)state;
    static const struct dm_session_limits limits = {.output_high = 65536};
    struct peer p;
    peer_init(&p, &limits);
    pump(&p);
    p.blind = true;
    p.echo = true;
    char text[16384];
    memset(text, 'x', sizeof text);
    struct body bodies[40] = {0};
    for (int i = 0; i < 40; i++) {
        envelope(&bodies[i], 0, text, sizeof text);
        request(&p, "POST", "/a.B/Get", "application/grpc", &bodies[i], NULL);
    }
    pump(&p);
    assert_true(dm_buf_size(&p.s->out) < 65536 + 32768);
    p.blind = false;
    pump(&p);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(p.answers[i].grpc_status, 0);
        assert_int_equal(dm_buf_size(&p.answers[i].body), sizeof text + 5);
        dm_buf_finish(&bodies[i].bytes);
    }
    peer_finish(&p);
}

static void a_slow_stream_has_no_room(void **state)
{
    (void)state;
    struct peer p;
    peer_init(&p, &defaults);
    pump(&p);
    struct body body = {0};
    call(&p, &body, "x", NULL);
    pump(&p);
    p.blind = true;
    char text[10000] = {0};
    size_t given = 0;
    for (int i = 0; i < 10000 && dm_session_stream_room(p.s, p.last_id) > 0; i++) {
        dm_session_stream_message(p.s, p.last_id, dm_slice(text, sizeof text));
        dm_session_flush(p.s);
        given += sizeof text + 5;
    }
    assert_true(given > 100000);
    assert_true(given < (size_t)DM_OUTPUT_HIGH);
    p.blind = false;
    pump(&p);
    assert_int_equal(dm_session_stream_room(p.s, p.last_id), (size_t)DM_OUTPUT_HIGH / 4);
    assert_int_equal(dm_buf_size(&answer_of(&p, 1)->body), given);
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void half_requests_cannot_pile_up(void **state)
{
    (void)state;
    enum { SMALL = 65536 };
    static const struct dm_session_limits small = {.message_size_max = SMALL};
    struct peer p;
    peer_init(&p, &small);
    struct body bodies[20] = {0};
    static char text[SMALL];
    for (int i = 0; i < 20; i++) {
        bodies[i].keep_open = true;
        envelope(&bodies[i], 0, text, sizeof text);
        bodies[i].bytes.end -= 10;
        request(&p, "POST", "/a.B/Get", "application/grpc", &bodies[i], NULL);
    }
    pump(&p);
    int refused = 0;
    for (int i = 0; i < 20; i++) {
        refused += p.answers[i].grpc_status == DM_RESOURCE_EXHAUSTED;
        dm_buf_finish(&bodies[i].bytes);
    }
    assert_int_equal(refused, 20 - DM_H2_GATHERED_MESSAGES_MAX);
    peer_finish(&p);
}

static void a_stream_of_requests_waits_for_its_answers_to_go_out(void **state)
{
    (void)state;
    static const struct dm_session_limits limits = {.output_high = 65536,
                                                    .client_streaming = takes_stream};
    struct peer p;
    peer_init(&p, &limits);
    pump(&p);
    nghttp2_session_set_local_window_size(p.ng, 0, 0, 1); /* the client takes nothing */
    struct body body = {0};
    static char text[20000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 100; i++) {
        envelope(&body, 0, text, sizeof text);
    }
    int32_t id = request(&p, "POST", "/a.B/Chat", "application/grpc", &body, NULL);
    size_t most = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(p.ng, &data);
        if (size > 0) {
            dm_session_feed(p.s, dm_slice(data, (size_t)size));
            moved = true;
        }
        struct dm_session_event e;
        while (dm_session_next(p.s, &e)) {
            if (e.kind != DM_EVENT_INPUT_END) {
                dm_session_stream_message(p.s, e.id, e.payload);
                most += e.payload.size + 5;
            }
            moved = true;
        }
        dm_session_flush(p.s);
        dm_buf_consume(&p.s->out, dm_buf_size(&p.s->out));
    }
    /* What was answered and not sent stays small; what the client could not send stays
     * with the client. */
    assert_true(most < 65536 + 65535 + 2 * sizeof text);
    assert_true(dm_buf_size(&body.bytes) > 500000);
    assert_false(p.s->closing);
    (void)id;
    peer_finish(&p);
    dm_buf_finish(&body.bytes);
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        struct peer p;
        peer_init(&p, &defaults);
        p.echo = true;
        struct body body = {0};
        envelope(&body, 0, "hello", 5);
        request(&p, "POST", round % 2 ? "/a.B/Get" : "/a.B/Chat", "application/grpc", &body, NULL);
        struct dm_buf wire = {0};
        const uint8_t *data;
        ssize_t size;
        while ((size = nghttp2_session_mem_send(p.ng, &data)) > 0) {
            assert_true(dm_buf_append(&wire, data, (size_t)size));
        }
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = 24 + (seed >> 8) % (dm_buf_size(&wire) - 24);
            dm_buf_head(&wire)[at] = (uint8_t)(seed >> 16);
        }
        p.cut = 1 + seed % 40;
        feed(&p, dm_buf_head(&wire), dm_buf_size(&wire));
        dm_session_flush(p.s);
        pull(&p);
        assert_true(dm_buf_size(&p.s->out) < 100000);
        dm_buf_finish(&wire);
        dm_buf_finish(&body.bytes);
        peer_finish(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_sent_before_the_client_speaks),
        cmocka_unit_test(a_unary_call_gets_its_answer),
        cmocka_unit_test(bytes_may_be_cut_anywhere),
        cmocka_unit_test(a_message_may_be_cut_over_data_frames),
        cmocka_unit_test(json_is_answered_in_json),
        cmocka_unit_test(a_server_stream_flows_and_ends_with_its_status),
        cmocka_unit_test(a_stream_may_end_with_no_message),
        cmocka_unit_test(a_stream_of_requests_comes_message_by_message),
        cmocka_unit_test(a_stream_of_requests_in_one_go_is_the_same),
        cmocka_unit_test(a_bad_message_later_in_a_stream_cancels_the_open_call),
        cmocka_unit_test(plain_http_is_handed_out),
        cmocka_unit_test(a_large_message_passes_both_ways),
        cmocka_unit_test(refused_requests_say_why),
        cmocka_unit_test(an_answer_before_the_requests_end_resets_the_stream_without_error),
        cmocka_unit_test(error_messages_are_percent_encoded),
        cmocka_unit_test(timeouts_are_read_and_clamped),
        cmocka_unit_test(an_answer_that_is_too_large_becomes_a_status),
        cmocka_unit_test(too_many_or_too_large_headers_are_refused),
        cmocka_unit_test(a_reset_cancels_the_open_call),
        cmocka_unit_test(a_reset_before_the_request_is_whole_is_silent),
        cmocka_unit_test(draining_says_goaway_twice_and_lets_calls_finish),
        cmocka_unit_test(garbage_closes_the_connection),
        cmocka_unit_test(a_flood_of_frames_without_requests_is_ended),
        cmocka_unit_test(a_flood_of_data_that_is_padding_is_ended),
        cmocka_unit_test(keepalive_pings_are_no_flood),
        cmocka_unit_test(rapid_reset_is_ended),
        cmocka_unit_test(resets_among_answered_calls_are_no_abuse),
        cmocka_unit_test(resets_that_we_are_made_to_send_are_counted),
        cmocka_unit_test(calls_over_the_limit_are_refused_by_the_protocol),
        cmocka_unit_test(a_reader_that_does_not_read_is_not_served),
        cmocka_unit_test(a_slow_stream_has_no_room),
        cmocka_unit_test(half_requests_cannot_pile_up),
        cmocka_unit_test(a_stream_of_requests_waits_for_its_answers_to_go_out),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
