#include "base/limits.h"
#include "base/list.h"
#include "wire/envelope.h"
#include "wire/http1_answer.h"
#include "wire/request.h"
#include "wire/route.h"

#include <stdlib.h>

/* HTTP/1.1: Connect, gRPC-Web and plain GETs on one connection.
 *
 * One request at a time: what is fed behind it (pipelining) is kept unparsed until its
 * answer is whole, so answers are in order by themselves. `x.state` says where it is:
 *
 *     GATHERING ──whole──▶ READY ──next──▶ OPEN ──answer──▶ ANSWERED ──▶ the next one, or closing
 *         └── refused, or failed by its head or its body ──────▲
 *
 * How it can fail: what breaks HTTP is answered with a status and the connection closes,
 * for nobody knows where the next request would begin; a wrong call is answered in its own
 * protocol and the connection lives. */

enum { KEEP = 4096 }; /* bytes of memory that an emptied buffer keeps */
_Static_assert(4 * KEEP <= DM_BUFFERS_FREE, "what an idle connection keeps is free");
_Static_assert(DM_HTTP1_PIPELINE_MAX >= DM_READ_SIZE, "one read alone does not pause a connection");

static struct dm_http1 *http1_of(struct dm_session *s)
{
    return DM_CONTAINER_OF(s, struct dm_http1, base);
}

static size_t output_high(const struct dm_http1 *h)
{
    return h->limits.output_high != 0 ? h->limits.output_high : (size_t)DM_OUTPUT_HIGH;
}

/* ---- answers -------------------------------------------------------------------------- */

/* The open exchange of this id, or NULL. */
static struct dm_exchange *open_exchange(struct dm_session *s, uint64_t id)
{
    struct dm_http1 *h = http1_of(s);
    return h->x.state == DM_EXCHANGE_OPEN && h->id == id ? &h->x : NULL;
}

static void http1_reply(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_reply(x, payload);
    }
}

static void http1_fail(struct dm_session *s, uint64_t id, enum dm_code code, const char *message)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_fail(x, code, message);
    }
}

static void http1_stream_message(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_message(x, payload);
    }
}

static void http1_stream_end(struct dm_session *s, uint64_t id)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_end(x);
    }
}

static size_t http1_stream_room(struct dm_session *s, uint64_t id)
{
    size_t size = dm_buf_size(&s->out);
    size_t high = output_high(http1_of(s));
    return open_exchange(s, id) != NULL && s->unsent == 0 && size < high ? high - size : 0;
}

static void http1_http_answer(struct dm_session *s, uint64_t id, struct dm_http_answer *answer)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_answer(x, answer);
    }
}

/* ---- taking requests ------------------------------------------------------------------ */

static bool expects_continue(const struct dm_http1 *h)
{
    const struct dm_http1_request *r = dm_http1_request(h->parser);
    return r->minor_1 && dm_http_has(&r->http, DM_HTTP_EXPECT) &&
           (r->chunked || r->content_length != 0);
}

static void refuse_crowded(struct dm_http1 *h)
{
    h->limits.crowd->refused++;
    (void)dm_request_over(&h->x, DM_RESOURCE_EXHAUSTED, DM_CROWDED_SENTENCE);
    dm_exchange_finish(&h->x);
}

/* The client sends its body only after it was told to (RFC 9110, 10.1.1). */
static void answer_expectation(struct dm_http1 *h, size_t body_max, bool body_follows)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    bool too_long = h->crowded && dm_http1_request(h->parser)->content_length > body_max;
    if (h->x.route.status != 0 || too_long) {
        /* It may or may not send the body now: nobody could tell it from a request. */
        h->last_answer = true;
        if (too_long) {
            refuse_crowded(h);
        } else {
            dm_exchange_finish(&h->x);
        }
    } else if (!body_follows && !dm_buf_append(&h->base.out, go_on, sizeof go_on - 1)) {
        h->base.closing = true;
    }
}

/* The head is there. */
static void take_head(struct dm_http1 *h, bool body_follows)
{
    dm_route(&h->x, &dm_http1_request(h->parser)->http);
    dm_request_begin(&h->x, h->base.now_ns);
    size_t body_max = dm_request_body_max(&h->x);
    h->crowded = body_max > DM_SMALL_BODY && dm_crowd_full(h->limits.crowd);
    if (h->crowded) {
        body_max = DM_SMALL_BODY;
    }
    dm_http1_take_body(h->parser, &h->x.input, body_max);
    if (expects_continue(h)) {
        answer_expectation(h, body_max, body_follows);
    }
}

/* The request is whole. */
static void take_request(struct dm_http1 *h)
{
    struct dm_exchange *x = &h->x;
    bool too_large = dm_http1_request(h->parser)->body_too_large && x->route.code == DM_OK;
    x->input_ended = true;
    if (too_large && h->crowded) {
        refuse_crowded(h);
        return;
    }
    enum dm_request_step step =
        too_large ? dm_request_over(x, DM_RESOURCE_EXHAUSTED, DM_TOO_LARGE_SENTENCE)
                  : dm_request_judge(x);
    if (step == DM_REQUEST_OVER) {
        dm_exchange_finish(x);
    } else {
        h->id++;
    }
}

/* Bytes that are not HTTP lead nowhere, so they have no route. */
static void refuse_bytes(struct dm_http1 *h, int status, const char *why)
{
    h->x.route = (struct dm_route){.verb = dm_http1_request(h->parser)->http.verb};
    h->last_answer = true;
    dm_exchange_refuse(&h->x, status, why);
}

/* A request that was answered is forgotten before anything else comes, with its memory. */
static void forget_request(struct dm_http1 *h)
{
    if (h->x.state == DM_EXCHANGE_ANSWERED) {
        h->requests++;
        dm_http1_parser_next(h->parser);
        dm_exchange_shrink(&h->x, KEEP);
        dm_exchange_reset(&h->x);
        h->lent = false;
    }
}

/* Parses until a request waits to be shown. Returns how many bytes were used. */
static size_t advance(struct dm_http1 *h, struct dm_slice bytes)
{
    size_t total = 0;
    while (!h->base.closing && dm_session_unsent(&h->base) < output_high(h)) {
        size_t used;
        const char *why;
        struct dm_slice rest = dm_slice((const char *)bytes.data + total, bytes.size - total);
        forget_request(h);
        if (h->x.state != DM_EXCHANGE_GATHERING) {
            break;
        }
        enum dm_http1_progress progress = dm_http1_parse(h->parser, rest, &used);
        total += used;
        if (progress == DM_HTTP1_MORE) {
            break;
        }
        if (progress == DM_HTTP1_REFUSED) {
            int status = dm_http1_refusal(h->parser, &why);
            refuse_bytes(h, status, why);
        } else if (progress == DM_HTTP1_HEAD) {
            take_head(h, used < rest.size);
        } else {
            take_request(h);
        }
    }
    return total;
}

static void http1_feed(struct dm_session *s, struct dm_slice bytes)
{
    struct dm_http1 *h = http1_of(s);
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

/* ---- showing requests ----------------------------------------------------------------- */

/* The owner is done with the bytes that the last event has shown. */
static void drop_shown(struct dm_http1 *h)
{
    if (h->lent) {
        h->lent = false;
        dm_buf_consume(&h->x.input, h->x.shown);
    }
}

/* The rest of a stream of requests: all of it came with the body. An answer may be a thousand
 * times as long as the message that asks for it, so each waits for room. */
static bool show_input(struct dm_http1 *h, struct dm_session_event *event)
{
    struct dm_exchange *x = &h->x;
    if (!x->input_streaming ||
        (dm_buf_size(&x->input) != 0 && http1_stream_room(&h->base, h->id) == 0)) {
        return false;
    }
    event->id = h->id;
    if (dm_request_judge(x) == DM_REQUEST_OVER) {
        dm_exchange_finish(x);
        event->kind = DM_EVENT_CANCEL;
        return true;
    }
    dm_request_show(x, event);
    h->base.inputs += event->kind == DM_EVENT_INPUT;
    h->lent = true;
    return true;
}

static void take_pending(struct dm_http1 *h)
{
    forget_request(h);
    if (dm_buf_size(&h->pending) != 0) {
        dm_buf_consume(&h->pending, advance(h, dm_buf_slice(&h->pending)));
        h->base.paused = dm_buf_size(&h->pending) > DM_HTTP1_PIPELINE_MAX;
        if (dm_buf_size(&h->pending) == 0) {
            dm_buf_reset(&h->pending, KEEP);
        }
    }
}

static bool show_next(struct dm_http1 *h, struct dm_session_event *event)
{
    drop_shown(h);
    *event = (struct dm_session_event){0};
    if (h->base.closing || h->base.inputs >= DM_INPUTS_PER_TURN) {
        return false;
    }
    if (h->x.state == DM_EXCHANGE_OPEN) {
        return show_input(h, event);
    }
    if (h->x.state != DM_EXCHANGE_READY) {
        take_pending(h);
    }
    if (h->x.state != DM_EXCHANGE_READY) {
        return false;
    }
    event->id = h->id;
    dm_request_show(&h->x, event);
    h->base.inputs += event->kind == DM_EVENT_HTTP ? DM_INPUTS_OF_PAGE : 0;
    h->lent = true;
    return true;
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

/* ---- the session ---------------------------------------------------------------------- */

static void http1_flush(struct dm_session *s)
{
    (void)s; /* everything is written into `out` at once */
}

static void http1_drain(struct dm_session *s)
{
    struct dm_http1 *h = http1_of(s);
    h->last_answer = true;
    bool idle = h->x.state == DM_EXCHANGE_ANSWERED ||
                (h->x.state == DM_EXCHANGE_GATHERING && dm_http1_parser_idle(h->parser));
    if (idle && dm_buf_size(&h->pending) == 0) {
        s->closing = true;
    }
}

static void http1_load(const struct dm_session *s, struct dm_load *load)
{
    const struct dm_http1 *h = DM_CONTAINER_OF(s, struct dm_http1, base);
    *load = (struct dm_load){
        .memory = s->out.capacity + h->pending.capacity + dm_exchange_memory(&h->x) +
                  dm_http1_parser_memory(h->parser),
        .head_number = h->requests,
        .body_number = h->requests,
    };
    if (h->x.state == DM_EXCHANGE_GATHERING) {
        dm_http1_parser_half(h->parser, &load->head, &load->body);
    }
}

static void http1_give_up(struct dm_session *s)
{
    struct dm_http1 *h = http1_of(s);
    struct dm_load load;
    http1_load(s, &load);
    if (s->closing || (!load.head && !load.body)) {
        return;
    }
    h->last_answer = true;
    if (load.body) {
        dm_exchange_fail(&h->x, DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
    } else {
        refuse_bytes(h, dm_http_status(DM_UNAVAILABLE), DM_STOPPING_SENTENCE);
    }
}

static void http1_destroy(struct dm_session *s)
{
    struct dm_http1 *h = http1_of(s);
    dm_http1_parser_destroy(h->parser);
    dm_exchange_release(&h->x);
    dm_buf_finish(&h->pending);
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
    .answer = http1_http_answer,
    .flush = http1_flush,
    .drain = http1_drain,
    .load = http1_load,
    .give_up = http1_give_up,
    .destroy = http1_destroy,
};

struct dm_session *dm_http1_session(const struct dm_session_limits *limits)
{
    struct dm_http1 *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->base.ops = &ops;
    h->base.protocol = "http";
    h->limits = *limits;
    h->x = (struct dm_exchange){
        .transport = &dm_http1_transport, .session = &h->base, .limits = &h->limits};
    h->parser = dm_http1_parser_create();
    if (h->parser == NULL) {
        free(h);
        return NULL;
    }
    return &h->base;
}
