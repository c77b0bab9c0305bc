#ifndef DM_LOOP_GUARD_H
#define DM_LOOP_GUARD_H

#include "loop/state.h"

/* What a connection may hold, and how long its client may take. Nothing is closed here: a
 * connection whose time is over is marked dead and settled; conn.c asks which one has to give up
 * its memory. */

/* Once for a loop. `buffers_max`: from the options; 0: the default. */
void guard_init(struct dm_loop *loop, size_t buffers_max);
/* A connection has been accepted; the client has it, and is silent. */
void guard_accepted(struct conn *c, uint64_t now_ns);
/* Something of the connection may have changed: counts what it holds. O(1). */
void guard_count(struct conn *c);
/* The same, at the end of a turn: looks at what it waits for, too. */
void guard_settled(struct conn *c, uint64_t now_ns);
/* The connection ends. */
void guard_forget(struct conn *c);
/* The connection that holds most, when all together hold too much; otherwise NULL. */
struct conn *guard_largest(struct dm_loop *loop);
/* The one that has not sent a byte for longest, when that is too long; NULL: there is none. */
struct conn *guard_silent(struct dm_loop *loop, uint64_t now_ns);

/* Connections whose client took too long are ended by the next settle. */
void guard_judge(struct dm_loop *loop, uint64_t now_ns);
/* When the next one may be due, or 0. */
uint64_t guard_judge_next(const struct dm_loop *loop);

#endif
