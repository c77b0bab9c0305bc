#include "client/channel.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/list.h"
#include "client/foreign.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    KEEPALIVE_S = 60,
    READ_ROOM = 64 * 1024,     /* the least that is offered to a read */
    BUFFER_KEEP = 1024 * 1024, /* larger buffers are given back when empty */
};

/* One attempt and the connection that came of it. Lives until libuv has closed it, its
 * channel may be gone by then. */
struct dm_socket {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct dm_channel *channel; /* NULL: let go */
    uv_connect_t connect;
    uv_write_t write;
    struct dm_buf sending; /* what the socket did not take at once */
    bool writing;
};

struct dm_resolve {
    uv_getaddrinfo_t request;
    struct dm_channel *channel; /* NULL: let go */
};

static void attempt(struct dm_channel *channel);
static void flush(struct dm_channel *channel);

/* ---- going down ------------------------------------------------------------ */

static void on_socket_closed(uv_handle_t *handle)
{
    struct dm_socket *socket = handle->data;
    dm_buf_finish(&socket->sending);
    free(socket);
}

static void let_go(struct dm_channel *channel)
{
    if (channel->socket != NULL) {
        channel->socket->channel = NULL;
        uv_close(&channel->socket->uv.handle, on_socket_closed);
        channel->socket = NULL;
    }
    if (channel->resolve != NULL) {
        channel->resolve->channel = NULL;
        (void)uv_cancel((uv_req_t *)&channel->resolve->request);
        channel->resolve = NULL;
    }
    if (channel->addresses != NULL) {
        uv_freeaddrinfo(channel->addresses);
        channel->addresses = channel->address_next = NULL;
    }
    /* Empty, but not freed: a frame's callback may still be reading from `in`. */
    channel->in.start = channel->in.end = 0;
    dm_buf_reset(&channel->out, BUFFER_KEEP);
}

static void on_timer(uv_timer_t *timer)
{
    struct dm_channel *channel = timer->data;
    if (channel->state == DM_CHANNEL_WAITING) {
        attempt(channel);
    } else {
        dm_channel_drop(channel, "no connection in time");
    }
}

void dm_channel_drop(struct dm_channel *channel, const char *why)
{
    DM_ASSERT(channel->state != DM_CHANNEL_CLOSED);
    let_go(channel);
    channel->state = DM_CHANNEL_WAITING;
    (void)uv_timer_start(&channel->timer, on_timer, dm_backoff_next(&channel->backoff), 0);
    channel->ops->down(channel->owner, why);
}

static void drop_by_error(struct dm_channel *channel, const char *doing, int error)
{
    char why[160];
    (void)snprintf(why, sizeof why, "%s: %s", doing, uv_strerror(error));
    dm_channel_drop(channel, why);
}

static void drop_unresolved(struct dm_channel *channel, int error)
{
    char why[160];
    (void)snprintf(why, sizeof why, "the name \"%.80s\" has no address: %s", channel->address.host,
                   uv_strerror(error));
    dm_channel_drop(channel, why);
}

/* ---- coming up ------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct dm_socket *socket = handle->data;
    struct dm_channel *channel = socket->channel;
    *buf = uv_buf_init(NULL, 0); /* read as UV_ENOBUFS */
    size_t want = READ_ROOM;
    if (dm_buf_size(&channel->in) >= DM_TTRPC_HEADER_SIZE) {
        struct dm_ttrpc_header header;
        dm_ttrpc_header_load(dm_buf_head(&channel->in), &header);
        size_t whole = DM_TTRPC_HEADER_SIZE + (size_t)header.size;
        size_t missing = whole - dm_buf_size(&channel->in);
        want = missing > want ? missing : want;
    }
    uint8_t *room = dm_buf_reserve(&channel->in, want);
    if (room != NULL) {
        size_t size = channel->in.capacity - channel->in.end;
        *buf = uv_buf_init((char *)room, (unsigned)(size < UINT32_MAX ? size : UINT32_MAX));
    }
}

/* Hands on every whole frame. A callback may pause or close the channel, or break it. */
static void split(struct dm_channel *channel)
{
    while (channel->state == DM_CHANNEL_UP && !channel->paused &&
           dm_buf_size(&channel->in) >= DM_TTRPC_HEADER_SIZE) {
        const uint8_t *head = dm_buf_head(&channel->in);
        struct dm_ttrpc_header header;
        dm_ttrpc_header_load(head, &header);
        const char *wrong = dm_foreign(head, &header);
        if (wrong != NULL) {
            dm_channel_drop(channel, wrong);
            return;
        }
        size_t whole = DM_TTRPC_HEADER_SIZE + (size_t)header.size;
        if (dm_buf_size(&channel->in) < whole) {
            return;
        }
        /* Consumed before it is handed on: nothing is read into the buffer meanwhile. */
        dm_buf_consume(&channel->in, whole);
        channel->backoff.now_ms = channel->backoff.min_ms;
        channel->ops->frame(channel->owner, &header,
                            dm_slice(head + DM_TTRPC_HEADER_SIZE, header.size));
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct dm_socket *socket = stream->data;
    struct dm_channel *channel = socket->channel;
    if (size < 0) {
        if (size == UV_EOF) {
            dm_channel_drop(channel, "the server closed the connection");
        } else {
            drop_by_error(channel, "reading", (int)size);
        }
        return;
    }
    dm_buf_commit(&channel->in, (size_t)size);
    split(channel);
    if (dm_buf_size(&channel->in) == 0 && channel->in.capacity > BUFFER_KEEP) {
        dm_buf_finish(&channel->in);
    }
}

static void connect_next(struct dm_channel *channel);

static void on_connect(uv_connect_t *request, int error)
{
    struct dm_socket *socket = request->data;
    struct dm_channel *channel = socket->channel;
    if (channel == NULL) {
        return;
    }
    if (error != 0 && channel->address_next != NULL) {
        socket->channel = NULL;
        uv_close(&socket->uv.handle, on_socket_closed);
        channel->socket = NULL;
        connect_next(channel);
        return;
    }
    if (error == 0) {
        error = channel->paused ? 0 : uv_read_start(&socket->uv.stream, on_alloc, on_read);
    }
    if (error != 0) {
        drop_by_error(channel, "connecting", error);
        return;
    }
    (void)uv_timer_stop(&channel->timer);
    channel->state = DM_CHANNEL_UP;
    channel->ops->up(channel->owner);
}

static int socket_init(struct dm_channel *channel, struct dm_socket *socket)
{
    int error = channel->address.unix_socket ? uv_pipe_init(channel->loop, &socket->uv.pipe, 0)
                                             : uv_tcp_init(channel->loop, &socket->uv.tcp);
    socket->uv.handle.data = socket;
    socket->connect.data = socket;
    socket->write.data = socket;
    socket->channel = channel;
    return error;
}

/* Begins a connection to `to`, or to the unix socket when that is NULL. */
static void connect_to(struct dm_channel *channel, const struct sockaddr *to)
{
    struct dm_socket *socket = calloc(1, sizeof *socket);
    int error = socket == NULL ? UV_ENOMEM : socket_init(channel, socket);
    if (error != 0) {
        free(socket);
        drop_by_error(channel, "connecting", error);
        return;
    }
    channel->socket = socket;
    if (to == NULL) {
        uv_pipe_connect(&socket->connect, &socket->uv.pipe, channel->address.host, on_connect);
        return;
    }
    error = uv_tcp_connect(&socket->connect, &socket->uv.tcp, to, on_connect);
    if (error != 0) {
        drop_by_error(channel, "connecting", error);
        return;
    }
    (void)uv_tcp_nodelay(&socket->uv.tcp, 1);
    (void)uv_tcp_keepalive(&socket->uv.tcp, 1, KEEPALIVE_S);
}

static void connect_next(struct dm_channel *channel)
{
    const struct addrinfo *address = channel->address_next;
    channel->address_next = address->ai_next;
    connect_to(channel, address->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *addresses)
{
    struct dm_resolve *resolve = DM_CONTAINER_OF(request, struct dm_resolve, request);
    struct dm_channel *channel = resolve->channel;
    free(resolve);
    if (channel == NULL) {
        uv_freeaddrinfo(addresses);
        return;
    }
    channel->resolve = NULL;
    if (error != 0) {
        drop_unresolved(channel, error);
        return;
    }
    channel->addresses = channel->address_next = addresses;
    connect_next(channel);
}

static void resolve_name(struct dm_channel *channel)
{
    struct dm_resolve *resolve = calloc(1, sizeof *resolve);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int error = resolve == NULL
                    ? UV_ENOMEM
                    : uv_getaddrinfo(channel->loop, &resolve->request, on_resolved,
                                     channel->address.host, channel->address.port, &hints);
    if (error != 0) {
        free(resolve);
        drop_unresolved(channel, error);
        return;
    }
    resolve->channel = channel;
    channel->resolve = resolve;
}

static void attempt(struct dm_channel *channel)
{
    channel->state = DM_CHANNEL_CONNECTING;
    (void)uv_timer_start(&channel->timer, on_timer, CONNECT_TIMEOUT_MS, 0);
    if (channel->address.unix_socket) {
        connect_to(channel, NULL);
        return;
    }
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    int port = (int)strtol(channel->address.port, NULL, 10); /* the parser saw to it */
    if (uv_ip4_addr(channel->address.host, port, &v4) == 0) {
        connect_to(channel, (const struct sockaddr *)&v4);
    } else if (uv_ip6_addr(channel->address.host, port, &v6) == 0) {
        connect_to(channel, (const struct sockaddr *)&v6);
    } else {
        resolve_name(channel);
    }
}

/* ---- sending --------------------------------------------------------------- */

static void on_written(uv_write_t *request, int error)
{
    struct dm_socket *socket = request->data;
    socket->writing = false;
    if (socket->channel == NULL) {
        return;
    }
    if (error != 0) {
        drop_by_error(socket->channel, "writing", error);
        return;
    }
    dm_buf_reset(&socket->sending, BUFFER_KEEP);
    flush(socket->channel);
}

/* Waits for the socket with what it did not take: `out` and `sending` change places. */
static void write_rest(struct dm_channel *channel)
{
    struct dm_socket *socket = channel->socket;
    struct dm_buf empty = socket->sending;
    socket->sending = channel->out;
    channel->out = empty;
    socket->writing = true;
    uv_buf_t buf =
        uv_buf_init((char *)dm_buf_head(&socket->sending), (unsigned)dm_buf_size(&socket->sending));
    int error = uv_write(&socket->write, &socket->uv.stream, &buf, 1, on_written);
    if (error != 0) {
        socket->writing = false;
        drop_by_error(channel, "writing", error);
    }
}

static void flush(struct dm_channel *channel)
{
    if (channel->state != DM_CHANNEL_UP || channel->socket->writing ||
        dm_buf_size(&channel->out) == 0) {
        return;
    }
    uv_buf_t buf =
        uv_buf_init((char *)dm_buf_head(&channel->out), (unsigned)dm_buf_size(&channel->out));
    int taken = uv_try_write(&channel->socket->uv.stream, &buf, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        drop_by_error(channel, "writing", taken);
        return;
    }
    dm_buf_consume(&channel->out, taken > 0 ? (size_t)taken : 0);
    if (dm_buf_size(&channel->out) != 0) {
        write_rest(channel);
    } else {
        dm_buf_reset(&channel->out, BUFFER_KEEP);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct dm_channel *channel = prepare->data;
    (void)uv_prepare_stop(prepare);
    split(channel); /* frames that were kept by a pause */
    flush(channel);
}

void dm_channel_flush_later(struct dm_channel *channel)
{
    if (channel->state == DM_CHANNEL_UP) {
        (void)uv_prepare_start(&channel->prepare, on_prepare);
    }
}

size_t dm_channel_unsent(const struct dm_channel *channel)
{
    size_t sending = channel->socket == NULL ? 0 : dm_buf_size(&channel->socket->sending);
    return sending + dm_buf_size(&channel->out);
}

/* ---- life ------------------------------------------------------------------ */

void dm_channel_pause(struct dm_channel *channel)
{
    channel->paused = true;
    if (channel->state == DM_CHANNEL_UP) {
        (void)uv_read_stop(&channel->socket->uv.stream);
    }
}

void dm_channel_resume(struct dm_channel *channel)
{
    if (!channel->paused) {
        return;
    }
    channel->paused = false;
    if (channel->state == DM_CHANNEL_UP) {
        (void)uv_read_start(&channel->socket->uv.stream, on_alloc, on_read);
        (void)uv_prepare_start(&channel->prepare, on_prepare);
    }
}

struct dm_channel *dm_channel_create(uv_loop_t *loop, const struct dm_address *address,
                                     uint32_t backoff_min_ms, uint32_t backoff_max_ms,
                                     const struct dm_channel_ops *ops, void *owner)
{
    struct dm_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    channel->ops = ops;
    channel->owner = owner;
    channel->loop = loop;
    channel->address = *address;
    dm_backoff_init(&channel->backoff, backoff_min_ms, backoff_max_ms,
                    uv_hrtime() ^ (uint64_t)(uintptr_t)channel);
    channel->timer.data = channel->prepare.data = channel;
    channel->handles = 2;
    (void)uv_timer_init(loop, &channel->timer);
    (void)uv_prepare_init(loop, &channel->prepare);
    (void)uv_timer_start(&channel->timer, on_timer, 0, 0);
    return channel;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct dm_channel *channel = handle->data;
    if (--channel->handles > 0) {
        return;
    }
    void (*closed)(void *) = channel->closed;
    void *context = channel->closed_context;
    dm_buf_finish(&channel->in);
    dm_buf_finish(&channel->out);
    free(channel);
    closed(context);
}

void dm_channel_close(struct dm_channel *channel, void (*closed)(void *context), void *context)
{
    DM_ASSERT(channel->state != DM_CHANNEL_CLOSED);
    let_go(channel);
    channel->state = DM_CHANNEL_CLOSED;
    channel->closed = closed;
    channel->closed_context = context;
    uv_close((uv_handle_t *)&channel->timer, on_handle_closed);
    uv_close((uv_handle_t *)&channel->prepare, on_handle_closed);
}
