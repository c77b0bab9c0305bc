#ifndef DM_LOOP_CONNS_H
#define DM_LOOP_CONNS_H

#include <stdbool.h>
#include <stdint.h>

/* All connections. */

struct dm_loop;
struct listener;

/* Takes the connection that waits at the listener, or turns it away. */
void conns_accept(struct dm_loop *loop, struct listener *listener);
/* Asks the connections that got answers for the requests that they had held back. */
void conns_pull(struct dm_loop *loop);
/* The end of a turn: sends, and ends what is over. True when another turn should follow at once,
 * because something can go on now that there is room. */
bool conns_settle(struct dm_loop *loop);
void conns_drain(struct dm_loop *loop);
/* loop->stuck has changed. */
void conns_pace(struct dm_loop *loop);
bool conns_all_sent(const struct dm_loop *loop);
/* Have all clients seen that the server stops? Until then they may still begin requests. */
bool conns_announced(const struct dm_loop *loop);
/* Is there a request that has come only in part? */
bool conns_arriving(const struct dm_loop *loop);
/* Answers those: the server stops. */
void conns_give_up(struct dm_loop *loop);
/* Says goodbye to all: what they still send is thrown away until they close. */
void conns_part(struct dm_loop *loop);
void conns_close(struct dm_loop *loop);
/* Closes those that lingered long enough; when the next one will have, or 0. */
uint64_t conns_linger(struct dm_loop *loop, uint64_t now_ns);

#endif
