#ifndef DM_ENGINE_REPLAY_H
#define DM_ENGINE_REPLAY_H

#include "engine/state.h"

/* Enacts what the journal has after engine->applied_lsn. What of it exceeds half of what callers
 * may fill is brought into the view meanwhile. DATA_LOSS, RESOURCE_EXHAUSTED: see
 * dm_engine_open. */
enum dm_code dm_engine_replay(struct dm_engine *engine, struct dm_error *error);

#endif
