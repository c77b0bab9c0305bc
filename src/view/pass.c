#include "view/pass.h"

#include "base/assert.h"
#include "view/meta.h"

#include <stdlib.h>

enum { CONTACTS_PER_TXN_MIN = 256 }; /* how far a too large transaction is cut */

void dm_pass_init(struct dm_pass *pass, uint32_t contacts_per_txn)
{
    *pass = (struct dm_pass){0};
    /* The last contact of a transaction may add two where one more was allowed. */
    dm_wake_changes_init(&pass->wakes, (size_t)contacts_per_txn + 1);
}

void dm_pass_finish(struct dm_pass *pass)
{
    free(pass->rows);
    dm_wake_changes_finish(&pass->wakes);
}

void dm_pass_begin(struct dm_pass *pass, struct dm_generation *generation,
                   uint32_t contacts_per_txn)
{
    DM_ASSERT(pass->generation == NULL && pass->rows == NULL);
    DM_ASSERT(contacts_per_txn != 0 && pass->wakes.room >= 2 * (size_t)contacts_per_txn);
    pass->generation = generation;
    pass->count = pass->next = 0;
    pass->sorted = false;
    pass->txn_max = contacts_per_txn;
}

static void apply_contact(struct dm_store *store, struct dm_pass *pass)
{
    const struct dm_row_slices *row = &pass->rows[pass->next];
    struct dm_slice old = {0};
    bool exists = dm_store_txn_get(store, DM_TABLE_CONTACTS, row->key, &old);
    if (exists ? dm_slice_equal(old, row->value) : row->value.size == 0) {
        return; /* applied before a crash, or come and gone within the generation */
    }
    dm_wake_changes_note(&pass->wakes, pass->next, old, row->value);
    if (row->value.size == 0) {
        dm_store_txn_delete(store, DM_TABLE_CONTACTS, row->key);
    } else {
        dm_store_txn_put(store, DM_TABLE_CONTACTS, row->key, row->value);
    }
}

static void apply_sides(struct dm_store *store, const struct dm_generation *generation)
{
    enum dm_table table;
    struct dm_slice key, value;
    uint32_t place = 0;
    while (dm_generation_side(generation, &place, &table, &key, &value)) {
        if (value.size == 0) {
            dm_store_txn_delete(store, table, key);
        } else {
            dm_store_txn_put(store, table, key, value);
        }
    }
    dm_meta_put_applied(store, dm_generation_lsn(generation));
}

/* Changes are counted as if each had a page of its own: a transaction of txn_max
 * contacts and as many changes of wakes stays under LMDB's limit of dirty pages. */
static void apply_range(struct dm_store *store, struct dm_pass *pass)
{
    size_t from = pass->next;
    size_t changes_max = 2 * (size_t)pass->txn_max;
    pass->wakes.count = 0;
    while (pass->next < pass->count && pass->next - from < pass->txn_max &&
           pass->next - from + pass->wakes.count < changes_max) {
        apply_contact(store, pass);
        pass->next++;
    }
    dm_wake_changes_apply(&pass->wakes, store, pass->rows);
    if (pass->next == pass->count) {
        apply_sides(store, pass->generation);
    }
}

static enum dm_code sort_rows(struct dm_pass *pass, struct dm_error *error)
{
    pass->rows = dm_generation_sorted(pass->generation, &pass->count);
    if (pass->rows == NULL && dm_generation_count(pass->generation) > 0) {
        return dm_fail(error, DM_UNAVAILABLE, "no memory to sort %u contacts for the view",
                       dm_generation_count(pass->generation));
    }
    pass->sorted = true;
    return DM_OK;
}

enum dm_code dm_pass_write(struct dm_pass *pass, struct dm_store *store, size_t *contacts,
                           struct dm_error *error)
{
    DM_ASSERT(pass->generation != NULL);
    enum dm_code code = pass->sorted ? DM_OK : sort_rows(pass, error);
    if (code == DM_OK) {
        code = dm_store_txn_begin(store, error);
    }
    if (code != DM_OK) {
        return code;
    }
    size_t from = pass->next;
    apply_range(store, pass);
    DM_ASSERT(pass->next <= pass->count && pass->next - from <= pass->txn_max);
    *contacts = pass->next - from;
    return DM_OK;
}

enum dm_code dm_pass_commit(struct dm_pass *pass, struct dm_store *store, size_t contacts,
                            struct dm_error *error)
{
    DM_ASSERT(contacts <= pass->next);
    enum dm_code code = dm_store_txn_commit(store, error);
    if (code != DM_OK) {
        pass->next -= contacts;
    }
    return code;
}

void dm_pass_halve(struct dm_pass *pass)
{
    if (pass->txn_max / 2 >= CONTACTS_PER_TXN_MIN) {
        pass->txn_max /= 2;
    }
}

bool dm_pass_done(const struct dm_pass *pass)
{
    return pass->sorted && pass->next == pass->count;
}

void dm_pass_end(struct dm_pass *pass)
{
    DM_ASSERT(dm_pass_done(pass));
    free(pass->rows);
    pass->rows = NULL;
    pass->generation = NULL;
}
