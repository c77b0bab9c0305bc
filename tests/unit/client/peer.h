#ifndef DM_TESTS_UNIT_CLIENT_PEER_H
#define DM_TESTS_UNIT_CLIENT_PEER_H

#include "base/buf.h"
#include "base/slice.h"
#include "wire/ttrpc_frame.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* A server of ttrpc for tests, on the same loop as the client: what it does with a request is
 * the test's, so that every order of things can be made to happen. */

struct peer;
struct peer_connection {
    uv_tcp_t tcp;
    struct peer *peer;
    struct dm_buf in;
    int number; /* from 1, in the order of accepting */
};

typedef void (*peer_handler)(struct peer_connection *connection, uint32_t stream,
                             const struct dm_ttrpc_request *request);

struct peer {
    uv_loop_t *loop;
    uv_tcp_t listener;
    peer_handler handler;
    struct peer_connection *last; /* the newest one that is open */
    int accepted, closed, requests;
    size_t unsent; /* bytes given to libuv and not yet taken by the socket */
    char address[32];
    void *test;
};

struct peer_write {
    uv_write_t request;
    struct peer *peer;
    size_t size;
    uint8_t bytes[];
};

static inline void peer_on_written(uv_write_t *request, int error)
{
    (void)error;
    struct peer_write *write = request->data;
    write->peer->unsent -= write->size;
    free(write);
}

static inline void peer_send(struct peer_connection *connection, const void *bytes, size_t size)
{
    struct peer_write *write = malloc(sizeof *write + size);
    memcpy(write->bytes, bytes, size);
    write->request.data = write;
    write->peer = connection->peer;
    write->size = size;
    connection->peer->unsent += size;
    uv_buf_t buf = uv_buf_init((char *)write->bytes, (unsigned)size);
    if (uv_write(&write->request, (uv_stream_t *)&connection->tcp, &buf, 1, peer_on_written) != 0) {
        abort();
    }
}

static inline void peer_send_buf(struct peer_connection *connection, struct dm_buf *buf)
{
    peer_send(connection, dm_buf_head(buf), dm_buf_size(buf));
    dm_buf_finish(buf);
}

static inline void peer_reply(struct peer_connection *connection, uint32_t stream,
                              struct dm_slice payload)
{
    struct dm_buf buf = {0};
    (void)dm_ttrpc_response_write(&buf, stream, &(struct dm_ttrpc_response){.payload = payload});
    peer_send_buf(connection, &buf);
}

static inline void peer_fail(struct peer_connection *connection, uint32_t stream, int code,
                             const char *message)
{
    struct dm_buf buf = {0};
    (void)dm_ttrpc_response_write(
        &buf, stream, &(struct dm_ttrpc_response){.code = code, .message = dm_slice_str(message)});
    peer_send_buf(connection, &buf);
}

static inline void peer_data(struct peer_connection *connection, uint32_t stream, uint8_t flags,
                             struct dm_slice payload)
{
    struct dm_buf buf = {0};
    (void)dm_ttrpc_data_write(&buf, stream, flags, payload);
    peer_send_buf(connection, &buf);
}

static inline void peer_on_closed(uv_handle_t *handle)
{
    struct peer_connection *connection = handle->data;
    struct peer *peer = connection->peer;
    peer->closed++;
    dm_buf_finish(&connection->in);
    free(connection);
}

/* Breaks the connection, after what was sent is gone. */
static inline void peer_drop(struct peer_connection *connection)
{
    if (connection->peer->last == connection) {
        connection->peer->last = NULL;
    }
    if (!uv_is_closing((uv_handle_t *)&connection->tcp)) {
        uv_close((uv_handle_t *)&connection->tcp, peer_on_closed);
    }
}

static inline void peer_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer_connection *connection = handle->data;
    uint8_t *room = dm_buf_reserve(&connection->in, suggested);
    *buf = uv_buf_init((char *)room, (unsigned)suggested);
}

static inline void peer_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    struct peer_connection *connection = stream->data;
    if (size < 0) {
        peer_drop(connection);
        return;
    }
    dm_buf_commit(&connection->in, (size_t)size);
    while (dm_buf_size(&connection->in) >= DM_TTRPC_HEADER_SIZE) {
        struct dm_ttrpc_header header;
        const uint8_t *head = dm_buf_head(&connection->in);
        dm_ttrpc_header_load(head, &header);
        size_t whole = DM_TTRPC_HEADER_SIZE + (size_t)header.size;
        struct dm_ttrpc_request request;
        if (dm_buf_size(&connection->in) < whole) {
            return;
        }
        if (header.type != DM_TTRPC_REQUEST || header.flags != DM_TTRPC_REMOTE_CLOSED ||
            !dm_ttrpc_request_read(dm_slice(head + DM_TTRPC_HEADER_SIZE, header.size), &request)) {
            abort();
        }
        dm_buf_consume(&connection->in, whole);
        connection->peer->requests++;
        connection->peer->handler(connection, header.stream, &request);
        if (uv_is_closing((uv_handle_t *)&connection->tcp)) {
            return;
        }
    }
}

static inline void peer_on_connection(uv_stream_t *listener, int error)
{
    struct peer *peer = listener->data;
    struct peer_connection *connection = calloc(1, sizeof *connection);
    connection->peer = peer;
    connection->tcp.data = connection;
    if (error != 0 || uv_tcp_init(peer->loop, &connection->tcp) != 0 ||
        uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
        abort();
    }
    (void)uv_tcp_nodelay(&connection->tcp, 1);
    connection->number = ++peer->accepted;
    peer->last = connection;
    (void)uv_read_start((uv_stream_t *)&connection->tcp, peer_on_alloc, peer_on_read);
}

/* The server's libuv may write without MSG_NOSIGNAL, and a client that closes must not end the
 * test by SIGPIPE. That our client needs no such thing is what signal_test.c shows. */
static inline void peer_start(struct peer *peer, uv_loop_t *loop, peer_handler handler, void *test)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *peer = (struct peer){.loop = loop, .handler = handler, .test = test};
    struct sockaddr_in address;
    int size = sizeof address;
    peer->listener.data = peer;
    if (uv_ip4_addr("127.0.0.1", 0, &address) != 0 || uv_tcp_init(loop, &peer->listener) != 0 ||
        uv_tcp_bind(&peer->listener, (const struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&peer->listener, 64, peer_on_connection) != 0 ||
        uv_tcp_getsockname(&peer->listener, (struct sockaddr *)&address, &size) != 0) {
        abort();
    }
    uv_unref((uv_handle_t *)&peer->listener);
    (void)snprintf(peer->address, sizeof peer->address, "127.0.0.1:%d", ntohs(address.sin_port));
}

/* Its connections close by themselves when the client is gone. */
static inline void peer_stop(struct peer *peer)
{
    uv_close((uv_handle_t *)&peer->listener, NULL);
}

#endif
