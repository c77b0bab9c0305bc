#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "wire/session.h"

/* Every protocol of calls over both versions of HTTP: the same question is asked in both, bytes
 * in, and what comes back, bytes out, is the same but for how it travels. */

enum version { VERSION_1, VERSION_2, VERSIONS };
enum { HEADERS_MAX = 12 };

/* ---- asking --------------------------------------------------------------------------- */

struct question {
    const char *verb, *path, *type;
    const char *more[7]; /* headers, as name, value, ... */
    struct dm_slice body;
};

struct heard {
    char status[4];
    char headers[2048]; /* "name: value\n" each, without the status */
    char trailers[256];
    char trace[512]; /* what the owner of the session saw */
    struct dm_buf body;
    bool closing;
};

static void note(char *to, size_t room, struct dm_slice name, struct dm_slice value)
{
    size_t at = strlen(to);
    assert_true(at + name.size + value.size + 4 < room);
    (void)snprintf(to + at, room - at, "%.*s: %.*s\n", (int)name.size, (const char *)name.data,
                   (int)value.size, (const char *)value.data);
}

static bool takes_stream(struct dm_slice service, struct dm_slice method)
{
    (void)service;
    return dm_slice_equal(method, dm_slice_str("Chat"));
}

static const char *const origins[] = {"https://one.example", NULL};
static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
static const struct dm_session_limits limits = {
    .message_size_max = 100,
    .cors_origins = origins,
    .client_streaming = takes_stream,
    .date = date,
};

/* What the sessions are made with. */
static const struct dm_session_limits *in_force = &limits;

#define TEXT(slice) (int)(slice).size, (const char *)(slice).data

static const char asset[] = "bytes that lie in the program";

static void answer_page(struct dm_session *s, const struct dm_session_event *event)
{
    struct dm_http_answer answer;
    bool same = dm_slice_equal(event->method, dm_slice_str("/console/same"));
    dm_http_answer_init(&answer, same ? 304 : 200);
    dm_http_answer_type(&answer, "text/html");
    dm_http_headers_add(&answer.headers, DM_HTTP_HEADER("etag", "\"7\""));
    dm_http_headers_add(&answer.headers, DM_HTTP_HEADER("cache-control", "max-age=60"));
    answer.body = dm_slice_str(asset);
    answer.body_lasting = true;
    dm_session_answer(s, event->id, &answer);
}

static void answer_call(struct dm_session *s, const struct dm_session_event *event)
{
    if (dm_slice_equal(event->method, dm_slice_str("Fail"))) {
        dm_session_fail(s, event->id, DM_NOT_FOUND, "no such \xc3\xa4pfel");
    } else if (event->unary && !event->open &&
               !dm_slice_equal(event->method, dm_slice_str("Watch"))) {
        dm_session_reply(s, event->id, event->payload);
    } else {
        dm_session_stream_message(s, event->id, event->payload);
        if (!event->open) {
            dm_session_stream_message(s, event->id, dm_slice_str("more"));
            dm_session_stream_end(s, event->id);
        }
    }
}

static void serve(struct dm_session *s, struct heard *heard)
{
    struct dm_session_event event;
    while (dm_session_next(s, &event)) {
        size_t at = strlen(heard->trace);
        char *to = heard->trace + at;
        size_t room = sizeof heard->trace - at;
        switch (event.kind) {
        case DM_EVENT_CALL:
            (void)snprintf(to, room, "%s %.*s.%.*s(%.*s)%s%s ", s->protocol, TEXT(event.service),
                           TEXT(event.method), TEXT(event.payload),
                           event.codec == DM_CODEC_JSON ? " json" : "", event.get ? " get" : "");
            answer_call(s, &event);
            break;
        case DM_EVENT_INPUT:
            (void)snprintf(to, room, "INPUT(%.*s) ", TEXT(event.payload));
            dm_session_stream_message(s, event.id, event.payload);
            break;
        case DM_EVENT_INPUT_END:
            (void)snprintf(to, room, "END ");
            dm_session_stream_end(s, event.id);
            break;
        case DM_EVENT_CANCEL:
            (void)snprintf(to, room, "CANCEL ");
            break;
        case DM_EVENT_HTTP:
            (void)snprintf(to, room, "page %.*s?%.*s %.*s %.*s ", TEXT(event.method),
                           TEXT(event.payload), TEXT(event.if_none_match),
                           TEXT(event.accept_encoding));
            answer_page(s, &event);
            break;
        }
    }
    dm_session_flush(s);
}

static void feed(struct dm_session *s, struct heard *heard, const void *data, size_t size,
                 size_t cut)
{
    for (size_t at = 0; at < size; at += cut) {
        size_t part = size - at < cut ? size - at : cut;
        void *copy = malloc(part); /* so that a late read of it is seen */
        assert_non_null(copy);
        memcpy(copy, (const char *)data + at, part);
        dm_session_feed(s, dm_slice(copy, part));
        free(copy);
        serve(s, heard);
    }
}

/* ---- HTTP/1.1 ------------------------------------------------------------------------- */

static void put(struct dm_buf *to, const char *text)
{
    assert_true(dm_buf_append(to, text, strlen(text)));
}

static const char *take_line(struct dm_buf *from)
{
    static char line[1024];
    struct dm_slice bytes = dm_buf_slice(from);
    const char *end = memchr(bytes.data, '\n', bytes.size);
    assert_non_null(end);
    size_t size = (size_t)(end - (const char *)bytes.data);
    assert_true(size >= 1 && size < sizeof line && end[-1] == '\r');
    memcpy(line, bytes.data, size - 1);
    line[size - 1] = '\0';
    dm_buf_consume(from, size + 1);
    return line;
}

static void take_chunks(struct dm_buf *from, struct dm_buf *to)
{
    size_t size;
    do {
        size = strtoul(take_line(from), NULL, 16);
        assert_true(dm_buf_size(from) >= size + 2);
        assert_true(dm_buf_append(to, dm_buf_head(from), size));
        dm_buf_consume(from, size);
        assert_string_equal(take_line(from), "");
    } while (size != 0);
}

static void read_answer_1(struct dm_buf *out, struct heard *heard, bool head_only)
{
    const char *line = take_line(out);
    assert_int_equal(sscanf(line, "HTTP/1.1 %3s", heard->status), 1);
    bool chunked = false;
    size_t length = 0;
    while ((line = take_line(out))[0] != '\0') {
        const char *colon = strstr(line, ": ");
        assert_non_null(colon);
        chunked = chunked || strcmp(line, "transfer-encoding: chunked") == 0;
        if (strncmp(line, "content-length: ", 16) == 0) {
            length = strtoul(line + 16, NULL, 10);
        }
        if (strcmp(line, "transfer-encoding: chunked") != 0) {
            note(heard->headers, sizeof heard->headers, dm_slice(line, (size_t)(colon - line)),
                 dm_slice_str(colon + 2));
        }
    }
    if (chunked) {
        take_chunks(out, &heard->body);
    } else if (!head_only) {
        assert_int_equal(dm_buf_size(out), length);
        assert_true(dm_buf_append(&heard->body, dm_buf_head(out), length));
        dm_buf_consume(out, length);
    }
    assert_int_equal(dm_buf_size(out), 0);
}

static void ask_1(const struct question *q, size_t cut, struct heard *heard)
{
    struct dm_session *s = dm_http1_session(in_force);
    struct dm_buf bytes = {0};
    char length[40];
    assert_non_null(s);
    put(&bytes, q->verb);
    put(&bytes, " ");
    put(&bytes, q->path);
    put(&bytes, " HTTP/1.1\r\nHost: localhost\r\n");
    if (q->type != NULL) {
        put(&bytes, "Content-Type: ");
        put(&bytes, q->type);
        put(&bytes, "\r\n");
    }
    for (size_t i = 0; q->more[i] != NULL; i += 2) {
        put(&bytes, q->more[i]);
        put(&bytes, ": ");
        put(&bytes, q->more[i + 1]);
        put(&bytes, "\r\n");
    }
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", q->body.size);
    put(&bytes, length);
    assert_true(dm_buf_append(&bytes, q->body.data, q->body.size));
    feed(s, heard, dm_buf_head(&bytes), dm_buf_size(&bytes), cut);
    heard->closing = s->closing;
    assert_int_equal(s->calls, 0);
    read_answer_1(&s->out, heard, strcmp(q->verb, "HEAD") == 0);
    dm_buf_finish(&bytes);
    dm_session_destroy(s);
}

/* ---- HTTP/2 --------------------------------------------------------------------------- */

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    (void)ng;
    (void)flags;
    struct heard *heard = user;
    struct dm_slice key = dm_slice(name, name_size);
    if (dm_slice_equal(key, dm_slice_str(":status"))) {
        assert_int_equal(value_size, 3);
        memcpy(heard->status, value, 3);
    } else if (frame->headers.cat == NGHTTP2_HCAT_RESPONSE) {
        note(heard->headers, sizeof heard->headers, key, dm_slice(value, value_size));
    } else {
        note(heard->trailers, sizeof heard->trailers, key, dm_slice(value, value_size));
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    (void)ng;
    (void)flags;
    (void)id;
    struct heard *heard = user;
    assert_true(dm_buf_append(&heard->body, data, size));
    return 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)id;
    (void)user;
    struct dm_slice *body = source->ptr;
    size_t size = body->size < length ? body->size : length;
    if (size != 0) {
        memcpy(room, body->data, size);
    }
    *body = dm_slice((const char *)body->data + size, body->size - size);
    *flags |= body->size == 0 ? NGHTTP2_DATA_FLAG_EOF : 0;
    return (ssize_t)size;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

static nghttp2_session *open_client(struct heard *heard)
{
    nghttp2_session *ng;
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    assert_int_equal(nghttp2_session_client_new(&ng, callbacks, heard), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(ng, 0, NULL, 0), 0);
    return ng;
}

static void ask_2(const struct question *q, size_t cut, struct heard *heard)
{
    struct dm_session *s = dm_h2_session(in_force);
    nghttp2_session *ng = open_client(heard);
    struct dm_slice body = q->body;
    nghttp2_data_provider provider = {.source.ptr = &body, .read_callback = read_body};
    nghttp2_nv headers[HEADERS_MAX] = {nv(":method", q->verb), nv(":scheme", "http"),
                                       nv(":authority", "localhost"), nv(":path", q->path)};
    size_t count = 4;
    assert_non_null(s);
    if (q->type != NULL) {
        headers[count++] = nv("content-type", q->type);
    }
    for (size_t i = 0; q->more[i] != NULL; i += 2) {
        headers[count++] = nv(q->more[i], q->more[i + 1]);
    }
    assert_true(nghttp2_submit_request(ng, NULL, headers, count, body.size == 0 ? NULL : &provider,
                                       NULL) > 0);
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(ng, &data)) > 0) {
        feed(s, heard, data, (size_t)size, cut);
        ssize_t used = nghttp2_session_mem_recv(ng, dm_buf_head(&s->out), dm_buf_size(&s->out));
        assert_int_equal(used, dm_buf_size(&s->out));
        dm_buf_consume(&s->out, (size_t)used);
    }
    heard->closing = s->closing;
    assert_int_equal(s->calls, 0);
    nghttp2_session_del(ng);
    dm_session_destroy(s);
}

static void ask(enum version version, const struct question *q, size_t cut, struct heard *heard)
{
    *heard = (struct heard){.status = ""};
    if (version == VERSION_1) {
        ask_1(q, cut, heard);
    } else {
        ask_2(q, cut, heard);
    }
    assert_false(heard->closing);
}

/* ---- bodies --------------------------------------------------------------------------- */

static void envelope(struct dm_buf *to, uint8_t flags, const char *text)
{
    uint8_t head[5] = {flags};
    dm_store_be32(head + 1, (uint32_t)strlen(text));
    assert_true(dm_buf_append(to, head, sizeof head) && dm_buf_append(to, text, strlen(text)));
}

/* Readable: each envelope as "flags:text|", what is none as it is. */
static const char *opened(struct dm_slice body)
{
    static char text[1024];
    const uint8_t *at = body.data;
    size_t used = 0;
    text[0] = '\0';
    for (size_t left = body.size; left >= 5;) {
        size_t size = dm_load_be32(at + 1);
        assert_true(size <= left - 5);
        used += (size_t)snprintf(text + used, sizeof text - used, "%u:%.*s|", at[0], (int)size,
                                 (const char *)at + 5);
        at += 5 + size;
        left -= 5 + size;
    }
    return text;
}

static const char *opened_text(struct dm_slice body)
{
    static uint8_t room[1024];
    ptrdiff_t size = dm_base64_read_segments(body, room);
    assert_true(size >= 0);
    return opened(dm_slice(room, (size_t)size));
}

static const char *plain(struct dm_slice body)
{
    static char text[1024];
    (void)snprintf(text, sizeof text, "%.*s", (int)body.size,
                   body.data == NULL ? "" : (const char *)body.data);
    return text;
}

static void assert_header(const struct heard *heard, const char *line)
{
    if (strstr(heard->headers, line) == NULL) {
        print_error("no \"%s\" in \"%s\"\n", line, heard->headers);
        fail();
    }
}

/* ---- the cases ------------------------------------------------------------------------ */

enum form { PLAIN, ENVELOPES, TEXT_ENVELOPES };

static const struct {
    const char *verb, *path, *type;
    enum form form;
    const char *messages[3]; /* of the request */
    const char *trace, *status, *answer, *answer_type;
    const char *trailers; /* HTTP's */
    bool only_2;
} cases[] = {
    {"POST",
     "/a.B/Get",
     "application/proto",
     PLAIN,
     {"hello"},
     "connect a.B.Get(hello) ",
     "200",
     "hello",
     "application/proto",
     "",
     false},
    {"POST",
     "/a.B/Get",
     "application/json",
     PLAIN,
     {"{}"},
     "connect a.B.Get({}) json ",
     "200",
     "{}",
     "application/json",
     "",
     false},
    {"POST",
     "/a.B/Get",
     "application/json; charset=utf-8",
     PLAIN,
     {""},
     "connect a.B.Get() json ",
     "200",
     "",
     "application/json",
     "",
     false},
    {"GET",
     "/a.B/Get?encoding=json&base64=1&message=e30",
     NULL,
     PLAIN,
     {""},
     "connect a.B.Get({}) json get ",
     "200",
     "{}",
     "application/json",
     "",
     false},
    {"POST",
     "/a.B/Fail",
     "application/proto",
     PLAIN,
     {"x"},
     "connect a.B.Fail(x) ",
     "404",
     "{\"code\":\"not_found\",\"message\":\"no such \xc3\xa4pfel\"}",
     "application/json",
     "",
     false},
    {"POST",
     "/a.B/Watch",
     "application/connect+proto",
     ENVELOPES,
     {"x"},
     "connect a.B.Watch(x) ",
     "200",
     "0:x|0:more|2:{}|",
     "application/connect+proto",
     "",
     false},
    {"POST",
     "/a.B/Fail",
     "application/connect+json",
     ENVELOPES,
     {"x"},
     "connect a.B.Fail(x) json ",
     "200",
     "2:{\"error\":{\"code\":\"not_found\",\"message\":\"no such \xc3\xa4pfel\"}}|",
     "application/connect+json",
     "",
     false},
    {"POST",
     "/a.B/Chat",
     "application/connect+proto",
     ENVELOPES,
     {"x", "y", "z"},
     "connect a.B.Chat(x) INPUT(y) INPUT(z) END ",
     "200",
     "0:x|0:y|0:z|2:{}|",
     "application/connect+proto",
     "",
     false},
    {"POST",
     "/a.B/Get",
     "application/grpc-web",
     ENVELOPES,
     {"x"},
     "grpc-web a.B.Get(x) ",
     "200",
     "0:x|128:grpc-status: 0\r\n|",
     "application/grpc-web",
     "",
     false},
    {"POST",
     "/a.B/Watch",
     "application/grpc-web+json",
     ENVELOPES,
     {"x"},
     "grpc-web a.B.Watch(x) json ",
     "200",
     "0:x|0:more|128:grpc-status: 0\r\n|",
     "application/grpc-web+json",
     "",
     false},
    {"POST",
     "/a.B/Fail",
     "application/grpc-web+proto",
     ENVELOPES,
     {"x"},
     "grpc-web a.B.Fail(x) ",
     "200",
     "128:grpc-status: 5\r\ngrpc-message: no such %C3%A4pfel\r\n|",
     "application/grpc-web+proto",
     "",
     false},
    {"POST",
     "/a.B/Get",
     "application/grpc-web-text",
     TEXT_ENVELOPES,
     {"x"},
     "grpc-web a.B.Get(x) ",
     "200",
     "0:x|128:grpc-status: 0\r\n|",
     "application/grpc-web-text",
     "",
     false},
    {"POST",
     "/a.B/Chat",
     "application/grpc-web-text+proto",
     TEXT_ENVELOPES,
     {"x", "y"},
     "grpc-web a.B.Chat(x) INPUT(y) END ",
     "200",
     "0:x|0:y|128:grpc-status: 0\r\n|",
     "application/grpc-web-text+proto",
     "",
     false},
    {"POST",
     "/a.B/Get",
     "application/grpc",
     ENVELOPES,
     {"x"},
     "grpc a.B.Get(x) ",
     "200",
     "0:x|",
     "application/grpc",
     "grpc-status: 0\n",
     true},
    {"POST",
     "/a.B/Watch",
     "application/grpc+json",
     ENVELOPES,
     {"x"},
     "grpc a.B.Watch(x) json ",
     "200",
     "0:x|0:more|",
     "application/grpc+json",
     "grpc-status: 0\n",
     true},
};

static void make_body(enum form form, const char *const messages[3], struct dm_buf *to)
{
    for (size_t i = 0; i < 3 && messages[i] != NULL; i++) {
        if (form == PLAIN) {
            put(to, messages[i]);
        } else {
            envelope(to, 0, messages[i]);
        }
    }
    if (form == TEXT_ENVELOPES) {
        struct dm_buf text = {0};
        assert_true(dm_base64_append(&text, DM_BASE64_PADDED, dm_buf_slice(to)));
        dm_buf_finish(to);
        *to = text;
    }
}

static void every_protocol_works_over_both_versions(void **state)
{
    (void)state;
    static const size_t cuts[] = {1, 7, 100000};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dm_buf body = {0};
        make_body(cases[i].form, cases[i].messages, &body);
        const struct question q = {.verb = cases[i].verb,
                                   .path = cases[i].path,
                                   .type = cases[i].type,
                                   .body = dm_buf_slice(&body)};
        for (size_t j = 0; j < sizeof cuts / sizeof cuts[0]; j++) {
            for (enum version v = cases[i].only_2 ? VERSION_2 : VERSION_1; v < VERSIONS; v++) {
                struct heard heard;
                char type[80];
                ask(v, &q, cuts[j], &heard);
                struct dm_slice bytes = dm_buf_slice(&heard.body);
                (void)snprintf(type, sizeof type, "content-type: %s\n", cases[i].answer_type);
                assert_string_equal(heard.trace, cases[i].trace);
                assert_string_equal(heard.status, cases[i].status);
                assert_header(&heard, type);
                assert_header(&heard, "x-content-type-options: nosniff\n");
                assert_header(&heard, "cache-control: no-store\n");
                bool dated = strstr(heard.headers, "date: Sun, 06 Nov 1994 08:49:37 GMT\n") != NULL;
                assert_int_equal(dated, !cases[i].only_2); /* gRPC tells none */
                assert_header(&heard, "vary: origin\n");
                assert_string_equal(cases[i].form == PLAIN       ? plain(bytes)
                                    : cases[i].form == ENVELOPES ? opened(bytes)
                                                                 : opened_text(bytes),
                                    cases[i].answer);
                assert_string_equal(heard.trailers, cases[i].trailers);
                dm_buf_finish(&heard.body);
            }
        }
        dm_buf_finish(&body);
    }
}

/* ---- what is refused ------------------------------------------------------------------ */

static const struct {
    struct question q;
    const char *status;
    const char *part[VERSIONS]; /* of the body; NULL: not asked in this version */
    const char *header;         /* or NULL */
} refused[] = {
    {{"POST", "/a.B/Get", "text/plain", {NULL}, {"x", 1}},
     "415",
     {"application/json", "application/json"},
     "accept-post: application/json, "},
    {{"POST", "/a.B/Get", "text/plain", {NULL}, {"x", 1}},
     "415",
     {"application/json", NULL},
     "application/grpc-web-text+proto\n"},
    {{"POST", "/a.B/Get", "text/plain", {NULL}, {"x", 1}},
     "415",
     {NULL, "application/json"},
     "application/grpc-web-text+proto, application/grpc\n"},
    {{"POST", "/a.B/Get", "application/grpc", {NULL}, {"\0\0\0\0\0", 5}},
     "415",
     {"gRPC needs HTTP/2", NULL},
     "accept-post: application/json, "},
    {{"PUT", "/a.B/Get", "application/proto", {NULL}, {"x", 1}},
     "405",
     {"POST", "POST"},
     "allow: GET, POST\n"},
    {{"POST", "/metrics", "text/plain", {NULL}, {"x", 1}},
     "405",
     {"GET", "GET"},
     "allow: GET, HEAD\n"},
    {{"POST", "/ab/c", "application/proto", {NULL}, {"x", 1}}, "404", {"service", "service"}, NULL},
    {{"GET", "/a.B/Get", NULL, {NULL}, {NULL, 0}}, "415", {"encoding=json", "encoding=json"}, NULL},
    {{"GET", "/a.B/Get?encoding=json&message=%", NULL, {NULL}, {NULL, 0}},
     "400",
     {"malformed", "malformed"},
     "content-type: application/json\n"},
    {{"POST", "/a.B/Get", "application/proto", {"content-encoding", "gzip", NULL}, {"x", 1}},
     "501",
     {"unimplemented", "unimplemented"},
     "accept-encoding: identity\n"},
    {{"POST", "/a.B/Get", "application/proto", {"connect-timeout-ms", "1s", NULL}, {"x", 1}},
     "400",
     {"connect-timeout-ms", "connect-timeout-ms"},
     NULL},
    {{"POST", "/a.B/Get", "application/proto", {"connect-protocol-version", "2", NULL}, {"x", 1}},
     "400",
     {"connect-protocol-version", "connect-protocol-version"},
     NULL},
    {{"POST", "/a.B/Get", "application/grpc-web", {"grpc-encoding", "gzip", NULL}, {"x", 1}},
     "200",
     {"grpc-status: 12", "grpc-status: 12"},
     "grpc-accept-encoding: identity\n"},
    {{"POST", "/a.B/Get", "application/grpc-web", {NULL}, {"\0\0\0\0\2x", 6}},
     "200",
     {"grpc-status: 13", "grpc-status: 13"},
     NULL},
    {{"POST", "/a.B/Get", "application/connect+proto", {NULL}, {"", 0}},
     "200",
     {"unimplemented", "unimplemented"},
     NULL},
    {{"POST", "/a.B/Get", "application/connect+proto", {NULL}, {"\0\0\0\0\1x\0\0\0\0\1y", 12}},
     "200",
     {"unimplemented", "unimplemented"},
     NULL},
    {{"POST", "/a.B/Get", "application/grpc-web-text", {NULL}, {"AAA*", 4}},
     "200",
     {"ncnBjLXN0YXR1czogMw0K", "ncnBjLXN0YXR1czogMw0K"},
     NULL}, /* "grpc-status: 3" */
    {{"POST", "/a.B/Get", "application/proto", {"origin", "https://other.example", NULL}, {"x", 1}},
     "403",
     {"--cors-origin", "--cors-origin"},
     NULL},
};

static void what_is_wrong_is_told_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        for (enum version v = VERSION_1; v < VERSIONS; v++) {
            struct heard heard;
            if (refused[i].part[v] == NULL) {
                continue;
            }
            ask(v, &refused[i].q, 100000, &heard);
            struct dm_slice body = dm_buf_slice(&heard.body);
            bool told = memmem(body.data, body.size, refused[i].part[v],
                               strlen(refused[i].part[v])) != NULL;
            if (strcmp(heard.status, refused[i].status) != 0 || !told) {
                print_error("case %zu over HTTP/%d: %s \"%s\"\n", i, (int)v + 1, heard.status,
                            plain(body));
                fail();
            }
            assert_string_equal(heard.trace, "");
            if (refused[i].header != NULL) {
                assert_header(&heard, refused[i].header);
            }
            dm_buf_finish(&heard.body);
        }
    }
}

static void messages_have_the_same_limit(void **state)
{
    (void)state;
    static const char *const types[] = {"application/proto", "application/grpc-web",
                                        "application/connect+proto", "application/grpc-web-text"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (size_t size = 100; size <= 101; size++) {
            char text[102];
            struct dm_buf body = {0};
            const char *const messages[3] = {text};
            memset(text, 'm', size);
            text[size] = '\0';
            make_body(i == 0 ? PLAIN : i == 3 ? TEXT_ENVELOPES : ENVELOPES, messages, &body);
            const struct question q = {.verb = "POST",
                                       .path = "/a.B/Watch",
                                       .type = types[i],
                                       .body = dm_buf_slice(&body)};
            for (enum version v = VERSION_1; v < VERSIONS; v++) {
                struct heard heard;
                ask(v, &q, 100000, &heard);
                assert_int_equal(heard.trace[0] != '\0', size == 100);
                dm_buf_finish(&heard.body);
            }
            dm_buf_finish(&body);
        }
    }
}

static void long_messages_are_refused_in_a_crowd(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum form form;
        bool only_2;
    } kinds[] = {
        {"application/proto", PLAIN, false},
        {"application/connect+json", ENVELOPES, false},
        {"application/grpc-web", ENVELOPES, false},
        {"application/grpc-web-text", TEXT_ENVELOPES, false},
        {"application/grpc", ENVELOPES, true},
    };
    static char text[DM_SMALL_BODY + 2];
    struct dm_crowd crowd = {.full = true};
    const struct dm_session_limits crowded = {.crowd = &crowd};
    uint64_t refused_before = 0;
    in_force = &crowded;
    memset(text, 'm', sizeof text - 1);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int longer = 0; longer < 2; longer++) {
            struct dm_buf body = {0};
            const char *const messages[3] = {longer != 0 ? text : "short"};
            make_body(kinds[i].form, messages, &body);
            const struct question q = {.verb = "POST",
                                       .path = "/a.B/Watch",
                                       .type = kinds[i].type,
                                       .body = dm_buf_slice(&body)};
            for (enum version v = kinds[i].only_2 ? VERSION_2 : VERSION_1; v < VERSIONS; v++) {
                struct heard heard;
                ask(v, &q, 1000, &heard);
                assert_int_equal(heard.trace[0] == '\0', longer != 0);
                assert_int_equal(crowd.refused, refused_before + (uint64_t)longer);
                refused_before = crowd.refused;
                dm_buf_finish(&heard.body);
            }
            dm_buf_finish(&body);
        }
    }
    in_force = &limits;
}

/* ---- what does not come --------------------------------------------------------------- */

static ssize_t read_nothing(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)id;
    (void)room;
    (void)length;
    (void)flags;
    (void)source;
    (void)user;
    return NGHTTP2_ERR_DEFERRED;
}

static void move(struct dm_session *s, nghttp2_session *ng, struct heard *heard)
{
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(ng, &data)) > 0) {
        feed(s, heard, data, (size_t)size, 1000);
    }
    dm_session_flush(s);
    ssize_t used = nghttp2_session_mem_recv(ng, dm_buf_head(&s->out), dm_buf_size(&s->out));
    assert_int_equal(used, dm_buf_size(&s->out));
    dm_buf_consume(&s->out, (size_t)used);
}

static void a_request_that_does_not_come_is_answered_in_its_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *status[2], *part[2]; /* too slow; the server stops */
    } kinds[] = {
        {"application/proto", {"504", "503"}, {"deadline_exceeded", "unavailable"}},
        {"application/connect+proto", {"200", "200"}, {"deadline_exceeded", "unavailable"}},
        {"application/grpc-web", {"200", "200"}, {"grpc-status: 4", "grpc-status: 14"}},
        {"application/grpc", {"200", "200"}, {"grpc-status: 4", "grpc-status: 14"}},
        {"text/plain", {"415", "415"}, {"content-type", "content-type"}},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int stops = 0; stops < 2; stops++) {
            struct heard heard = {.status = ""};
            struct dm_session *s = dm_h2_session(&limits);
            nghttp2_session *ng = open_client(&heard);
            nghttp2_data_provider provider = {.read_callback = read_nothing};
            const nghttp2_nv headers[] = {nv(":method", "POST"), nv(":scheme", "http"),
                                          nv(":authority", "localhost"), nv(":path", "/a.B/Get"),
                                          nv("content-type", kinds[i].type)};
            assert_non_null(s);
            assert_true(nghttp2_submit_request(ng, NULL, headers, 5, &provider, NULL) > 0);
            move(s, ng, &heard);
            assert_string_equal(heard.status, "");
            if (stops != 0) {
                dm_session_give_up(s);
            } else {
                s->now_ns += DM_BODY_WINDOW_MS * 1000000ULL;
                assert_true(dm_session_hurry(s));
            }
            move(s, ng, &heard);
            assert_string_equal(heard.status, kinds[i].status[stops]);
            struct dm_slice body = dm_buf_slice(&heard.body);
            const char *part = kinds[i].part[stops];
            bool told =
                strstr(heard.headers, part) != NULL ||
                (body.size != 0 && memmem(body.data, body.size, part, strlen(part)) != NULL);
            assert_true(told);
            assert_string_equal(heard.trace, "");
            dm_buf_finish(&heard.body);
            nghttp2_session_del(ng);
            dm_session_destroy(s);
        }
    }
}

/* ---- pages ---------------------------------------------------------------------------- */

static void a_page_has_its_headers_and_its_length(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path, *status;
        bool body, length;
    } pages[] = {
        {"GET", "/console/app.js", "200", true, true},
        {"HEAD", "/console/app.js", "200", false, true},
        {"GET", "/console/same", "304", false, false},
        {"GET", "/elsewhere?x=y", "200", true, true},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        for (enum version v = VERSION_1; v < VERSIONS; v++) {
            const struct question q = {
                .verb = pages[i].verb,
                .path = pages[i].path,
                .more = {"if-none-match", "\"7\"", "accept-encoding", "gzip, br", NULL}};
            struct heard heard;
            char length[40];
            char trace[80];
            bool query = strchr(pages[i].path, '?') != NULL;
            ask(v, &q, 3, &heard);
            (void)snprintf(trace, sizeof trace, "page %s%s \"7\" gzip, br ", pages[i].path,
                           query ? "" : "?");
            assert_string_equal(heard.trace, trace);
            (void)snprintf(length, sizeof length, "content-length: %zu\n", strlen(asset));
            assert_string_equal(heard.status, pages[i].status);
            assert_header(&heard, "etag: \"7\"\n");
            assert_header(&heard, "cache-control: max-age=60\n");
            assert_null(strstr(heard.headers, "no-store"));
            assert_int_equal(strstr(heard.headers, length) != NULL, pages[i].length);
            assert_int_equal(strstr(heard.headers, "content-length") != NULL, pages[i].length);
            assert_string_equal(plain(dm_buf_slice(&heard.body)), pages[i].body ? asset : "");
            dm_buf_finish(&heard.body);
        }
    }
}

static void a_page_of_an_allowed_origin_may_ask_first_and_then_call(void **state)
{
    (void)state;
    static const struct question first = {
        "OPTIONS",
        "/a.B/Get",
        NULL,
        {"origin", "https://one.example", "access-control-request-method", "POST", NULL},
        {NULL, 0}};
    static const struct question then = {
        "POST", "/a.B/Get", "application/json", {"origin", "https://one.example", NULL}, {"{}", 2}};
    for (enum version v = VERSION_1; v < VERSIONS; v++) {
        struct heard heard;
        ask(v, &first, 100000, &heard);
        assert_string_equal(heard.status, "204");
        assert_header(&heard, "access-control-allow-origin: https://one.example\n");
        assert_header(&heard, "access-control-allow-methods: GET, POST\n");
        assert_null(strstr(heard.headers, "content-length"));
        dm_buf_finish(&heard.body);
        ask(v, &then, 100000, &heard);
        assert_string_equal(heard.status, "200");
        assert_header(&heard, "access-control-allow-origin: https://one.example\n");
        dm_buf_finish(&heard.body);
    }
}

static void a_date_is_written_as_http_wants_it(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_s;
        const char *text;
    } dates[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951827696, "Tue, 29 Feb 2000 12:34:56 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-1, "Thu, 01 Jan 1970 00:00:00 GMT"},
    };
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        char text[DM_HTTP_DATE_SIZE + 1] = "";
        dm_http_date(dates[i].unix_s, text);
        assert_string_equal(text, dates[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_protocol_works_over_both_versions),
        cmocka_unit_test(what_is_wrong_is_told_alike),
        cmocka_unit_test(messages_have_the_same_limit),
        cmocka_unit_test(long_messages_are_refused_in_a_crowd),
        cmocka_unit_test(a_request_that_does_not_come_is_answered_in_its_protocol),
        cmocka_unit_test(a_page_has_its_headers_and_its_length),
        cmocka_unit_test(a_date_is_written_as_http_wants_it),
        cmocka_unit_test(a_page_of_an_allowed_origin_may_ask_first_and_then_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
