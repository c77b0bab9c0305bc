#ifndef DM_LOOP_CONN_H
#define DM_LOOP_CONN_H

#include "loop/internal.h"

/* A connection, as conn.c and guard.c share it. See conn.c for its life. */

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
    bool answered;  /* the session may have more events without being fed */
    bool had_share; /* of this turn: one whole read */
    bool dead;      /* nothing can be sent or received any more */
    uint8_t first_size;
    char first[FIRST_SIZE];

    /* guard.c */
    struct budget_account account;
    struct patience_timer silent, head, body, sent;
    uint64_t bytes_in, bytes_out;        /* out: what the kernel has taken */
    bool paused_in_head, paused_in_body; /* since then it was not read from for a while */
};

/* Puts it among those that are settled at the end of the turn. */
static inline void conn_touch(struct conn *c)
{
    if (dm_list_empty(&c->dirty)) {
        dm_list_push_back(&c->loop->dirty, &c->dirty);
    }
}

#endif
