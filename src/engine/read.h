#ifndef DM_ENGINE_READ_H
#define DM_ENGINE_READ_H

#include "engine/state.h"

/* The account of that name, seen with its bots and policies; NULL: there is none, and that
 * cannot be lost. */
struct dm_account *dm_engine_known(struct dm_engine *engine, struct dm_slice account_id);
/* dm_overlay_walk, seen. */
bool dm_engine_walk(struct dm_engine *engine, struct dm_overlay_walk *walk,
                    struct dm_overlay_item *item);

/* A contact's newest record, encoded, and seen. NOT_FOUND: it was never written to, or deleted.
 * DATA_LOSS: it is in the view, and damaged (*value is what lies there).
 *
 * *lsn (may be NULL) is that of the entry which says so; 0: the view does, which holds only what is
 * durable. When the contact is not there, the account's newest delete counts, too, because it
 * raised the fence that is shown of such contacts.
 *
 * The slice is valid until the next put, sweep step or end of the turn. */
enum dm_code dm_engine_find(struct dm_engine *engine, struct dm_hashed_key key,
                            struct dm_slice *value, uint64_t *lsn);
/* Where the names lead; NULL: there is no such account. Good until the next call. */
const struct dm_contact_ref *dm_engine_refer(struct dm_engine *engine, struct dm_slice account_id,
                                             struct dm_slice contact_id);
/* Its contact, found and decoded (after DATA_LOSS, too: as one that is not there). Good until
 * the next one is loaded. */
enum dm_code dm_engine_load(struct dm_engine *engine, const struct dm_contact_ref *ref,
                            const struct dm_loaded **contact, struct dm_error *error)
    __attribute__((warn_unused_result));
enum dm_code dm_engine_load_key(struct dm_engine *engine, struct dm_slice key,
                                const struct dm_loaded **contact, struct dm_error *error)
    __attribute__((warn_unused_result));
/* A stored record as it is shown. */
void dm_contact_show(struct dm_engine *engine, const struct dm_account *account,
                     struct dm_slice contact_id, const struct dm_record *record, int64_t now_ms,
                     struct dm_contact *out);

#endif
