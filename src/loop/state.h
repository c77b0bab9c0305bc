#ifndef DM_LOOP_STATE_H
#define DM_LOOP_STATE_H

#include "base/assert.h"
#include "base/limits.h"
#include "base/list.h"
#include "engine/engine.h"
#include "loop/budget.h"
#include "loop/options.h"
#include "loop/patience.h"
#include "loop/stats.h"
#include "rpc/rpc.h"
#include "wire/session.h"

#include <uv.h>

/* Inside loop only: the loop, a listener, a connection. All other files are functions on these. */

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct dm_loop *loop;
    bool is_pipe;
};

struct dm_loop {
    struct dm_loop_options options;
    struct dm_held_clock calls_clock;
    struct dm_session_limits limits;
    struct dm_crowd crowd;
    char date[DM_HTTP_DATE_SIZE]; /* what answers over HTTP say, */
    int64_t date_s;               /* and when that was true */
    struct budget budget;         /* bytes that all connections hold */
    struct patience patience;     /* what is waited for of them */
    struct dm_engine *engine;
    struct dm_rpc *rpc;
    uv_loop_t uv;

    uv_check_t check; /* after the sockets of an iteration: the turn */
    uv_idle_t idle;   /* active: the next iteration does not block */
    uv_timer_t timer; /* how long an iteration may block */
    uv_async_t doorbell;
    uv_signal_t sigterm, sigint, sighup;
    uv_poll_t clock_poll, durable_poll;
    int clock_fd; /* -1: none */

    struct listener *listeners[DM_LISTENERS_MAX];
    uint32_t listener_count;
    struct dm_list conns;     /* all, until their handle is closed */
    struct dm_list dirty;     /* to be settled at the end of this turn */
    struct dm_list lingering; /* over, oldest first */
    uint32_t conn_count;      /* open ones */
    char *read_buf;           /* DM_READ_SIZE, lent to one read at a time */

    uint64_t turn_start_ns; /* 0: no callback in this iteration yet */
    uint32_t share_round;   /* in each, everybody greedy has one share */
    bool share_left;        /* somebody has not had his in this turn */
    uint64_t engine_due_ns;
    uint64_t leave_due_ns;  /* leaving: when the drain begins */
    uint64_t notice_due_ns; /* draining: how long clients may take to see the notice */
    uint64_t refuse_due_ns; /* and to send the rest of their requests */
    uint64_t drain_due_ns;
    bool rung;   /* something new from the engine's threads */
    bool called; /* calls began since the engine's last flush */
    bool stuck;  /* nothing can be written to the disk now */
    bool leaving, draining, refused, parting, ended;
    enum dm_code result;
    struct dm_error error;
    struct dm_loop_stats stats;
};

static inline uint64_t loop_now_ns(const struct dm_loop *loop)
{
    return dm_clock_monotonic_ns(&loop->options.clock);
}

/* ---- a connection; its life: conn.c ----------------------------------------------- */

enum { FIRST_SIZE = 3 };

enum conn_state { CONN_OPEN, CONN_HALF, CONN_FAREWELL, CONN_CLOSED };

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct dm_loop *loop;
    struct dm_list link, dirty, linger;
    uint64_t linger_until_ns;
    struct dm_session *session; /* NULL: too few bytes to tell the protocol */
    struct dm_sink sink;
    struct dm_buf sending; /* libuv's while `writing` */
    uv_write_t write;
    uv_shutdown_t shutdown;
    enum conn_state state;
    enum dm_protocol protocol;
    bool reading, writing;
    bool answered; /* the session may have more events without being fed */
    bool dead;     /* nothing can be sent or received any more */
    uint8_t first_size;
    char first[FIRST_SIZE];

    /* share.c */
    bool had_share;       /* of this turn: one whole read */
    bool greedy;          /* asked for much lately: it comes after who did not */
    uint32_t share_round; /* in which it had its last share as a greedy one */
    size_t share;         /* bytes that the read under way may bring */

    /* guard.c */
    struct budget_account account;
    struct patience_timer silent, head, body, sent;
    uint64_t bytes_in, bytes_out;        /* out: what the kernel has taken */
    bool paused_in_head, paused_in_body; /* since then it was not read from for a while */
};

/* Puts it among those that are settled at the end of the turn. */
static inline void conn_touch(struct conn *c)
{
    DM_ASSERT(c->state != CONN_CLOSED);
    if (dm_list_empty(&c->dirty)) {
        dm_list_push_back(&c->loop->dirty, &c->dirty);
    }
}

#endif
