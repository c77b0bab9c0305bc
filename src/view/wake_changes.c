#include "view/wake_changes.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "core/record.h"
#include "view/wake_key.h"

#include <stdlib.h>

void dm_wake_changes_init(struct dm_wake_changes *changes, size_t contacts)
{
    size_t room = 2 * contacts;
    *changes = (struct dm_wake_changes){
        .items = dm_xmalloc(room * sizeof *changes->items),
        .room = room,
    };
}

void dm_wake_changes_finish(struct dm_wake_changes *changes)
{
    free(changes->items);
    *changes = (struct dm_wake_changes){0};
}

static void add(struct dm_wake_changes *changes, size_t row, const struct dm_record_head *head,
                bool put)
{
    DM_ASSERT(changes->count < changes->room);
    changes->items[changes->count++] = (struct dm_wake_change){
        .row = row, .until_ms = head->until_ms, .fence = head->fence, .put = put};
}

/* A zeroed head for a contact that is not there. Damage was told to whoever read the record; its
 * entry in the wake index goes if the bytes still say where that is. An entry that stays does no
 * harm: nothing is done before the contact's own record was looked at. */
static struct dm_record_head head_of(struct dm_slice bytes)
{
    struct dm_record_head head = {0};
    return dm_record_head(&head, bytes) ? head : dm_record_left(bytes);
}

void dm_wake_changes_note(struct dm_wake_changes *changes, size_t row, struct dm_slice old_bytes,
                          struct dm_slice new_bytes)
{
    struct dm_record_head old = head_of(old_bytes);
    struct dm_record_head new = head_of(new_bytes);
    bool was = old.status == DM_STATUS_SNOOZED;
    bool is = new.status == DM_STATUS_SNOOZED;
    if (was && (!is || old.until_ms != new.until_ms)) {
        add(changes, row, &old, false);
    }
    if (is && (!was || old.until_ms != new.until_ms || old.fence != new.fence)) {
        add(changes, row, &new, true);
    }
}

/* The order of the keys that dm_wake_key_make makes. The rows are sorted, so
 * within an account their positions stand for the contacts. */
static int wake_order(const void *left, const void *right, void *context)
{
    const struct dm_wake_change *a = left, *b = right;
    const struct dm_row_slices *rows = context;
    uint32_t account_a = dm_load_be32(rows[a->row].key.data);
    uint32_t account_b = dm_load_be32(rows[b->row].key.data);
    if (account_a != account_b) {
        return account_a < account_b ? -1 : 1;
    }
    uint64_t until_a = (uint64_t)a->until_ms, until_b = (uint64_t)b->until_ms;
    if (until_a != until_b) {
        return until_a < until_b ? -1 : 1;
    }
    return (a->row > b->row) - (a->row < b->row);
}

void dm_wake_changes_apply(struct dm_wake_changes *changes, struct dm_store *store,
                           struct dm_row_slices *rows)
{
    if (changes->count > 1) {
        qsort_r(changes->items, changes->count, sizeof *changes->items, wake_order, rows);
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct dm_wake_change *wake = &changes->items[i];
        uint8_t key_bytes[DM_WAKE_KEY_SIZE_MAX];
        size_t size = dm_wake_key_make(key_bytes, rows[wake->row].key, wake->until_ms);
        struct dm_slice key = dm_slice(key_bytes, size);
        if (wake->put) {
            uint8_t fence[8];
            dm_store_le64(fence, wake->fence);
            dm_store_txn_put(store, DM_TABLE_WAKES, key, dm_slice(fence, sizeof fence));
        } else {
            dm_store_txn_delete(store, DM_TABLE_WAKES, key);
        }
    }
    changes->count = 0;
}
