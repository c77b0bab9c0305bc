#ifndef DM_ENGINE_TIMERS_H
#define DM_ENGINE_TIMERS_H

#include "engine/state.h"

/* Who of those that sleep has a timer, and what counts as left for later. */

/* Arms, moves or takes away the contact's timer: `record` is what it has become, `from` the
 * status that it had. */
void dm_engine_time(struct dm_engine *engine, struct dm_hashed_key key,
                    const struct dm_record *record, uint8_t from);
/* The timer of one that a loading found: those that are set meanwhile come first. */
void dm_engine_load_timer(struct dm_engine *engine, struct dm_hashed_key key, int64_t until_ms,
                          uint64_t fence);
/* There is a snooze that ends then, beyond what is armed. */
void dm_engine_note_far(struct dm_engine *engine, int64_t until_ms);

#endif
