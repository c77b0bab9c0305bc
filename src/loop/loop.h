#ifndef DM_LOOP_LOOP_H
#define DM_LOOP_LOOP_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/code.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "engine/engine.h"
#include "rpc/rpc.h"

#include <stdbool.h>
#include <stdint.h>

/* The event loop: sockets, signals, timers, and the doorbell of other threads. One turn
 * of it reads what has come on any socket and begins those calls, gives engine and rpc
 * their piece of work, and sends each connection's answers in one write.
 *
 *     dm_loop_create, then dm_loop_ring may be handed to other threads
 *     dm_loop_attach(engine, rpc); dm_loop_listen...; dm_loop_run
 *     rpc and engine end, then dm_loop_destroy
 *
 * All but dm_loop_ring on one thread. Several loops can live in one process. */

struct dm_loop;

/* The answer to an HTTP GET outside the RPC paths. */
struct dm_http_answer {
    int status;
    const char *content_type; /* static text */
    struct dm_buf body;       /* empty at first; freed by the loop */
};

struct dm_loop_options {
    struct dm_clock clock;
    int64_t drain_delay_ms;   /* how long all goes on, but not ready, before a shutdown */
    int64_t drain_timeout_ms; /* how long a shutdown waits for open calls */
    uint32_t unix_mode;       /* of unix sockets' files; 0: 0600 */
    uint32_t connections_max; /* 0: DM_CONNECTIONS_MAX; lowered to what descriptors allow */
    int64_t buffers_max;      /* bytes; 0: DM_BUFFERS_MAX */
    /* See struct dm_session_limits. Borrowed. */
    const char *const *hosts, *const *cors_origins;
    /* Fills *answer; NULL: every such path is 404. */
    void (*http)(void *context, struct dm_slice path, struct dm_slice query,
                 struct dm_http_answer *answer);
    void *http_context;
    void (*hangup)(void); /* at SIGHUP; NULL: nothing. Must not block */
};

enum dm_code dm_loop_create(struct dm_loop **loop, const struct dm_loop_options *options,
                            struct dm_error *error);
/* For engine and rpc: the loop's, whose wall time stands during a batch of calls. Goes with
 * the loop. */
struct dm_clock dm_loop_calls_clock(struct dm_loop *loop);
/* After dm_loop_run; what was attached may be gone by then. NULL: no effect. */
void dm_loop_destroy(struct dm_loop *loop);

/* From any thread: a sweep is done; take a turn soon. `loop` is a struct dm_loop; void, so
 * that it fits the engine's notify. */
void dm_loop_ring(void *loop);

/* Borrowed until dm_loop_run has returned. */
void dm_loop_attach(struct dm_loop *loop, struct dm_engine *engine, struct dm_rpc *rpc);

/* "HOST:PORT", "[IPV6]:PORT" (port 0: any free one, which the log names) or "unix:PATH". A name
 * means all its addresses that this machine has, on the same port.
 * A socket file that nobody listens on is replaced; it is removed when the loop ends.
 * INVALID_ARGUMENT for an address that makes no sense, UNAVAILABLE when it cannot be had. */
enum dm_code dm_loop_listen(struct dm_loop *loop, const char *address, struct dm_error *error);

/* Serves until SIGTERM or SIGINT, then drains; OK. First, for drain_delay_ms, all is served as
 * before, but not ready. Then it accepts nothing new, lets open calls end and what is half
 * received come in, and sends the answers, at most drain_timeout_ms; what is still not whole
 * shortly before is answered UNAVAILABLE. Each further signal takes it one step on: from the
 * delay to the drain, from the drain to the end of the process at once. SIGHUP: options.hangup.
 * INTERNAL when the engine failed: nothing that is pending is answered, and the process should
 * end. */
enum dm_code dm_loop_run(struct dm_loop *loop, struct dm_error *error);

/* As the first signal would. On the loop's thread. */
void dm_loop_drain(struct dm_loop *loop);
bool dm_loop_draining(const struct dm_loop *loop); /* or about to */

enum dm_protocol {
    DM_PROTOCOL_NONE, /* no byte has come yet */
    DM_PROTOCOL_TTRPC,
    DM_PROTOCOL_HTTP2,
    DM_PROTOCOL_HTTP1,
};
#define DM_PROTOCOL_COUNT 4
const char *dm_protocol_name(int protocol);

/* Why a connection was closed though its client had not finished (limits.h). */
enum dm_closed {
    DM_CLOSED_HEAD,   /* a head was not whole in time */
    DM_CLOSED_BODY,   /* a message came too slowly */
    DM_CLOSED_WRITE,  /* the client did not take what was sent */
    DM_CLOSED_MEMORY, /* all held too much together, and this one held most */
    DM_CLOSED_SILENT, /* it had not sent a byte, and its place was needed */
};
#define DM_CLOSED_COUNT 5
const char *dm_closed_name(int why);

struct dm_loop_stats {
    uint64_t accepted, refused; /* refused: over the limit of connections */
    uint64_t unknown;           /* closed for bytes that begin no protocol */
    uint64_t bytes_in, bytes_out;
    uint64_t clock_steps;
    uint64_t closed[DM_CLOSED_COUNT];
    uint64_t buffers, buffers_max; /* bytes that connections hold beyond DM_BUFFERS_FREE each */
    uint64_t crowded;              /* messages refused because all held too much together */
    uint32_t connections[DM_PROTOCOL_COUNT], connections_max;
    uint32_t waiting;            /* connections whose client does not take what is sent to it */
    struct dm_histogram turn_us; /* from the first callback of a turn to its end */
};
/* Valid, and current, as long as the loop is. */
const struct dm_loop_stats *dm_loop_stats(const struct dm_loop *loop);

#endif
