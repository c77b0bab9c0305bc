#ifndef DM_LOOP_DRAIN_H
#define DM_LOOP_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct dm_loop;

/* As the first signal would. On the loop's thread. */
void dm_loop_drain(struct dm_loop *loop);
bool dm_loop_draining(const struct dm_loop *loop); /* or about to */

/* ---- for loop.c ------------------------------------------------------------------ */

void drain_signals_start(struct dm_loop *loop);
void drain_signals_stop(struct dm_loop *loop);
/* Before a turn: the delay may be over. */
void drain_begin_due(struct dm_loop *loop);
/* After it. True: all is done, or the time is over. */
bool drain_step(struct dm_loop *loop, uint64_t now_ns);
/* When the next step has to be; 0: when something happens. */
uint64_t drain_due(const struct dm_loop *loop, uint64_t now_ns);

#endif
