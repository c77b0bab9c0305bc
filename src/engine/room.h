#ifndef DM_ENGINE_ROOM_H
#define DM_ENGINE_ROOM_H

#include "engine/state.h"

/* May one more contact be written now? RESOURCE_EXHAUSTED, UNAVAILABLE. */
enum dm_code dm_engine_admit(struct dm_engine *engine, struct dm_error *error);
/* May this change be made now? RESOURCE_EXHAUSTED: it is a snooze that needs a timer, and callers
 * have none left. `key` NULL: the account is new. */
enum dm_code dm_engine_admit_snooze(struct dm_engine *engine, const struct dm_change *change,
                                    const struct dm_key *key, struct dm_error *error);
/* How many wakes may be ordered now. */
size_t dm_engine_wakes_room(const struct dm_engine *engine);
/* Bytes of the overlay, and those that the rows of changed accounts and bots will take. */
size_t dm_engine_used(const struct dm_engine *engine);
/* Is the overlay fuller than the share-th part of what callers may fill? */
bool dm_engine_over_share(const struct dm_engine *engine, uint32_t share);
/* Has the overlay room for one more entry of the journal, whatever it is? */
bool dm_engine_replay_fits(const struct dm_engine *engine);
/* Timers that a loading leaves free, for rules of policies. */
uint32_t dm_engine_timers_for_rules(const struct dm_engine *engine);

#endif
