#ifndef DM_LOOP_WAIT_H
#define DM_LOOP_WAIT_H

#include <stdint.h>

struct dm_loop;

/* How long an iteration of libuv waits for something to happen. The timer and the idle
 * handle do nothing but decide that. */

/* Every callback begins with it: the time of a turn counts from the first one, and the turn does
 * not wait for anything else. */
void loop_turn_begins(struct dm_loop *loop);
/* The next turn is at once. */
void wait_not(struct dm_loop *loop);
/* The next turn begins at due_ns at the latest; 0: when something happens. */
void wait_until(struct dm_loop *loop, uint64_t due_ns);

#endif
