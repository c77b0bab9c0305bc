#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include <stdio.h>

#include "wire/session.h"

/* What pages may do over HTTP/2, where a proxy may have brought them. */

enum { HEADERS_MAX = 12 };

struct asked {
    char head[1024]; /* of the answer: "name: value\n" ... */
};

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    (void)ng;
    (void)frame;
    (void)flags;
    struct asked *asked = user;
    size_t at = strlen(asked->head);
    (void)snprintf(asked->head + at, sizeof asked->head - at, "%.*s: %.*s\n", (int)name_size,
                   (const char *)name, (int)value_size, (const char *)value);
    return 0;
}

static ssize_t empty_message(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                             uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)id;
    (void)length;
    (void)source;
    (void)user;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    memset(room, 0, 5);
    return 5;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

static void serve(struct dm_session *s)
{
    struct dm_session_event event;
    while (dm_session_next(s, &event)) {
        if (event.kind == DM_EVENT_CALL) {
            dm_session_reply(s, event.id, event.payload);
            continue;
        }
        bool empty = dm_slice_equal(event.method, dm_slice_str("/empty"));
        bool same = dm_slice_equal(event.method, dm_slice_str("/same"));
        dm_session_http_reply(s, event.id,
                              empty  ? 204
                              : same ? 304
                                     : 200,
                              empty ? NULL : "text/plain", dm_slice_str("page"));
    }
    dm_session_flush(s);
}

/* Sends the headers, and a message if it is a post, and waits for the answer. */
static void ask(const struct dm_session_limits *limits, const nghttp2_nv *headers, size_t count,
                bool post, struct asked *asked)
{
    struct dm_session *s = dm_h2_session(limits);
    nghttp2_session *ng;
    nghttp2_session_callbacks *callbacks;
    nghttp2_data_provider provider = {.read_callback = empty_message};
    *asked = (struct asked){.head = ""};
    assert_non_null(s);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    assert_int_equal(nghttp2_session_client_new(&ng, callbacks, asked), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(ng, 0, NULL, 0), 0);
    assert_true(nghttp2_submit_request(ng, NULL, headers, count, post ? &provider : NULL, NULL) >
                0);
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(ng, &data)) > 0) {
        dm_session_feed(s, dm_slice(data, (size_t)size));
        serve(s);
        ssize_t used = nghttp2_session_mem_recv(ng, dm_buf_head(&s->out), dm_buf_size(&s->out));
        assert_int_equal(used, dm_buf_size(&s->out));
        dm_buf_consume(&s->out, (size_t)used);
    }
    nghttp2_session_del(ng);
    dm_session_destroy(s);
}

enum kind { CALL, PAGE, FILE_PAGE, EMPTY, SAME, KINDS };

/* A request with up to two more headers. */
static void ask_kind(const struct dm_session_limits *limits, enum kind kind,
                     const char *const more[4], struct asked *asked)
{
    static const char *const paths[KINDS] = {"/a.B/Get", "/metrics", "/console/", "/empty",
                                             "/same"};
    nghttp2_nv headers[HEADERS_MAX] = {
        nv(":method", kind == CALL ? "POST" : "GET"), nv(":scheme", "http"),
        nv(":authority", "dormouse.mesh:7400"), nv(":path", paths[kind])};
    size_t count = 4;
    if (kind == CALL) {
        headers[count++] = nv("content-type", "application/grpc");
    }
    for (size_t i = 0; i < 4 && more[i] != NULL; i += 2) {
        headers[count++] = nv(more[i], more[i + 1]);
    }
    ask(limits, headers, count, kind == CALL, asked);
}

static void assert_begins(const struct asked *asked, const char *start)
{
    if (strncmp(asked->head, start, strlen(start)) != 0) {
        print_error("\"%s\" does not begin with \"%s\"\n", asked->head, start);
        fail();
    }
}

static const char *const origins[] = {"https://app.example", NULL};
static const struct dm_session_limits plain = {0};
static const struct dm_session_limits named = {.cors_origins = origins};

static void pages_of_other_origins_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *more[4];
        int status, status_named;
    } cases[] = {
        {{NULL}, 200, 200},
        {{"origin", "https://evil.example"}, 403, 403},
        {{"origin", "https://app.example"}, 403, 200},
        {{"origin", "http://dormouse.mesh:7400"}, 200, 200},
        {{"origin", "https://dormouse.mesh:7400"}, 403, 403},
        {{"origin", "null"}, 403, 403},
        {{"origin", ""}, 403, 403},
        {{"origin", "https://app.example", "origin", "https://app.example"}, 403, 403},
        {{"sec-fetch-site", "cross-site"}, 403, 403},
        {{"sec-fetch-site", "cross-site", "origin", "https://app.example"}, 403, 200},
        {{"sec-fetch-site", "same-origin"}, 200, 200},
        {{"sec-fetch-site", "none", "sec-fetch-site", "none"}, 403, 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (enum kind kind = CALL; kind <= FILE_PAGE; kind++) {
            char start[32];
            struct asked asked;
            ask_kind(&plain, kind, cases[i].more, &asked);
            (void)snprintf(start, sizeof start, ":status: %d\n",
                           kind == FILE_PAGE ? 200 : cases[i].status);
            assert_begins(&asked, start);
            ask_kind(&named, kind, cases[i].more, &asked);
            (void)snprintf(start, sizeof start, ":status: %d\n",
                           kind == FILE_PAGE ? 200 : cases[i].status_named);
            assert_begins(&asked, start);
        }
    }
}

static void a_long_origin_is_compared_to_its_end(void **state)
{
    (void)state;
    char name[400];
    char origin[420];
    struct asked asked;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)snprintf(origin, sizeof origin, "http://%s", name);
    const nghttp2_nv headers[] = {nv(":method", "GET"), nv(":scheme", "http"),
                                  nv(":authority", name), nv(":path", "/"), nv("origin", origin)};
    ask(&plain, headers, 5, false, &asked);
    assert_begins(&asked, ":status: 200\n");
    ask(&plain, headers, 4, false, &asked);
    assert_begins(&asked, ":status: 200\n");
    origin[strlen(origin) - 1] = 'b';
    ask(&plain, headers, 5, false, &asked);
    assert_begins(&asked, ":status: 403\n");
}

static void two_content_types_are_refused(void **state)
{
    (void)state;
    static const char *const more[4] = {"content-type", "application/grpc"};
    struct asked asked;
    ask_kind(&plain, CALL, more, &asked);
    assert_begins(&asked, ":status: 400\n");
}

static void answers_are_not_sniffed_and_not_kept(void **state)
{
    (void)state;
    static const char *const none[4] = {NULL};
    struct asked asked;
    for (enum kind kind = CALL; kind < KINDS; kind++) {
        ask_kind(&plain, kind, none, &asked);
        assert_non_null(strstr(asked.head, "x-content-type-options: nosniff\n"));
        bool kept = strstr(asked.head, "cache-control: no-store\n") == NULL;
        assert_int_equal(kept, kind == FILE_PAGE);
        bool length = strstr(asked.head, "content-length: ") != NULL;
        assert_int_equal(length, kind == PAGE || kind == FILE_PAGE);
    }
    ask_kind(&plain, EMPTY, none, &asked);
    assert_begins(&asked, ":status: 204\n");
    ask_kind(&plain, SAME, none, &asked);
    assert_begins(&asked, ":status: 304\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_other_origins_are_refused),
        cmocka_unit_test(a_long_origin_is_compared_to_its_end),
        cmocka_unit_test(two_content_types_are_refused),
        cmocka_unit_test(answers_are_not_sniffed_and_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
