#ifndef DM_VIEW_PASS_H
#define DM_VIEW_PASS_H

#include "base/code.h"
#include "view/generation.h"
#include "view/store.h"
#include "view/wake_changes.h"

/* One generation's way into the store: sorted once, then applied transaction by transaction, each
 * of one contiguous range of keys. What did not commit changed nothing, so the next step takes the
 * same range again. */

struct dm_pass {
    struct dm_generation *generation; /* NULL: nothing under way */
    struct dm_row_slices *rows;
    size_t count, next;
    bool sorted;
    uint32_t txn_max; /* contacts of the next transaction at most */
    struct dm_wake_changes wakes;
};

/* For transactions of at most that many contacts. Ends the process without memory. */
void dm_pass_init(struct dm_pass *pass, uint32_t contacts_per_txn);
void dm_pass_finish(struct dm_pass *pass);
void dm_pass_begin(struct dm_pass *pass, struct dm_generation *generation,
                   uint32_t contacts_per_txn);
/* One transaction, all of it but its commit, and the sorting before the first; then *contacts are
 * the next to be done. */
enum dm_code dm_pass_write(struct dm_pass *pass, struct dm_store *store, size_t *contacts,
                           struct dm_error *error);
enum dm_code dm_pass_commit(struct dm_pass *pass, struct dm_store *store, size_t contacts,
                            struct dm_error *error);
/* A transaction of as many contacts is too large for the store: half as many from now on. */
void dm_pass_halve(struct dm_pass *pass);
bool dm_pass_done(const struct dm_pass *pass);
void dm_pass_end(struct dm_pass *pass);

#endif
