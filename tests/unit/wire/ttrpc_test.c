#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "wire/session.h"
#include "wire/ttrpc_frame.h"

#include <stdio.h>
#include <stdlib.h>

/* Every test writes what the session did as a line of text and compares that: events
 * ("call 1 svc/M=payload"), then the frames that came out ("1 resp ok:..."). */

struct trace {
    char text[8192];
    size_t size;
};

struct fixture {
    struct dm_session *session;
    struct dm_buf in;
    struct trace trace;
    bool answer; /* every call at once, with its own payload */
};

static void note(struct trace *trace, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(trace->text + trace->size, sizeof trace->text - trace->size, format, args);
    va_end(args);
    assert_in_range(size, 0, sizeof trace->text - trace->size - 1);
    trace->size += (size_t)size;
}

static int setup(void **state)
{
    static const struct dm_session_limits limits = {.calls_max = 40};
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->session = dm_ttrpc_session(&limits);
    f->answer = true;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dm_session_destroy(f->session);
    dm_buf_finish(&f->in);
    free(f);
    return 0;
}

static void note_event(struct fixture *f, const struct dm_session_event *event)
{
    int id = (int)event->id;
    int size = (int)event->payload.size;
    const char *payload = size == 0 ? "" : event->payload.data;
    switch (event->kind) {
    case DM_EVENT_CALL:
        note(&f->trace, "call %d %.*s/%.*s=%.*s", id, (int)event->service.size,
             (const char *)event->service.data, (int)event->method.size,
             (const char *)event->method.data, size, payload);
        note(&f->trace, "%s%s", event->streaming ? " stream" : "", event->open ? " open" : "");
        note(&f->trace, "%s", event->awaiting ? " awaiting" : "");
        if (event->timeout_ns != 0) {
            note(&f->trace, " within %lld", (long long)event->timeout_ns);
        }
        note(&f->trace, "\n");
        break;
    case DM_EVENT_CANCEL:
        note(&f->trace, "cancel %d\n", id);
        break;
    case DM_EVENT_INPUT:
        note(&f->trace, "input %d=%.*s\n", id, size, payload);
        break;
    case DM_EVENT_INPUT_END:
        note(&f->trace, "input %d ends\n", id);
        break;
    default:
        fail_msg("event %d", (int)event->kind);
    }
}

static void pull(struct fixture *f)
{
    struct dm_session_event event;
    while (dm_session_next(f->session, &event)) {
        note_event(f, &event);
        if (f->answer &&
            (event.kind == DM_EVENT_INPUT || (event.kind == DM_EVENT_CALL && !event.awaiting))) {
            dm_session_reply(f->session, event.id, event.payload);
        }
    }
}

/* Feeds bytes from memory that is gone afterwards, so that asan sees what was kept. */
static void feed(struct fixture *f, const void *bytes, size_t size)
{
    char *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    dm_session_feed(f->session, dm_slice(copy, size));
    pull(f);
    free(copy);
}

static void feed_in(struct fixture *f)
{
    feed(f, dm_buf_head(&f->in), dm_buf_size(&f->in));
    dm_buf_consume(&f->in, dm_buf_size(&f->in));
}

static void note_frame(struct trace *trace, const struct dm_ttrpc_header *header,
                       struct dm_slice body)
{
    struct dm_ttrpc_response response;
    note(trace, "%u ", header->stream);
    if (header->type == DM_TTRPC_DATA) {
        note(trace, "data %u:%.*s\n", header->flags, (int)body.size,
             body.size == 0 ? "" : (const char *)body.data);
        return;
    }
    assert_int_equal(header->type, DM_TTRPC_RESPONSE);
    assert_int_equal(header->flags, 0);
    assert_true(dm_ttrpc_response_read(body, &response));
    if (response.code != 0) {
        assert_true(response.message.size > 10); /* a sentence */
        note(trace, "resp code %d\n", response.code);
    } else {
        note(trace, "resp ok:%.*s\n", (int)response.payload.size,
             response.payload.size == 0 ? "" : (const char *)response.payload.data);
    }
}

static const char *finish(struct fixture *f)
{
    struct dm_buf *out = &f->session->out;
    while (dm_buf_size(out) != 0) {
        struct dm_ttrpc_header header;
        assert_true(dm_buf_size(out) >= DM_TTRPC_HEADER_SIZE);
        dm_ttrpc_header_load(dm_buf_head(out), &header);
        assert_true(dm_buf_size(out) >= DM_TTRPC_HEADER_SIZE + header.size);
        note_frame(&f->trace, &header,
                   dm_slice(dm_buf_head(out) + DM_TTRPC_HEADER_SIZE, header.size));
        dm_buf_consume(out, DM_TTRPC_HEADER_SIZE + header.size);
    }
    if (f->session->closing) {
        note(&f->trace, "closing\n");
    }
    return f->trace.text;
}

static void forget(struct fixture *f)
{
    (void)finish(f);
    f->trace = (struct trace){.size = 0};
}

static void request_with(struct fixture *f, uint32_t id, uint8_t flags, const char *payload,
                         int64_t timeout_ns)
{
    const struct dm_ttrpc_request request = {.service = dm_slice_str("s.S"),
                                             .method = dm_slice_str("M"),
                                             .payload = dm_slice_str(payload),
                                             .timeout_ns = timeout_ns};
    assert_true(dm_ttrpc_request_write(&f->in, id, flags, &request));
}

static void request(struct fixture *f, uint32_t id, uint8_t flags, const char *payload)
{
    request_with(f, id, flags, payload, 0);
}

static void data(struct fixture *f, uint32_t id, uint8_t flags, const char *payload)
{
    assert_true(dm_ttrpc_data_write(&f->in, id, flags, dm_slice_str(payload)));
}

static void header(struct fixture *f, uint32_t size, uint32_t id, uint8_t type, uint8_t flags)
{
    const struct dm_ttrpc_header head = {.size = size, .stream = id, .type = type, .flags = flags};
    uint8_t bytes[DM_TTRPC_HEADER_SIZE];
    dm_ttrpc_header_store(bytes, &head);
    assert_true(dm_buf_append(&f->in, bytes, sizeof bytes));
}

/* The bytes of a call as a Go client sends them, written out by hand. */
static void a_request_of_the_published_example_is_understood(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = "\0\0\0\x12\0\0\0\x01\x01\0"
                                "\x0a\x03s.S\x12\x01M\x1a\x02pp\x20\x0a\x2a\x02\x0a\x00";
    static const char answer[] = "\0\0\0\x04\0\0\0\x01\x02\0\x12\x02pp";
    feed(f, bytes, sizeof bytes - 1);
    assert_int_equal(dm_buf_size(&f->session->out), sizeof answer - 1);
    assert_memory_equal(dm_buf_head(&f->session->out), answer, sizeof answer - 1);
    assert_string_equal(finish(f), "call 1 s.S/M=pp within 10\n1 resp ok:pp\n");
}

static void conversation(struct fixture *f)
{
    request(f, 1, 0, "one");
    request(f, 3, DM_TTRPC_REMOTE_OPEN, "");
    data(f, 3, 0, "first");
    header(f, 0, 5, 9, 0);
    request(f, 7, DM_TTRPC_REMOTE_CLOSED, "seven");
    data(f, 7, 0, "late");
    request(f, 9, 0, "");
}

static const char conversation_events[] = "call 1 s.S/M=one\n"
                                          "call 3 s.S/M= stream open awaiting\n"
                                          "input 3=first\n"
                                          "call 7 s.S/M=seven stream\n"
                                          "call 9 s.S/M=\n"
                                          "1 resp ok:one\n"
                                          "3 resp ok:first\n"
                                          "5 resp code 3\n"
                                          "7 resp ok:seven\n"
                                          "7 resp code 3\n"
                                          "9 resp ok:\n";

static void bytes_may_be_split_anywhere(void **state)
{
    struct fixture *f = *state;
    conversation(f);
    size_t size = dm_buf_size(&f->in);
    for (size_t cut = 0; cut <= size; cut++) {
        void *again = NULL;
        setup(&again);
        struct fixture *g = again;
        feed(g, dm_buf_head(&f->in), cut);
        feed(g, dm_buf_head(&f->in) + cut, size - cut);
        assert_string_equal(finish(g), conversation_events);
        teardown(&again);
    }
}

static void bytes_may_come_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    conversation(f);
    for (size_t at = 0; at < dm_buf_size(&f->in); at++) {
        feed(f, dm_buf_head(&f->in) + at, 1);
    }
    assert_string_equal(finish(f), conversation_events);
}

static void even_zero_reused_and_lower_ids_are_answered_on_their_id(void **state)
{
    struct fixture *f = *state;
    request(f, 5, 0, "a");
    request(f, 2, 0, "b");
    request(f, 0, 0, "c");
    request(f, 5, 0, "d");
    request(f, 3, 0, "e");
    request(f, 7, 0, "f");
    feed_in(f);
    assert_string_equal(finish(f), "call 5 s.S/M=a\ncall 7 s.S/M=f\n5 resp ok:a\n2 resp code 3\n"
                                   "0 resp code 3\n5 resp code 3\n3 resp code 3\n7 resp ok:f\n");
}

static void data_on_an_id_that_is_not_open_is_answered(void **state)
{
    struct fixture *f = *state;
    data(f, 1, 0, "x");
    data(f, 8, DM_TTRPC_REMOTE_CLOSED, "x");
    data(f, 0, 0, "");
    feed_in(f);
    assert_string_equal(finish(f), "1 resp code 3\n8 resp code 3\n0 resp code 3\n");
}

static void data_on_a_unary_call_in_flight_ends_it(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    request(f, 1, 0, "a");
    data(f, 1, 0, "x");
    request(f, 3, 0, "b");
    feed_in(f);
    assert_int_equal(f->session->calls, 1);
    dm_session_reply(f->session, 1, dm_slice_str("too late"));
    dm_session_reply(f->session, 3, dm_slice_str("b"));
    assert_int_equal(f->session->calls, 0);
    assert_string_equal(finish(f), "call 1 s.S/M=a\ncancel 1\ncall 3 s.S/M=b\n"
                                   "1 resp code 3\n3 resp ok:b\n");
}

static void bad_envelopes_are_answered_and_the_connection_lives(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        uint32_t size;
    } bad[] = {
        {"\xff\xff\xff", 3},                   /* an endless varint */
        {"\x0a\x7fs", 3},                      /* longer than the body */
        {"\x0b", 1},                           /* a group */
        {"\x02\x01x", 3},                      /* field 0 */
        {"\x12\x01M", 3},                      /* no service */
        {"\x0a\x03s.S", 5},                    /* no method */
        {"", 0},                               /* nothing */
        {"\x0a\x01s\x12\x01M\x20\xff", 8},     /* half a time-out */
        {"\x0a\x01s\x12\x01M\x31\x01\x02", 9}, /* half an unknown field */
    };
    uint32_t id = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++, id += 2) {
        char expected[64];
        header(f, bad[i].size, id, DM_TTRPC_REQUEST, 0);
        assert_true(dm_buf_append(&f->in, bad[i].bytes, bad[i].size));
        feed_in(f);
        (void)snprintf(expected, sizeof expected, "%u resp code 3\n", id);
        assert_string_equal(finish(f), expected);
        forget(f);
    }
    request(f, id, 0, "fine");
    feed_in(f);
    assert_non_null(strstr(finish(f), "resp ok:fine"));
}

static void unknown_types_and_flags_are_answered(void **state)
{
    struct fixture *f = *state;
    header(f, 3, 1, 0, 0);
    assert_true(dm_buf_append(&f->in, "abc", 3));
    header(f, 0, 3, DM_TTRPC_RESPONSE, 0);
    request(f, 5, 3, "both");
    request(f, 7, 0x80, "unknown");
    request(f, 9, DM_TTRPC_REMOTE_OPEN, "");
    data(f, 9, 8, "");
    feed_in(f);
    assert_string_equal(finish(f), "call 9 s.S/M= stream open awaiting\ncancel 9\n"
                                   "1 resp code 3\n3 resp code 3\n5 resp code 3\n7 resp code 3\n"
                                   "9 resp code 3\n");
}

static void feed_zeroes(struct fixture *f, size_t size)
{
    static const char zeroes[65536];
    for (; size > sizeof zeroes; size -= sizeof zeroes) {
        feed(f, zeroes, sizeof zeroes);
    }
    feed(f, zeroes, size);
}

static void a_frame_too_long_is_discarded_and_the_connection_lives(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    header(f, DM_MESSAGE_SIZE_MAX + 1, 1, DM_TTRPC_REQUEST, 0);
    feed_in(f);
    assert_string_equal(finish(f), "1 resp code 8\n"); /* before its body has come */
    feed_zeroes(f, DM_MESSAGE_SIZE_MAX + 1);
    header(f, DM_TTRPC_DISCARD_MAX, 3, DM_TTRPC_REQUEST, 0);
    feed_in(f);
    feed_zeroes(f, (size_t)DM_TTRPC_DISCARD_MAX);
    request(f, 3, 0, "used");
    request(f, 5, 0, "fine");
    feed_in(f);
    assert_string_equal(finish(f),
                        "1 resp code 8\ncall 5 s.S/M=fine\n3 resp code 8\n3 resp code 3\n");
}

static void a_frame_of_the_largest_size_is_taken(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    char *payload = calloc(1, (size_t)DM_MESSAGE_SIZE_MAX);
    struct dm_ttrpc_request big = {.service = dm_slice_str("s.S"),
                                   .method = dm_slice_str("M"),
                                   .payload = dm_slice(payload, DM_MESSAGE_SIZE_MAX - 13)};
    assert_int_equal(dm_ttrpc_request_size(&big), DM_MESSAGE_SIZE_MAX);
    assert_true(dm_ttrpc_request_write(&f->in, 1, 0, &big));
    feed_in(f);
    free(payload);
    assert_int_equal(f->session->calls, 1);
}

static void past_sixteen_mebibytes_the_connection_closes(void **state)
{
    struct fixture *f = *state;
    header(f, DM_TTRPC_DISCARD_MAX + 1, 1, DM_TTRPC_REQUEST, 0);
    request(f, 3, 0, "never read");
    feed_in(f);
    request(f, 5, 0, "nor this");
    feed_in(f);
    assert_string_equal(finish(f), "closing\n");
}

static void a_timeout_of_zero_or_less_is_none(void **state)
{
    struct fixture *f = *state;
    /* -1 as ten bytes */
    static const char minus[] = "\0\0\0\x13\0\0\0\x01\x01\0"
                                "\x0a\x03s.S\x12\x01M\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    feed(f, minus, sizeof minus - 1);
    request_with(f, 3, 0, "", 5000000000);
    feed_in(f);
    assert_string_equal(finish(f),
                        "call 1 s.S/M=\ncall 3 s.S/M= within 5000000000\n1 resp ok:\n3 resp ok:\n");
}

static void answers_come_in_any_order_and_once(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    for (uint32_t id = 1; id < 80; id += 2) {
        request(f, id, 0, "");
    }
    feed_in(f);
    assert_int_equal(f->session->calls, 40);
    forget(f);
    for (uint64_t id = 79; id <= 79; id -= 2) {
        uint64_t mixed = (id * 3) % 80;
        dm_session_reply(f->session, mixed, dm_slice_str("x"));
        dm_session_reply(f->session, mixed, dm_slice_str("twice"));
        dm_session_fail(f->session, mixed, DM_ABORTED, "twice as well");
    }
    assert_int_equal(f->session->calls, 0);
    const char *text = finish(f);
    assert_null(strstr(text, "twice"));
    assert_null(strstr(text, "code"));
    for (uint32_t id = 1; id < 80; id += 2) {
        char line[32];
        (void)snprintf(line, sizeof line, "%u resp ok:x\n", id);
        assert_non_null(strstr(text, line));
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

/* Ids that want the same places of the table: an old call that stays open, and then many
 * whose ids come round to it, answered in any order. */
static void calls_that_want_the_same_place_are_all_answered_once(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 7;
    f->answer = false;
    uint32_t open[40], count = 0, next = 1, answered = 0, asked = 0;
    while (answered < 5000) {
        while (count < 39) {
            request(f, next, 0, "");
            open[count++] = next;
            next += 2 * (1 + next_random(&seed) % 3 * 32);
            asked++;
        }
        feed_in(f);
        assert_int_equal(f->session->calls, count);
        forget(f);
        for (uint32_t left = next_random(&seed) % 38; count > left; answered++) {
            uint32_t which = next_random(&seed) % count;
            char line[32];
            dm_session_reply(f->session, open[which], dm_slice_str("x"));
            dm_session_reply(f->session, open[which], dm_slice_str("twice"));
            (void)snprintf(line, sizeof line, "%u resp ok:x\n", open[which]);
            assert_string_equal(finish(f), line);
            f->trace = (struct trace){.size = 0};
            open[which] = open[--count];
        }
    }
    assert_int_equal(f->session->calls, asked - answered);
}

static void calls_past_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    for (uint32_t id = 1; id <= 81; id += 2) {
        request(f, id, 0, "");
    }
    feed_in(f);
    forget(f);
    dm_session_fail(f->session, 1, DM_ABORTED, "not this time");
    request(f, 83, 0, "");
    request(f, 85, 0, "");
    feed_in(f);
    assert_string_equal(finish(f), "call 83 s.S/M=\n1 resp code 10\n85 resp code 8\n");
}

static void a_stream_is_data_and_an_end(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    request(f, 1, DM_TTRPC_REMOTE_CLOSED, "q");
    request(f, 3, DM_TTRPC_REMOTE_CLOSED, "q");
    feed_in(f);
    dm_session_stream_message(f->session, 1, dm_slice_str("a"));
    dm_session_stream_message(f->session, 1, dm_slice(NULL, 0));
    dm_session_stream_message(f->session, 3, dm_slice_str("b"));
    dm_session_stream_end(f->session, 1);
    dm_session_stream_message(f->session, 1, dm_slice_str("late"));
    dm_session_stream_end(f->session, 1);
    dm_session_fail(f->session, 3, DM_OUT_OF_RANGE, "the cursor is too old");
    assert_string_equal(finish(f),
                        "call 1 s.S/M=q stream\ncall 3 s.S/M=q stream\n"
                        "1 data 0:a\n1 data 0:\n3 data 0:b\n1 data 5:\n3 resp code 11\n");
}

static void input_of_a_bidirectional_call_follows_it(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    request(f, 1, DM_TTRPC_REMOTE_OPEN, "");
    data(f, 1, DM_TTRPC_NO_DATA, "");
    data(f, 1, 0, "a");
    data(f, 1, 0, "b");
    data(f, 1, DM_TTRPC_REMOTE_CLOSED, "c");
    request(f, 3, DM_TTRPC_REMOTE_OPEN, "a");
    data(f, 3, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, "");
    data(f, 3, 0, "after the end");
    request(f, 5, DM_TTRPC_REMOTE_OPEN, "");
    data(f, 5, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, "");
    request(f, 7, DM_TTRPC_REMOTE_OPEN, "");
    data(f, 7, DM_TTRPC_REMOTE_CLOSED, "only");
    feed_in(f);
    assert_string_equal(finish(f), "call 1 s.S/M= stream open awaiting\ninput 1=a\ninput 1=b\n"
                                   "input 1=c\ninput 1 ends\n"
                                   "call 3 s.S/M=a stream open\ninput 3 ends\ncancel 3\n"
                                   "call 5 s.S/M= stream open awaiting\ninput 5 ends\n"
                                   "call 7 s.S/M= stream open awaiting\ninput 7=only\n"
                                   "input 7 ends\n3 resp code 3\n");
}

static void an_answer_too_long_becomes_a_status(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    char *big = calloc(1, DM_MESSAGE_SIZE_MAX + 1);
    request(f, 1, 0, "");
    request(f, 3, DM_TTRPC_REMOTE_CLOSED, "");
    request(f, 5, DM_TTRPC_REMOTE_CLOSED, "");
    feed_in(f);
    forget(f);
    dm_session_reply(f->session, 1, dm_slice(big, DM_MESSAGE_SIZE_MAX - 4));
    dm_session_stream_message(f->session, 3, dm_slice(big, DM_MESSAGE_SIZE_MAX + 1));
    dm_session_stream_message(f->session, 3, dm_slice_str("ignored"));
    assert_int_equal(dm_session_stream_room(f->session, 3), 0);
    assert_true(dm_session_stream_room(f->session, 5) > 0);
    pull(f);
    assert_string_equal(finish(f), "cancel 3\n1 resp code 8\n3 resp code 8\n");
    assert_int_equal(f->session->calls, 1);
    free(big);
}

static void a_client_that_does_not_read_is_not_asked(void **state)
{
    struct fixture *f = *state;
    char *big = calloc(1, (size_t)DM_OUTPUT_HIGH);
    f->answer = false;
    request(f, 1, DM_TTRPC_REMOTE_CLOSED, "");
    feed_in(f);
    dm_session_stream_message(f->session, 1, dm_slice(big, (size_t)DM_OUTPUT_HIGH));
    free(big);
    assert_int_equal(dm_session_stream_room(f->session, 1), 0);
    request(f, 3, 0, "later");
    feed_in(f);
    request(f, 5, 0, "still later");
    feed_in(f);
    assert_int_equal(f->session->calls, 1);
    dm_buf_consume(&f->session->out, dm_buf_size(&f->session->out));
    f->trace = (struct trace){.size = 0};
    pull(f);
    assert_string_equal(finish(f), "call 3 s.S/M=later\ncall 5 s.S/M=still later\n");
}

static void a_reply_of_an_id_beyond_32_bits_is_ignored(void **state)
{
    struct fixture *f = *state;
    f->answer = false;
    request(f, 1, 0, "");
    feed_in(f);
    forget(f);
    dm_session_reply(f->session, (1ULL << 32) + 1, dm_slice_str("not mine"));
    dm_session_reply(f->session, 0, dm_slice_str("nor this"));
    assert_string_equal(finish(f), "");
}

/* Frames with wrong bits in them, in pieces of any size, answered now or later: what comes
 * out is whole frames, and calls are counted right. */
static void garbage_breaks_nothing(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 3000; round++) {
        uint32_t seed = round;
        void *fresh = NULL;
        setup(&fresh);
        struct fixture *f = fresh;
        f->answer = false;
        for (uint32_t i = 0; i < 12; i++) {
            uint32_t id = next_random(&seed) % 24;
            if (next_random(&seed) % 2 == 0) {
                request(f, id, (uint8_t)(next_random(&seed) % 4), "pay");
            } else {
                data(f, id, (uint8_t)(next_random(&seed) % 8), "load");
            }
        }
        for (uint32_t flips = next_random(&seed) % 6; flips > 0; flips--) {
            uint8_t *at = dm_buf_head(&f->in) + next_random(&seed) % dm_buf_size(&f->in);
            *at = (uint8_t)(*at ^ (1U << next_random(&seed) % 8));
        }
        while (dm_buf_size(&f->in) != 0) {
            size_t piece = 1 + next_random(&seed) % 40;
            piece = piece < dm_buf_size(&f->in) ? piece : dm_buf_size(&f->in);
            feed(f, dm_buf_head(&f->in), piece);
            dm_buf_consume(&f->in, piece);
            dm_session_reply(f->session, next_random(&seed) % 24, dm_slice_str("r"));
            dm_session_stream_message(f->session, next_random(&seed) % 24, dm_slice_str("m"));
            dm_session_stream_end(f->session, next_random(&seed) % 24);
        }
        for (uint64_t id = 0; id <= UINT16_MAX && f->session->calls != 0; id++) {
            dm_session_fail(f->session, id, DM_ABORTED, "the test ends here");
        }
        f->trace = (struct trace){.size = 0};
        (void)finish(f);
        teardown(&fresh);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_request_of_the_published_example_is_understood),
        WITH(bytes_may_be_split_anywhere),
        WITH(bytes_may_come_one_at_a_time),
        WITH(even_zero_reused_and_lower_ids_are_answered_on_their_id),
        WITH(data_on_an_id_that_is_not_open_is_answered),
        WITH(data_on_a_unary_call_in_flight_ends_it),
        WITH(bad_envelopes_are_answered_and_the_connection_lives),
        WITH(unknown_types_and_flags_are_answered),
        WITH(a_frame_too_long_is_discarded_and_the_connection_lives),
        WITH(a_frame_of_the_largest_size_is_taken),
        WITH(past_sixteen_mebibytes_the_connection_closes),
        WITH(a_timeout_of_zero_or_less_is_none),
        WITH(answers_come_in_any_order_and_once),
        WITH(calls_that_want_the_same_place_are_all_answered_once),
        WITH(calls_past_the_limit_are_refused),
        WITH(a_stream_is_data_and_an_end),
        WITH(input_of_a_bidirectional_call_follows_it),
        WITH(an_answer_too_long_becomes_a_status),
        WITH(a_client_that_does_not_read_is_not_asked),
        WITH(a_reply_of_an_id_beyond_32_bits_is_ignored),
        cmocka_unit_test(garbage_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
