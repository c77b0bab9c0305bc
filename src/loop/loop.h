#ifndef DM_LOOP_LOOP_H
#define DM_LOOP_LOOP_H

#include "base/clock.h"
#include "base/code.h"
#include "engine/engine.h"
#include "loop/options.h"
#include "loop/stats.h"
#include "rpc/rpc.h"

/* The event loop: sockets, signals, timers, and the doorbell of other threads. One turn
 * of it reads what has come on any socket and begins those calls, gives engine and rpc
 * their piece of work, and sends each connection's answers in one write.
 *
 *     dm_loop_create, then dm_loop_ring may be handed to other threads
 *     dm_loop_attach(engine, rpc); dm_loop_listen (listen.h); dm_loop_run
 *     rpc and engine end, then dm_loop_destroy
 *
 * All but dm_loop_ring on one thread. Several loops can live in one process. */

struct dm_loop;

enum dm_code dm_loop_create(struct dm_loop **loop, const struct dm_loop_options *options,
                            struct dm_error *error);
/* For engine and rpc: the loop's, whose wall time stands during a batch of calls. Goes with
 * the loop. */
struct dm_clock dm_loop_calls_clock(struct dm_loop *loop);
/* After dm_loop_run; what was attached may be gone by then. NULL: no effect. */
void dm_loop_destroy(struct dm_loop *loop);

/* From any thread: a sweep is done; take a turn soon. `loop` is a struct dm_loop; void, so
 * that it fits the engine's notify. */
void dm_loop_ring(void *loop);

/* Borrowed until dm_loop_run has returned. */
void dm_loop_attach(struct dm_loop *loop, struct dm_engine *engine, struct dm_rpc *rpc);

/* Serves until SIGTERM or SIGINT, then drains; OK. First, for drain_delay_ms, all is served as
 * before, but not ready. Then it accepts nothing new, lets open calls end and what is half
 * received come in, and sends the answers, at most drain_timeout_ms; what is still not whole
 * shortly before is answered UNAVAILABLE. Each further signal takes it one step on: from the
 * delay to the drain, from the drain to the end of the process at once. SIGHUP: options.hangup.
 * INTERNAL when the engine failed: nothing that is pending is answered, and the process should
 * end. */
enum dm_code dm_loop_run(struct dm_loop *loop, struct dm_error *error);

/* Valid, and current, as long as the loop is. */
const struct dm_loop_stats *dm_loop_stats(const struct dm_loop *loop);

#endif
