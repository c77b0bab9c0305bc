#ifndef DM_VIEW_WAKE_CHANGES_H
#define DM_VIEW_WAKE_CHANGES_H

#include "view/generation.h"
#include "view/store.h"

/* The changes of the wake index that go with one transaction's contacts: found while those are
 * applied, done after them, in the index's own key order. */

struct dm_wake_change {
    size_t row; /* the one that has the contact's key */
    int64_t until_ms;
    uint64_t fence;
    bool put; /* else delete */
};

struct dm_wake_changes {
    struct dm_wake_change *items;
    size_t count, room;
};

/* Room for two a contact, which is what one may need. Ends the process without memory. */
void dm_wake_changes_init(struct dm_wake_changes *changes, size_t contacts);
void dm_wake_changes_finish(struct dm_wake_changes *changes);
/* The contact of row number `row` was `old_bytes`, and becomes `new_bytes` (empty: it is not
 * there). */
void dm_wake_changes_note(struct dm_wake_changes *changes, size_t row, struct dm_slice old_bytes,
                          struct dm_slice new_bytes);
/* In the transaction under way. `rows`: those that the numbers are of, sorted by key. Leaves
 * none. */
void dm_wake_changes_apply(struct dm_wake_changes *changes, struct dm_store *store,
                           struct dm_row_slices *rows);

#endif
