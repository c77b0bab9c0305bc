#ifndef DM_BENCH_DRIVER_H
#define DM_BENCH_DRIVER_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The engine of every load: sockets on one epoll, many calls on each, large reads and writes,
 * and no more of ttrpc than a measuring instrument needs. A load says what to ask next and
 * looks at the answers. */

enum { STREAMS_MAX = 1 };

/* One call under way. Found again by its stream id: ids grow, and one whose place is still
 * taken is skipped. */
struct call {
    uint64_t start_ns; /* closed loop: when its batch was sent; open loop: when it was due */
    uint64_t sent_ns;  /* when it was handed to its connection */
    uint32_t key;
    uint8_t kind;
    bool busy;
};

struct driver_ops {
    /* Appends one whole frame with this stream id and fills key and kind. false: there is
     * nothing to ask now. */
    bool (*next)(void *load, struct call *call, uint32_t stream, struct dm_buf *out);
    void (*done)(void *load, const struct call *call, int code, struct dm_slice payload,
                 uint64_t now_ns);
    /* One message of the stream opened by driver_stream; may be NULL. */
    void (*message)(void *load, struct dm_slice payload);
    /* Nothing is asked any more and the run ends when all is answered. */
    bool (*over)(void *load, uint64_t now_ns);
};

struct connection;

struct driver {
    const struct driver_ops *ops;
    void *load;
    int epoll;
    struct connection *connections; /* [0, count), then the stream's */
    uint32_t count;
    uint32_t depth;
    double rate;         /* calls a second; 0: closed loop */
    uint64_t timeout_ns; /* open loop: a call given up if it finds no room; 0: it waits for it */
    uint64_t given_up;
    uint64_t under_way;
    uint64_t begin_ns, due; /* open loop: when it began, calls issued since */
    uint32_t turn;          /* the connection whose turn it is, open loop */
    bool ending;            /* over said so: nothing is asked any more */
    bool streaming;
    int stream_code; /* how the stream ended; -1: it has not */
    bool broken;     /* a connection broke: the load cannot be trusted */
    char why[160];
};

uint64_t now_ns(void);
int64_t wall_ms(void);

/* Connects. false: *why says what is wrong. depth: calls under way on one connection. */
bool driver_open(struct driver *driver, const char *address, uint32_t connections, uint32_t depth,
                 const struct driver_ops *ops, void *load);
void driver_close(struct driver *driver);

/* Opens the stream with this request frame (stream id 1) on a connection of its own. */
bool driver_stream(struct driver *driver, const char *address, const struct dm_buf *frame);

/* Runs until ops->over and all is answered, at most `grace_ns` after over said so. false: a
 * connection broke. */
bool driver_run(struct driver *driver, uint64_t grace_ns);

#endif
