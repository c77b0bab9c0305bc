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
#include "wire/h2_guard.h"
#include "wire/session.h"

/* What RFC 9113 says about frames in the wrong place, case by case: bytes in, bytes out. The
 * client's frames are words, and so are the server's:
 *
 *   G1. GET on stream 1, P1 POST, C1 a gRPC call of an unknown shape, T1. trailers, U1. trailers
 *   with a pseudo-header, D1 DATA, X1 DATA with more padding than it has bytes, R1 RST_STREAM,
 *   W1 WINDOW_UPDATE, Y1/3 PRIORITY that depends on stream 3; a dot is END_STREAM; | is where
 *   the server reads, answers and sends
 *
 *   H1 HEADERS, D1 DATA, R1:5 RST_STREAM with code 5, END:1 GOAWAY with code 1 */

enum { DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

static void put_frame(struct dm_buf *to, uint8_t type, uint8_t flags, uint32_t id,
                      const void *payload, size_t size)
{
    uint8_t head[9] = {0, (uint8_t)(size >> 8), (uint8_t)size, type, flags};
    dm_store_be32(head + 5, id);
    assert_true(dm_buf_append(to, head, sizeof head));
    assert_true(dm_buf_append(to, payload, size));
}

/* HPACK without its dynamic table. */
#define ROOT "\x86\x84\x01\x04host"
#define CALL_HEAD                                  \
    "\x83\x86\x04\x04/bad\x01\x04host\x0f\x10\x10" \
    "application/grpc"

static void put_word(struct dm_buf *to, const char *word)
{
    char *rest;
    uint32_t id = (uint32_t)strtoul(word + 1, &rest, 10);
    uint8_t end = *rest == '.' ? END_STREAM : 0;
    uint8_t last[4] = {0, 0, 0, 8};
    uint8_t priority[5] = {0, 0, 0, 0, 16};
#define PUT_HEADERS(text) put_frame(to, HEADERS, end | END_HEADERS, id, text, sizeof(text) - 1)
    switch (word[0]) {
    case 'G':
        PUT_HEADERS("\x82" ROOT);
        return;
    case 'P':
        PUT_HEADERS("\x83" ROOT);
        return;
    case 'C':
        PUT_HEADERS(CALL_HEAD);
        return;
    case 'T':
        PUT_HEADERS("\0\1x\1y");
        return;
    case 'U':
        PUT_HEADERS("\x84");
        return;
    case 'D':
        put_frame(to, DATA, end, id, "data", 4);
        return;
    case 'X':
        put_frame(to, DATA, end | PADDED, id, "\6data", 5);
        return;
    case 'R':
        put_frame(to, RST_STREAM, 0, id, last, sizeof last);
        return;
    case 'W':
        put_frame(to, WINDOW_UPDATE, 0, id, last, sizeof last);
        return;
    default:
        assert_int_equal(word[0], 'Y');
        dm_store_be32(priority, (uint32_t)strtoul(rest + 1, NULL, 10));
        put_frame(to, PRIORITY, 0, id, priority, sizeof priority);
        return;
    }
#undef PUT_HEADERS
}

/* ---- the server's side ------------------------------------------------------------------ */

struct talk {
    struct dm_session *s;
    size_t cut; /* bytes at a time */
    char heard[512];
};

static void add_word(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_word(struct talk *t, const char *format, ...)
{
    size_t at = strlen(t->heard);
    if (at != 0) {
        t->heard[at++] = ' ';
    }
    va_list list;
    va_start(list, format);
    (void)vsnprintf(t->heard + at, sizeof t->heard - at, format, list);
    va_end(list);
}

static void hear(struct talk *t)
{
    dm_session_flush(t->s);
    while (dm_buf_size(&t->s->out) != 0) {
        const uint8_t *head = dm_buf_head(&t->s->out);
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        unsigned id = dm_load_be32(head + 5);
        const char *dot = (head[4] & END_STREAM) != 0 ? "." : "";
        if (head[3] == HEADERS) {
            add_word(t, "H%u%s", id, dot);
        } else if (head[3] == DATA) {
            add_word(t, "D%u%s", id, dot);
        } else if (head[3] == RST_STREAM) {
            add_word(t, "R%u:%u", id, dm_load_be32(head + 9));
        } else if (head[3] == GOAWAY) {
            add_word(t, "END:%u", dm_load_be32(head + 13));
        }
        dm_buf_consume(&t->s->out, 9 + size);
    }
}

static void tell(struct talk *t, struct dm_buf *bytes)
{
    while (dm_buf_size(bytes) != 0 && !t->s->closing) {
        size_t size = dm_buf_size(bytes) < t->cut ? dm_buf_size(bytes) : t->cut;
        void *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, dm_buf_head(bytes), size);
        dm_session_feed(t->s, dm_slice(copy, size));
        free(copy);
        dm_buf_consume(bytes, size);
        struct dm_session_event event;
        while (dm_session_next(t->s, &event)) {
            if (event.kind == DM_EVENT_HTTP) {
                dm_session_http_reply(t->s, event.id, 200, "text/plain", dm_slice_str("page"));
            }
        }
    }
    hear(t);
}

static void talk_init(struct talk *t, size_t cut)
{
    static const struct dm_session_limits limits = {0};
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct dm_buf bytes = {0};
    *t = (struct talk){.s = dm_h2_session(&limits), .cut = cut};
    assert_non_null(t->s);
    assert_true(dm_buf_append(&bytes, hello, sizeof hello - 1));
    tell(t, &bytes);
    dm_buf_finish(&bytes);
}

static void say(struct talk *t, const char *words)
{
    struct dm_buf bytes = {0};
    char word[16];
    for (const char *at = words; *at != '\0'; at += *at == ' ') {
        size_t size = strcspn(at, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)size, at);
        at += size;
        if (word[0] == '|') {
            tell(t, &bytes);
        } else {
            put_word(&bytes, word);
        }
    }
    tell(t, &bytes);
    dm_buf_finish(&bytes);
}

/* ---- the cases -------------------------------------------------------------------------- */

static const struct {
    const char *section, *said, *heard;
} cases[] = {
    {"8.1: a request and its answer", "G1. | G3.", "H1 D1. H3 D3."},
    {"8.1: a request is answered when it is whole", "P1 | D1 | D1", ""},
    {"8.1: what is no call gets its 415 then", "P1 | D1 | D1. | G3.", "H1 D1. H3 D3."},
    {"8.1: trailers end it, too", "P1 | D1 | T1. | G3.", "H1 D1. H3 D3."},
    {"5.1: DATA on a stream that the client has ended", "G1. | D1.", "H1 D1. END:5"},
    {"5.1: before it is answered", "G1. D1.", "END:5"},
    {"5.1: HEADERS on one", "G1. | G1.", "H1 D1. END:5"},
    {"5.1: trailers behind the end", "P1 D1. | T1.", "H1 D1. END:5"},
    {"5.1: ended by trailers", "P1 D1 T1. | D1", "H1 D1. END:5"},
    {"5.1: after others", "G1. G3. G5. | T3.", "H1 H3 H5 D1. D3. D5. END:5"},
    {"5.1: DATA on a stream that the client has reset", "P1 R1 | D1 | G3.", "R1:5 H3 D3."},
    {"5.1: HEADERS on one", "P1 R1 | T1. | G3.", "R1:5 H3 D3."},
    {"5.1: reset after its end", "G1. | R1 D1 | G3.", "H1 D1. R1:5 H3 D3."},
    {"5.1: what may come on a closed stream", "G1. | R1 W1 Y1/3 R1 | G3.", "H1 D1. H3 D3."},
    {"5.1: DATA that was on its way when the server reset", "C1 | D1 D1. T1. | G3.",
     "H1. R1:0 END:5"},
    {"5.1: and no more than that", "C1 | D1 D1. | G3.", "H1. R1:0 H3 D3."},
    {"5.1.1: a lower number", "G5. | G3.", "H5 D5. END:1"},
    {"5.1.1: DATA on a number passed over", "G5. | D3", "H5 D5. END:1"},
    {"5.1.1: an even number", "G2.", "END:1"},
    {"5.1: DATA on an idle stream", "D1", "END:1"},
    {"6.3: PRIORITY on stream 0", "Y0/1", "END:1"},
    {"6.3: PRIORITY is nothing else to us", "Y3/1 G1. | Y1/7 G3.", "H1 D1. H3 D3."},
    {"7540 5.3.1: a stream that depends on itself", "Y1/1", "END:1"},
    {"7540 5.3.1: while it is open", "P1 Y1/1", "END:1"},
    {"8.1: a second HEADERS without END_STREAM", "P1 D1 T1 | G3.", "R1:1 H3 D3."},
    {"8.1: at once", "P1 T1 | G3.", "R1:1 H3 D3."},
    {"8.1: trailers with a pseudo-header", "P1 D1 U1. | G3.", "R1:1 H3 D3."},
    {"6.1: more padding than payload", "P1 | X1", "END:1"},
};

static void each_case_is_as_the_book_says(void **state)
{
    (void)state;
    static const size_t cuts[] = {1, 10, 1000};
    bool wrong = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < sizeof cuts / sizeof cuts[0]; j++) {
            struct talk t;
            talk_init(&t, cuts[j]);
            say(&t, cases[i].said);
            bool ends = strstr(cases[i].heard, "END") != NULL;
            if (strcmp(t.heard, cases[i].heard) != 0 || t.s->closing != ends) {
                print_error("%s: %s\n  gave \"%s\"%s, not \"%s\" (cut %zu)\n", cases[i].section,
                            cases[i].said, t.heard, t.s->closing ? " and closed" : "",
                            cases[i].heard, cuts[j]);
                wrong = true;
            }
            dm_session_destroy(t.s);
        }
    }
    assert_false(wrong);
}

static void a_body_that_nobody_reads_is_read_up_to_a_limit(void **state)
{
    (void)state;
    static char data[16384];
    static const char *const starts[] = {"P1", "G1"};
    for (size_t i = 0; i < 2; i++) {
        struct talk t;
        talk_init(&t, 100000);
        say(&t, starts[i]);
        size_t sent = 0;
        for (; t.heard[0] == '\0'; sent += sizeof data) {
            struct dm_buf bytes = {0};
            put_frame(&bytes, DATA, 0, 1, data, sizeof data);
            tell(&t, &bytes);
            dm_buf_finish(&bytes);
            assert_true(sent <= DM_HTTP_DISCARD_MAX);
        }
        assert_true(sent > DM_HTTP_DISCARD_MAX);
        assert_string_equal(t.heard, "H1 D1. R1:0");
        say(&t, "D1 D1. | G3.");
        assert_string_equal(t.heard, "H1 D1. R1:0 H3 D3.");
        dm_session_destroy(t.s);
    }
}

static void a_body_that_does_not_come_is_not_waited_for(void **state)
{
    (void)state;
    static const char *const starts[] = {"P1", "G1"};
    for (size_t i = 0; i < 2; i++) {
        struct talk t;
        talk_init(&t, 1000);
        say(&t, starts[i]);
        t.s->now_ns += DM_BODY_WINDOW_MS * 1000000ULL - 1;
        dm_session_hurry(t.s);
        hear(&t);
        assert_string_equal(t.heard, "");
        t.s->now_ns += 1;
        dm_session_hurry(t.s);
        hear(&t);
        assert_string_equal(t.heard, "H1 D1. R1:0");
        dm_session_destroy(t.s);
    }
}

/* ---- the guard alone -------------------------------------------------------------------- */

static void look(struct dm_h2_guard *g, const char *word, struct dm_h2_fault *fault)
{
    struct dm_buf bytes = {0};
    put_word(&bytes, word);
    (void)dm_h2_guard_look(g, dm_buf_slice(&bytes), fault);
    dm_buf_finish(&bytes);
}

static void old_streams_are_forgotten_and_never_accused(void **state)
{
    (void)state;
    static const char preface[24] = "";
    struct dm_h2_guard g;
    struct dm_h2_fault fault;
    char word[16];
    dm_h2_guard_init(&g);
    assert_int_equal(dm_h2_guard_look(&g, dm_slice(preface, sizeof preface), &fault), 24);
    for (unsigned id = 1; id < 1000; id += 4) { /* each second one is passed over */
        (void)snprintf(word, sizeof word, "G%u.", id);
        look(&g, word, &fault);
        assert_int_equal(fault.code, 0);
    }
    unsigned accused = 0;
    for (unsigned id = 1; id < 997; id += 2) {
        struct dm_h2_guard copy = g;
        (void)snprintf(word, sizeof word, "T%u.", id);
        look(&copy, word, &fault);
        accused += fault.code != 0;
        bool passed_over = id % 4 == 3;
        assert_true(fault.code == 0 || fault.code == (passed_over ? 1 : 5));
        /* the newest of each are all known */
        assert_true(fault.code != 0 || id < 1000 - 2 * DM_H2_GUARD_STREAMS);
    }
    assert_true(accused >= DM_H2_GUARD_STREAMS / 2);
}

static void what_may_follow_a_fault_is_told(void **state)
{
    (void)state;
    struct dm_h2_guard g;
    struct dm_h2_fault fault;
    struct dm_buf bytes = {0};
    dm_h2_guard_init(&g);
    assert_true(dm_buf_append(&bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24));
    put_word(&bytes, "P1");
    put_word(&bytes, "R1");
    size_t reset = dm_buf_size(&bytes);
    put_word(&bytes, "D1");
    put_word(&bytes, "G3.");
    size_t before = dm_buf_size(&bytes);
    put_word(&bytes, "Y0/1");
    struct dm_slice all = dm_buf_slice(&bytes);
    size_t size = dm_h2_guard_look(&g, all, &fault);
    assert_int_equal(size, reset + 9);
    assert_int_equal(fault.code, 5);
    assert_int_equal(fault.stream, 1);
    all = dm_slice((const uint8_t *)all.data + size, all.size - size);
    assert_int_equal(dm_h2_guard_look(&g, all, &fault), before - size);
    assert_int_equal(fault.code, 1);
    assert_int_equal(fault.stream, 0);
    dm_buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_is_as_the_book_says),
        cmocka_unit_test(a_body_that_nobody_reads_is_read_up_to_a_limit),
        cmocka_unit_test(a_body_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(old_streams_are_forgotten_and_never_accused),
        cmocka_unit_test(what_may_follow_a_fault_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
