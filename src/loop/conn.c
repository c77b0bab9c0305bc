#include "loop/conn.h"

#include "base/assert.h"
#include "base/limits.h"
#include "loop/guard.h"
#include "rpc/prefetch.h"

#include <stdlib.h>

/* A connection: what is read goes to its session, events of the session go to rpc, answers
 * gather in session->out until the turn ends, then go out in one write. Callbacks of libuv
 * and of rpc only note what happened and put the connection on the dirty list; sending,
 * pausing, and ending happen in settle, and closing in conn_close alone, so nothing is
 * freed while somebody still works on it.
 *
 *     OPEN ──client's EOF──▶ HALF ──all answered and sent──▶ CLOSED
 *     OPEN ──session closes, all sent──▶ FAREWELL ──client's EOF──▶ CLOSED
 *     any ──error, or lingered too long──▶ CLOSED
 *
 * FAREWELL is there because closing a socket with unread input resets it, and the reset
 * can overtake the last answer. */

enum {
    OUT_KEEP = 16 * 1024, /* memory that an idle connection may keep */
    KEEPALIVE_S = 60,
    LOOK_AHEAD = 32, /* calls whose data is fetched ahead of them */
};

static size_t unsent(const struct conn *c)
{
    return dm_buf_size(&c->sending) + (c->session == NULL ? 0 : dm_buf_size(&c->session->out));
}

/* ---- the sink: answers from rpc --------------------------------------------------- */

static struct conn *conn_of(struct dm_sink *sink)
{
    return DM_CONTAINER_OF(sink, struct conn, sink);
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
    struct dm_http_answer answer = {.status = 404, .content_type = "text/plain; charset=utf-8"};
    if (options->http != NULL) {
        options->http(options->http_context, event->method, event->payload, &answer);
    }
    dm_session_http_reply(c->session, event->id, answer.status, answer.content_type,
                          dm_buf_slice(&answer.body));
    dm_buf_finish(&answer.body);
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

/* All events that the session has, until it wants to be fed. */
static void pull(struct conn *c)
{
    struct dm_rpc *rpc = c->loop->rpc;
    struct dm_session_event event;
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

void conns_pull(struct dm_loop *loop)
{
    struct dm_list aside;
    dm_list_init(&aside);
    dm_list_splice(&aside, &loop->dirty);
    while (!dm_list_empty(&aside)) {
        struct conn *c = DM_CONTAINER_OF(aside.next, struct conn, dirty);
        dm_list_remove(&c->dirty);
        conn_touch(c);
        if (c->answered && c->session != NULL && !c->dead) {
            pull(c);
        }
    }
}

/* ---- reading ------------------------------------------------------------------------- */

static void set_protocol(struct conn *c, enum dm_protocol protocol)
{
    c->loop->stats.connections[c->protocol]--;
    c->protocol = protocol;
    c->loop->stats.connections[c->protocol]++;
}

static bool begin_session(struct conn *c, enum dm_sniff sniffed)
{
    static const struct dm_sink_ops ops = {
        .reply = sink_reply,
        .fail = sink_fail,
        .stream_message = sink_stream_message,
        .stream_end = sink_stream_end,
        .stream_room = sink_stream_room,
    };
    struct dm_session_limits limits = c->loop->limits;
    limits.any_host = c->uv.handle.type == UV_NAMED_PIPE; /* no browser connects to one */
    switch (sniffed) {
    case DM_SNIFF_TTRPC:
        set_protocol(c, DM_PROTOCOL_TTRPC);
        c->session = dm_ttrpc_session(&limits);
        break;
    case DM_SNIFF_H2:
        set_protocol(c, DM_PROTOCOL_HTTP2);
        c->session = dm_h2_session(&limits);
        break;
    case DM_SNIFF_HTTP1:
        set_protocol(c, DM_PROTOCOL_HTTP1);
        c->session = dm_http1_session(&limits);
        break;
    default:
        c->loop->stats.unknown++;
        return false;
    }
    if (c->session == NULL) {
        return false;
    }
    dm_sink_init(&c->sink, &ops, c->session->protocol);
    if (c->loop->draining) {
        dm_session_drain(c->session);
    }
    return true;
}

/* The first bytes may come one at a time. False: the connection waits for more, or is dead. */
static bool sniff(struct conn *c, struct dm_slice bytes)
{
    char first[FIRST_SIZE];
    size_t room = FIRST_SIZE - c->first_size;
    size_t take = bytes.size < room ? bytes.size : room;
    memcpy(first, c->first, c->first_size);
    memcpy(first + c->first_size, bytes.data, take);
    enum dm_sniff sniffed = dm_sniff(dm_slice(first, c->first_size + take));
    if (sniffed == DM_SNIFF_MORE) {
        memcpy(c->first, first, sizeof c->first);
        c->first_size = (uint8_t)(c->first_size + take);
        return false;
    }
    if (!begin_session(c, sniffed)) {
        c->dead = true;
        return false;
    }
    if (c->first_size != 0) {
        dm_session_feed(c->session, dm_slice(c->first, c->first_size));
        pull(c);
    }
    return true;
}

static void receive(struct conn *c, struct dm_slice bytes)
{
    c->loop->stats.bytes_in += bytes.size;
    c->bytes_in += bytes.size;
    if (c->state == CONN_FAREWELL) {
        return;
    }
    if (c->session == NULL && !sniff(c, bytes)) {
        return;
    }
    if (!c->session->closing) {
        c->session->now_ns = c->loop->turn_start_ns;
        dm_session_feed(c->session, bytes);
        pull(c);
    }
}

static void linger(struct conn *c)
{
    c->linger_until_ns = loop_now_ns(c->loop) + DM_LINGER_MS * 1000000ULL;
    dm_list_push_back(&c->loop->lingering, &c->linger);
}

/* After a full read libuv asks for another buffer at once. It gets none, so that the other
 * sockets come first: what is left stays in the kernel, which tells of it in the next turn,
 * and the client is held back when that is full. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->loop->read_buf, c->had_share ? 0 : DM_READ_SIZE);
    c->had_share = false;
}

static void stop_reading(struct conn *c)
{
    if (c->reading) {
        c->reading = false;
        (void)uv_read_stop(&c->uv.stream);
    }
}

static void conn_close(struct conn *c);

/* While all connections hold too much together, who holds most has to go. */
static void relieve(struct dm_loop *loop)
{
    for (int i = 0; i < DM_RELIEF_PER_TURN; i++) {
        struct conn *c = guard_largest(loop);
        if (c == NULL) {
            return;
        }
        conn_close(c);
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (size == 0 || size == UV_ENOBUFS) {
        return;
    }
    loop_turn_begins(c->loop);
    conn_touch(c);
    if (size > 0) {
        c->had_share = size == (ssize_t)DM_READ_SIZE;
        receive(c, dm_slice(buf->base, (size_t)size));
        guard_count(c);
        relieve(c->loop);
        return;
    }
    stop_reading(c);
    if (size != UV_EOF || c->state == CONN_FAREWELL) {
        c->dead = true;
    } else if (c->state == CONN_OPEN) {
        c->state = CONN_HALF;
        linger(c);
    }
}

/* ---- sending ------------------------------------------------------------------------- */

static void set_writing(struct conn *c, bool writing)
{
    if (c->writing != writing) {
        c->loop->stats.waiting += writing ? 1 : UINT32_MAX;
        c->writing = writing;
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct conn *c = request->data;
    if (c->state == CONN_CLOSED) {
        return; /* memory goes with the handle */
    }
    loop_turn_begins(c->loop);
    set_writing(c, false);
    if (status < 0) {
        c->dead = true;
    } else {
        c->loop->stats.bytes_out += dm_buf_size(&c->sending);
        c->bytes_out += dm_buf_size(&c->sending);
    }
    dm_buf_finish(&c->sending);
    if (c->session != NULL) {
        c->session->unsent = 0;
    }
    c->answered = true;
    conn_touch(c);
}

/* What the socket does not take at once waits in `sending`; `out` goes on gathering. */
static void send_out(struct conn *c)
{
    struct dm_buf *out = &c->session->out;
    dm_session_flush(c->session);
    size_t size = dm_buf_size(out);
    if (size == 0) {
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)dm_buf_head(out), (unsigned)size);
    int sent = uv_try_write(&c->uv.stream, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        c->dead = true;
        return;
    }
    if (sent > 0) {
        c->loop->stats.bytes_out += (uint64_t)sent;
        c->bytes_out += (uint64_t)sent;
        dm_buf_consume(out, (size_t)sent);
    }
    if (dm_buf_size(out) == 0) {
        c->answered = size > (size_t)DM_OUTPUT_LOW; /* so much may have held back requests */
        dm_buf_reset(out, OUT_KEEP);
        return;
    }
    c->sending = *out;
    *out = (struct dm_buf){0};
    c->session->unsent = dm_buf_size(&c->sending);
    buf = uv_buf_init((char *)dm_buf_head(&c->sending), (unsigned)dm_buf_size(&c->sending));
    set_writing(c, true);
    c->write.data = c;
    if (uv_write(&c->write, &c->uv.stream, &buf, 1, on_written) != 0) {
        set_writing(c, false);
        c->dead = true;
    }
}

/* A client that does not fetch its answers is not read from, nor is one that has asked for
 * more than the disk has done: those calls all end by themselves. While the disk is full
 * they do not, and what else the client asks is not to wait for that. */
static void pace_reading(struct conn *c)
{
    if (c->state != CONN_OPEN && c->state != CONN_FAREWELL) {
        return;
    }
    size_t waiting = unsent(c);
    bool paused = c->session != NULL && c->session->paused;
    uint32_t on_disk = c->loop->stuck ? 0 : c->sink.waiting;
    if (c->reading && (paused || waiting > (size_t)DM_OUTPUT_HIGH || on_disk > DM_WAITING_HIGH)) {
        stop_reading(c);
    } else if (!c->reading && !paused && waiting <= (size_t)DM_OUTPUT_LOW &&
               on_disk <= DM_WAITING_LOW) {
        c->reading = true;
        if (uv_read_start(&c->uv.stream, on_alloc, on_read) != 0) {
            c->dead = true;
            conn_touch(c);
        }
    }
}

/* ---- ending ---------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    dm_list_remove(&c->link);
    dm_buf_finish(&c->sending);
    free(c);
}

static void end_session(struct conn *c)
{
    if (c->session != NULL) {
        dm_rpc_sink_gone(c->loop->rpc, &c->sink);
        dm_session_destroy(c->session);
        c->session = NULL;
    }
}

/* The one place where a connection ends. */
static void conn_close(struct conn *c)
{
    struct dm_loop *loop = c->loop;
    if (c->state == CONN_CLOSED) {
        return;
    }
    c->state = CONN_CLOSED;
    dm_list_remove(&c->dirty);
    dm_list_remove(&c->linger);
    guard_forget(c);
    end_session(c);
    set_writing(c, false);
    loop->stats.connections[c->protocol]--;
    loop->conn_count--;
    uv_close(&c->uv.handle, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct conn *c = request->data;
    if (c->state != CONN_CLOSED && status < 0) {
        loop_turn_begins(c->loop);
        c->dead = true;
        conn_touch(c);
    }
}

static void say_farewell(struct conn *c)
{
    c->state = CONN_FAREWELL;
    end_session(c);
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, &c->uv.stream, on_shutdown) != 0) {
        c->dead = true;
        conn_touch(c);
        return;
    }
    dm_list_remove(&c->linger);
    linger(c);
}

static void settle(struct conn *c)
{
    if (c->session != NULL && !c->dead && !c->writing) {
        send_out(c);
    }
    if (c->dead) {
        conn_close(c);
        return;
    }
    if (unsent(c) == 0) {
        bool owed =
            c->session != NULL && !c->session->closing && (c->session->calls != 0 || c->answered);
        if (c->state == CONN_HALF && !owed) {
            conn_close(c);
            return;
        }
        if (c->state == CONN_OPEN && c->session != NULL && c->session->closing) {
            say_farewell(c);
        }
    }
    pace_reading(c);
}

bool conns_settle(struct dm_loop *loop)
{
    struct dm_list later;
    uint64_t now_ns = loop_now_ns(loop);
    dm_list_init(&later);
    while (!dm_list_empty(&loop->dirty)) {
        struct conn *c = DM_CONTAINER_OF(loop->dirty.next, struct conn, dirty);
        dm_list_remove(&c->dirty);
        settle(c);
        if (c->state != CONN_CLOSED) {
            guard_settled(c, now_ns);
        }
        if (c->answered && c->state != CONN_CLOSED && c->session != NULL) {
            dm_list_remove(&c->dirty); /* settling may have put it there again */
            dm_list_push_back(&later, &c->dirty);
        }
    }
    dm_list_splice(&loop->dirty, &later);
    relieve(loop);
    return !dm_list_empty(&loop->dirty);
}

uint64_t conns_linger(struct dm_loop *loop, uint64_t now_ns)
{
    while (!dm_list_empty(&loop->lingering)) {
        struct conn *c = DM_CONTAINER_OF(loop->lingering.next, struct conn, linger);
        if (c->linger_until_ns > now_ns) {
            return c->linger_until_ns;
        }
        conn_close(c);
    }
    return 0;
}

/* ---- all of them ------------------------------------------------------------------------ */

static struct conn *conn_at(const struct dm_loop *loop, struct dm_list *link)
{
    return link == &loop->conns ? NULL : DM_CONTAINER_OF(link, struct conn, link);
}

static struct conn *first_conn(const struct dm_loop *loop)
{
    return conn_at(loop, loop->conns.next);
}

/* A connection that was closed meanwhile is still there: it goes with its handle. */
static struct conn *next_conn(const struct conn *c)
{
    return conn_at(c->loop, c->link.next);
}

void conns_drain(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->session != NULL) {
            dm_session_drain(c->session);
            conn_touch(c);
        }
    }
}

void conns_pace(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        conn_touch(c);
    }
}

bool conns_all_sent(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state != CONN_CLOSED && unsent(c) != 0) {
            return false;
        }
    }
    return true;
}

bool conns_announced(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN && c->session != NULL && c->session->announcing) {
            return false;
        }
    }
    return true;
}

bool conns_arriving(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        struct dm_load load = {.head = c->first_size != 0};
        if (c->session != NULL) {
            dm_session_load(c->session, &load);
        }
        if (c->state == CONN_OPEN && (load.head || load.body)) {
            return true;
        }
    }
    return false;
}

void conns_give_up(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN && c->session != NULL && !c->session->closing) {
            dm_session_give_up(c->session);
            conn_touch(c);
        }
    }
}

void conns_part(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN) {
            say_farewell(c);
            conn_touch(c);
        } else if (c->state == CONN_HALF) {
            conn_close(c);
        }
    }
}

void conns_close(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        conn_close(c);
    }
}

/* ---- accepting ---------------------------------------------------------------------------- */

static struct conn *conn_create(struct dm_loop *loop, bool is_pipe)
{
    struct conn *c = dm_xcalloc(1, sizeof *c);
    c->loop = loop;
    int error =
        is_pipe ? uv_pipe_init(&loop->uv, &c->uv.pipe, 0) : uv_tcp_init(&loop->uv, &c->uv.tcp);
    DM_ASSERT(error == 0); /* neither makes a system call yet */
    c->uv.handle.data = c;
    dm_list_push_back(&loop->conns, &c->link);
    dm_list_init(&c->dirty);
    dm_list_init(&c->linger);
    guard_accepted(c, loop_now_ns(loop));
    loop->conn_count++;
    loop->stats.connections[c->protocol]++;
    return c;
}

/* One that has been silent since it came gives up its place when all are taken. */
static bool make_place(struct dm_loop *loop)
{
    struct conn *silent = guard_silent(loop, loop_now_ns(loop));
    if (silent != NULL) {
        conn_close(silent);
    }
    return silent != NULL;
}

/* Over the limit a connection is taken and closed, so that its client knows at once and
 * does not wait in the backlog. */
void conn_accept(struct dm_loop *loop, struct listener *listener)
{
    bool full = loop->conn_count >= loop->stats.connections_max && !make_place(loop);
    struct conn *c = conn_create(loop, listener->is_pipe);
    if (uv_accept(&listener->uv.stream, &c->uv.stream) != 0) {
        conn_close(c);
        return;
    }
    if (full) {
        loop->stats.refused++;
        conn_close(c);
        return;
    }
    loop->stats.accepted++;
    if (!listener->is_pipe) {
        (void)uv_tcp_nodelay(&c->uv.tcp, 1);
        (void)uv_tcp_keepalive(&c->uv.tcp, 1, KEEPALIVE_S);
    }
    pace_reading(c);
}
