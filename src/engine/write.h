#ifndef DM_ENGINE_WRITE_H
#define DM_ENGINE_WRITE_H

#include "engine/state.h"

/* The account by name, made if it is new. NULL past DM_ACCOUNTS_MAX, or without memory. */
struct dm_account *dm_engine_account(struct dm_engine *engine, struct dm_slice account_id);
/* Runs `op` on the contact, under the policy of that bot, and commits what comes of it; the
 * result is in engine->step. What was loaded stays as it was read. */
void dm_engine_run(struct dm_engine *engine, const struct dm_loaded *contact, uint32_t policy_bot,
                   struct dm_op *op);
/* The bot that a change hands contacts to, into change->bot; made if it is new. */
enum dm_code dm_engine_meet_bot(struct dm_engine *engine, struct dm_account *account,
                                struct dm_slice bot_id, struct dm_change *change,
                                struct dm_error *error);

#endif
