#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "wire/session.h"

/* What RFC 9112 and 9110 say about what a server may be sent, case by case, and what this one
 * does. MUST and SHOULD bear: borne. MAY: refused, unless somebody needs it. A case's bytes
 * are followed by a request that is fine; the statuses of all answers show whether the server
 * found where that one begins, or closed. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n"
#define NEXT GET("/next") "\r\n"
#define POST "POST /a.B/Get HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *section, *bytes;
    const char *statuses; /* of all answers, the one to NEXT included if it was found */
    const char *calls;    /* what the calls carried, or paths that were asked for */
} cases[] = {
    /* -- lines and what stands before them */
    {"9112 2.2: an empty line before a request SHOULD be ignored", "\r\n" GET("/") "\r\n",
     "200 200", "/ /next"},
    {"9112 2.2: at least one", "\r\n\r\n" GET("/") "\r\n", "200 200", "/ /next"},
    {"9112 2.2: as old clients send it behind a body", POST "Content-Length: 2\r\n\r\n{}\r\n",
     "200 200", "{} /next"},
    {"9112 2.2: but not without end", "\r\n\r\n\r\n" GET("/") "\r\n", "400", ""},
    {"9112 2.2: MAY take a bare LF: refused, in the request line",
     "GET / HTTP/1.1\nHost: a\r\n\r\n", "400", ""},
    {"9112 2.2: in a header", "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", "400", ""},
    {"9112 2.2: as the empty line", GET("/") "\n", "400", ""},
    {"9112 2.2: before a request", "\n" GET("/") "\r\n", "400", ""},
    {"9112 2.2: a bare CR MUST be invalid or a space", GET("/") "X: a\rb\r\n\r\n", "400", ""},
    {"9112 2.2: in the target", GET("/a\rb") "\r\n", "400", ""},
    {"9112 2.2: white space before the first header MUST be refused or dropped",
     "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", "400", ""},
    {"9112 2.2: what is no HTTP SHOULD get 400", "lorem ipsum\r\n", "400", ""},
    /* -- the version */
    {"9110 2.5: a higher minor version SHOULD be read as the highest known",
     "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", "200 200", "/ /next"},
    {"9110 2.5: up to the last digit", "GET / HTTP/1.9\r\nHost: localhost\r\n\r\n", "200 200",
     "/ /next"},
    {"9110 2.5: with the rules of 1.1", "GET / HTTP/1.2\r\n\r\n", "400", ""},
    {"9112 2.3: another major version MAY get 505", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
     "505", ""},
    {"9112 2.3: the name's case matters", "GET / http/1.1\r\nHost: localhost\r\n\r\n", "400", ""},
    {"9112 2.3: one digit each", "GET / HTTP/1.10\r\nHost: localhost\r\n\r\n", "505", ""},
    /* -- the request line */
    {"9112 3: MAY split words at any white space: refused",
     "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", ""},
    {"9112 3: a tab", "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", ""},
    {"9112 3: behind the line", "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", "400", ""},
    {"9112 3: before it", " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", ""},
    {"9112 3: no version", "GET /\r\n\r\n", "400", ""},
    {"9110 9.1: an unknown method SHOULD get 501", "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
     "501", ""},
    {"9110 9.1: its case matters", "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501", ""},
    {"9112 3: a method longer than any SHOULD get 501",
     "GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501", ""},
    {"9110 5.6.2: but it is a token", "G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n", "400", ""},
    {"9110 9.3.6: CONNECT is not served", "CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "501",
     ""},
    {"9110 9.3.8: nor is TRACE", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "501", ""},
    {"9110 15.5.6: a known method in the wrong place gets 405",
     "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 200", "/next"},
    /* -- the target */
    {"9112 3.2.2: the absolute form MUST be taken", GET("http://localhost:7400/x?y") "\r\n",
     "200 200", "/x /next"},
    {"9112 3.2.2: and its host instead of Host",
     "GET http://127.0.0.1/x HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", "200 200", "/x /next"},
    {"9110 4.2.3: an empty path is /", GET("http://localhost") "\r\n", "200 200", "/ /next"},
    {"9110 4.2.3: also before a query", GET("HTTP://localhost?x") "\r\n", "200 200", "/ /next"},
    {"9110 4.2.1: no host MUST be refused", GET("http:///x") "\r\n", "400", ""},
    {"9110 4.2.4: a user name SHOULD be an error", GET("http://a@localhost/x") "\r\n", "400", ""},
    {"9112 3.2: another scheme", GET("ftp://localhost/x") "\r\n", "400", ""},
    {"9112 3.2.4: OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "204 200", "/next"},
    {"9112 3.2.4: and as a proxy may send it",
     "OPTIONS http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", "204 200", "/next"},
    {"9112 3.2.4: * for nothing else", GET("*") "\r\n", "400", ""},
    {"9112 3.2.3: the authority form is for CONNECT", GET("localhost:80") "\r\n", "400", ""},
    {"9112 3.2: a fragment is not sent", GET("/a#b") "\r\n", "400", ""},
    {"9112 3.2: no Host MUST get 400", "GET / HTTP/1.1\r\n\r\n", "400", ""},
    {"9112 3.2: several, too", GET("/") "Host: localhost\r\n\r\n", "400", ""},
    {"9112 3.2: an invalid one, too", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", ""},
    {"9112 3.2: with a port", "GET / HTTP/1.1\r\nHost: [::1]:7400\r\n\r\n", "200 200", "/ /next"},
    {"9112 3.2: HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", "200", "/"},
    {"9112 3.2: empty is valid, and nobody's name here", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
     "421 200", "/next"},
    /* -- fields */
    {"9112 5.1: white space before the colon MUST be refused", GET("/") "X : y\r\n\r\n", "400", ""},
    {"9112 5.1: around the value it is dropped",
     "GET / HTTP/1.1\r\nHost:\t localhost \t\r\nX:y\r\nY: \t \r\n\r\n", "200 200", "/ /next"},
    {"9112 5.1: names have no case", "GET / HTTP/1.1\r\nhOST: localhost\r\n\r\n", "200 200",
     "/ /next"},
    {"9110 5.5: bytes past ASCII are opaque", GET("/") "X: \xc3\xa4\r\n\r\n", "200 200", "/ /next"},
    {"9110 5.5: control characters MAY be refused",
     GET("/") "X: a\x01"
              "b\r\n\r\n",
     "400", ""},
    {"9112 5.2: a folded line MUST be refused or unfolded", GET("/") "X: a\r\n b\r\n\r\n", "400",
     ""},
    {"9112 5.2: with a tab", GET("/") "X: a\r\n\tb\r\n\r\n", "400", ""},
    {"9110 5.1: unknown fields are ignored", GET("/") "X-Y.Z!~: 1\r\n\r\n", "200 200", "/ /next"},
    /* -- where a body ends */
    {"9112 6.1: chunked has no case", POST "Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
     "200 200", "{} /next"},
    {"9112 6.1: an unknown coding SHOULD get 501",
     POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501", ""},
    {"9112 6.1: with or without a space", POST "Transfer-Encoding: x-1,chunked\r\n\r\n0\r\n\r\n",
     "501", ""},
    {"9112 6.3: chunked not last MUST get 400", POST "Transfer-Encoding: gzip\r\n\r\n", "400", ""},
    {"9112 6.3: nor in the middle", POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400",
     ""},
    {"9112 6.1: chunked twice is never right",
     POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: it has no parameters", POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
     "400", ""},
    {"9112 6.1: beside Content-Length MAY be refused",
     POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 6.1: in HTTP/1.0 the framing is faulty",
     "POST /a.B/Get HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", ""},
    {"9112 6.3: lengths that differ MUST get 400",
     POST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400", ""},
    {"9110 8.6: equal ones MAY be refused", POST "Content-Length: 2, 2\r\n\r\n{}", "400", ""},
    {"9110 8.6: leading zeros are digits", POST "Content-Length: 002\r\n\r\n{}", "200 200",
     "{} /next"},
    {"9110 8.6: a sign is none", POST "Content-Length: +2\r\n\r\n{}", "400", ""},
    {"9112 6.3: without either there is no body",
     "POST /a.B/Get HTTP/1.1\r\nHost: localhost\r\n\r\n", "415 200", "/next"},
    {"9110 9.3.1: a GET with a body is framed like any", GET("/") "Content-Length: 3\r\n\r\nabc",
     "200 200", "/ /next"},
    {"9110 9.3.2: HEAD too, and its answer has none",
     "HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", "200 200", "/ /next"},
    /* -- chunks */
    {"9112 7.1: chunks", CHUNKED "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", "200 200", "{} /next"},
    {"9112 7.1: sizes in both cases, with zeros",
     CHUNKED "0a\r\n{        }\r\n00A\r\n          \r\n000\r\n\r\n", "200 200",
     "{        }           /next"},
    {"9112 7.1: large numerals do not overflow", CHUNKED "10000000000000002\r\n{}\r\n0\r\n\r\n",
     "400", ""},
    {"9112 7.1: a size is digits", CHUNKED "0x2\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: without white space before it", CHUNKED " 2\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: nor behind it alone", CHUNKED "2 \r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: it is there", CHUNKED "\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: also before an extension", CHUNKED ";a\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1: data end in CR LF", CHUNKED "2\r\n{}\n0\r\n\r\n", "400", ""},
    {"9112 7.1: and where the size says", CHUNKED "2\r\n{}}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: extensions MUST be ignored", CHUNKED "2;a\r\n{}\r\n0;b=c;d\r\n\r\n", "200 200",
     "{} /next"},
    {"9112 7.1.1: quoted", CHUNKED "2;a=\"b;\\\"\\\\\t\x80 c\";d=e\r\n{}\r\n0\r\n\r\n", "200 200",
     "{} /next"},
    {"9112 7.1.1: with bad white space (9110 5.6.3: MUST be parsed)",
     CHUNKED "2 \t; a = b ;\tc\r\n{}\r\n0 ;d= \"e\" ;f\r\n\r\n", "200 200", "{} /next"},
    {"9112 7.1.1: as ICAP writes it", CHUNKED "2\r\n{}\r\n0; ieof\r\n\r\n", "200 200", "{} /next"},
    {"9112 7.1.1: a name is a token", CHUNKED "2;\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: a value is there", CHUNKED "2;a=\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: nothing behind a quoted one", CHUNKED "2;a=\"b\"c\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: white space ends nothing", CHUNKED "2;a \r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: no bare LF in one", CHUNKED "2;a\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: nor CR", CHUNKED "2;a\rb\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.1: nor inside quotes", CHUNKED "2;a=\"\r\n\"\r\n{}\r\n0\r\n\r\n", "400", ""},
    {"9112 7.1.2: trailers are dropped",
     CHUNKED "2\r\n{}\r\n0\r\nX: y\r\nContent-Length: 9\r\nHost: evil.example\r\n\r\n", "200 200",
     "{} /next"},
    {"9112 7.1.2: they are fields", CHUNKED "2\r\n{}\r\n0\r\nno colon\r\n\r\n", "400", ""},
    {"9112 5.1: without white space before the colon", CHUNKED "2\r\n{}\r\n0\r\nX : y\r\n\r\n",
     "400", ""},
    {"9112 5.2: nor folded", CHUNKED "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n", "400", ""},
    {"9112 2.2: nor ended by LF", CHUNKED "2\r\n{}\r\n0\r\nX: y\n\r\n", "400", ""},
    {"9112 2.2: the empty line, too", CHUNKED "2\r\n{}\r\n0\r\n\n", "400", ""},
    /* -- the connection */
    {"9112 9.3: it goes on", GET("/") "\r\n", "200 200", "/ /next"},
    {"9112 9.6: close", GET("/") "Connection: close\r\n\r\n", "200", "/"},
    {"9110 7.6.1: its options have no case, in a list", GET("/") "Connection: x, CLOSE\r\n\r\n",
     "200", "/"},
    {"9110 7.6.1: or in several fields", GET("/") "Connection: x\r\nConnection: close\r\n\r\n",
     "200", "/"},
    {"9112 9.3: close beside keep-alive", GET("/") "Connection: keep-alive, close\r\n\r\n", "200",
     "/"},
    {"9110 7.6.1: unknown ones are nothing", GET("/") "Connection: closed, te\r\n\r\n", "200 200",
     "/ /next"},
    {"9112 9.3: HTTP/1.0 ends", "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", "200", "/"},
    {"9112 9.3: unless asked", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "200 200",
     "/ /next"},
    {"9110 7.8: an Upgrade MAY be ignored",
     GET("/") "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
              "AAMAAABkAAQAoAAA\r\n\r\n",
     "200 200", "/ /next"},
    {"9112 7.4: TE is the client's wish",
     GET("/") "Connection: TE\r\nTE: trailers, deflate;q=0.5\r\n\r\n", "200 200", "/ /next"},
    /* -- expectations */
    {"9110 10.1.1: 100-continue has no case",
     POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{}", "200 200", "{} /next"},
    {"9110 10.1.1: without a body it is nothing", GET("/") "Expect: 100-continue\r\n\r\n",
     "200 200", "/ /next"},
    {"9110 10.1.1: another MAY get 417", GET("/") "Expect: tea\r\n\r\n", "417 200", "/next"},
};

static bool known(struct dm_slice service)
{
    return dm_slice_equal(service, dm_slice_str("a.B"));
}

/* Adds a word to a list. */
static void note(char *to, size_t room, struct dm_slice text)
{
    size_t at = strlen(to);
    (void)snprintf(to + at, room - at, "%s%.*s", at == 0 ? "" : " ", (int)text.size,
                   (const char *)text.data);
}

static void pull(struct dm_session *s, char *calls, size_t room)
{
    struct dm_session_event event;
    while (dm_session_next(s, &event)) {
        if (event.kind == DM_EVENT_HTTP) {
            note(calls, room, event.method);
            dm_session_http_reply(s, event.id, 200, "text/plain", dm_slice_str("page"));
        } else {
            note(calls, room, event.payload);
            dm_session_reply(s, event.id, event.payload);
        }
    }
}

/* What is sent, `cut` bytes at a time, and what came of it. */
static void converse(const char *bytes, size_t cut, char *statuses, char *calls, size_t room)
{
    static const struct dm_session_limits limits = {.known_service = known};
    struct dm_session *s = dm_http1_session(&limits);
    assert_non_null(s);
    statuses[0] = calls[0] = '\0';
    size_t size = strlen(bytes);
    for (size_t at = 0; at < size && !s->closing; at += cut) {
        size_t part = size - at < cut ? size - at : cut;
        char *copy = malloc(part);
        assert_non_null(copy);
        memcpy(copy, bytes + at, part);
        dm_session_feed(s, dm_slice(copy, part));
        free(copy);
        pull(s, calls, room);
    }
    static const char version[] = "HTTP/1.1 ";
    enum { SIZE = sizeof version - 1, DIGITS = 3 };
    struct dm_slice out = dm_buf_slice(&s->out);
    for (size_t i = 0; i + SIZE + DIGITS < out.size; i++) {
        const char *at = (const char *)out.data + i;
        if (memcmp(at, version, SIZE) == 0 && at[SIZE] >= '2' && at[SIZE] <= '5') {
            note(statuses, room, dm_slice(at + SIZE, DIGITS));
        }
    }
    dm_session_destroy(s);
}

static void each_case_is_served_or_refused_as_decided(void **state)
{
    (void)state;
    bool wrong = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[1024];
        (void)snprintf(bytes, sizeof bytes, "%s" NEXT, cases[i].bytes);
        static const size_t cuts[] = {1, 7, sizeof bytes};
        for (size_t j = 0; j < sizeof cuts / sizeof cuts[0]; j++) {
            char statuses[256];
            char calls[256];
            converse(bytes, cuts[j], statuses, calls, sizeof statuses);
            if (strcmp(statuses, cases[i].statuses) != 0 || strcmp(calls, cases[i].calls) != 0) {
                print_error("%s\n  gave \"%s\" [%s], not \"%s\" [%s] (cut %zu)\n", cases[i].section,
                            statuses, calls, cases[i].statuses, cases[i].calls, cuts[j]);
                wrong = true;
            }
        }
    }
    assert_false(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_is_served_or_refused_as_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
