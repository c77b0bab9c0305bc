#ifndef DM_LOOP_SHARE_H
#define DM_LOOP_SHARE_H

#include "loop/state.h"

/* How much of a connection a turn reads, so that many who ask for much at once do not make all
 * others wait for all of them. A turn that has taken DM_TURN_READ_MS reads DM_READ_LATE bytes of
 * whoever is left; who is greedy (its last read was a whole one, or it holds more than one that
 * behaves) waits for the next turn. The greedy come one after the other: nobody has a second
 * share before each of them that was left out has had one. */

void share_init(struct dm_loop *loop);
/* The bytes to read now; 0: none in this turn. */
size_t share_of(struct conn *c);
/* A read brought `size` bytes, which have been worked off. */
void share_had(struct conn *c, size_t size);
void share_turn_ends(struct dm_loop *loop);

#endif
