#ifndef DM_CLIENT_CHANNEL_H
#define DM_CLIENT_CHANNEL_H

#include "base/address.h"
#include "base/buf.h"
#include "base/slice.h"
#include "client/backoff.h"
#include "wire/ttrpc_frame.h"

#include <uv.h>

/* A connection that makes itself anew: connects, splits what comes in into frames, sends
 * what was written in one loop turn with one system call, and after a failure tries again
 * after a pause that doubles (with jitter) until a connection lasts.
 *
 *     WAITING ──timer──▶ CONNECTING ──▶ UP
 *        ▲                   │           │
 *        └────── failure ────┴───────────┘
 *
 * All callbacks come from the loop, none from within a function of this header. */

struct dm_channel_ops {
    /* Connected: write what is to be sent. */
    void (*up)(void *owner);
    /* One whole frame; the body is valid until this returns. May close or pause the channel. */
    void (*frame)(void *owner, const struct dm_ttrpc_header *header, struct dm_slice body);
    /* The connection broke, or an attempt failed; `why` is valid until this returns. */
    void (*down)(void *owner, const char *why);
};

enum dm_channel_state {
    DM_CHANNEL_WAITING,
    DM_CHANNEL_CONNECTING,
    DM_CHANNEL_UP,
    DM_CHANNEL_CLOSED,
};

struct dm_socket;
struct dm_resolve;

struct dm_channel {
    const struct dm_channel_ops *ops;
    void *owner;
    enum dm_channel_state state;
    struct dm_buf out; /* frames to be sent; append, then dm_channel_flush_later */
    bool paused;
    bool blocked; /* UP: the socket took less than all of `out`, and will say when it takes more */

    uv_loop_t *loop;
    struct dm_address address;
    struct dm_backoff backoff;
    uint64_t up_since_ms;       /* UP: uv_now when it came up */
    struct dm_socket *socket;   /* while CONNECTING and UP */
    struct dm_resolve *resolve; /* while CONNECTING, by name */
    struct addrinfo *addresses, *address_next;
    struct dm_buf in;
    uv_timer_t timer; /* WAITING: the pause; CONNECTING: the patience */
    uv_prepare_t prepare;
    int handles; /* timer and prepare, while not closed */
    void (*closed)(void *context);
    void *closed_context;
};

/* NULL when there is no memory. The first attempt begins on the loop's next turn. */
struct dm_channel *dm_channel_create(uv_loop_t *loop, const struct dm_address *address,
                                     uint32_t backoff_min_ms, uint32_t backoff_max_ms,
                                     const struct dm_channel_ops *ops, void *owner);

/* No callback of ops comes any more. `closed` is called when the loop has let go of all;
 * the channel's memory lives until then. */
void dm_channel_close(struct dm_channel *channel, void (*closed)(void *context), void *context);

/* `out` is sent before the loop waits next. Cheap to call again. */
void dm_channel_flush_later(struct dm_channel *channel);

/* Breaks the connection: as if the peer had, `down` included. From a callback of the loop. */
void dm_channel_drop(struct dm_channel *channel, const char *why);

/* No frame comes from now on until resumed; nothing is read from the socket. */
void dm_channel_pause(struct dm_channel *channel);
void dm_channel_resume(struct dm_channel *channel);

/* Bytes not yet taken by the socket. */
size_t dm_channel_unsent(const struct dm_channel *channel);

#endif
