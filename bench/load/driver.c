#include "driver.h"

#include "base/address.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/varint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 512 * 1024,
    OUT_HIGH = 4 * 1024 * 1024, /* nothing more is asked on a connection that does not take it */
    EVENTS = 256,
    WAIT_NS = 20 * 1000 * 1000, /* ops->over is asked this often at least */
    TYPE_RESPONSE = 2,
    TYPE_DATA = 3,
    FLAG_REMOTE_CLOSED = 1,
    FLAG_NO_DATA = 4,
};

struct connection {
    int fd;
    bool writable_wanted, stream;
    uint32_t next; /* stream id, odd */
    uint32_t under_way, mask;
    struct call *calls; /* [0, mask] */
    struct dm_buf in, out;
};

uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int64_t wall_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- connecting ------------------------------------------------------------- */

static int dial_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int dial_tcp(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int fd = -1, on = 1;
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            int error = errno;
            (void)close(fd);
            errno = error;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

int driver_dial(const char *address)
{
    struct dm_address at;
    if (dm_address_parse(address, DM_ADDRESS_CONNECT, &at) != NULL) {
        errno = EINVAL;
        return -1;
    }
    return at.unix_socket ? dial_unix(at.host) : dial_tcp(at.host, at.port);
}

static bool fail(struct driver *driver, const char *what)
{
    driver->broken = true;
    (void)snprintf(driver->why, sizeof driver->why, "%s: %s", what, strerror(errno));
    return false;
}

static bool connection_open(struct driver *driver, struct connection *connection,
                            const char *address, uint32_t depth)
{
    connection->fd = driver_dial(address);
    connection->next = 1;
    if (connection->fd < 0 && errno == EADDRNOTAVAIL) {
        driver->broken = true;
        (void)snprintf(driver->why, sizeof driver->why, "%s: the name has no address", address);
        return false;
    }
    if (connection->fd < 0) {
        return fail(driver, address);
    }
    uint32_t slots = 64;
    while (slots < depth * 2) {
        slots *= 2;
    }
    connection->mask = slots - 1;
    connection->calls = dm_xcalloc(slots, sizeof *connection->calls);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(driver->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        return fail(driver, "epoll");
    }
    return true;
}

bool driver_open(struct driver *driver, const char *address, uint32_t connections, uint32_t depth,
                 const struct driver_ops *ops, void *load)
{
    *driver = (struct driver){
        .ops = ops, .load = load, .count = connections, .depth = depth, .stream_code = -1};
    driver->connections = dm_xcalloc(connections + STREAMS_MAX, sizeof *driver->connections);
    for (uint32_t i = 0; i < connections + STREAMS_MAX; i++) {
        driver->connections[i].fd = -1;
    }
    driver->epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* short waits are to be short */
    for (uint32_t i = 0; i < connections; i++) {
        if (!connection_open(driver, &driver->connections[i], address, depth)) {
            return false;
        }
    }
    return true;
}

void driver_close(struct driver *driver)
{
    for (uint32_t i = 0; driver->connections != NULL && i < driver->count + STREAMS_MAX; i++) {
        struct connection *connection = &driver->connections[i];
        if (connection->fd >= 0) {
            (void)close(connection->fd);
        }
        free(connection->calls);
        dm_buf_finish(&connection->in);
        dm_buf_finish(&connection->out);
    }
    free(driver->connections);
    driver->connections = NULL;
    (void)close(driver->epoll);
}

/* ---- writing ---------------------------------------------------------------- */

static bool flush(struct driver *driver, struct connection *connection)
{
    bool waits = false;
    while (dm_buf_size(&connection->out) != 0 && !waits) {
        ssize_t sent = send(connection->fd, dm_buf_head(&connection->out),
                            dm_buf_size(&connection->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return fail(driver, "sending");
        }
        waits = sent < 0 && errno == EAGAIN;
        dm_buf_consume(&connection->out, sent > 0 ? (size_t)sent : 0);
    }
    if (waits != connection->writable_wanted) {
        struct epoll_event event = {.events = EPOLLIN | (waits ? (uint32_t)EPOLLOUT : 0U),
                                    .data.ptr = connection};
        connection->writable_wanted = waits;
        (void)epoll_ctl(driver->epoll, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return true;
}

/* One more call on this connection. false: it is full, or there is nothing to ask. */
static bool ask(struct driver *driver, struct connection *connection, uint64_t start_ns,
                uint64_t sent_ns)
{
    if (connection->under_way >= driver->depth || driver->ending ||
        dm_buf_size(&connection->out) > OUT_HIGH) {
        return false;
    }
    struct call *call = &connection->calls[connection->next / 2 & connection->mask];
    while (call->busy) {
        connection->next += 2;
        call = &connection->calls[connection->next / 2 & connection->mask];
    }
    call->start_ns = start_ns;
    call->sent_ns = sent_ns;
    if (!driver->ops->next(driver->load, call, connection->next, &connection->out)) {
        return false;
    }
    call->busy = true;
    connection->next += 2;
    connection->under_way++;
    driver->under_way++;
    return true;
}

/* Closed loop: as many calls as fit. */
static bool refill(struct driver *driver, struct connection *connection)
{
    uint64_t now = now_ns();
    while (ask(driver, connection, now, now)) {
    }
    return flush(driver, connection);
}

/* On any connection that has room, the next one first. */
static bool ask_anyone(struct driver *driver, uint64_t due_ns, uint64_t now)
{
    for (uint32_t i = 0; i < driver->count; i++) {
        struct connection *connection = &driver->connections[driver->turn];
        driver->turn = driver->turn + 1 == driver->count ? 0 : driver->turn + 1;
        if (ask(driver, connection, due_ns, now)) {
            return true;
        }
    }
    return false;
}

static void flush_all(struct driver *driver)
{
    for (uint32_t i = 0; i < driver->count; i++) {
        struct connection *connection = &driver->connections[i];
        if (dm_buf_size(&connection->out) != 0 && !connection->writable_wanted) {
            (void)flush(driver, connection);
        }
    }
}

/* Open loop: what is due by now, in turns. A call that finds no room is given up if it has a
 * deadline: a queue of our own in front of a full server would make all that follow late.
 * Without one it stays due, and its latency counts from when it was. Returns when the next
 * one is due, or for ever if only an answer can make room. */
static uint64_t issue_due(struct driver *driver)
{
    double gap = 1e9 / driver->rate;
    uint64_t now = now_ns();
    uint64_t due = driver->begin_ns + (uint64_t)((double)driver->due * gap);
    bool room = true;
    while (due <= now && !driver->ending) {
        room = room && ask_anyone(driver, due, now);
        if (!room && driver->timeout_ns == 0) {
            due = UINT64_MAX;
            break;
        }
        driver->given_up += room ? 0 : 1;
        driver->due++;
        due = driver->begin_ns + (uint64_t)((double)driver->due * gap);
    }
    flush_all(driver);
    return due;
}

/* ---- reading ---------------------------------------------------------------- */

/* Field 1 is the status, 2 the payload; a server that answers OK may leave the first out. */
static int read_response(const uint8_t *at, const uint8_t *end, struct dm_slice *payload)
{
    uint64_t code = 0, size;
    while (at < end) {
        uint8_t key = *at++;
        if (!dm_varint_get(&at, end, &size) || (key != 0x0a && key != 0x12) ||
            size > (uint64_t)(end - at)) {
            return 13;
        }
        if (key == 0x12) {
            *payload = dm_slice(at, (size_t)size);
        } else if (size > 1 && at[0] == 0x08) {
            const uint8_t *number = at + 1;
            (void)dm_varint_get(&number, at + size, &code);
        }
        at += size;
    }
    return (int)code;
}

static void on_response(struct driver *driver, struct connection *connection, uint32_t stream,
                        struct dm_slice body, uint64_t now)
{
    struct dm_slice payload = {0};
    const uint8_t *data = body.data;
    int code = read_response(data, data + body.size, &payload);
    if (connection->stream) {
        driver->stream_code = code;
        return;
    }
    struct call *call = &connection->calls[stream / 2 & connection->mask];
    if (!call->busy) {
        errno = EPROTO;
        (void)fail(driver, "an answer to nothing");
        return;
    }
    call->busy = false;
    connection->under_way--;
    driver->under_way--;
    driver->ops->done(driver->load, call, code, payload, now);
}

static void split(struct driver *driver, struct connection *connection, uint64_t now)
{
    while (dm_buf_size(&connection->in) >= FRAME_HEADER) {
        const uint8_t *head = dm_buf_head(&connection->in);
        size_t size = dm_load_be32(head);
        if (dm_buf_size(&connection->in) < FRAME_HEADER + size) {
            (void)dm_buf_reserve(&connection->in, FRAME_HEADER + size);
            return;
        }
        struct dm_slice body = dm_slice(head + FRAME_HEADER, size);
        if (head[8] == TYPE_RESPONSE) {
            on_response(driver, connection, dm_load_be32(head + 4), body, now);
        } else if (head[8] == TYPE_DATA) {
            if ((head[9] & FLAG_NO_DATA) == 0) {
                driver->ops->message(driver->load, body);
            }
            driver->stream_code = (head[9] & FLAG_REMOTE_CLOSED) != 0 ? 0 : driver->stream_code;
        }
        dm_buf_consume(&connection->in, FRAME_HEADER + size);
    }
}

static bool on_readable(struct driver *driver, struct connection *connection)
{
    uint8_t *room = dm_buf_reserve(&connection->in, READ_SIZE);
    if (room == NULL) {
        errno = ENOMEM;
        return fail(driver, "reading");
    }
    ssize_t got =
        recv(connection->fd, room, connection->in.capacity - connection->in.end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0) {
        errno = got == 0 ? ECONNRESET : errno;
        return fail(driver, "reading");
    }
    dm_buf_commit(&connection->in, (size_t)got);
    split(driver, connection, now_ns());
    return !driver->broken;
}

/* ---- running ---------------------------------------------------------------- */

static bool on_event(struct driver *driver, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
        !on_readable(driver, connection)) {
        return false;
    }
    if (driver->rate > 0 || connection->stream) {
        return (event->events & EPOLLOUT) == 0 || flush(driver, connection);
    }
    return refill(driver, connection);
}

static int wait_events(struct driver *driver, struct epoll_event *events, uint64_t until_ns)
{
    uint64_t now = now_ns();
    uint64_t wait = until_ns > now ? until_ns - now : 0;
    wait = wait < WAIT_NS ? wait : WAIT_NS;
    const struct timespec timeout = {.tv_sec = 0, .tv_nsec = (long)wait};
    return epoll_pwait2(driver->epoll, events, EVENTS, &timeout, NULL);
}

bool driver_run(struct driver *driver, uint64_t grace_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t over_ns = 0;
    driver->begin_ns = now_ns();
    driver->due = 0;
    driver->ending = false;
    for (uint32_t i = 0; driver->rate <= 0 && i < driver->count; i++) {
        if (!refill(driver, &driver->connections[i])) {
            return false;
        }
    }
    while (!driver->broken) {
        uint64_t until = UINT64_MAX;
        if (driver->rate > 0 && !driver->ending) {
            until = issue_due(driver);
        }
        int count = wait_events(driver, events, until);
        for (int i = 0; i < count && !driver->broken; i++) {
            (void)on_event(driver, &events[i]);
        }
        uint64_t now = now_ns();
        if (over_ns == 0 && driver->ops->over(driver->load, now)) {
            over_ns = now;
            driver->ending = true;
        }
        if (over_ns != 0 && (driver->under_way == 0 || now - over_ns > grace_ns)) {
            return !driver->broken;
        }
    }
    return false;
}

bool driver_stream(struct driver *driver, const char *address, const struct dm_buf *frame)
{
    struct connection *connection = &driver->connections[driver->count];
    DM_ASSERT(!driver->streaming);
    driver->streaming = true;
    connection->stream = true;
    return connection_open(driver, connection, address, 1) &&
           dm_buf_append(&connection->out, dm_buf_head(frame), dm_buf_size(frame)) &&
           flush(driver, connection);
}

/* ---- frames ----------------------------------------------------------------- */

static bool append_number(struct dm_buf *out, uint8_t key, uint64_t number)
{
    uint8_t bytes[1 + DM_VARINT_MAX] = {key};
    const uint8_t *end = dm_varint_put(bytes + 1, number);
    return dm_buf_append(out, bytes, (size_t)(end - bytes));
}

static bool append_bytes(struct dm_buf *out, uint8_t key, struct dm_slice bytes)
{
    return append_number(out, key, bytes.size) && dm_buf_append(out, bytes.data, bytes.size);
}

static void set_size(struct dm_buf *out, size_t frame)
{
    dm_store_be32(dm_buf_head(out) + frame, (uint32_t)(dm_buf_size(out) - frame - FRAME_HEADER));
}

bool frame_append(struct dm_buf *out, uint32_t stream, const char *method, struct dm_slice payload)
{
    uint8_t header[FRAME_HEADER] = {[8] = 1, [9] = FLAG_REMOTE_CLOSED};
    size_t before = dm_buf_size(out);
    dm_store_be32(header + 4, stream);
    if (!dm_buf_append(out, header, sizeof header) ||
        !append_bytes(out, 0x0a, dm_slice_str("dormouse.v1.BotStatus")) ||
        !append_bytes(out, 0x12, dm_slice_str(method)) || !append_bytes(out, 0x1a, payload)) {
        return false;
    }
    set_size(out, before);
    return true;
}

bool frame_set_timeout(struct dm_buf *frame, uint64_t timeout_ns)
{
    if (!append_number(frame, 0x20, timeout_ns)) {
        return false;
    }
    set_size(frame, 0);
    return true;
}
