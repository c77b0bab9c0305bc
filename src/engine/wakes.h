#ifndef DM_ENGINE_WAKES_H
#define DM_ENGINE_WAKES_H

#include "engine/state.h"

/* Wakes those whose timers have gone off, as many as a turn may. true: there is more to do at
 * once. */
bool dm_engine_fire(struct dm_engine *engine, int64_t now_ms);

#endif
