#ifndef DM_ENGINE_DAMAGE_H
#define DM_ENGINE_DAMAGE_H

#include "engine/state.h"

/* Counts the damage, and logs which row it was. The number of lines is bounded. */
void dm_engine_tell_damage(struct dm_engine *engine, const char *what, struct dm_slice key);
/* Is this row of CONTACTS as it was put there? false: it was told. */
bool dm_engine_sound(struct dm_engine *engine, struct dm_slice key, struct dm_slice value);
/* DATA_LOSS, with a sentence that names the contact and says what helps. */
enum dm_code dm_engine_damaged(const struct dm_engine *engine, struct dm_slice key,
                               struct dm_error *error);
/* The change that deletes a contact whose record is damaged. */
void dm_engine_discard(struct dm_engine *engine, const struct dm_contact_ref *ref,
                       struct dm_transition *change);

#endif
