#ifndef DM_ENGINE_TOPUP_H
#define DM_ENGINE_TOPUP_H

#include "engine/state.h"

/* Loading of what sleeps within the horizon: struct dm_topup. */

/* Begins with those whose snooze ends after `from_ms`. */
void dm_engine_topup_begin(struct dm_engine *engine, int64_t from_ms, int64_t now_ms);
/* One step, when there is one to do. true: there is more to do at once. */
bool dm_engine_topup(struct dm_engine *engine, int64_t now_ms);
/* Should another loading begin? Well ahead of the time when the first of those not loaded may
 * be due. */
bool dm_engine_wants_topup(const struct dm_engine *engine, int64_t now_ms);
/* The wall clock was set back: timers and dates that were made before hold no more. */
void dm_engine_set_back(struct dm_engine *engine, int64_t now_ms);

#endif
