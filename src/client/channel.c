#include "client/channel.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/list.h"
#include "client/foreign.h"
#include "client/socket.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    READ_ROOM = 64 * 1024,     /* the least that is offered to a read */
    READS_MAX = 16,            /* in one turn of the loop: others have their turn, too */
    BUFFER_KEEP = 1024 * 1024, /* larger buffers are given back when empty */
};
static_assert((int)READ_ROOM >= (int)DM_TTRPC_HEADER_SIZE, "a read brings a frame's head");
static_assert(BUFFER_KEEP >= READ_ROOM, "what a read needs is not given back after each");

struct dm_resolve {
    uv_getaddrinfo_t request;
    struct dm_channel *channel; /* NULL: let go */
};

static void attempt(struct dm_channel *channel);

/* Which states may follow which, as bits. */
static const uint8_t follow[] = {
    [DM_CHANNEL_WAITING] = 1 << DM_CHANNEL_CONNECTING | 1 << DM_CHANNEL_CLOSED,
    [DM_CHANNEL_CONNECTING] = 1 << DM_CHANNEL_UP | 1 << DM_CHANNEL_WAITING | 1 << DM_CHANNEL_CLOSED,
    [DM_CHANNEL_UP] = 1 << DM_CHANNEL_WAITING | 1 << DM_CHANNEL_CLOSED,
    [DM_CHANNEL_CLOSED] = 0,
};

static void move_to(struct dm_channel *channel, enum dm_channel_state state)
{
    DM_ASSERT((follow[channel->state] & 1 << state) != 0);
    DM_ASSERT((channel->socket != NULL) == (state == DM_CHANNEL_UP));
    channel->state = state;
}

/* ---- going down ------------------------------------------------------------ */

static void let_go(struct dm_channel *channel)
{
    if (channel->socket != NULL) {
        dm_socket_close(channel->socket);
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
    DM_ASSERT(channel->state == DM_CHANNEL_WAITING || channel->state == DM_CHANNEL_CONNECTING);
    if (channel->state == DM_CHANNEL_WAITING) {
        attempt(channel);
    } else {
        dm_channel_drop(channel, "no connection in time");
    }
}

void dm_channel_drop(struct dm_channel *channel, const char *why)
{
    if (channel->state == DM_CHANNEL_UP) {
        dm_backoff_lasted(&channel->backoff, uv_now(channel->loop) - channel->up_since_ms);
    }
    let_go(channel);
    move_to(channel, DM_CHANNEL_WAITING);
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

/* ---- frames that come in --------------------------------------------------- */

/* How much to read at once: the rest of the frame that has begun, and READ_ROOM at the least. */
static size_t room_wanted(const struct dm_channel *channel)
{
    size_t have = dm_buf_size(&channel->in);
    if (have < DM_TTRPC_HEADER_SIZE) {
        return READ_ROOM;
    }
    struct dm_ttrpc_header header;
    dm_ttrpc_header_load(dm_buf_head(&channel->in), &header);
    size_t whole = DM_TTRPC_HEADER_SIZE + (size_t)header.size;
    return whole > have + READ_ROOM ? whole - have : READ_ROOM;
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
        channel->ops->frame(channel->owner, &header,
                            dm_slice(head + DM_TTRPC_HEADER_SIZE, header.size));
    }
}

/* false: nothing more to read now, or nobody to read for. */
static bool read_once(struct dm_channel *channel)
{
    uint8_t *room = dm_buf_reserve(&channel->in, room_wanted(channel));
    if (room == NULL) {
        dm_channel_drop(channel, "reading: no memory");
        return false;
    }
    size_t size = channel->in.capacity - channel->in.end;
    ssize_t got = dm_socket_read(channel->socket, room, size);
    if (got == UV_EAGAIN) {
        return false;
    }
    if (got < 0) {
        drop_by_error(channel, "reading", (int)got);
        return false;
    }
    if (got == 0) {
        dm_channel_drop(channel, "the server closed the connection");
        return false;
    }
    dm_buf_commit(&channel->in, (size_t)got);
    split(channel);
    if (dm_buf_size(&channel->in) == 0 && channel->in.capacity > BUFFER_KEEP) {
        dm_buf_finish(&channel->in);
    }
    return (size_t)got == size && channel->state == DM_CHANNEL_UP && !channel->paused;
}

static void on_readable(void *owner)
{
    for (int reads = 0; reads < READS_MAX && read_once(owner); reads++) {
    }
}

/* ---- coming up ------------------------------------------------------------- */

static void want(struct dm_channel *channel)
{
    DM_ASSERT(channel->state == DM_CHANNEL_UP);
    dm_socket_want(channel->socket, !channel->paused, channel->blocked);
}

static void connect_next(struct dm_channel *channel, int error);
static void on_writable(void *owner);

static void on_connected(void *owner, int error)
{
    struct dm_channel *channel = owner;
    DM_ASSERT(channel->state == DM_CHANNEL_CONNECTING);
    if (error != 0) {
        dm_socket_close(channel->socket);
        channel->socket = NULL;
        connect_next(channel, error);
        return;
    }
    (void)uv_timer_stop(&channel->timer);
    move_to(channel, DM_CHANNEL_UP);
    channel->blocked = false;
    channel->up_since_ms = uv_now(channel->loop);
    want(channel);
    channel->ops->up(channel->owner);
}

/* 0, or an error at once. */
static int connect_to(struct dm_channel *channel, const struct sockaddr *to)
{
    static const struct dm_socket_ops ops = {
        .connected = on_connected, .readable = on_readable, .writable = on_writable};
    int error;
    DM_ASSERT(channel->socket == NULL);
    channel->socket = dm_socket_connect(channel->loop, to, &ops, channel, &error);
    return error;
}

/* The last attempt failed (0: there was none): the next address of the name, while there is one. */
static void connect_next(struct dm_channel *channel, int error)
{
    while (channel->address_next != NULL) {
        const struct addrinfo *address = channel->address_next;
        channel->address_next = address->ai_next;
        error = connect_to(channel, address->ai_addr);
        if (error == 0) {
            return;
        }
    }
    drop_by_error(channel, "connecting", error);
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
    connect_next(channel, 0);
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

static int connect_unix(struct dm_channel *channel)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t size = strlen(channel->address.host);
    if (size >= sizeof name.sun_path) {
        return UV_ENAMETOOLONG;
    }
    memcpy(name.sun_path, channel->address.host, size + 1);
    return connect_to(channel, (const struct sockaddr *)&name);
}

static void attempt(struct dm_channel *channel)
{
    DM_ASSERT(channel->socket == NULL && channel->resolve == NULL && channel->addresses == NULL);
    move_to(channel, DM_CHANNEL_CONNECTING);
    (void)uv_timer_start(&channel->timer, on_timer, CONNECT_TIMEOUT_MS, 0);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    int port = (int)strtol(channel->address.port, NULL, 10); /* the parser saw to it */
    int error = 0;
    if (channel->address.unix_socket) {
        error = connect_unix(channel);
    } else if (uv_ip4_addr(channel->address.host, port, &v4) == 0) {
        error = connect_to(channel, (const struct sockaddr *)&v4);
    } else if (uv_ip6_addr(channel->address.host, port, &v6) == 0) {
        error = connect_to(channel, (const struct sockaddr *)&v6);
    } else {
        resolve_name(channel);
    }
    if (error != 0) {
        drop_by_error(channel, "connecting", error);
    }
}

/* ---- sending --------------------------------------------------------------- */

static void flush(struct dm_channel *channel)
{
    if (channel->state != DM_CHANNEL_UP || dm_buf_size(&channel->out) == 0) {
        return;
    }
    ssize_t taken =
        dm_socket_write(channel->socket, dm_buf_head(&channel->out), dm_buf_size(&channel->out));
    if (taken < 0 && taken != UV_EAGAIN) {
        drop_by_error(channel, "writing", (int)taken);
        return;
    }
    DM_ASSERT(taken <= (ssize_t)dm_buf_size(&channel->out));
    dm_buf_consume(&channel->out, taken > 0 ? (size_t)taken : 0);
    channel->blocked = dm_buf_size(&channel->out) != 0;
    if (!channel->blocked) {
        dm_buf_reset(&channel->out, BUFFER_KEEP);
    }
    want(channel);
}

static void on_writable(void *owner)
{
    flush(owner);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct dm_channel *channel = prepare->data;
    (void)uv_prepare_stop(prepare);
    split(channel); /* frames that were kept by a pause */
    if (!channel->blocked) {
        flush(channel);
    }
}

void dm_channel_flush_later(struct dm_channel *channel)
{
    if (channel->state == DM_CHANNEL_UP) {
        (void)uv_prepare_start(&channel->prepare, on_prepare);
    }
}

size_t dm_channel_unsent(const struct dm_channel *channel)
{
    return dm_buf_size(&channel->out);
}

/* ---- life ------------------------------------------------------------------ */

void dm_channel_pause(struct dm_channel *channel)
{
    channel->paused = true;
    if (channel->state == DM_CHANNEL_UP) {
        want(channel);
    }
}

void dm_channel_resume(struct dm_channel *channel)
{
    if (!channel->paused) {
        return;
    }
    channel->paused = false;
    if (channel->state == DM_CHANNEL_UP) {
        want(channel);
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
    DM_ASSERT(channel->state == DM_CHANNEL_CLOSED && channel->handles > 0);
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
    let_go(channel);
    move_to(channel, DM_CHANNEL_CLOSED);
    channel->closed = closed;
    channel->closed_context = context;
    uv_close((uv_handle_t *)&channel->timer, on_handle_closed);
    uv_close((uv_handle_t *)&channel->prepare, on_handle_closed);
}
