#include "view/generation.h"

#include "base/assert.h"
#include "base/limits.h"
#include "view/sort.h"

#include <stdlib.h>

enum {
    GIVEN_BACK_STEP = 2 << 20, /* bytes: no huge page is taken apart */
    GIVEN_BACK_SHARE = 8,
};

static uint32_t *index_link(void *context, uint32_t at)
{
    return &dm_row_at(context, at)->hash_next;
}

static uint64_t index_hash(void *context, uint32_t at)
{
    return dm_key_hashed(dm_row_key(dm_row_at(context, at))).hash;
}

struct dm_generation *dm_generation_create(struct dm_spare *home, uint32_t contacts_end,
                                           size_t arena_size)
{
    struct dm_generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        return NULL;
    }
    generation->home = home;
    generation->id = 1;
    generation->used = 1; /* offset 0 is no row */
    size_t accounts_size = ((size_t)DM_ACCOUNTS_MAX + 1) * sizeof(uint32_t);
    if (!dm_region_init(&generation->arena, arena_size) ||
        !dm_region_init(&generation->accounts, accounts_size) ||
        !dm_index_init(&generation->index, contacts_end, index_link, index_hash, generation)) {
        dm_generation_destroy(generation);
        return NULL;
    }
    /* Rows are met in random order: with small pages each would miss the TLB, too. */
    dm_region_prefer_huge(&generation->arena);
    dm_region_prefer_huge(&generation->index.region);
    return generation;
}

void dm_generation_destroy(struct dm_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    dm_region_finish(&generation->arena);
    dm_region_finish(&generation->accounts);
    dm_index_finish(&generation->index);
    free(generation);
}

static size_t in_steps(size_t size)
{
    return (size + GIVEN_BACK_STEP - 1) / GIVEN_BACK_STEP * GIVEN_BACK_STEP;
}

/* The memory that was used this time will be used again. What only an earlier burst used goes back
 * to the system by and by: one burst follows another, and a fresh page costs as much as ten calls.
 */
static void shrink(struct dm_generation *generation)
{
    size_t needed = in_steps((size_t)generation->used * DM_ROW_UNIT);
    size_t share = in_steps(generation->touched / GIVEN_BACK_SHARE);
    size_t kept = generation->touched > share ? generation->touched - share : 0;
    kept = kept > needed ? kept : needed;
    kept = kept < generation->arena.size ? kept : generation->arena.size;
    if (generation->touched > kept) {
        dm_region_release(&generation->arena, kept, generation->touched - kept);
    }
    generation->touched = kept;
}

void dm_generation_recycle(struct dm_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    shrink(generation);
    generation->used = 1;
    generation->count = 0;
    generation->side_count = generation->side_first = generation->side_last = 0;
    dm_index_clear(&generation->index);
    dm_region_release(&generation->accounts, 0, generation->accounts.size);
    struct dm_generation *old = atomic_exchange(&generation->home->generation, generation);
    dm_generation_destroy(old);
}

struct dm_grave *dm_generation_grave(struct dm_generation *generation)
{
    return &generation->grave;
}

uint32_t dm_generation_count(const struct dm_generation *generation)
{
    return generation->count;
}

uint64_t dm_generation_lsn(const struct dm_generation *generation)
{
    return generation->upto_lsn;
}

bool dm_generation_side(const struct dm_generation *generation, uint32_t *place,
                        enum dm_table *table, struct dm_slice *key, struct dm_slice *value)
{
    if (*place == 0) {
        *place = generation->side_first;
    } else {
        *place = dm_row_at(generation, *place)->hash_next;
    }
    if (*place == 0) {
        return false;
    }
    const struct dm_row *row = dm_row_at(generation, *place);
    *table = (enum dm_table)row->tag;
    *key = dm_row_key(row);
    *value = dm_row_value(row);
    return true;
}

uint32_t dm_row_add(struct dm_generation *generation, struct dm_slice key, struct dm_slice value,
                    size_t room, uint8_t flags)
{
    uint32_t at = generation->used;
    generation->used += dm_row_units(key.size, room);
    DM_ASSERT(value.size <= room &&
              (size_t)generation->used * DM_ROW_UNIT <= generation->arena.size);
    struct dm_row *row = dm_row_at(generation, at);
    *row = (struct dm_row){
        .value_size = (uint16_t)value.size,
        .value_room = (uint16_t)room,
        .key_size = (uint8_t)key.size,
        .flags = flags,
    };
    memcpy(row->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(row->bytes + key.size, value.data, value.size);
    }
    return at;
}

/* ---- for the applier -------------------------------------------------------- */

static struct dm_slice sort_key(const void *context, uint32_t number)
{
    return dm_row_key(dm_row_at(context, number));
}

struct dm_row_slices *dm_generation_sorted(const struct dm_generation *generation, size_t *count)
{
    *count = 0;
    size_t total = generation->count;
    if (total == 0) {
        return NULL;
    }
    struct dm_row_slices *sorted = malloc(total * sizeof *sorted);
    struct dm_sort_item *items = malloc((total + total / 2) * sizeof *items);
    if (sorted == NULL || items == NULL) {
        free(sorted);
        free(items);
        return NULL;
    }
    uint32_t place = 1;
    for (size_t i = 0; i < total; i++) {
        const struct dm_row *first = dm_generation_next(generation, &place);
        DM_ASSERT(first != NULL);
        const struct dm_row *row = dm_row_newest(generation, first);
        ptrdiff_t offset = (const uint8_t *)row - (const uint8_t *)generation->arena.base;
        items[i].number = (uint32_t)(offset / DM_ROW_UNIT);
    }
    dm_sort_keys(items, items + total, total, sort_key, generation);
    for (size_t i = 0; i < total; i++) {
        const struct dm_row *row = dm_row_at(generation, items[i].number);
        sorted[i] = (struct dm_row_slices){.key = dm_row_key(row), .value = dm_row_value(row)};
    }
    free(items);
    *count = total;
    return sorted;
}
