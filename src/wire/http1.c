#include "wire/session.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/limits.h"
#include "base/list.h"
#include "wire/connect.h"
#include "wire/grpc.h"
#include "wire/grpcweb.h"
#include "wire/http1_head.h"
#include "wire/http1_parse.h"
#include "wire/http1_route.h"

#include <stdio.h>
#include <stdlib.h>

/* HTTP/1.1: Connect, gRPC-Web and plain GETs on one connection.
 *
 * One request at a time: what is fed behind it (pipelining) is kept unparsed until its
 * answer is whole, so answers are in order by themselves.
 *
 *     READING ──whole──▶ READY ──next──▶ OPEN ──answer──▶ READING, or closing
 *         └── refused, or failed by its head: answered here ──▲
 *
 * How it can fail: what breaks HTTP is answered with a status and the connection closes,
 * for nobody knows where the next request would begin; a wrong call is answered in its own
 * protocol and the connection lives. */

enum state { STATE_READING, STATE_READY, STATE_OPEN };

/* What is kept of an emptied buffer's memory. */
enum { KEEP_SCRATCH = 4096 };

struct http1 {
    struct dm_session base;
    struct dm_session_limits limits;
    struct dm_http1_parser *parser;
    struct dm_http1_route route;
    enum state state;
    uint64_t id;
    struct dm_buf pending; /* fed behind the current request */
    struct dm_buf decoded; /* the request's message or body, when it came in base64 */
    struct dm_buf scratch; /* one part of an answer while it is built */
    struct dm_slice input; /* enveloped messages of the open call that are still to be shown */
    bool input_open;       /* INPUT_END is still to be shown */
    bool answered;         /* the parser still holds a request that is done with */
    bool started;          /* of a stream: the head of its answer is out */
    bool chunked;          /* likewise: its parts are chunks */
    bool last_answer;      /* after the next whole answer the connection closes */
    bool crowded;          /* this request's body may only be small: see dm_session_limits */
    uint64_t head_ns;      /* when the request's head was whole */
    uint32_t requests;     /* done with so far */
};

static struct http1 *http1_of(struct dm_session *s)
{
    return DM_CONTAINER_OF(s, struct http1, base);
}

/* ---- writing answers -------------------------------------------------------------------- */

static void put(struct http1 *h, struct dm_slice bytes)
{
    if (!dm_buf_append(&h->base.out, bytes.data, bytes.size)) {
        h->base.closing = true;
    }
}

static void put_text(struct http1 *h, const char *text)
{
    put(h, dm_slice_str(text));
}

static void put_header(struct http1 *h, const char *name, const char *value)
{
    if (!dm_http1_header_write(&h->base.out, name, value)) {
        h->base.closing = true;
    }
}

static void put_length(struct http1 *h, size_t length)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", length);
    put_header(h, "content-length", text);
}

static bool lives(const struct http1 *h)
{
    return dm_http1_request(h->parser)->keep_alive && !h->last_answer;
}

/* The head of an answer without its last empty line. */
static void put_head(struct http1 *h, int status, const char *content_type)
{
    enum dm_http1_connection connection = !lives(h)                              ? DM_HTTP1_CLOSES
                                          : dm_http1_request(h->parser)->minor_1 ? DM_HTTP1_GOES_ON
                                                                                 : DM_HTTP1_KEEPS;
    if (!dm_http1_head_write(&h->base.out, status, content_type, connection, &h->route)) {
        h->base.closing = true;
    }
}

/* A length and a body, which a HEAD does not get. */
static void put_body(struct http1 *h, struct dm_slice body)
{
    put_length(h, body.size);
    put(h, dm_slice("\r\n", 2));
    if (dm_http1_request(h->parser)->verb != DM_HTTP1_VERB_HEAD) {
        put(h, body);
    }
}

/* The answer is whole. */
static void complete(struct http1 *h)
{
    if (h->state == STATE_OPEN) {
        h->base.calls--;
    }
    h->state = STATE_READING;
    h->answered = true;
    h->input = dm_slice(NULL, 0);
    h->input_open = false;
    if (!lives(h)) {
        h->base.closing = true;
    }
}

/* For people: a sentence. */
static void answer_bare(struct http1 *h, int status, const char *why)
{
    const struct dm_http1_route *route = &h->route;
    if (status == 204) {
        put_head(h, status, NULL);
    } else {
        put_head(h, status, "text/plain; charset=utf-8");
    }
    if (route->allow != NULL) {
        put_header(h, "allow", route->allow);
    }
    if (route->accept_post) {
        put_header(h, "accept-post", dm_http1_accept_post);
    }
    if (route->preflight) {
        put_text(h, "access-control-allow-methods: GET, POST\r\n"
                    "access-control-allow-headers: content-type, connect-protocol-version, "
                    "connect-timeout-ms, connect-accept-encoding, connect-content-encoding, "
                    "grpc-timeout, grpc-accept-encoding, x-grpc-web, x-user-agent, user-agent\r\n"
                    "access-control-max-age: 7200\r\n");
    }
    if (status == 204) {
        put(h, dm_slice("\r\n", 2));
    } else {
        char body[160];
        int size = snprintf(body, sizeof body, "%s\n", why);
        put_body(h, dm_slice(body, (size_t)size));
    }
    complete(h);
}

/* ---- streams ---------------------------------------------------------------------------- */

static void start_stream(struct http1 *h)
{
    h->started = true;
    h->chunked = dm_http1_request(h->parser)->minor_1;
    h->last_answer = h->last_answer || !h->chunked; /* the end of the connection ends it */
    put_head(h, 200, h->route.content_type);
    if (h->route.accept_encoding) {
        put_text(h, h->route.kind == DM_HTTP1_GRPC_WEB ? "grpc-accept-encoding: identity\r\n"
                                                       : "connect-accept-encoding: identity\r\n");
    }
    put_text(h, h->chunked ? "transfer-encoding: chunked\r\n\r\n" : "\r\n");
}

static void put_chunk_head(struct http1 *h, size_t size)
{
    if (h->chunked) {
        char text[32];
        int length = snprintf(text, sizeof text, "%zx\r\n", size);
        put(h, dm_slice(text, (size_t)length));
    }
}

/* What `scratch` holds goes out as one part of the stream. */
static void put_scratch(struct http1 *h)
{
    struct dm_buf text = {0};
    struct dm_slice part = dm_buf_slice(&h->scratch);
    if (h->route.text) {
        if (!dm_base64_append(&text, DM_BASE64_PADDED, part)) {
            h->base.closing = true;
        }
        part = dm_buf_slice(&text);
    }
    put_chunk_head(h, part.size);
    put(h, part);
    if (h->chunked) {
        put(h, dm_slice("\r\n", 2));
    }
    dm_buf_finish(&text);
    dm_buf_reset(&h->scratch, KEEP_SCRATCH);
}

static void put_message(struct http1 *h, struct dm_slice payload)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    dm_envelope_write(head, 0, payload.size);
    if (!h->started) {
        start_stream(h);
    }
    if (h->route.text) {
        if (!dm_buf_append(&h->scratch, head, sizeof head) ||
            !dm_buf_append(&h->scratch, payload.data, payload.size)) {
            h->base.closing = true;
        }
        put_scratch(h);
        return;
    }
    put_chunk_head(h, sizeof head + payload.size);
    put(h, dm_slice(head, sizeof head));
    put(h, payload);
    if (h->chunked) {
        put(h, dm_slice("\r\n", 2));
    }
}

static void end_stream(struct http1 *h, enum dm_code code, const char *message)
{
    bool fine;
    if (!h->started) {
        start_stream(h);
    }
    if (h->route.kind == DM_HTTP1_GRPC_WEB) {
        fine = dm_grpcweb_trailers(&h->scratch, code, message);
    } else {
        uint8_t head[DM_ENVELOPE_HEAD] = {0};
        fine = dm_buf_append(&h->scratch, head, sizeof head) &&
               dm_connect_end_stream(&h->scratch, code, message);
        if (fine) {
            dm_envelope_write(dm_buf_head(&h->scratch), DM_ENVELOPE_END,
                              dm_buf_size(&h->scratch) - sizeof head);
        }
    }
    h->base.closing = h->base.closing || !fine || !h->chunked;
    put_scratch(h);
    if (h->chunked) {
        put_text(h, "0\r\n\r\n");
    }
    complete(h);
}

/* ---- ending a call ------------------------------------------------------------------------ */

static void answer_error(struct http1 *h, enum dm_code code, const char *message)
{
    switch (h->route.kind) {
    case DM_HTTP1_CONNECT_STREAM:
    case DM_HTTP1_GRPC_WEB:
        end_stream(h, code, message);
        return;
    case DM_HTTP1_CONNECT_UNARY:
        if (!dm_connect_error(&h->scratch, code, message)) {
            h->base.closing = true;
        }
        put_head(h, dm_connect_http_status(code), "application/json");
        if (h->route.accept_encoding) {
            put_text(h, "accept-encoding: identity\r\n");
        }
        put_body(h, dm_buf_slice(&h->scratch));
        dm_buf_reset(&h->scratch, KEEP_SCRATCH);
        complete(h);
        return;
    default:
        answer_bare(h, dm_connect_http_status(code), message == NULL ? "" : message);
        return;
    }
}

static bool is_open(const struct http1 *h, uint64_t id)
{
    return h->state == STATE_OPEN && h->id == id;
}

static size_t message_size_max(const struct http1 *h)
{
    return h->limits.message_size_max != 0 ? h->limits.message_size_max
                                           : (size_t)DM_MESSAGE_SIZE_MAX;
}

static size_t output_high(const struct http1 *h)
{
    return h->limits.output_high != 0 ? h->limits.output_high : (size_t)DM_OUTPUT_HIGH;
}

static bool fits(struct http1 *h, struct dm_slice payload)
{
    if (payload.size > message_size_max(h)) {
        answer_error(h, DM_RESOURCE_EXHAUSTED, "the answer is larger than one message may be");
        return false;
    }
    return true;
}

static void http1_reply(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct http1 *h = http1_of(s);
    if (!is_open(h, id) || !fits(h, payload)) {
        return;
    }
    if (h->route.kind == DM_HTTP1_CONNECT_UNARY) {
        put_head(h, 200, h->route.content_type);
        put_body(h, payload);
        complete(h);
    } else if (h->route.kind != DM_HTTP1_PLAIN) {
        put_message(h, payload);
        end_stream(h, DM_OK, NULL);
    } else {
        answer_error(h, DM_INTERNAL, "a page was answered as a call");
    }
}

static void http1_fail(struct dm_session *s, uint64_t id, enum dm_code code, const char *message)
{
    struct http1 *h = http1_of(s);
    if (is_open(h, id)) {
        answer_error(h, code, message);
    }
}

static bool carries_stream(const struct http1 *h)
{
    return h->route.kind == DM_HTTP1_CONNECT_STREAM || h->route.kind == DM_HTTP1_GRPC_WEB;
}

static void http1_stream_message(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct http1 *h = http1_of(s);
    if (!is_open(h, id) || !fits(h, payload)) {
        return;
    }
    if (!carries_stream(h)) {
        answer_error(h, DM_UNIMPLEMENTED, "this content type cannot carry a stream");
        return;
    }
    put_message(h, payload);
}

static void http1_stream_end(struct dm_session *s, uint64_t id)
{
    struct http1 *h = http1_of(s);
    if (!is_open(h, id)) {
        return;
    }
    if (!carries_stream(h)) {
        answer_error(h, DM_UNIMPLEMENTED, "this content type cannot carry a stream");
        return;
    }
    end_stream(h, DM_OK, NULL);
}

static size_t http1_stream_room(struct dm_session *s, uint64_t id)
{
    struct http1 *h = http1_of(s);
    size_t size = dm_buf_size(&s->out);
    bool room = is_open(h, id) && s->unsent == 0 && size < output_high(h);
    return room ? output_high(h) - size : 0;
}

static void http1_http_reply(struct dm_session *s, uint64_t id, int status,
                             const char *content_type, struct dm_slice body)
{
    struct http1 *h = http1_of(s);
    if (!is_open(h, id)) {
        return;
    }
    put_head(h, status, content_type);
    if (status == 204 || status == 304) {
        put(h, dm_slice("\r\n", 2));
    } else {
        put_body(h, body);
    }
    complete(h);
}

/* ---- taking requests ----------------------------------------------------------------------- */

/* The first of the enveloped messages in *bytes, taken off it. */
static enum dm_code take_message(struct http1 *h, struct dm_slice *bytes, struct dm_slice *message,
                                 const char **why)
{
    bool whole;
    enum dm_code code = dm_envelope_read(*bytes, message_size_max(h), &whole, message, why);
    if (code != DM_OK) {
        return code;
    }
    if (!whole) {
        *why = bytes->size == 0 ? "this method takes one request message"
                                : "the request ends inside a message";
        return bytes->size == 0 ? DM_UNIMPLEMENTED : DM_INTERNAL;
    }
    size_t size = DM_ENVELOPE_HEAD + message->size;
    *bytes = dm_slice((const char *)bytes->data + size, bytes->size - size);
    return DM_OK;
}

static enum dm_code decode_get(struct http1 *h, struct dm_slice *message, const char **why)
{
    struct dm_connect_query query;
    dm_connect_query_read(dm_http1_request(h->parser)->query, &query);
    enum dm_connect_decoded decoded = dm_connect_query_message(&query, &h->decoded);
    *message = dm_buf_slice(&h->decoded);
    if (decoded != DM_CONNECT_DECODED) {
        *why = "the parameter message is malformed";
        return decoded == DM_CONNECT_MALFORMED ? DM_INVALID_ARGUMENT : DM_RESOURCE_EXHAUSTED;
    }
    return DM_OK;
}

static enum dm_code decode_text(struct http1 *h, struct dm_slice *body, const char **why)
{
    uint8_t *room = dm_buf_reserve(&h->decoded, body->size + 1);
    if (room == NULL) {
        *why = "out of memory";
        return DM_RESOURCE_EXHAUSTED;
    }
    ptrdiff_t size = dm_base64_read_segments(*body, room);
    if (size < 0) {
        *why = "the body is no base64";
        return DM_INVALID_ARGUMENT;
    }
    dm_buf_commit(&h->decoded, (size_t)size);
    *body = dm_buf_slice(&h->decoded);
    return DM_OK;
}

/* The call's (first) message out of the whole request. */
static enum dm_code decode(struct http1 *h, struct dm_slice *message, const char **why)
{
    const struct dm_http1_request *r = dm_http1_request(h->parser);
    struct dm_slice body = r->body;
    dm_buf_reset(&h->decoded, KEEP_SCRATCH);
    if (h->route.code != DM_OK) {
        *why = h->route.message;
        return h->route.code;
    }
    if (r->body_too_large) {
        *why = "the message is larger than this server takes";
        if (h->crowded) {
            h->limits.crowd->refused++;
            *why = DM_CROWDED_SENTENCE;
        }
        return DM_RESOURCE_EXHAUSTED;
    }
    if (h->route.get) {
        return decode_get(h, message, why);
    }
    if (h->route.kind == DM_HTTP1_CONNECT_UNARY) {
        *message = body;
        return DM_OK;
    }
    enum dm_code code = h->route.text ? decode_text(h, &body, why) : DM_OK;
    if (code == DM_OK) {
        code = take_message(h, &body, message, why);
    }
    if (code != DM_OK) {
        return code;
    }
    h->input = body;
    h->input_open = h->limits.client_streaming != NULL &&
                    h->limits.client_streaming(h->route.service, h->route.method);
    if (!h->input_open && body.size != 0) {
        *why = "this method takes one request message";
        return DM_UNIMPLEMENTED;
    }
    return DM_OK;
}

static bool expects_continue(const struct http1 *h)
{
    const struct dm_http1_request *r = dm_http1_request(h->parser);
    return r->minor_1 && r->header_counts[DM_HTTP1_EXPECT] != 0 &&
           (r->chunked || r->content_length != 0);
}

/* The head is there. true: the request is answered already. */
static bool take_head(struct http1 *h, bool body_follows)
{
    dm_http1_route(dm_http1_request(h->parser), &h->limits, &h->route);
    size_t body_max = message_size_max(h);
    if (h->route.kind == DM_HTTP1_CONNECT_STREAM || h->route.kind == DM_HTTP1_GRPC_WEB) {
        body_max += DM_ENVELOPE_HEAD;
    }
    if (h->route.text) {
        body_max = body_max / 3 * 4 + 8;
    }
    h->head_ns = h->base.now_ns;
    h->crowded = body_max > DM_SMALL_BODY && dm_crowd_full(h->limits.crowd);
    if (h->crowded) {
        body_max = DM_SMALL_BODY;
    }
    bool wanted = h->route.kind != DM_HTTP1_BARE && h->route.kind != DM_HTTP1_PLAIN;
    dm_http1_body_max(h->parser, wanted ? body_max : 0);
    if (!expects_continue(h)) {
        return false;
    }
    if (h->route.kind == DM_HTTP1_BARE) {
        /* The client may or may not send the body now: nobody could tell it from a request. */
        h->last_answer = true;
        answer_bare(h, h->route.status, h->route.why);
        return true;
    }
    if (h->crowded && dm_http1_request(h->parser)->content_length > body_max) {
        h->limits.crowd->refused++;
        h->last_answer = true;
        h->started = false;
        answer_error(h, DM_RESOURCE_EXHAUSTED, DM_CROWDED_SENTENCE);
        return true;
    }
    if (!body_follows) {
        put_text(h, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return false;
}

/* The request is whole. */
static void take_request(struct http1 *h)
{
    h->started = false;
    if (h->route.kind == DM_HTTP1_BARE) {
        answer_bare(h, h->route.status, h->route.why);
        return;
    }
    h->state = STATE_READY;
    h->id++;
}

static void answer_refusal(struct http1 *h)
{
    const char *why;
    int status = dm_http1_refusal(h->parser, &why);
    h->route = (struct dm_http1_route){.cors = h->limits.cors_origins != NULL};
    h->last_answer = true;
    answer_bare(h, status, why);
}

/* A request that was answered is forgotten before anything else comes, with its memory. */
static void forget_request(struct http1 *h)
{
    if (h->answered) {
        h->answered = false;
        h->requests++;
        dm_http1_parser_next(h->parser);
        dm_buf_reset(&h->decoded, KEEP_SCRATCH);
    }
}

/* Parses until a request waits to be shown. Returns how many bytes were used. */
static size_t advance(struct http1 *h, struct dm_slice bytes)
{
    size_t total = 0;
    while (h->state == STATE_READING && !h->base.closing &&
           dm_session_unsent(&h->base) < output_high(h)) {
        forget_request(h);
        size_t used;
        struct dm_slice rest = dm_slice((const char *)bytes.data + total, bytes.size - total);
        enum dm_http1_progress progress = dm_http1_parse(h->parser, rest, &used);
        total += used;
        if (progress == DM_HTTP1_MORE) {
            break;
        }
        if (progress == DM_HTTP1_REFUSED) {
            answer_refusal(h);
        } else if (progress == DM_HTTP1_HEAD) {
            (void)take_head(h, used < rest.size);
        } else {
            take_request(h);
        }
    }
    return total;
}

static void http1_feed(struct dm_session *s, struct dm_slice bytes)
{
    struct http1 *h = http1_of(s);
    if (s->closing || bytes.size == 0) {
        return;
    }
    size_t used = dm_buf_size(&h->pending) == 0 ? advance(h, bytes) : 0;
    if (s->closing || used == bytes.size) {
        return;
    }
    /* An owner who heeds `paused` cannot exceed this. */
    size_t pending_max = DM_HTTP1_PIPELINE_MAX + 2 * (size_t)DM_READ_SIZE + bytes.size;
    if (dm_buf_size(&h->pending) > pending_max ||
        !dm_buf_append(&h->pending, (const char *)bytes.data + used, bytes.size - used)) {
        s->closing = true;
    }
    s->paused = dm_buf_size(&h->pending) > DM_HTTP1_PIPELINE_MAX;
}

static void show_page(struct http1 *h, struct dm_session_event *event)
{
    const struct dm_http1_request *r = dm_http1_request(h->parser);
    event->kind = DM_EVENT_HTTP;
    event->method = r->path;
    event->payload = r->query;
    event->get = true;
    h->base.inputs += DM_INPUTS_OF_PAGE;
    h->base.protocol = "http";
}

static void show_call(struct http1 *h, struct dm_session_event *event)
{
    event->kind = DM_EVENT_CALL;
    event->service = h->route.service;
    event->method = h->route.method;
    event->codec = h->route.codec;
    event->timeout_ns = dm_session_time_left(&h->base, h->route.timeout_ns, h->head_ns);
    event->streaming = h->route.kind != DM_HTTP1_CONNECT_UNARY;
    event->unary = h->route.kind != DM_HTTP1_CONNECT_STREAM;
    event->open = h->input_open;
    event->get = h->route.get;
    h->base.protocol = h->route.kind == DM_HTTP1_GRPC_WEB ? "grpc-web" : "connect";
    if (h->route.kind == DM_HTTP1_CONNECT_STREAM) {
        start_stream(h);
    }
}

/* false: the request turned out to be wrong and is answered. */
static bool show_request(struct http1 *h, struct dm_session_event *event)
{
    const char *why = NULL;
    event->id = h->id;
    if (h->route.kind == DM_HTTP1_PLAIN) {
        show_page(h, event);
    } else {
        enum dm_code code = decode(h, &event->payload, &why);
        if (code != DM_OK) {
            answer_error(h, code, why);
            return false;
        }
        show_call(h, event);
    }
    h->state = STATE_OPEN;
    h->base.calls++;
    return true;
}

/* The rest of a stream of requests: all of it came with the body. An answer may be a thousand
 * times as long as the message that asks for it, so each waits for room. */
static bool show_input(struct http1 *h, struct dm_session_event *event)
{
    const char *why = NULL;
    if (!h->input_open || (h->input.size != 0 && http1_stream_room(&h->base, h->id) == 0)) {
        return false;
    }
    event->id = h->id;
    event->codec = h->route.codec;
    if (h->input.size == 0) {
        event->kind = DM_EVENT_INPUT_END;
        h->input_open = false;
        return true;
    }
    event->kind = DM_EVENT_INPUT;
    event->open = true;
    h->base.inputs++;
    enum dm_code code = take_message(h, &h->input, &event->payload, &why);
    if (code != DM_OK) {
        answer_error(h, code, why);
        event->kind = DM_EVENT_CANCEL;
    }
    return true;
}

static void take_pending(struct http1 *h)
{
    forget_request(h);
    if (dm_buf_size(&h->pending) != 0) {
        dm_buf_consume(&h->pending, advance(h, dm_buf_slice(&h->pending)));
        h->base.paused = dm_buf_size(&h->pending) > DM_HTTP1_PIPELINE_MAX;
        if (dm_buf_size(&h->pending) == 0) {
            dm_buf_reset(&h->pending, KEEP_SCRATCH);
        }
    }
}

static bool show_next(struct http1 *h, struct dm_session_event *event)
{
    while (!h->base.closing && h->base.inputs < DM_INPUTS_PER_TURN) {
        *event = (struct dm_session_event){0};
        if (h->state == STATE_OPEN) {
            return show_input(h, event);
        }
        if (h->state == STATE_READING) {
            take_pending(h);
        }
        if (h->state != STATE_READY) {
            return false;
        }
        if (show_request(h, event)) {
            return true;
        }
    }
    return false;
}

static bool http1_next(struct dm_session *s, struct dm_session_event *event)
{
    if (show_next(http1_of(s), event)) {
        return true;
    }
    s->more = s->inputs >= DM_INPUTS_PER_TURN;
    s->inputs = 0;
    return false;
}

/* ---- the session ----------------------------------------------------------------------------- */

static void http1_flush(struct dm_session *s)
{
    (void)s; /* everything is written into `out` at once */
}

static void http1_drain(struct dm_session *s)
{
    struct http1 *h = http1_of(s);
    h->last_answer = true;
    bool idle = h->state == STATE_READING && (h->answered || dm_http1_parser_idle(h->parser)) &&
                dm_buf_size(&h->pending) == 0;
    if (idle) {
        s->closing = true;
    }
}

static void http1_load(const struct dm_session *s, struct dm_load *load)
{
    const struct http1 *h = DM_CONTAINER_OF(s, struct http1, base);
    *load = (struct dm_load){
        .memory = s->out.capacity + h->pending.capacity + h->decoded.capacity +
                  h->scratch.capacity + dm_http1_parser_memory(h->parser),
        .head_number = h->requests,
        .body_number = h->requests,
    };
    if (h->state == STATE_READING && !h->answered) {
        dm_http1_parser_half(h->parser, &load->head, &load->body);
    }
}

static void http1_give_up(struct dm_session *s)
{
    struct http1 *h = http1_of(s);
    struct dm_load load;
    http1_load(s, &load);
    if (s->closing || (!load.head && !load.body)) {
        return;
    }
    h->last_answer = true;
    h->started = false;
    if (load.body) {
        answer_error(h, DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
        return;
    }
    h->route = (struct dm_http1_route){.cors = h->limits.cors_origins != NULL};
    answer_bare(h, dm_connect_http_status(DM_UNAVAILABLE), DM_STOPPING_SENTENCE);
}

static void http1_destroy(struct dm_session *s)
{
    struct http1 *h = http1_of(s);
    dm_http1_parser_destroy(h->parser);
    dm_buf_finish(&h->pending);
    dm_buf_finish(&h->decoded);
    dm_buf_finish(&h->scratch);
    dm_buf_finish(&s->out);
    free(h);
}

static const struct dm_session_ops ops = {
    .feed = http1_feed,
    .next = http1_next,
    .reply = http1_reply,
    .fail = http1_fail,
    .stream_message = http1_stream_message,
    .stream_end = http1_stream_end,
    .stream_room = http1_stream_room,
    .http_reply = http1_http_reply,
    .flush = http1_flush,
    .drain = http1_drain,
    .load = http1_load,
    .give_up = http1_give_up,
    .destroy = http1_destroy,
};

struct dm_session *dm_http1_session(const struct dm_session_limits *limits)
{
    struct http1 *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->base.ops = &ops;
    h->base.protocol = "http";
    h->limits = *limits;
    h->parser = dm_http1_parser_create();
    if (h->parser == NULL) {
        free(h);
        return NULL;
    }
    return &h->base;
}
