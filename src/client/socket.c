#include "client/socket.h"

#include "base/assert.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* All goes well: connect() says EINPROGRESS, the socket becomes writable without an error, and
 * from then on the owner hears of what it wants. libuv reports POLLERR as UV_EBADF and stops to
 * poll; the true error is then found by SO_ERROR, or by the next read or write, which still gets
 * what came before the error. */

enum { KEEPALIVE_S = 60 };

struct dm_socket {
    uv_poll_t poll;
    int fd;
    int events; /* UV_READABLE, UV_WRITABLE: what the poll waits for */
    bool connected;
    const struct dm_socket_ops *ops;
    void *owner;
};

static int last_error(void)
{
    return uv_translate_sys_error(errno);
}

static void apply(struct dm_socket *socket);

static void on_connecting(struct dm_socket *socket)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    socket->connected = error == 0;
    socket->events = 0;
    apply(socket);
    socket->ops->connected(socket->owner, error == 0 ? 0 : uv_translate_sys_error(error));
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct dm_socket *socket = poll->data;
    if (!socket->connected) {
        on_connecting(socket);
        return;
    }
    if (status < 0) {
        events = socket->events;
        apply(socket); /* there may be more to read than one callback reads */
    }
    /* One at a time: it may close the socket. What else is ready is told the next time. Writing
     * goes first, for it is wanted only while something waits for it. */
    if ((events & UV_WRITABLE) != 0) {
        socket->ops->writable(socket->owner);
    } else if ((events & UV_READABLE) != 0) {
        socket->ops->readable(socket->owner);
    }
}

static void apply(struct dm_socket *socket)
{
    int error = socket->events == 0 ? uv_poll_stop(&socket->poll)
                                    : uv_poll_start(&socket->poll, socket->events, on_poll);
    DM_ASSERT(error == 0); /* it fails for a handle that is closing */
}

void dm_socket_want(struct dm_socket *socket, bool readable, bool writable)
{
    DM_ASSERT(socket->connected);
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (events != socket->events) {
        socket->events = events;
        apply(socket);
    }
}

static socklen_t size_of(const struct sockaddr *address)
{
    return address->sa_family == AF_UNIX    ? sizeof(struct sockaddr_un)
           : address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                            : sizeof(struct sockaddr_in);
}

/* A descriptor that is connected or about to be; else an error. */
static int begin(const struct sockaddr *to)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return last_error();
    }
    if (to->sa_family != AF_UNIX) { /* not having these is no reason to fail */
        const int on = 1, idle_s = KEEPALIVE_S;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    }
    /* Interrupted, it goes on all the same. */
    if (connect(fd, to, size_of(to)) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int error = last_error();
        (void)close(fd);
        return error;
    }
    return fd;
}

struct dm_socket *dm_socket_connect(uv_loop_t *loop, const struct sockaddr *to,
                                    const struct dm_socket_ops *ops, void *owner, int *error)
{
    struct dm_socket *socket = calloc(1, sizeof *socket);
    int fd = socket == NULL ? UV_ENOMEM : begin(to);
    *error = fd < 0 ? fd : uv_poll_init(loop, &socket->poll, fd);
    if (*error != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        free(socket);
        return NULL;
    }
    socket->poll.data = socket;
    socket->fd = fd;
    socket->ops = ops;
    socket->owner = owner;
    socket->events = UV_WRITABLE;
    apply(socket);
    return socket;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void dm_socket_close(struct dm_socket *socket)
{
    uv_close((uv_handle_t *)&socket->poll, on_closed);
    (void)close(socket->fd);
}

ssize_t dm_socket_read(struct dm_socket *socket, void *room, size_t size)
{
    DM_ASSERT(socket->connected);
    ssize_t got;
    do {
        got = recv(socket->fd, room, size, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? last_error() : got;
}

ssize_t dm_socket_write(struct dm_socket *socket, const void *bytes, size_t size)
{
    DM_ASSERT(socket->connected);
    ssize_t taken;
    do {
        taken = send(socket->fd, bytes, size, MSG_NOSIGNAL);
    } while (taken < 0 && errno == EINTR);
    return taken < 0 ? last_error() : taken;
}
