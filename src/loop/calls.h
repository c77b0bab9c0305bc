#ifndef DM_LOOP_CALLS_H
#define DM_LOOP_CALLS_H

#include "loop/state.h"

/* The calls of a connection: what its session asks goes to rpc, and rpc's answers go into the
 * session. Nothing is sent or closed here: answers put the connection among those that are
 * settled at the end of the turn. */

/* The connection has a session now. */
void calls_begin(struct conn *c);
/* All events that the session has, until it wants to be fed. */
void calls_pull(struct conn *c);

#endif
