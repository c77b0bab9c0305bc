#ifndef DM_ENGINE_LAGS_H
#define DM_ENGINE_LAGS_H

#include "engine/state.h"

/* How late wakes are. One that is ordered here, by a timer or by a mutation that met it, is
 * counted once it is durable; one that is replayed was counted by who ordered it. */
void dm_engine_note_wake(struct dm_engine *engine, uint64_t lsn, int64_t due_ms);
/* Counts those that are durable by now. */
void dm_engine_note_lags(struct dm_engine *engine, int64_t now_ms);

#endif
