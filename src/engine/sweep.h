#ifndef DM_ENGINE_SWEEP_H
#define DM_ENGINE_SWEEP_H

#include "engine/state.h"

/* true: there is more to do at once. */
bool dm_engine_sweep(struct dm_engine *engine, int64_t now_ms);
/* During recovery: brings what was replayed, all up to `upto_lsn`, on its way into the view,
 * once what went before is there. Not OK: why that cannot be done now; nothing is lost. */
enum dm_code dm_engine_sweep_replayed(struct dm_engine *engine, uint64_t upto_lsn,
                                      struct dm_error *error);

#endif
