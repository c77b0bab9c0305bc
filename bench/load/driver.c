#include "driver.h"

#include "dial.h"
#include "frame.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 512 * 1024,
    OUT_HIGH = 4 * 1024 * 1024, /* nothing more is asked on a connection that does not take it */
    EVENTS = 256,
    WAIT_NS = 20 * 1000 * 1000, /* ops->over is asked this often at least */
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

static bool fail(struct driver *driver, const char *what)
{
    driver->broken = true;
    (void)snprintf(driver->why, sizeof driver->why, "%s: %s", what, strerror(errno));
    return false;
}

static bool connection_open(struct driver *driver, struct connection *connection,
                            const char *address, uint32_t depth)
{
    connection->fd = dial(address);
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

static void on_response(struct driver *driver, struct connection *connection, uint32_t stream,
                        struct dm_slice body, uint64_t now)
{
    struct dm_slice payload = {0};
    int code = frame_response(body, &payload);
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
        if (head[8] == FRAME_RESPONSE) {
            on_response(driver, connection, dm_load_be32(head + 4), body, now);
        } else if (head[8] == FRAME_DATA) {
            if ((head[9] & FRAME_NO_DATA) == 0) {
                driver->ops->message(driver->load, body);
            }
            driver->stream_code = (head[9] & FRAME_REMOTE_CLOSED) != 0 ? 0 : driver->stream_code;
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
