#ifndef DM_VIEW_META_H
#define DM_VIEW_META_H

#include "base/log_id.h"
#include "view/store.h"

/* The rows of META: what the view knows of the log that it is made from. One log, so each has
 * one row; where there are several, each other one's rows come beside them, their keys
 * longer by the log's number.
 *
 *   "applied"  LE64 lsn, up to which all is in the view; sealed (older ones are not)
 *   "log"      u8 version 1, the log's id; sealed. A view from before there were ids lacks it. */

/* Each reads: OK, NOT_FOUND, or DATA_LOSS when the row is damaged. */
enum dm_code dm_meta_applied(struct dm_store *store, uint64_t *lsn);
enum dm_code dm_meta_log(struct dm_store *store, struct dm_log_id *id);

/* In the transaction under way. */
void dm_meta_put_applied(struct dm_store *store, uint64_t lsn);
/* In a transaction of its own. */
enum dm_code dm_meta_put_log(struct dm_store *store, const struct dm_log_id *id,
                             struct dm_error *error);

#endif
