#ifndef DM_LOOP_INTERNAL_H
#define DM_LOOP_INTERNAL_H

#include "base/limits.h"
#include "base/list.h"
#include "loop/budget.h"
#include "loop/loop.h"
#include "loop/patience.h"
#include "wire/session.h"

#include <uv.h>

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
    struct budget budget;     /* bytes that all connections hold */
    struct patience patience; /* what is waited for of them */
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

/* loop.c */
uint64_t loop_now_ns(const struct dm_loop *loop);
/* Every callback begins with it: a turn's time counts from the first one. */
void loop_turn_begins(struct dm_loop *loop);

/* drain.c */
void drain_signals_start(struct dm_loop *loop);
void drain_signals_stop(struct dm_loop *loop);
/* Before a turn: the delay may be over. */
void drain_begin_due(struct dm_loop *loop);
/* After it. True: all is done, or the time is over. */
bool drain_step(struct dm_loop *loop, uint64_t now_ns);
/* When the next step has to be; 0: when something happens. */
uint64_t drain_due(const struct dm_loop *loop, uint64_t now_ns);

/* listen.c */
void listeners_close(struct dm_loop *loop);

/* conn.c */
struct conn;
/* Takes the connection that waits at the listener, or turns it away. */
void conn_accept(struct dm_loop *loop, struct listener *listener);
/* Asks connections that were answered for what they had to keep back meanwhile. */
void conns_pull(struct dm_loop *loop);
/* The end of a turn: sends, and ends what is over. True when another turn should follow at
 * once, for what may go on now that there is room. */
bool conns_settle(struct dm_loop *loop);
void conns_drain(struct dm_loop *loop);
/* loop->stuck has changed. */
void conns_pace(struct dm_loop *loop);
bool conns_all_sent(const struct dm_loop *loop);
/* Have all clients seen that the server stops? What they began before that still comes. */
bool conns_announced(const struct dm_loop *loop);
/* Is there a request of which only the beginning has come? */
bool conns_arriving(const struct dm_loop *loop);
/* Answers those: the server stops. */
void conns_give_up(struct dm_loop *loop);
/* Says goodbye to all: what they still send is thrown away until they close. */
void conns_part(struct dm_loop *loop);
void conns_close(struct dm_loop *loop);
/* guard.c: connections whose client took too long are ended by the next settle; when the next
 * one may be due, or 0. */
void conns_judge(struct dm_loop *loop, uint64_t now_ns);
uint64_t conns_judge_next(const struct dm_loop *loop);
/* Closes those that lingered long enough; when the next one will have, or 0. */
uint64_t conns_linger(struct dm_loop *loop, uint64_t now_ns);

#endif
