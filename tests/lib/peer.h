#ifndef TESTS_LIB_PEER_H
#define TESTS_LIB_PEER_H

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "wire/ttrpc_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The other end of a connection: a blocking socket that speaks ttrpc, for tests. Whatever
 * does not come within PEER_DEADLINE_MS ends the test; nothing else depends on time. Wants
 * the layers base and wire. */

enum { PEER_DEADLINE_MS = 60000 };

struct peer {
    int fd;
    uint32_t last_id;
    struct dm_buf in;
};

struct peer_frame {
    struct dm_ttrpc_header header;
    struct dm_slice body; /* valid until the next call */
};

static inline void peer_open_unix(struct peer *peer, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    *peer = (struct peer){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    DM_ASSERT(peer->fd >= 0 && strlen(path) < sizeof name.sun_path);
    memcpy(name.sun_path, path, strlen(path) + 1);
    int status = connect(peer->fd, (const struct sockaddr *)&name, sizeof name);
    DM_ASSERT(status == 0);
}

static inline void peer_open_tcp(struct peer *peer, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *peer = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    DM_ASSERT(peer->fd >= 0);
    int status = connect(peer->fd, (const struct sockaddr *)&name, sizeof name);
    DM_ASSERT(status == 0);
}

static inline void peer_close(struct peer *peer)
{
    (void)close(peer->fd);
    dm_buf_finish(&peer->in);
}

/* False when the other end has closed. */
static inline bool peer_send(struct peer *peer, const void *bytes, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t now = send(peer->fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
        if (now < 0) {
            return false;
        }
        sent += (size_t)now;
    }
    return true;
}

/* Reads what is there, waiting for it. False at the end of the connection. */
static inline bool peer_fill(struct peer *peer)
{
    struct pollfd ready = {.fd = peer->fd, .events = POLLIN};
    int events = poll(&ready, 1, PEER_DEADLINE_MS);
    DM_ASSERT(events == 1);
    uint8_t *room = dm_buf_reserve(&peer->in, 65536);
    DM_ASSERT(room != NULL);
    ssize_t size = read(peer->fd, room, 65536);
    if (size <= 0) {
        return false;
    }
    dm_buf_commit(&peer->in, (size_t)size);
    return true;
}

/* The next frame. False at the end of the connection. */
static inline bool peer_next(struct peer *peer, struct peer_frame *frame)
{
    for (;;) {
        size_t size = dm_buf_size(&peer->in);
        if (size >= DM_TTRPC_HEADER_SIZE) {
            const uint8_t *at = dm_buf_head(&peer->in);
            dm_ttrpc_header_load(at, &frame->header);
            if (size >= DM_TTRPC_HEADER_SIZE + frame->header.size) {
                frame->body = dm_slice(at + DM_TTRPC_HEADER_SIZE, frame->header.size);
                dm_buf_consume(&peer->in, DM_TTRPC_HEADER_SIZE + frame->header.size);
                return true;
            }
        }
        if (!peer_fill(peer)) {
            return false;
        }
    }
}

/* Sends a request with the next id, which is returned; 0 when the other end has closed. */
static inline uint32_t peer_request(struct peer *peer, uint8_t flags, const char *service,
                                    const char *method, struct dm_slice payload)
{
    const struct dm_ttrpc_request request = {
        .service = dm_slice_str(service), .method = dm_slice_str(method), .payload = payload};
    struct dm_buf out = {0};
    peer->last_id = peer->last_id == 0 ? 1 : peer->last_id + 2;
    bool ok = dm_ttrpc_request_write(&out, peer->last_id, flags, &request);
    DM_ASSERT(ok);
    ok = peer_send(peer, dm_buf_head(&out), dm_buf_size(&out));
    dm_buf_finish(&out);
    return ok ? peer->last_id : 0;
}

/* The response to the call `id`, which must be the next frame. */
static inline bool peer_response(struct peer *peer, uint32_t id, struct dm_ttrpc_response *response)
{
    struct peer_frame frame;
    *response = (struct dm_ttrpc_response){0};
    return peer_next(peer, &frame) && frame.header.type == DM_TTRPC_RESPONSE &&
           frame.header.stream == id && dm_ttrpc_response_read(frame.body, response);
}

/* The clock for deadlines of tests that have to ask again and again. */
static inline uint64_t peer_now_ms(void)
{
    struct dm_clock clock = dm_clock_system();
    return dm_clock_monotonic_ns(&clock) / 1000000;
}

#endif
