#ifndef DM_ENGINE_SWEEP_H
#define DM_ENGINE_SWEEP_H

#include "engine/state.h"

/* true: there is more to do at once. */
bool dm_engine_sweep(struct dm_engine *engine, int64_t now_ms);
/* During a replay: waits until the sweep before is in the view, then begins one of everything
 * that was replayed, up to `upto_lsn`. Not OK: this cannot be done now, and `error` says why;
 * nothing is lost. */
enum dm_code dm_engine_sweep_replayed(struct dm_engine *engine, uint64_t upto_lsn,
                                      struct dm_error *error);

#endif
