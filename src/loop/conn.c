#include "loop/conn.h"

#include "base/assert.h"
#include "base/limits.h"
#include "loop/calls.h"
#include "loop/guard.h"
#include "loop/share.h"
#include "loop/wait.h"

#include <stdlib.h>

/* A connection: what is read goes to its session, events of the session go to rpc, answers
 * gather in session->out until the turn ends, then go out in one write (calls.c). Callbacks of
 * libuv and of rpc only note what happened and put the connection on the dirty list; sending,
 * pausing, and ending happen in conn_settle, and closing in conn_close alone, so nothing is
 * freed while somebody still works on it.
 *
 *     OPEN ──client's EOF──▶ HALF ──all answered and sent──▶ CLOSED
 *     OPEN ──session closes, all sent──▶ FAREWELL ──client's EOF──▶ CLOSED
 *     any ──error, or lingered too long──▶ CLOSED
 *
 * FAREWELL is there because closing a socket with unread input resets it, and the reset
 * can overtake the last answer. */

enum { OUT_KEEP = 16 * 1024 }; /* memory that an idle connection may keep */

_Static_assert(sizeof(struct conn) <= 1536, "what limits.h says of an idle connection");
_Static_assert(DM_OUTPUT_LOW < DM_OUTPUT_HIGH && DM_WAITING_LOW < DM_WAITING_HIGH,
               "who is not read from has to do something for it");
_Static_assert(OUT_KEEP <= DM_BUFFERS_FREE, "what an idle connection keeps does not count");
_Static_assert(DM_WAITING_HIGH <= DM_CALLS_PER_CONNECTION_MAX, "it is reached");

/* The only place where the state changes, by the moves above. */
static void set_state(struct conn *c, enum conn_state state)
{
    static const bool allowed[4][4] = {
        [CONN_OPEN] = {[CONN_HALF] = true, [CONN_FAREWELL] = true, [CONN_CLOSED] = true},
        [CONN_HALF] = {[CONN_CLOSED] = true},
        [CONN_FAREWELL] = {[CONN_CLOSED] = true},
    };
    DM_ASSERT(allowed[c->state][state]);
    c->state = state;
}

struct conn *conn_create(struct dm_loop *loop, bool is_pipe)
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

/* ---- reading ------------------------------------------------------------------------- */

static void set_protocol(struct conn *c, enum dm_protocol protocol)
{
    DM_ASSERT(c->protocol == DM_PROTOCOL_NONE && c->loop->stats.connections[c->protocol] > 0);
    c->loop->stats.connections[c->protocol]--;
    c->protocol = protocol;
    c->loop->stats.connections[c->protocol]++;
}

static bool begin_session(struct conn *c, enum dm_sniff sniffed)
{
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
    calls_begin(c);
    if (c->loop->draining) {
        dm_session_drain(c->session);
    }
    return true;
}

/* The first bytes may come one at a time. False: the connection waits for more, or is dead. */
static bool sniff(struct conn *c, struct dm_slice bytes)
{
    char first[FIRST_SIZE];
    DM_ASSERT(c->first_size < FIRST_SIZE);
    size_t room = FIRST_SIZE - c->first_size;
    size_t take = bytes.size < room ? bytes.size : room;
    memcpy(first, c->first, c->first_size);
    memcpy(first + c->first_size, bytes.data, take);
    enum dm_sniff sniffed = dm_sniff(dm_slice(first, c->first_size + take));
    if (sniffed == DM_SNIFF_MORE) {
        DM_ASSERT(c->first_size + take < FIRST_SIZE); /* so many tell */
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
        calls_pull(c);
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
        calls_pull(c);
    }
}

static void linger(struct conn *c)
{
    c->linger_until_ns = loop_now_ns(c->loop) + DM_LINGER_MS * 1000000ULL;
    dm_list_push_back(&c->loop->lingering, &c->linger);
}

/* Without a buffer libuv does not read, so that the other sockets come first. What is left stays
 * in the kernel, which reports it in the next turn. When the kernel's buffer is full, the client
 * is held back. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->loop->read_buf, (unsigned)share_of(c));
}

static void stop_reading(struct conn *c)
{
    if (c->reading) {
        c->reading = false;
        (void)uv_read_stop(&c->uv.stream);
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
    DM_ASSERT(c->state != CONN_CLOSED && c->reading);
    if (size > 0) {
        DM_ASSERT(buf->base == c->loop->read_buf);
        receive(c, dm_slice(buf->base, (size_t)size));
        guard_count(c);
        share_had(c, (size_t)size);
        conn_relieve(c->loop);
        return;
    }
    stop_reading(c);
    if (size != UV_EOF || c->state == CONN_FAREWELL) {
        c->dead = true;
    } else if (c->state == CONN_OPEN) {
        set_state(c, CONN_HALF);
        linger(c);
    }
}

/* ---- sending ------------------------------------------------------------------------- */

static void set_writing(struct conn *c, bool writing)
{
    if (c->writing != writing) {
        DM_ASSERT(writing || c->loop->stats.waiting > 0);
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
    DM_ASSERT(c->writing);
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
    DM_ASSERT(!c->writing && dm_buf_size(&c->sending) == 0);
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

/* We do not read from a client that does not fetch its answers, nor from one that has many calls
 * waiting for the disk: those calls end by themselves. While the disk is full they do not end,
 * and the client's other requests must not wait for that. */
void conn_pace(struct conn *c)
{
    if (c->state != CONN_OPEN && c->state != CONN_FAREWELL) {
        return;
    }
    size_t waiting = conn_unsent(c);
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
    DM_ASSERT(c->state == CONN_CLOSED && c->session == NULL && dm_list_empty(&c->dirty));
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

void conn_close(struct conn *c)
{
    struct dm_loop *loop = c->loop;
    if (c->state == CONN_CLOSED) {
        return;
    }
    set_state(c, CONN_CLOSED);
    dm_list_remove(&c->dirty);
    dm_list_remove(&c->linger);
    guard_forget(c);
    end_session(c);
    set_writing(c, false);
    DM_ASSERT(loop->conn_count > 0 && loop->stats.connections[c->protocol] > 0);
    loop->stats.connections[c->protocol]--;
    loop->conn_count--;
    uv_close(&c->uv.handle, on_closed);
}

void conn_relieve(struct dm_loop *loop)
{
    for (int i = 0; i < DM_RELIEF_PER_TURN; i++) {
        struct conn *c = guard_largest(loop);
        if (c == NULL) {
            return;
        }
        conn_close(c);
    }
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

void conn_part(struct conn *c)
{
    set_state(c, CONN_FAREWELL);
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

void conn_settle(struct conn *c)
{
    if (c->session != NULL && !c->dead && !c->writing) {
        send_out(c);
    }
    if (c->dead) {
        conn_close(c);
        return;
    }
    if (conn_unsent(c) == 0) {
        bool owed =
            c->session != NULL && !c->session->closing && (c->session->calls != 0 || c->answered);
        if (c->state == CONN_HALF && !owed) {
            conn_close(c);
            return;
        }
        if (c->state == CONN_OPEN && c->session != NULL && c->session->closing) {
            conn_part(c);
        }
    }
    conn_pace(c);
}
