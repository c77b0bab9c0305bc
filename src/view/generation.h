#ifndef DM_VIEW_GENERATION_H
#define DM_VIEW_GENERATION_H

#include "base/assert.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/region.h"
#include "base/slice.h"
#include "core/ident.h"
#include "view/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What gathers in the overlay between two sweeps (overlay.h). Once frozen it is read-only, and any
 * thread may read it.
 *
 * A generation is an arena of rows that only grows. A row is known by its offset
 * divided by 8 (0: none), so that links are 32 bits.
 *
 * By key: a dm_index. By account: a chain, newest first, of the first row that each contact had.
 * A value that outgrows its row moves to a new one, which takes the old one's place in the hash
 * chain; the first row stays in the account's chain and leads to the newest. So a walk's position
 * never goes away, and it meets every contact once. */

enum { DM_ROW_UNIT = 8 };
enum { DM_ROW_MOVED = 1, DM_ROW_LATER = 2, DM_ROW_SIDE = 4 };

struct dm_row {
    uint32_t hash_next;    /* of a first row that moved: its contact's newest row; of a side
                              row: the next one */
    uint32_t account_next; /* of one that came later: its contact's first row */
    uint64_t lsn;
    uint16_t value_size, value_room;
    uint8_t key_size, flags;
    uint16_t tag;    /* upper bits of the hash: most other keys differ here already; of a side
                        row: its table */
    uint8_t bytes[]; /* the key, the value */
};
_Static_assert(sizeof(struct dm_row) == 24, "no padding in a row");
_Static_assert(_Alignof(struct dm_row) <= DM_ROW_UNIT, "a row may begin at every unit");
_Static_assert(DM_KEY_SIZE_MAX <= UINT8_MAX, "a key's size is one byte");

/* The place in a generation for a list of dropped ones that wait to be destroyed, or (`keep`)
 * recycled. */
struct dm_grave {
    struct dm_generation *next;
    bool keep;
};

/* A generation that was applied, emptied, and kept for its memory: pages that have been
 * touched once cost nothing the next time. The applier's thread leaves it here, the
 * loop's takes it. */
struct dm_spare {
    _Atomic(struct dm_generation *) generation;
};

struct dm_generation {
    struct dm_spare *home; /* of the overlay that it belongs to */
    uint64_t id;
    uint64_t upto_lsn;
    uint32_t count;
    uint32_t used;  /* of the arena, in units */
    size_t touched; /* bytes of the arena that may have pages from earlier use */
    struct dm_region arena;
    struct dm_index index;                      /* of each contact's newest row */
    struct dm_region accounts;                  /* u32 heads by account number */
    uint32_t side_count, side_first, side_last; /* a chain of rows */
    struct dm_grave grave;
};

/* NULL without memory or address space. */
struct dm_generation *dm_generation_create(struct dm_spare *home, uint32_t contacts_end,
                                           size_t arena_size);
/* Fills a new row at the arena's end and links it nowhere. The caller has checked that there is
 * room. */
uint32_t dm_row_add(struct dm_generation *generation, struct dm_slice key, struct dm_slice value,
                    size_t room, uint8_t flags);

/* Contacts of a generation (those deleted, too). */
uint32_t dm_generation_count(const struct dm_generation *generation);

/* For the applier: the contacts of a frozen generation, sorted by key; allocated,
 * the caller frees it. NULL with *count 0 when there is no memory or nothing
 * (dm_generation_count tells which). An empty value: deleted. */
struct dm_row_slices {
    struct dm_slice key, value;
};
struct dm_row_slices *dm_generation_sorted(const struct dm_generation *generation, size_t *count);
uint64_t dm_generation_lsn(const struct dm_generation *generation); /* upto_lsn */
/* The side row at *place (0: the first), in order of arrival; moves *place to the next. false
 * past the last. */
bool dm_generation_side(const struct dm_generation *generation, uint32_t *place,
                        enum dm_table *table, struct dm_slice *key, struct dm_slice *value);

void dm_generation_destroy(struct dm_generation *generation); /* NULL: no effect */
/* Instead of destroying a dropped one: empties it and leaves it to its overlay, which must
 * still live, to be the next current. On any thread. NULL: no effect. */
void dm_generation_recycle(struct dm_generation *generation);
/* Its place in a list of dropped ones. */
struct dm_grave *dm_generation_grave(struct dm_generation *generation);

/* ---- rows, for overlay.c and walk.c ------------------------------------------------- */

static inline struct dm_row *dm_row_at(const struct dm_generation *generation, uint32_t at)
{
    return (struct dm_row *)(void *)((uint8_t *)generation->arena.base + (size_t)at * DM_ROW_UNIT);
}

static inline struct dm_slice dm_row_key(const struct dm_row *row)
{
    return dm_slice(row->bytes, row->key_size);
}

static inline struct dm_slice dm_row_value(const struct dm_row *row)
{
    return dm_slice(row->bytes + row->key_size, row->value_size);
}

static inline uint32_t dm_row_units(size_t key_size, size_t room)
{
    return (uint32_t)((sizeof(struct dm_row) + key_size + room + DM_ROW_UNIT - 1) / DM_ROW_UNIT);
}

static inline uint16_t dm_row_tag(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

/* Where the link to the key's newest row is; *link is 0 when there is none. */
static inline uint32_t *dm_generation_link(const struct dm_generation *generation,
                                           struct dm_hashed_key key)
{
    uint32_t *link = dm_index_bucket(&generation->index, key.hash);
    while (*link != 0) {
        struct dm_row *row = dm_row_at(generation, *link);
        if (row->tag == dm_row_tag(key.hash) && dm_slice_equal(dm_row_key(row), key.key)) {
            break;
        }
        link = &row->hash_next;
    }
    return link;
}

static inline uint32_t dm_generation_find(const struct dm_generation *generation,
                                          struct dm_hashed_key key)
{
    return generation == NULL || generation->count == 0 ? 0 : *dm_generation_link(generation, key);
}

static inline uint32_t *dm_generation_account(const struct dm_generation *generation,
                                              uint32_t account)
{
    return (uint32_t *)generation->accounts.base + account;
}

/* The row that holds the value now, from a contact's first one. */
static inline const struct dm_row *dm_row_newest(const struct dm_generation *generation,
                                                 const struct dm_row *first)
{
    return first->flags & DM_ROW_MOVED ? dm_row_at(generation, first->hash_next) : first;
}

/* The next first row at or after *place, which moves behind it; NULL at the end. */
static inline const struct dm_row *dm_generation_next(const struct dm_generation *generation,
                                                      uint32_t *place)
{
    while (*place < generation->used) {
        DM_ASSERT(*place != 0);
        const struct dm_row *row = dm_row_at(generation, *place);
        *place += dm_row_units(row->key_size, row->value_room);
        if ((row->flags & (DM_ROW_LATER | DM_ROW_SIDE)) == 0) {
            return row;
        }
    }
    return NULL;
}

#endif
