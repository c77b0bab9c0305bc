#ifndef DM_CLIENT_SOCKET_H
#define DM_CLIENT_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

/* A socket of our own on a libuv loop. A stream of libuv's would do, but before 1.45 libuv writes
 * without MSG_NOSIGNAL: a server that goes away would end the program by SIGPIPE, or the library
 * would have to change what the program does with that signal.
 *
 * Errors are libuv's (UV_...). Callbacks come from the loop, none from within a function of this
 * header, and none after dm_socket_close. A callback may close the socket. */

struct dm_socket_ops {
    /* The connection was made, or not (0 or an error). Once, and first. */
    void (*connected)(void *owner, int error);
    void (*readable)(void *owner); /* data, the end, or an error: reading tells */
    void (*writable)(void *owner); /* room, or an error: writing tells */
};

struct dm_socket;

/* Begins to connect. NULL: it failed at once, and *error says why. */
struct dm_socket *dm_socket_connect(uv_loop_t *loop, const struct sockaddr *to,
                                    const struct dm_socket_ops *ops, void *owner, int *error);
/* The peer sees the end at once; the memory is given back by the loop. */
void dm_socket_close(struct dm_socket *socket);

/* What to call back for from now on; nothing, until this was called. Only when connected. */
void dm_socket_want(struct dm_socket *socket, bool readable, bool writable);

/* Bytes that came (0: the end of the stream), or that were taken; never waits: UV_EAGAIN. */
ssize_t dm_socket_read(struct dm_socket *socket, void *room, size_t size);
ssize_t dm_socket_write(struct dm_socket *socket, const void *bytes, size_t size);

#endif
