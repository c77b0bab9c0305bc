#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "wire/browser.h"

/* What pages may do, asked of a session of HTTP/1.1 by whole requests. */

static bool known(struct dm_slice service)
{
    return dm_slice_equal(service, dm_slice_str("a.B"));
}

static const char *const hosts[] = {"dormouse.example", "Inner-Name", NULL};
static const char *const origins[] = {"https://app.example", "http://localhost:3000", NULL};
static const char *const everybody[] = {"*", NULL};
static const struct dm_session_limits plain = {.known_service = known};
static const struct dm_session_limits named = {
    .known_service = known, .hosts = hosts, .cors_origins = origins};
static const struct dm_session_limits open_to_all = {.known_service = known,
                                                     .cors_origins = everybody};
static const struct dm_session_limits local = {.known_service = known, .any_host = true};

/* The answer to these bytes; what is let through is answered with 200. */
static const char *ask(const struct dm_session_limits *limits, const char *request)
{
    static char answer[4096];
    struct dm_session *s = dm_http1_session(limits);
    assert_non_null(s);
    dm_session_feed(s, dm_slice_str(request));
    struct dm_session_event event;
    while (dm_session_next(s, &event)) {
        if (event.kind == DM_EVENT_HTTP) {
            dm_session_http_reply(s, event.id, 200, "text/plain", dm_slice_str("page"));
        } else {
            dm_session_reply(s, event.id, dm_slice_str("{}"));
        }
    }
    assert_true(dm_buf_size(&s->out) < sizeof answer);
    snprintf(answer, sizeof answer, "%.*s", (int)dm_buf_size(&s->out),
             (const char *)dm_buf_head(&s->out));
    dm_session_destroy(s);
    return answer;
}

static void assert_status(const char *request, const char *answer, int status)
{
    char start[32];
    snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
    if (strncmp(answer, start, strlen(start)) != 0) {
        print_error("%s\n was answered with %.200s, not %d\n", request, answer, status);
        fail();
    }
}

#define CALL "POST /a.B/Get HTTP/1.1\r\n"
#define JSON "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
#define PREFLIGHT "Access-Control-Request-Method: POST\r\n\r\n"

static void a_host_is_an_address_localhost_or_named(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status, status_named;
    } cases[] = {
        {"127.0.0.1", 200, 200},
        {"127.0.0.1:7400", 200, 200},
        {"127.0.0.1:", 200, 200},
        {"10.1.2.3:80", 200, 200},
        {"[::1]", 200, 200},
        {"[::1]:7400", 200, 200},
        {"[fe80::1:2]:7400", 200, 200},
        {"localhost", 200, 200},
        {"LocalHost:7400", 200, 200},
        {"dormouse.example", 421, 200},
        {"DORMOUSE.example:443", 421, 200},
        {"inner-name", 421, 200},
        {"dormouse.example.", 421, 421},
        {"dormouse.example.evil.example", 421, 421},
        {"evil.example:7400", 421, 421},
        {"localhost.evil.example", 421, 421},
        {"127.0.0.1.evil.example", 421, 421},
        {"1.2.3", 421, 421},
        {"127.0.0.1x", 421, 421},
        {"127.0.0.01", 421, 421},
        {"256.0.0.1", 421, 421},
        {"2130706433", 421, 421},
        {"0x7f000001", 421, 421},
        {"[::1%25lo]", 421, 421},
        {"[v1.x]", 421, 421},
        {"[127.0.0.1]", 421, 421},
        {"[]", 421, 421},
        {"", 421, 421},
        {"[::1", 400, 400},
        {"::1", 400, 400},
        {"[::1]x", 400, 400},
        {"127.0.0.1:x", 400, 400},
        {"127.0.0.1:123456", 400, 400},
        {"127.0.0.1:80:80", 400, 400},
        {"a@127.0.0.1", 400, 400},
        {"127.0.0.1/", 400, 400},
        {"127.0.0.1, evil.example", 400, 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, CALL "Host: %s\r\n" JSON, cases[i].host);
        assert_status(request, ask(&plain, request), cases[i].status);
        assert_status(request, ask(&named, request), cases[i].status_named);
        assert_status(request, ask(&local, request), cases[i].status == 400 ? 400 : 200);
    }
}

static void the_host_of_an_absolute_target_counts(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200},
        {"GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421},
        {"GET https://evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
        {"GET http://evil.example/healthz HTTP/1.0\r\n\r\n", 421},
        {"GET http://localhost:7400?x HTTP/1.0\r\n\r\n", 200},
        {"GET http:///healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400},
        {"GET http://a@127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400},
        {"GET http://127.0.0.1:x/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400},
        {"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n", 400},
        {"GET /metrics HTTP/1.0\r\n\r\n", 200},
        {"GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421},
        {"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
        {"GET /console/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_status(cases[i].request, ask(&plain, cases[i].request), cases[i].status);
    }
    const char *answer = ask(&plain, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_non_null(strstr(answer, "--host NAME"));
}

#define HERE "Host: 127.0.0.1:7400\r\n"

static void a_page_of_another_origin_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *headers; /* with HERE */
        int status, status_named, status_open;
    } cases[] = {
        {"", 200, 200, 200},
        {"Origin: https://app.example\r\n", 403, 200, 200},
        {"Origin: http://localhost:3000\r\n", 403, 200, 200},
        {"Origin: http://127.0.0.1:7400\r\n", 200, 200, 200},
        {"Origin: https://127.0.0.1:7400\r\n", 403, 403, 200},
        {"Origin: http://127.0.0.1\r\n", 403, 403, 200},
        {"Origin: http://127.0.0.1:74000\r\n", 403, 403, 200},
        {"Origin: http://127.0.0.1:740\r\n", 403, 403, 200},
        {"Origin: http://localhost:7400\r\n", 403, 403, 200},
        {"Origin: https://app.example.evil\r\n", 403, 403, 200},
        {"Origin: https://app.example/\r\n", 403, 403, 200},
        {"Origin: http://app.example\r\n", 403, 403, 200},
        {"Origin: null\r\n", 403, 403, 200},
        {"Origin:\r\n", 403, 403, 200},
        {"Origin: http\r\n", 403, 403, 200},
        {"Origin: http://\r\n", 403, 403, 200},
        {"Origin: https://app.example\r\nOrigin: https://app.example\r\n", 403, 403, 403},
        {"Origin: https://app.example https://evil.example\r\n", 403, 403, 200},
        {"Sec-Fetch-Site: cross-site\r\n", 403, 403, 403},
        {"Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n", 403, 200, 200},
        {"Sec-Fetch-Site: cross-site\r\nOrigin: http://127.0.0.1:7400\r\n", 403, 403, 200},
        {"Sec-Fetch-Site: same-origin\r\nOrigin: https://evil.example\r\n", 403, 403, 200},
        {"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", 403, 403, 403},
        {"Sec-Fetch-Site: same-origin\r\n", 200, 200, 200},
        {"Sec-Fetch-Site: same-site\r\n", 200, 200, 200},
        {"Sec-Fetch-Site: none\r\n", 200, 200, 200},
    };
    static const struct {
        const char *line, *rest;
    } asks[] = {
        {CALL, JSON},
        {"GET /metrics HTTP/1.1\r\n", "\r\n"},
        {"GET /a.B/Get?encoding=json&message=%7b%7d HTTP/1.1\r\n", "\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < sizeof asks / sizeof asks[0]; j++) {
            char request[512];
            snprintf(request, sizeof request, "%s" HERE "%s%s", asks[j].line, cases[i].headers,
                     asks[j].rest);
            assert_status(request, ask(&plain, request), cases[i].status);
            assert_status(request, ask(&named, request), cases[i].status_named);
            assert_status(request, ask(&open_to_all, request), cases[i].status_open);
        }
        char options[512];
        snprintf(options, sizeof options, "OPTIONS /a.B/Get HTTP/1.1\r\n%s" HERE PREFLIGHT,
                 cases[i].headers);
        int status = cases[i].status_named == 200 ? 204 : 403;
        assert_status(options, ask(&named, options), status);
    }
}

static void the_programs_own_files_are_for_everybody(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/console/", 200}, {"/console/a/b", 200}, {"/embed/x.js", 200}, {"/assets/x.css", 200},
        {"/console", 403},  {"/consoles/", 403},   {"/", 403},           {"/metrics", 403},
        {"/healthz", 403},  {"//console/", 403},   {"/a.B/Get", 403},    {"/CONSOLE/", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\n" HERE "Origin: https://evil.example\r\n"
                 "Sec-Fetch-Site: cross-site\r\n\r\n",
                 cases[i].path);
        const char *answer = ask(&named, request);
        assert_status(request, answer, cases[i].status);
        assert_non_null(strstr(answer, "x-content-type-options: nosniff\r\n"));
        bool stored = strstr(answer, "cache-control: no-store\r\n") == NULL;
        assert_int_equal(stored, cases[i].status == 200);
        assert_null(strstr(answer, "access-control-"));
    }
}

static void answers_say_that_they_depend_on_the_origin(void **state)
{
    (void)state;
    static const char *const requests[] = {
        CALL HERE JSON,
        CALL HERE "Origin: https://app.example\r\n" JSON,
        CALL HERE "Origin: https://evil.example\r\n" JSON,
        CALL "Host: evil.example\r\n" JSON,
        CALL "Host: a\r\nHost: b\r\n" JSON,
        "POST /a.B/Get HTTP/1.1\r\n" HERE "Content-Type: application/connect+json\r\n"
        "Content-Length: 0\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n" HERE "\r\n",
        "OPTIONS /a.B/Get HTTP/1.1\r\n" HERE "Origin: https://app.example\r\n" PREFLIGHT,
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        assert_non_null(strstr(ask(&named, requests[i]), "\r\nvary: origin\r\n"));
        assert_null(strstr(ask(&plain, requests[i]), "\r\nvary: "));
        assert_non_null(
            strstr(ask(&plain, requests[i]), "\r\nx-content-type-options: nosniff\r\n"));
        assert_non_null(strstr(ask(&plain, requests[i]), "\r\ncache-control: no-store\r\n"));
    }
    static const char metrics[] =
        "GET /metrics HTTP/1.1\r\n" HERE "Origin: https://app.example\r\n\r\n";
    assert_status(metrics, ask(&named, metrics), 200);
    assert_null(strstr(ask(&named, metrics), "access-control-"));
}

static void two_content_types_are_refused(void **state)
{
    (void)state;
    static const char twice[] = CALL HERE "Content-Type: application/proto\r\n" JSON;
    static const char same[] = CALL HERE "Content-Type: application/json\r\n" JSON;
    assert_status(twice, ask(&plain, twice), 400);
    assert_status(same, ask(&plain, same), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_an_address_localhost_or_named),
        cmocka_unit_test(the_host_of_an_absolute_target_counts),
        cmocka_unit_test(a_page_of_another_origin_is_refused),
        cmocka_unit_test(the_programs_own_files_are_for_everybody),
        cmocka_unit_test(answers_say_that_they_depend_on_the_origin),
        cmocka_unit_test(two_content_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
