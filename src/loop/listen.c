#include "loop/listen.h"

#include "base/address.h"
#include "base/assert.h"
#include "base/log.h"
#include "loop/conns.h"
#include "loop/state.h"
#include "loop/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Listening sockets. When descriptors run out all the same (the limit of connections is
 * set below them), libuv gives up a descriptor that it keeps in reserve, takes what waits
 * and closes it, so that the loop does not spin on a backlog it cannot take. */

enum { BACKLOG = 4096, NAME_SIZE_MAX = 300 };

_Static_assert(NAME_SIZE_MAX > sizeof((struct sockaddr_un *)0)->sun_path + INET6_ADDRSTRLEN,
               "any address fits");

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    loop_turn_begins(listener->loop);
    if (status == 0) {
        conns_accept(listener->loop, listener);
        return;
    }
    dm_log(DM_LOG_WARN, "a connection could not be accepted",
           DM_LOG_TEXT("reason", uv_strerror(status)));
}

/* ---- unix sockets ------------------------------------------------------------------ */

/* The file of a socket stays when its process is killed. It is removed if nobody answers on it. */
static enum dm_code remove_stale(const char *path, struct dm_error *error)
{
    struct stat entry;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (lstat(path, &entry) != 0) {
        return errno == ENOENT
                   ? DM_OK
                   : dm_fail(error, DM_UNAVAILABLE, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(entry.st_mode)) {
        return dm_fail(error, DM_UNAVAILABLE, "%s exists and is not a socket", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot create a socket: %s", strerror(errno));
    }
    memcpy(name.sun_path, path, strlen(path) + 1);
    int refused = connect(fd, (const struct sockaddr *)&name, sizeof name) != 0 ? errno : 0;
    (void)close(fd);
    if (refused != ECONNREFUSED) {
        return dm_fail(error, DM_UNAVAILABLE, "another process listens on %s", path);
    }
    dm_log(DM_LOG_INFO, "stale socket removed", DM_LOG_TEXT("path", path));
    (void)unlink(path);
    return DM_OK;
}

static bool folder_is_there(const char *path)
{
    struct stat entry;
    const char *slash = strrchr(path, '/');
    char folder[sizeof((struct sockaddr_un *)0)->sun_path] = ".";
    if (slash != NULL) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
    }
    return stat(folder, &entry) == 0 || errno != ENOENT;
}

static enum dm_code bind_pipe(struct listener *listener, const char *path, struct dm_error *error)
{
    const struct dm_loop *loop = listener->loop;
    enum dm_code code = remove_stale(path, error);
    if (code != DM_OK) {
        return code;
    }
    /* So the socket is never open, not even for a moment, to more users than it will be. */
    mode_t mode = loop->options.unix_mode != 0 ? (mode_t)loop->options.unix_mode : 0600;
    mode_t before = umask(0777 & ~mode);
    int status = uv_pipe_bind(&listener->uv.pipe, path);
    (void)umask(before);
    if (status == UV_EACCES && !folder_is_there(path)) {
        status = UV_ENOENT; /* libuv says EACCES for both */
    }
    return status == 0 ? DM_OK
                       : dm_fail(error, DM_UNAVAILABLE, "cannot bind unix:%s: %s", path,
                                 uv_strerror(status));
}

/* ---- TCP ------------------------------------------------------------------------------ */

static void name_of(const struct listener *listener, const char *address, char *name)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    char host[INET6_ADDRSTRLEN] = "";
    if (listener->is_pipe ||
        uv_tcp_getsockname(&listener->uv.tcp, (struct sockaddr *)&bound, &size) != 0) {
        (void)snprintf(name, NAME_SIZE_MAX, "%s", address);
    } else if (bound.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&bound;
        (void)uv_ip6_name(v6, host, sizeof host);
        (void)snprintf(name, NAME_SIZE_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const void *)&bound;
        (void)uv_ip4_name(v4, host, sizeof host);
        (void)snprintf(name, NAME_SIZE_MAX, "%s:%u", host, ntohs(v4->sin_port));
    }
}

/* ---- both ------------------------------------------------------------------------------ */

static enum dm_code begin_listening(struct listener *listener, const char *address,
                                    struct dm_error *error)
{
    char name[NAME_SIZE_MAX];
    int status = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
    if (status != 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot listen on %s: %s", address,
                       uv_strerror(status));
    }
    name_of(listener, address, name);
    dm_log(DM_LOG_INFO, "listening", DM_LOG_TEXT("address", name));
    return DM_OK;
}

static struct listener *listener_create(struct dm_loop *loop, bool is_pipe)
{
    struct listener *listener = dm_xcalloc(1, sizeof *listener);
    listener->loop = loop;
    listener->is_pipe = is_pipe;
    int status = is_pipe ? uv_pipe_init(&loop->uv, &listener->uv.pipe, 0)
                         : uv_tcp_init(&loop->uv, &listener->uv.tcp);
    DM_ASSERT(status == 0);
    listener->uv.handle.data = listener;
    return listener;
}

/* A listener that was bound begins to listen. One that was not (`code`), or that cannot listen,
 * is closed. */
static enum dm_code settle(struct listener *listener, const char *address, enum dm_code code,
                           struct dm_error *error)
{
    struct dm_loop *loop = listener->loop;
    if (code == DM_OK) {
        code = begin_listening(listener, address, error);
    }
    if (code == DM_OK && loop->listener_count == DM_LISTENERS_MAX) {
        code = dm_fail(error, DM_INVALID_ARGUMENT, "at most %d addresses to listen on",
                       DM_LISTENERS_MAX);
    }
    if (code != DM_OK) {
        uv_close(&listener->uv.handle, on_listener_closed);
        return code;
    }
    DM_ASSERT(loop->listener_count < DM_LISTENERS_MAX);
    loop->listeners[loop->listener_count++] = listener;
    return DM_OK;
}

static enum dm_code listen_unix(struct dm_loop *loop, const char *address, const char *path,
                                struct dm_error *error)
{
    struct listener *listener = listener_create(loop, true);
    return settle(listener, address, bind_pipe(listener, path, error), error);
}

/* A name may stand for addresses that this machine does not have: ::1 without IPv6, say. */
static bool is_not_here(int status)
{
    return status == UV_EADDRNOTAVAIL || status == UV_EAFNOSUPPORT;
}

static enum dm_code listen_at(struct dm_loop *loop, const struct sockaddr *at, const char *address,
                              int *status, struct dm_error *error)
{
    struct listener *listener = listener_create(loop, false);
    *status = uv_tcp_bind(&listener->uv.tcp, at, 0);
    int unread = DM_UNREAD_SIZE; /* its connections inherit it */
    (void)uv_recv_buffer_size(&listener->uv.handle, &unread);
    enum dm_code code = *status == 0 ? DM_OK
                                     : dm_fail(error, DM_UNAVAILABLE, "cannot bind %s: %s", address,
                                               uv_strerror(*status));
    return settle(listener, address, code, error);
}

/* With port 0 the first address chooses the port of them all. */
static void same_port(const struct dm_loop *loop, struct addrinfo *found)
{
    struct sockaddr_storage bound;
    int size = sizeof bound;
    DM_ASSERT(loop->listener_count > 0);
    const struct listener *last = loop->listeners[loop->listener_count - 1];
    if (uv_tcp_getsockname(&last->uv.tcp, (struct sockaddr *)&bound, &size) != 0) {
        return;
    }
    for (; found != NULL; found = found->ai_next) {
        /* It has the same place in both kinds of address. */
        ((struct sockaddr_in *)found->ai_addr)->sin_port =
            ((const struct sockaddr_in *)&bound)->sin_port;
    }
}

static bool seen_before(const struct addrinfo *found, const struct addrinfo *it)
{
    for (; found != it; found = found->ai_next) {
        if (found->ai_addrlen == it->ai_addrlen &&
            memcmp(found->ai_addr, it->ai_addr, it->ai_addrlen) == 0) {
            return true;
        }
    }
    return false;
}

/* Listens on all addresses. Those that this machine does not have are left out, unless it has
 * none of them. */
static enum dm_code listen_on_each(struct dm_loop *loop, struct addrinfo *found,
                                   const char *address, struct dm_error *error)
{
    uint32_t before = loop->listener_count;
    enum dm_code code = DM_OK;
    for (struct addrinfo *it = found; it != NULL; it = it->ai_next) {
        int status = 0;
        if (loop->listener_count != before) {
            same_port(loop, found);
        }
        if (seen_before(found, it)) {
            continue;
        }
        code = listen_at(loop, it->ai_addr, address, &status, error);
        if (code != DM_OK && !is_not_here(status)) {
            return code;
        }
    }
    return loop->listener_count != before ? DM_OK : code;
}

static enum dm_code listen_tcp(struct dm_loop *loop, const char *address,
                               const struct dm_address *at, struct dm_error *error)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(at->host, at->port, &hints, &found);
    if (status != 0) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "no address for host \"%s\": %s", at->host,
                       gai_strerror(status));
    }
    enum dm_code code = listen_on_each(loop, found, address, error);
    freeaddrinfo(found);
    return code;
}

enum dm_code dm_loop_listen(struct dm_loop *loop, const char *address, struct dm_error *error)
{
    struct dm_address at;
    const char *wrong = dm_address_parse(address, DM_ADDRESS_LISTEN, &at);
    if (wrong != NULL) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "\"%s\" is not an address: %s; give HOST:PORT, [IPV6]:PORT or unix:PATH",
                       address, wrong);
    }
    return at.unix_socket ? listen_unix(loop, address, at.host, error)
                          : listen_tcp(loop, address, &at, error);
}

void listeners_close(struct dm_loop *loop)
{
    for (uint32_t i = 0; i < loop->listener_count; i++) {
        uv_close(&loop->listeners[i]->uv.handle, on_listener_closed);
    }
    loop->listener_count = 0;
}
