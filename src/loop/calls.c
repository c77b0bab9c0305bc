#include "loop/calls.h"

#include "base/assert.h"
#include "rpc/prefetch.h"

enum { LOOK_AHEAD = 32 }; /* calls whose data is fetched ahead of them */

_Static_assert((int)LOOK_AHEAD <= (int)DM_PREFETCH_MAX, "the engine looks at all of them");

/* ---- the sink: answers from rpc --------------------------------------------------- */

static struct conn *conn_of(struct dm_sink *sink)
{
    struct conn *c = DM_CONTAINER_OF(sink, struct conn, sink);
    DM_ASSERT(c->session != NULL); /* without one it is not among rpc's sinks */
    return c;
}

static void sink_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    struct conn *c = conn_of(sink);
    dm_session_reply(c->session, id, payload);
    c->answered = true;
    conn_touch(c);
}

static void sink_fail(struct dm_sink *sink, uint64_t id, enum dm_code code, const char *message)
{
    struct conn *c = conn_of(sink);
    dm_session_fail(c->session, id, code, message);
    c->answered = true;
    conn_touch(c);
}

static void sink_stream_message(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    struct conn *c = conn_of(sink);
    dm_session_stream_message(c->session, id, payload);
    c->answered = true; /* a message too long cancels its call */
    conn_touch(c);
}

static void sink_stream_end(struct dm_sink *sink, uint64_t id)
{
    struct conn *c = conn_of(sink);
    dm_session_stream_end(c->session, id);
    c->answered = true;
    conn_touch(c);
}

static size_t sink_stream_room(struct dm_sink *sink, uint64_t id)
{
    return dm_session_stream_room(conn_of(sink)->session, id);
}

void calls_begin(struct conn *c)
{
    static const struct dm_sink_ops ops = {
        .reply = sink_reply,
        .fail = sink_fail,
        .stream_message = sink_stream_message,
        .stream_end = sink_stream_end,
        .stream_room = sink_stream_room,
    };
    dm_sink_init(&c->sink, &ops, c->session->protocol);
}

/* ---- events: requests to rpc ------------------------------------------------------- */

static void begin_call(struct conn *c, const struct dm_session_event *event)
{
    const struct dm_rpc_request request = {
        .id = event->id,
        .service = event->service,
        .method = event->method,
        .payload = event->payload,
        .json = event->codec == DM_CODEC_JSON,
        .timeout_ns = event->timeout_ns,
        .open = event->open,
        .awaiting = event->awaiting,
        .unary_only = event->unary && !event->streaming,
        .stream_only = event->streaming && !event->unary,
        .get = event->get,
    };
    c->sink.protocol = c->session->protocol;
    dm_rpc_call(c->loop->rpc, &c->sink, &request);
}

static void answer_http(struct conn *c, const struct dm_session_event *event)
{
    const struct dm_loop_options *options = &c->loop->options;
    const struct dm_page_request request = {.path = event->method,
                                            .query = event->payload,
                                            .if_none_match = event->if_none_match,
                                            .accept_encoding = event->accept_encoding};
    struct dm_page page = {.text = {0}};
    dm_http_answer_init(&page.answer, 404);
    if (options->http != NULL) {
        options->http(options->http_context, &request, &page);
    }
    if (dm_buf_size(&page.text) != 0) {
        page.answer.body = dm_buf_slice(&page.text);
        page.answer.body_lasting = false;
    }
    dm_session_answer(c->session, event->id, &page.answer);
    dm_buf_finish(&page.text);
}

/* Begins a batch: its calls are at one time, and the engine fetches what they will look at.
 * Returns how many events it has. */
static size_t look_ahead(struct conn *c)
{
    struct dm_slice payloads[LOOK_AHEAD];
    dm_clock_hold(&c->loop->calls_clock);
    size_t count = dm_session_peek(c->session, payloads, LOOK_AHEAD);
    if (count > 1) {
        dm_rpc_prefetch(c->loop->rpc, payloads, count);
    }
    return count == 0 ? LOOK_AHEAD : count; /* 0: they cannot be told cheaply */
}

void calls_pull(struct conn *c)
{
    struct dm_rpc *rpc = c->loop->rpc;
    struct dm_session_event event;
    DM_ASSERT(c->loop->turn_start_ns != 0); /* every callback says when it began */
    c->session->now_ns = c->loop->turn_start_ns;
    size_t ahead = look_ahead(c);
    while (dm_session_next(c->session, &event)) {
        if (--ahead == 0) {
            ahead = look_ahead(c);
        }
        c->loop->called = true;
        switch (event.kind) {
        case DM_EVENT_CALL:
            begin_call(c, &event);
            break;
        case DM_EVENT_CANCEL:
            dm_rpc_cancel(rpc, &c->sink, event.id);
            break;
        case DM_EVENT_HTTP:
            answer_http(c, &event);
            break;
        case DM_EVENT_INPUT:
            dm_rpc_input(rpc, &c->sink, event.id, event.payload);
            break;
        case DM_EVENT_INPUT_END:
            dm_rpc_input_end(rpc, &c->sink, event.id);
            break;
        }
    }
    dm_clock_let_go(&c->loop->calls_clock);
    c->answered = c->session->more; /* what was answered meanwhile, the session has seen */
}
