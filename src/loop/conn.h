#ifndef DM_LOOP_CONN_H
#define DM_LOOP_CONN_H

#include "loop/state.h"

/* One connection, from its accepted socket to its end. */

/* For a socket that has not been accepted yet. */
struct conn *conn_create(struct dm_loop *loop, bool is_pipe);
/* Starts or stops reading from it: see conn.c. */
void conn_pace(struct conn *c);
/* The end of a turn: sends, and ends what is over. */
void conn_settle(struct conn *c);
/* Says goodbye: what the client still sends is thrown away until it closes. */
void conn_part(struct conn *c);
/* The one place where a connection ends. No effect when it has ended. */
void conn_close(struct conn *c);
/* While all connections together hold too much, closes the one that holds most. */
void conn_relieve(struct dm_loop *loop);

/* Bytes for its client that the kernel has not taken. */
static inline size_t conn_unsent(const struct conn *c)
{
    return dm_buf_size(&c->sending) + (c->session == NULL ? 0 : dm_buf_size(&c->session->out));
}

#endif
