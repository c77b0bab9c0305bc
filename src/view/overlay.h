#ifndef DM_VIEW_OVERLAY_H
#define DM_VIEW_OVERLAY_H

#include "base/slice.h"
#include "core/ident.h"
#include "view/generation.h"

#include <stdbool.h>
#include <stdint.h>

/* What is accepted and not yet in the store. Two generations: `current` takes new
 * values; `frozen` is being applied by another thread and is read-only. A lookup
 * asks current, then frozen, then the store. Dropping a generation frees it whole.
 * The one applied last may stay, settled: it has nothing that the store has not, but
 * what was changed lately is likely to be asked for, and is found there at a fifth of
 * the cost.
 *
 * Contacts are found by key (hash table that grows one bucket an insert, so never
 * stalls) and by account (a chain, for scans). Rows of the small tables (META,
 * ACCOUNTS, POLICIES) ride along as `side` rows: they are applied with the
 * generation, last, and not looked up here. */

/* For overlay.c and walk.c alone. */
struct dm_overlay {
    uint32_t contacts_max, contacts_end;
    size_t used_max, used_end; /* of the arenas of both generations together */
    struct dm_generation *current, *frozen;
    struct dm_generation *settled; /* applied and dropped, or NULL */
    struct dm_spare spare;
};

/* Callers should be let fill it with `contacts_max` contacts of DM_OVERLAY_CONTACT_SIZE bytes. The
 * owner sees to that (dm_overlay_count, dm_overlay_used). The overlay itself takes twice as much,
 * for what cannot be refused; the address space for it costs nothing until it is used. NULL when
 * there is no address space. */
enum { DM_OVERLAY_CONTACT_SIZE = 512, DM_OVERLAY_BEYOND = 16 << 10 };
struct dm_overlay *dm_overlay_create(uint32_t contacts_max);
void dm_overlay_destroy(struct dm_overlay *overlay);

uint32_t dm_overlay_count(const struct dm_overlay *overlay);        /* contacts, both generations */
uint32_t dm_overlay_contacts_max(const struct dm_overlay *overlay); /* callers' bound for it */
uint32_t dm_overlay_contacts_end(const struct dm_overlay *overlay); /* where puts end */
/* Bytes of rows in both generations, the callers' bound for them, and where puts and side
 * rows end: at least twice that bound, and DM_OVERLAY_BEYOND. */
size_t dm_overlay_used(const struct dm_overlay *overlay);
size_t dm_overlay_used_max(const struct dm_overlay *overlay);
size_t dm_overlay_used_end(const struct dm_overlay *overlay);
/* What one row takes. When its value outgrows it, it moves to a new one, which has room for half
 * as much again. */
size_t dm_overlay_row_size(size_t key_size, size_t value_size);

/* Stores a contact's newest encoded record (empty: deleted) at `lsn`. Replaces the one
 * in current. false at dm_overlay_contacts_end or dm_overlay_used_end, never before. */
bool dm_overlay_put(struct dm_overlay *overlay, struct dm_hashed_key key, struct dm_slice value,
                    uint64_t lsn);
/* Found in either generation? *value (empty: deleted) is valid until the next put,
 * freeze or drop. */
bool dm_overlay_get(const struct dm_overlay *overlay, struct dm_hashed_key key,
                    struct dm_slice *value, uint64_t *lsn);
/* When neither generation has the contact: is it in the settled one? *value is what the store
 * has, and valid as long. */
bool dm_overlay_get_settled(const struct dm_overlay *overlay, struct dm_hashed_key key,
                            struct dm_slice *value);
/* Lookups to come, made cheap: the bucket first, some time later the row, and then what
 * its value has beyond that. */
void dm_overlay_prefetch_bucket(const struct dm_overlay *overlay, uint64_t hash);
void dm_overlay_prefetch_row(const struct dm_overlay *overlay, uint64_t hash);
void dm_overlay_prefetch_value(const struct dm_overlay *overlay, uint64_t hash);

/* Adds a side row (empty value: deleted). Of two with one key the later counts. false at
 * dm_overlay_used_end. */
bool dm_overlay_side(struct dm_overlay *overlay, enum dm_table table, struct dm_slice key,
                     struct dm_slice value);

uint32_t dm_overlay_current_count(const struct dm_overlay *overlay); /* contacts and side rows */
size_t dm_overlay_current_used(const struct dm_overlay *overlay);    /* bytes */
size_t dm_overlay_memory(const struct dm_overlay *overlay);          /* bytes in use */
/* Keys that the worst lookup in current compares with. Walks all of it: for tests. */
uint32_t dm_overlay_longest(const struct dm_overlay *overlay);

/* Makes current the frozen one (there must be none) and begins an empty current. NULL
 * when there is nothing to freeze or no memory. The generation belongs to the overlay
 * until dm_overlay_drop. */
struct dm_generation *dm_overlay_freeze(struct dm_overlay *overlay, uint64_t upto_lsn);
/* Detaches the frozen one (it is applied); the caller destroys or recycles it, on any
 * thread. */
struct dm_generation *dm_overlay_drop(struct dm_overlay *overlay);
/* After a drop: keeps that generation, which is all in the store, for lookups, or none
 * (NULL). Returns the one that was kept until now, as dm_overlay_drop does; NULL: none. It
 * must not stay when a younger one was dropped: it would tell of what is no longer so. */
struct dm_generation *dm_overlay_settle(struct dm_overlay *overlay,
                                        struct dm_generation *generation);
/* When nothing was written for a while: a generation that was kept for its memory, or for
 * lookups; the caller destroys it, on any thread. NULL: there is none. */
struct dm_generation *dm_overlay_shed(struct dm_overlay *overlay);

#endif
