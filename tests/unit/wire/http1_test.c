#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "wire/session.h"

/* Bytes go in, the trace of events and the bytes that come back are looked at. */

struct wire {
    struct dm_session *s;
    bool manual; /* the test answers; else every call is answered with its payload */
    char trace[4096];
    uint64_t id;
};

static bool known(struct dm_slice service)
{
    return dm_slice_equal(service, dm_slice_str("a.B"));
}

static bool takes_stream(struct dm_slice service, struct dm_slice method)
{
    (void)service;
    return dm_slice_equal(method, dm_slice_str("Chat"));
}

static const char *const hosts[] = {"test", "a", "proxy.example", NULL};
static const char *const origins[] = {"https://one.example", "https://two.example", NULL};
static const struct dm_session_limits limits = {
    .message_size_max = 1000,
    .hosts = hosts,
    .cors_origins = origins,
    .known_service = known,
    .client_streaming = takes_stream,
};

static void wire_init(struct wire *w)
{
    *w = (struct wire){.s = dm_http1_session(&limits)};
    assert_non_null(w->s);
}

static void wire_finish(struct wire *w)
{
    dm_session_destroy(w->s);
}

static void traced(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void traced(struct wire *w, const char *format, ...)
{
    size_t at = strlen(w->trace);
    if (at > sizeof w->trace - 400) {
        return;
    }
    at += (size_t)snprintf(w->trace + at, sizeof w->trace - at, at == 0 ? "" : "; ");
    va_list list;
    va_start(list, format);
    vsnprintf(w->trace + at, sizeof w->trace - at, format, list);
    va_end(list);
}

#define TEXT(slice) (int)((slice).size > 60 ? 60 : (slice).size), (const char *)(slice).data

static void trace_call(struct wire *w, const struct dm_session_event *e)
{
    char timeout[40] = "";
    if (e->timeout_ns != 0) {
        snprintf(timeout, sizeof timeout, " %lldns", (long long)e->timeout_ns);
    }
    traced(w, "%s %.*s.%.*s(%.*s)%s%s%s%s%s%s", w->s->protocol, TEXT(e->service), TEXT(e->method),
           TEXT(e->payload), e->codec == DM_CODEC_JSON ? " json" : "", e->get ? " get" : "",
           e->unary ? " unary" : "", e->streaming ? " stream" : "", e->open ? " open" : "",
           timeout);
}

static void pull(struct wire *w)
{
    struct dm_session_event e;
    while (dm_session_next(w->s, &e)) {
        w->id = e.id;
        switch (e.kind) {
        case DM_EVENT_CALL:
            trace_call(w, &e);
            break;
        case DM_EVENT_HTTP:
            traced(w, "http %.*s?%.*s", TEXT(e.method), TEXT(e.payload));
            break;
        case DM_EVENT_INPUT:
            traced(w, "INPUT(%.*s)", TEXT(e.payload));
            break;
        case DM_EVENT_INPUT_END:
            traced(w, "END");
            break;
        case DM_EVENT_CANCEL:
            traced(w, "CANCEL");
            break;
        }
        if (w->manual) {
            continue;
        }
        if (e.kind == DM_EVENT_CALL && !e.open && e.unary) {
            dm_session_reply(w->s, e.id, e.payload);
        } else if (e.kind == DM_EVENT_CALL || e.kind == DM_EVENT_INPUT) {
            dm_session_stream_message(w->s, e.id, e.payload);
        } else if (e.kind == DM_EVENT_HTTP) {
            dm_session_http_reply(w->s, e.id, 200, "text/plain", dm_slice_str("page"));
        }
        if (e.kind == DM_EVENT_INPUT_END || (e.kind == DM_EVENT_CALL && !e.open && !e.unary)) {
            dm_session_stream_end(w->s, e.id);
        }
    }
}

static void feed(struct wire *w, struct dm_slice bytes, size_t cut)
{
    for (size_t at = 0; at < bytes.size; at += cut) {
        size_t part = bytes.size - at < cut ? bytes.size - at : cut;
        char *copy = malloc(part); /* so that a late read of it is seen */
        assert_non_null(copy);
        memcpy(copy, (const char *)bytes.data + at, part);
        dm_session_feed(w->s, dm_slice(copy, part));
        free(copy);
        pull(w);
        dm_session_flush(w->s);
    }
}

static void say(struct wire *w, const char *text)
{
    feed(w, dm_slice_str(text), strlen(text));
}

/* What came back, as text, and forgets it. */
static const char *heard(struct wire *w)
{
    static char text[65536];
    size_t size = dm_buf_size(&w->s->out);
    assert_true(size < sizeof text);
    if (size != 0) {
        memcpy(text, dm_buf_head(&w->s->out), size);
    }
    text[size] = '\0';
    dm_buf_consume(&w->s->out, size);
    return text;
}

static void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0) {
        print_error("\"%s\" does not start with \"%s\"\n", text, start);
        fail();
    }
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("\"%s\" has no \"%s\"\n", text, part);
        fail();
    }
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        print_error("\"%s\" has \"%s\"\n", text, part);
        fail();
    }
}

#define HOST "Host: test\r\n"
/* What every answer has. */
#define ALWAYS "x-content-type-options: nosniff\r\ncache-control: no-store\r\n"

/* ---- Connect ----------------------------------------------------------------------------- */

static const char unary_json[] =
    "POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/json; charset=utf-8\r\n"
    "Connect-Protocol-Version: 1\r\nConnect-Timeout-Ms: 1500\r\n"
    "Content-Length: 7\r\n\r\n{\"a\":1}";

static void a_connect_call_gets_its_answer(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    say(&w, unary_json);
    assert_string_equal(w.trace, "connect a.B.Get({\"a\":1}) json unary 1500000000ns");
    assert_string_equal(heard(&w), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" ALWAYS
                                   "vary: origin\r\ncontent-length: 7\r\n\r\n{\"a\":1}");
    assert_false(w.s->closing);
    assert_int_equal(w.s->calls, 0);
    wire_finish(&w);
}

static void requests_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char chunked[] =
        "POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/proto\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n";
    char both[1024];
    snprintf(both, sizeof both, "%s%s%sGET /healthz HTTP/1.1\r\n" HOST "\r\n", unary_json, chunked,
             unary_json);
    char *expected = NULL;
    for (size_t cut = strlen(both); cut > 0; cut--) {
        struct wire w;
        wire_init(&w);
        feed(&w, dm_slice_str(both), cut);
        assert_string_equal(w.trace,
                            "connect a.B.Get({\"a\":1}) json unary 1500000000ns; "
                            "connect a.B.Get(abcde) unary; "
                            "connect a.B.Get({\"a\":1}) json unary 1500000000ns; http /healthz?");
        const char *text = heard(&w);
        if (expected == NULL) {
            expected = strdup(text);
        }
        assert_string_equal(text, expected);
        assert_false(w.s->closing);
        wire_finish(&w);
    }
    free(expected);
}

static void every_split_in_two_is_the_same(void **state)
{
    (void)state;
    for (size_t at = 1; at < sizeof unary_json - 1; at++) {
        struct wire w;
        wire_init(&w);
        feed(&w, dm_slice(unary_json, at), at);
        assert_string_equal(w.trace, "");
        feed(&w, dm_slice(unary_json + at, sizeof unary_json - 1 - at), sizeof unary_json);
        assert_starts(w.trace, "connect a.B.Get({\"a\":1})");
        wire_finish(&w);
    }
}

static void pipelined_requests_wait_for_a_late_answer(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    w.manual = true;
    char both[1024];
    snprintf(both, sizeof both, "%sGET /two HTTP/1.1\r\n" HOST "\r\n", unary_json);
    say(&w, both);
    assert_starts(w.trace, "connect a.B.Get");
    assert_lacks(w.trace, "http");
    assert_int_equal(w.s->calls, 1);
    dm_session_fail(w.s, w.id, DM_ABORTED, NULL);
    dm_session_fail(w.s, w.id, DM_ABORTED, "a second answer is ignored");
    pull(&w);
    assert_has(w.trace, "; http /two?");
    assert_starts(heard(&w), "HTTP/1.1 409 Conflict\r\n");
    wire_finish(&w);
}

static void connect_errors_are_json_with_the_codes_status(void **state)
{
    (void)state;
    static const struct {
        enum dm_code code;
        int status;
        const char *name;
    } cases[] = {
        {DM_CANCELLED, 499, "canceled"},
        {DM_UNKNOWN, 500, "unknown"},
        {DM_INVALID_ARGUMENT, 400, "invalid_argument"},
        {DM_DEADLINE_EXCEEDED, 504, "deadline_exceeded"},
        {DM_NOT_FOUND, 404, "not_found"},
        {DM_ALREADY_EXISTS, 409, "already_exists"},
        {DM_PERMISSION_DENIED, 403, "permission_denied"},
        {DM_RESOURCE_EXHAUSTED, 429, "resource_exhausted"},
        {DM_FAILED_PRECONDITION, 400, "failed_precondition"},
        {DM_ABORTED, 409, "aborted"},
        {DM_OUT_OF_RANGE, 400, "out_of_range"},
        {DM_UNIMPLEMENTED, 501, "unimplemented"},
        {DM_INTERNAL, 500, "internal"},
        {DM_UNAVAILABLE, 503, "unavailable"},
        {DM_DATA_LOSS, 500, "data_loss"},
        {DM_UNAUTHENTICATED, 401, "unauthenticated"},
    };
    struct wire w;
    wire_init(&w);
    w.manual = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        say(&w, unary_json);
        dm_session_fail(w.s, w.id, cases[i].code, "say \"no\"\n\xff\xc3\xa4");
        const char *text = heard(&w);
        char start[64];
        char body[128];
        snprintf(start, sizeof start, "HTTP/1.1 %d ", cases[i].status);
        snprintf(body, sizeof body,
                 "\r\n\r\n{\"code\":\"%s\",\"message\":\"say \\\"no\\\"\\n?\xc3\xa4\"}",
                 cases[i].name);
        assert_starts(text, start);
        assert_has(text, "content-type: application/json\r\n");
        assert_has(text, body);
        assert_false(w.s->closing);
    }
    wire_finish(&w);
}

static void a_get_carries_its_message_in_the_query(void **state)
{
    (void)state;
    static const struct {
        const char *query, *trace, *answer;
    } cases[] = {
        {"message=%7B%7D&encoding=json&connect=v1", "connect a.B.Get({}) json get unary", "200"},
        {"connect=v1&base64=1&encoding=json&x=y&message=eyJhIjoxfQ",
         "connect a.B.Get({\"a\":1}) json get unary", "200"},
        {"base64=1&encoding=json&message=eyJhIjoxfQ%3d%3D",
         "connect a.B.Get({\"a\":1}) json get unary", "200"},
        {"encoding=proto&message=a+b&compression=identity", "connect a.B.Get(a b) get unary",
         "200"},
        {"encoding=proto&message=", "connect a.B.Get() get unary", "200"},
        {"encoding=proto&message=x&compression=gzip", "", "501"},
        {"encoding=proto&message=%4", "", "400"},
        {"encoding=proto&message=%zz", "", "400"},
        {"encoding=proto&base64=1&message=!!!!", "", "400"},
        {"encoding=proto&base64=1&message=a", "", "400"},
        {"encoding=proto&base64=2&message=a", "", "400"},
        {"encoding=proto&message=a&x=1&x=2", "connect a.B.Get(a) get unary", "200"},
        {"encoding=proto&message=a&message=a", "", "400"},
        {"encoding=proto&message=a&encoding=json", "", "400"},
        {"base64=0&encoding=proto&message=YQ&base64=1", "", "400"},
        {"compression=gzip&encoding=proto&message=a&compression=", "", "400"},
        {"connect=v2&encoding=proto&message=a&connect=v1", "", "400"},
        {"encoding=proto", "", "400"},
        {"encoding=proto&message=x&connect=v2", "", "400"},
        {"encoding=xml&message=x", "", "415"},
        {"", "", "415"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        wire_init(&w);
        char request[256];
        snprintf(request, sizeof request, "GET /a.B/Get?%s HTTP/1.1\r\n" HOST "\r\n",
                 cases[i].query);
        say(&w, request);
        assert_string_equal(w.trace, cases[i].trace);
        assert_starts(heard(&w) + 9, cases[i].answer);
        assert_false(w.s->closing);
        wire_finish(&w);
    }
}

/* A POST of these bytes. */
static void post(struct wire *w, const char *path, const char *type, const char *extra,
                 const void *body, size_t size)
{
    char head[512];
    int length = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\n" HOST "Content-Type: %s\r\n%s"
                          "Content-Length: %zu\r\n\r\n",
                          path, type, extra, size);
    feed(w, dm_slice(head, (size_t)length), (size_t)length);
    feed(w, dm_slice(body, size), size + 1);
}

static void a_connect_stream_is_enveloped(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    w.manual = true;
    post(&w, "/a.B/Watch", "application/connect+json", "", "\0\0\0\0\2{}", 7);
    assert_string_equal(w.trace, "connect a.B.Watch({}) json stream");
    assert_string_equal(heard(&w),
                        "HTTP/1.1 200 OK\r\ncontent-type: application/connect+json\r\n" ALWAYS
                        "vary: origin\r\ntransfer-encoding: chunked\r\n\r\n");
    dm_session_stream_message(w.s, w.id, dm_slice_str("{\"n\":1}"));
    assert_int_equal(dm_buf_size(&w.s->out), 3 + 12 + 2);
    assert_memory_equal(dm_buf_head(&w.s->out), "c\r\n\0\0\0\0\7{\"n\":1}\r\n", 17);
    heard(&w);
    dm_session_stream_end(w.s, w.id);
    assert_memory_equal(dm_buf_head(&w.s->out), "7\r\n\2\0\0\0\2{}\r\n0\r\n\r\n", 17);
    heard(&w);
    assert_int_equal(w.s->calls, 0);
    assert_false(w.s->closing);
    post(&w, "/a.B/Watch", "application/connect+proto", "", "\0\0\0\0\0", 5);
    heard(&w);
    dm_session_fail(w.s, w.id, DM_OUT_OF_RANGE, "gone");
    static const char end[] = "{\"error\":{\"code\":\"out_of_range\",\"message\":\"gone\"}}";
    assert_has((const char *)dm_buf_head(&w.s->out) + 9, end);
    wire_finish(&w);
}

static void an_http_1_0_stream_ends_with_the_connection(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    char request[] = "POST /a.B/Watch HTTP/1.0\r\nConnection: keep-alive\r\n"
                     "Content-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n"
                     "\0\0\0\0\2{}";
    feed(&w, dm_slice(request, sizeof request - 1), 10);
    assert_string_equal(w.trace, "connect a.B.Watch({}) json stream");
    struct dm_slice out = dm_buf_slice(&w.s->out);
    const char *body = (const char *)out.data + out.size - 14;
    assert_memory_equal(body, "\0\0\0\0\2{}\2\0\0\0\2{}", 14);
    assert_has(heard(&w), "connection: close\r\n");
    assert_true(w.s->closing);
    wire_finish(&w);
}

static void a_stream_of_requests_comes_with_its_body(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    post(&w, "/a.B/Chat", "application/connect+proto", "", "\0\0\0\0\1a\0\0\0\0\2bc", 13);
    assert_string_equal(w.trace, "connect a.B.Chat(a) stream open; INPUT(bc); END");
    assert_int_equal(w.s->calls, 0);
    w.trace[0] = '\0';
    post(&w, "/a.B/Chat", "application/grpc-web", "", "\0\0\0\0\1a\0\0\0\0\2b", 12);
    assert_string_equal(w.trace, "grpc-web a.B.Chat(a) unary stream open; CANCEL");
    assert_int_equal(w.s->calls, 0);
    assert_false(w.s->closing);
    wire_finish(&w);
}

static void wrong_calls_are_told_in_their_own_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *type, *extra, *body;
        size_t size;
        const char *start, *part;
    } cases[] = {
        {"application/json", "Content-Encoding: gzip\r\n", "{}", 2, "HTTP/1.1 501 ",
         "accept-encoding: identity\r\n"},
        {"application/json", "Connect-Protocol-Version: 2\r\n", "{}", 2, "HTTP/1.1 400 ",
         "\"invalid_argument\""},
        {"application/json", "Connect-Timeout-Ms: 12345678901\r\n", "{}", 2, "HTTP/1.1 400 ",
         "connect-timeout-ms is malformed"},
        {"application/json", "Connect-Timeout-Ms: 1x\r\n", "{}", 2, "HTTP/1.1 400 ",
         "connect-timeout-ms is malformed"},
        {"application/connect+json", "Connect-Content-Encoding: gzip\r\n", "", 0, "HTTP/1.1 200 ",
         "connect-accept-encoding: identity\r\n"},
        {"application/grpc-web", "Grpc-Encoding: gzip\r\n", "", 0, "HTTP/1.1 200 ",
         "grpc-accept-encoding: identity\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        wire_init(&w);
        post(&w, "/a.B/Get", cases[i].type, cases[i].extra, cases[i].body, cases[i].size);
        assert_string_equal(w.trace, "");
        const char *text = heard(&w);
        assert_starts(text, cases[i].start);
        assert_has(text, cases[i].part);
        assert_false(w.s->closing);
        wire_finish(&w);
    }
}

/* Finds text behind the zero bytes of an envelope. */
static void assert_out_has(struct wire *w, const char *part)
{
    assert_non_null(memmem(dm_buf_head(&w->s->out), dm_buf_size(&w->s->out), part, strlen(part)));
}

static void wrong_envelopes_are_told_why(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t size;
        const char *status, *code;
    } cases[] = {
        {"", 0, "grpc-status: 12\r\n", "\"unimplemented\""},
        {"\0\0\0\0\1a\0\0\0\0\1b", 12, "grpc-status: 12\r\n", "\"unimplemented\""},
        {"\0\0\0", 3, "grpc-status: 13\r\n", "\"internal\""},
        {"\0\0\0\0\5abc", 8, "grpc-status: 13\r\n", "\"internal\""},
        {"\1\0\0\0\1a", 6, "grpc-status: 13\r\n", "\"internal\""},
        {"\2\0\0\0\1a", 6, "grpc-status: 13\r\n", "\"internal\""},
        {"\0\0\0\4\0abc", 8, "grpc-status: 8\r\n", "\"resource_exhausted\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        wire_init(&w);
        post(&w, "/a.B/Get", "application/grpc-web+proto", "", cases[i].body, cases[i].size);
        assert_out_has(&w, cases[i].status);
        heard(&w);
        post(&w, "/a.B/Get", "application/connect+proto", "", cases[i].body, cases[i].size);
        assert_out_has(&w, cases[i].code);
        assert_string_equal(w.trace, "");
        assert_false(w.s->closing);
        wire_finish(&w);
    }
}

static void timeouts_are_read(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    post(&w, "/a.B/Get", "application/json", "Connect-Timeout-Ms: 0\r\n", "{}", 2);
    post(&w, "/a.B/Get", "application/json", "Connect-Timeout-Ms: 9999999999\r\n", "{}", 2);
    post(&w, "/a.B/Get", "application/grpc-web", "Grpc-Timeout: 2S\r\n", "\0\0\0\0\0", 5);
    assert_string_equal(w.trace, "connect a.B.Get({}) json unary 1ns; "
                                 "connect a.B.Get({}) json unary 9999999999000000ns; "
                                 "grpc-web a.B.Get() unary stream 2000000000ns");
    wire_finish(&w);
}

/* ---- gRPC-Web ---------------------------------------------------------------------------- */

static void grpc_web_ends_with_a_trailer_frame(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    post(&w, "/a.B/Get", "application/grpc-web+proto", "", "\0\0\0\0\2hi", 7);
    assert_string_equal(w.trace, "grpc-web a.B.Get(hi) unary stream");
    static const char body[] = "7\r\n\0\0\0\0\2hi\r\n"
                               "15\r\n\x80\0\0\0\x10grpc-status: 0\r\n\r\n0\r\n\r\n";
    struct dm_slice out = dm_buf_slice(&w.s->out);
    assert_memory_equal((const char *)out.data + out.size - (sizeof body - 1), body,
                        sizeof body - 1);
    heard(&w);
    w.manual = true;
    post(&w, "/a.B/Get", "application/grpc-web", "", "\0\0\0\0\2hi", 7);
    dm_session_fail(w.s, w.id, DM_NOT_FOUND, "50%");
    assert_out_has(&w, "grpc-status: 5\r\ngrpc-message: 50%25\r\n");
    wire_finish(&w);
}

static void grpc_web_text_is_base64_in_segments(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    /* Head and message in segments of their own. */
    static const char body[] = "AAAAAAI=aGk=";
    post(&w, "/a.B/Get", "application/grpc-web-text", "", body, sizeof body - 1);
    assert_string_equal(w.trace, "grpc-web a.B.Get(hi) unary stream");
    const char *text = heard(&w);
    assert_has(text, "content-type: application/grpc-web-text\r\n");
    assert_has(text,
               "\r\n\r\nc\r\nAAAAAAJoaQ==\r\n1c\r\ngAAAABBncnBjLXN0YXR1czogMA0K\r\n0\r\n\r\n");
    post(&w, "/a.B/Get", "application/grpc-web-text", "", "****", 4);
    assert_false(w.s->closing);
    wire_finish(&w);
}

/* ---- plain HTTP --------------------------------------------------------------------------- */

static void pages_are_handed_out(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    w.manual = true;
    say(&w, "GET /metrics?x=1 HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(w.trace, "http /metrics?x=1");
    dm_session_http_reply(w.s, w.id, 200, "text/plain", dm_slice_str("a 1\n"));
    assert_string_equal(heard(&w), "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" ALWAYS
                                   "vary: origin\r\ncontent-length: 4\r\n\r\na 1\n");
    say(&w, "HEAD /metrics HTTP/1.1\r\n" HOST "\r\n");
    dm_session_http_reply(w.s, w.id, 503, "text/plain", dm_slice_str("not yet"));
    const char *text = heard(&w);
    assert_starts(text, "HTTP/1.1 503 ");
    assert_has(text, "content-length: 7\r\n\r\n");
    assert_lacks(text, "not yet");
    say(&w, "GET http://proxy.example/abs?q HTTP/1.1\r\n" HOST "\r\n");
    assert_has(w.trace, "http /abs?q");
    dm_session_http_reply(w.s, w.id, 204, NULL, dm_slice_str(""));
    assert_lacks(heard(&w), "content-length");
    assert_false(w.s->closing);
    wire_finish(&w);
}

static void connections_live_as_http_says(void **state)
{
    (void)state;
    static const struct {
        const char *request, *header;
        bool closing;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", NULL, false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "connection: close\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", "connection: close\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: keep-alive\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", NULL, false},
        {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        wire_init(&w);
        say(&w, cases[i].request);
        const char *text = heard(&w);
        assert_starts(text, "HTTP/1.1 200 OK\r\n");
        if (cases[i].header != NULL) {
            assert_has(text, cases[i].header);
        } else {
            assert_lacks(text, "connection:");
        }
        assert_int_equal(w.s->closing, cases[i].closing);
        wire_finish(&w);
    }
}

static void what_is_not_served_says_so_and_the_connection_lives(void **state)
{
    (void)state;
    static const struct {
        const char *request, *start, *header;
    } cases[] = {
        {"POST /c.D/Get HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "HTTP/1.1 404 ", ""},
        {"POST /metrics HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxx", "HTTP/1.1 405 ",
         "allow: GET, HEAD\r\n"},
        {"PUT /a.B/Get HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ", "allow: GET, POST\r\n"},
        {"HEAD /a.B/Get HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ", "allow: GET, POST\r\n"},
        {"DELETE / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ", "allow: GET, HEAD\r\n"},
        {"POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: text/xml\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 415 ", "accept-post: application/json, application/proto"},
        {"POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "HTTP/1.1 415 ",
         "accept-post: "},
        {"POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/grpc\r\n\r\n",
         "HTTP/1.1 415 ", "accept-post: "},
        {"GET / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n", "HTTP/1.1 417 ", ""},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 204 ", "allow: GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS /a.B/Get HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 204 ",
         "allow: GET, POST, OPTIONS\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire w;
        wire_init(&w);
        say(&w, cases[i].request);
        const char *text = heard(&w);
        assert_starts(text, cases[i].start);
        assert_has(text, cases[i].header);
        assert_string_equal(w.trace, "");
        assert_false(w.s->closing);
        say(&w, "GET /next HTTP/1.1\r\n" HOST "\r\n");
        assert_string_equal(w.trace, "http /next?");
        wire_finish(&w);
    }
}

static void cross_origin_calls_are_for_configured_origins(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    say(&w, "OPTIONS /a.B/Get HTTP/1.1\r\n" HOST "Origin: https://two.example\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n");
    const char *text = heard(&w);
    assert_starts(text, "HTTP/1.1 204 ");
    assert_has(text, "vary: origin\r\naccess-control-allow-origin: https://two.example\r\n");
    assert_has(text, "access-control-allow-methods: GET, POST\r\n");
    assert_has(text, "access-control-allow-headers: content-type, connect-protocol-version");
    say(&w, "OPTIONS /a.B/Get HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n"
            "Access-Control-Request-Method: POST\r\n\r\n");
    text = heard(&w);
    assert_starts(text, "HTTP/1.1 403 ");
    assert_lacks(text, "access-control-allow-origin");
    post(&w, "/a.B/Get", "application/json", "Origin: https://one.example\r\n", "{}", 2);
    text = heard(&w);
    assert_has(text, "access-control-allow-origin: https://one.example\r\n");
    assert_has(text, "access-control-expose-headers: grpc-status, grpc-message");
    post(&w, "/a.B/Get", "application/json", "Origin: https://evil.example\r\n", "{}", 2);
    text = heard(&w);
    assert_starts(text, "HTTP/1.1 403 ");
    assert_lacks(text, "access-control");
    wire_finish(&w);
}

static void a_hundred_continue_comes_before_the_body(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    say(&w, "POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_string_equal(heard(&w), "HTTP/1.1 100 Continue\r\n\r\n");
    say(&w, "{}");
    assert_string_equal(w.trace, "connect a.B.Get({}) json unary");
    assert_starts(heard(&w), "HTTP/1.1 200 OK\r\n");
    say(&w, "POST /c.D/Get HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    const char *text = heard(&w);
    assert_starts(text, "HTTP/1.1 404 ");
    assert_has(text, "connection: close\r\n");
    assert_true(w.s->closing);
    wire_finish(&w);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void a_body_too_large_is_an_error_of_its_protocol(void **state)
{
    (void)state;
    static char body[2000];
    memset(body, 'A', sizeof body);
    body[0] = body[1] = body[2] = 0;
    struct wire w;
    wire_init(&w);
    post(&w, "/a.B/Get", "application/json", "", body, sizeof body);
    const char *text = heard(&w);
    assert_starts(text, "HTTP/1.1 429 ");
    assert_has(text, "\"resource_exhausted\"");
    post(&w, "/a.B/Get", "application/grpc-web", "", body, sizeof body);
    assert_out_has(&w, "grpc-status: 8\r\n");
    heard(&w);
    post(&w, "/a.B/Get", "application/json", "", body + 3, 1000);
    assert_starts(heard(&w), "HTTP/1.1 200 ");
    assert_false(w.s->closing);
    wire_finish(&w);
}

static void a_body_past_all_measure_closes(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    say(&w, "POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Content-Length: 99999999\r\n\r\n");
    assert_starts(heard(&w), "HTTP/1.1 413 ");
    assert_true(w.s->closing);
    wire_finish(&w);
    wire_init(&w);
    say(&w, "POST /a.B/Get HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n");
    enum { CHUNK = 1 << 20 };
    char *chunk = malloc(CHUNK + 8);
    assert_non_null(chunk);
    memset(chunk, 'x', CHUNK + 8);
    static const char size_line[8] = {'1', '0', '0', '0', '0', '0', '\r', '\n'};
    memcpy(chunk, size_line, sizeof size_line);
    for (int i = 0; i < 40 && !w.s->closing; i++) {
        feed(&w, dm_slice(chunk, CHUNK + 8), CHUNK + 8);
        say(&w, "\r\n");
    }
    free(chunk);
    assert_true(w.s->closing);
    assert_starts(heard(&w), "HTTP/1.1 413 ");
    wire_finish(&w);
}

static void heads_are_bounded(void **state)
{
    (void)state;
    enum { ROOM = 80000 };
    char *text = malloc(ROOM);
    assert_non_null(text);
    static const struct {
        const char *start, *repeat, *status;
    } cases[] = {
        {"GET /", "x", "HTTP/1.1 414 "},
        {"GET / HTTP/1.1\r\nX: ", "x", "HTTP/1.1 431 "},
        {"GET / HTTP/1.1\r\n", "X: y\r\n", "HTTP/1.1 431 "},
        {"", "\r\n", "HTTP/1.1 400 "},
        {"POST /a.B/Get HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;", "x",
         "HTTP/1.1 400 "},
        {"POST /a.B/Get HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n",
         "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = (size_t)snprintf(text, ROOM, "%s", cases[i].start);
        size_t part = strlen(cases[i].repeat);
        for (; size + part < ROOM; size += part) {
            memcpy(text + size, cases[i].repeat, part);
        }
        for (size_t cut = 1000; cut <= ROOM; cut += ROOM - 1000) {
            struct wire w;
            wire_init(&w);
            feed(&w, dm_slice(text, size), cut);
            assert_true(w.s->closing);
            const char *answer = heard(&w);
            assert_starts(answer, cases[i].status);
            assert_has(answer, "connection: close\r\n");
            assert_null(strstr(answer + 1, "HTTP/1.1"));
            wire_finish(&w);
        }
    }
    free(text);
}

static void a_client_that_only_sends_is_held(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    w.manual = true;
    static const char request[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
    int sent = 0;
    while (!w.s->paused && sent < 100000) {
        say(&w, request);
        sent++;
    }
    assert_true(w.s->paused);
    assert_true((size_t)sent * (sizeof request - 1) < DM_HTTP1_PIPELINE_MAX + 200);
    int answered = 0;
    while (w.s->calls != 0) {
        dm_session_http_reply(w.s, w.id, 200, "text/plain", dm_slice_str(""));
        answered++;
        heard(&w);
        pull(&w);
    }
    assert_int_equal(answered, sent);
    assert_false(w.s->paused);
    wire_finish(&w);
}

static void a_client_that_does_not_read_is_not_served(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    static char page[400000];
    w.manual = true;
    for (int i = 0; i < 20; i++) {
        say(&w, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    }
    int served = 0;
    while (w.s->calls != 0) {
        dm_session_http_reply(w.s, w.id, 200, "text/plain", dm_slice(page, sizeof page));
        served++;
        pull(&w);
    }
    assert_true(dm_buf_size(&w.s->out) < (size_t)DM_OUTPUT_HIGH + sizeof page);
    assert_true(served < 20);
    dm_buf_consume(&w.s->out, dm_buf_size(&w.s->out));
    pull(&w);
    assert_int_equal(w.s->calls, 1);
    wire_finish(&w);
}

static void answers_that_are_too_large_or_do_not_fit_become_errors(void **state)
{
    (void)state;
    static char large[1001];
    struct wire w;
    wire_init(&w);
    w.manual = true;
    say(&w, unary_json);
    dm_session_reply(w.s, w.id, dm_slice(large, sizeof large));
    assert_starts(heard(&w), "HTTP/1.1 429 ");
    say(&w, unary_json);
    dm_session_stream_message(w.s, w.id, dm_slice_str("{}"));
    assert_starts(heard(&w), "HTTP/1.1 501 ");
    say(&w, unary_json);
    dm_session_stream_end(w.s, w.id);
    assert_starts(heard(&w), "HTTP/1.1 501 ");
    assert_int_equal(w.s->calls, 0);
    assert_int_equal(dm_session_stream_room(w.s, w.id), 0);
    wire_finish(&w);
}

static void draining_closes_after_the_answer(void **state)
{
    (void)state;
    struct wire w;
    wire_init(&w);
    dm_session_drain(w.s);
    assert_true(w.s->closing);
    wire_finish(&w);
    wire_init(&w);
    w.manual = true;
    say(&w, unary_json);
    dm_session_drain(w.s);
    assert_false(w.s->closing);
    dm_session_reply(w.s, w.id, dm_slice_str("{}"));
    assert_has(heard(&w), "connection: close\r\n");
    assert_true(w.s->closing);
    wire_finish(&w);
    wire_init(&w);
    say(&w, "GET / HT");
    dm_session_drain(w.s);
    assert_false(w.s->closing);
    say(&w, "TP/1.1\r\n" HOST "\r\n");
    assert_string_equal(w.trace, "http /?");
    assert_true(w.s->closing);
    wire_finish(&w);
}

/* ---- smuggling ---------------------------------------------------------------------------------
 */

#define POST_A "POST /a.B/Get HTTP/1.1\r\n"
#define JSON "Content-Type: application/json\r\n"

static const struct {
    const char *request;
    size_t size;
    const char *status;
} ambiguous[] = {
#define CASE(text, status)                             \
    {                                                  \
        text, sizeof(text) - 1, "HTTP/1.1 " status " " \
    }
    CASE(POST_A HOST JSON "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding:\x0b"
                          "chunked\r\n\r\n0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"
                          "0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding:\r\n\r\n", "400"),
    CASE("POST /a.B/Get HTTP/1.0\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "400"),
    CASE(POST_A HOST JSON "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400"),
    CASE(POST_A HOST JSON "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length: 2, 2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length: +2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length: -2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length: 0x2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length: 2 2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length:\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Content-Length: 99999999999999999999\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON "Content-Length : 2\r\n\r\n{}", "400"),
    CASE(POST_A HOST JSON " Content-Length: 2\r\n\r\n{}", "400"),
    CASE("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "no-colon\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\nHost: a\n\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X: a\rY: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X\0: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X(: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n" HOST "X\x80: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
    CASE("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"),
    CASE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
    CASE("GET / HTTP/0.9\r\n" HOST "\r\n", "505"),
    CASE("GET / HTTP/2.0\r\n" HOST "\r\n", "505"),
    CASE("GET / HTTP/3.1\r\n" HOST "\r\n", "505"),
    CASE("GET /\r\n\r\n", "400"),
    CASE("GET  / HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET / x HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET / HTTP/1.1 \r\n" HOST "\r\n", "400"),
    CASE("GET\t/ HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("get / HTTP/1.1\r\n" HOST "\r\n", "501"),
    CASE("GETX / HTTP/1.1\r\n" HOST "\r\n", "501"),
    CASE("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", "501"),
    CASE("TRACE / HTTP/1.1\r\n" HOST "\r\n", "501"),
    CASE("PROPFIND / HTTP/1.1\r\n" HOST "\r\n", "501"),
    CASE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
    CASE("GET * HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET x HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET /a#b HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET /a\x80 HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("GET ftp://a/b HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE("\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n", "400"),
    CASE(POST_A HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
                          "11111111111111111\r\n{}\r\n0\r\n\r\n",
         "400"),
#undef CASE
};

static void ambiguous_requests_are_refused(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t i = 0; i < sizeof ambiguous / sizeof ambiguous[0]; i++) {
        for (size_t cut = ambiguous[i].size; cut > 0; cut = cut == 1 ? 0 : 1) {
            struct wire w;
            wire_init(&w);
            feed(&w, dm_slice(ambiguous[i].request, ambiguous[i].size), cut);
            const char *text = heard(&w);
            if (strncmp(text, ambiguous[i].status, strlen(ambiguous[i].status)) != 0 ||
                !w.s->closing || w.trace[0] != '\0') {
                print_error("case %zu (cut %zu): %s\n gave %.60s [%s]\n", i, cut,
                            ambiguous[i].request, text, w.trace);
                wrong = true;
            }
            wire_finish(&w);
        }
    }
    assert_false(wrong);
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        unary_json,
        "POST /a.B/Get HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
        "2;a=b\r\n{}\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
        "GET /a.B/Get?message=%7b%7d&encoding=json&base64=0 HTTP/1.1\r\n" HOST "\r\n",
        "POST /a.B/Chat HTTP/1.1\r\n" HOST "Content-Type: application/grpc-web-text\r\n"
        "Content-Length: 12\r\n\r\nAAAAAAI=aGk=",
    };
    uint32_t seed = 99;
    for (int round = 0; round < 20000; round++) {
        char text[512];
        size_t size = (size_t)snprintf(text, sizeof text, "%s", seeds[round % 4]);
        for (int i = 0; i < 1 + round % 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[(seed >> 8) % size] = (char)(seed >> 24);
        }
        struct wire w;
        wire_init(&w);
        feed(&w, dm_slice(text, size), 1 + (seed >> 4) % 64);
        assert_true(dm_buf_size(&w.s->out) < 10000);
        wire_finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_call_gets_its_answer),
        cmocka_unit_test(requests_may_be_cut_anywhere),
        cmocka_unit_test(every_split_in_two_is_the_same),
        cmocka_unit_test(pipelined_requests_wait_for_a_late_answer),
        cmocka_unit_test(connect_errors_are_json_with_the_codes_status),
        cmocka_unit_test(a_get_carries_its_message_in_the_query),
        cmocka_unit_test(a_connect_stream_is_enveloped),
        cmocka_unit_test(an_http_1_0_stream_ends_with_the_connection),
        cmocka_unit_test(a_stream_of_requests_comes_with_its_body),
        cmocka_unit_test(wrong_calls_are_told_in_their_own_protocol),
        cmocka_unit_test(wrong_envelopes_are_told_why),
        cmocka_unit_test(timeouts_are_read),
        cmocka_unit_test(grpc_web_ends_with_a_trailer_frame),
        cmocka_unit_test(grpc_web_text_is_base64_in_segments),
        cmocka_unit_test(pages_are_handed_out),
        cmocka_unit_test(connections_live_as_http_says),
        cmocka_unit_test(what_is_not_served_says_so_and_the_connection_lives),
        cmocka_unit_test(cross_origin_calls_are_for_configured_origins),
        cmocka_unit_test(a_hundred_continue_comes_before_the_body),
        cmocka_unit_test(a_body_too_large_is_an_error_of_its_protocol),
        cmocka_unit_test(a_body_past_all_measure_closes),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(a_client_that_only_sends_is_held),
        cmocka_unit_test(a_client_that_does_not_read_is_not_served),
        cmocka_unit_test(answers_that_are_too_large_or_do_not_fit_become_errors),
        cmocka_unit_test(draining_closes_after_the_answer),
        cmocka_unit_test(ambiguous_requests_are_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
