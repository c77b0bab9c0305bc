#include "view/overlay.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stdlib.h>

enum {
    CONTACTS_BEYOND = 16,
    CACHE_LINE = 64,
    LIKELY_LINES = 3, /* of a row: a record with few answers */
};
#define ARENA_SIZE_MAX ((size_t)UINT32_MAX * DM_ROW_UNIT)
/* Rows of the largest arena: each has a key of at least an account's number. */
#define CONTACTS_END_MAX ((uint32_t)(ARENA_SIZE_MAX / 32))

struct dm_overlay *dm_overlay_create(uint32_t contacts_max)
{
    struct dm_overlay *overlay = calloc(1, sizeof *overlay);
    if (overlay == NULL) {
        return NULL;
    }
    size_t bytes_max = (ARENA_SIZE_MAX - DM_OVERLAY_BEYOND) / 2;
    size_t bytes = (size_t)contacts_max * DM_OVERLAY_CONTACT_SIZE;
    overlay->used_max = bytes < bytes_max ? bytes : bytes_max;
    overlay->used_end = 2 * overlay->used_max + DM_OVERLAY_BEYOND;
    overlay->contacts_max = contacts_max;
    overlay->contacts_end =
        contacts_max < CONTACTS_END_MAX / 2 ? 2 * contacts_max + CONTACTS_BEYOND : CONTACTS_END_MAX;
    overlay->current =
        dm_generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
    if (overlay->current == NULL) {
        free(overlay);
        return NULL;
    }
    return overlay;
}

void dm_overlay_destroy(struct dm_overlay *overlay)
{
    if (overlay == NULL) {
        return;
    }
    dm_generation_destroy(overlay->current);
    dm_generation_destroy(overlay->frozen);
    dm_generation_destroy(overlay->settled);
    dm_generation_destroy(atomic_load(&overlay->spare.generation));
    free(overlay);
}

static size_t units_used(const struct dm_overlay *overlay)
{
    size_t frozen = overlay->frozen == NULL ? 0 : overlay->frozen->used;
    return overlay->current->used + frozen;
}

static bool has_room(const struct dm_overlay *overlay, size_t key_size, size_t room)
{
    return (units_used(overlay) + dm_row_units(key_size, room)) * DM_ROW_UNIT <= overlay->used_end;
}

static bool replace(struct dm_overlay *overlay, uint32_t *link, struct dm_slice key,
                    struct dm_slice value, uint64_t lsn)
{
    struct dm_generation *current = overlay->current;
    uint32_t old_at = *link;
    struct dm_row *old = dm_row_at(current, old_at);
    if (value.size <= old->value_room) {
        if (value.size > 0) {
            memcpy(old->bytes + old->key_size, value.data, value.size);
        }
        old->value_size = (uint16_t)value.size;
        old->lsn = lsn;
        return true;
    }
    /* Half as much again: a record that grows answer by answer moves only a few times. */
    size_t room = value.size + value.size / 2;
    room = room > UINT16_MAX ? UINT16_MAX : room;
    if (!has_room(overlay, key.size, room)) {
        return false;
    }
    uint32_t at = dm_row_add(current, key, value, room, DM_ROW_LATER);
    struct dm_row *row = dm_row_at(current, at);
    row->lsn = lsn;
    row->tag = old->tag;
    row->hash_next = old->hash_next;
    uint32_t first_at = old->flags & DM_ROW_LATER ? old->account_next : old_at;
    struct dm_row *first = dm_row_at(current, first_at);
    row->account_next = first_at;
    *link = at;
    first->flags |= DM_ROW_MOVED;
    first->hash_next = at;
    return true;
}

bool dm_overlay_put(struct dm_overlay *overlay, struct dm_hashed_key hashed, struct dm_slice value,
                    uint64_t lsn)
{
    struct dm_slice key = hashed.key;
    DM_ASSERT(key.size >= 4 && key.size <= UINT8_MAX && value.size <= UINT16_MAX);
    DM_ASSERT(dm_key_account(key) <= DM_ACCOUNTS_MAX);
    struct dm_generation *current = overlay->current;
    uint32_t *link = dm_generation_link(current, hashed);
    if (*link != 0) {
        return replace(overlay, link, key, value, lsn);
    }
    if (dm_overlay_count(overlay) >= overlay->contacts_end ||
        !has_room(overlay, key.size, value.size)) {
        return false;
    }
    uint32_t at = dm_row_add(current, key, value, value.size, 0);
    struct dm_row *row = dm_row_at(current, at);
    uint32_t *head = dm_generation_account(current, dm_key_account(key));
    row->lsn = lsn;
    row->tag = dm_row_tag(hashed.hash);
    row->account_next = *head;
    *head = at;
    dm_index_insert(&current->index, at, hashed.hash);
    current->count++;
    return true;
}

bool dm_overlay_get(const struct dm_overlay *overlay, struct dm_hashed_key key,
                    struct dm_slice *value, uint64_t *lsn)
{
    const struct dm_generation *current = overlay->current;
    const struct dm_generation *frozen = overlay->frozen;
    if (current->count == 0 && frozen == NULL) {
        return false;
    }
    const struct dm_generation *in = current;
    uint32_t at = dm_generation_find(current, key);
    if (at == 0) {
        in = frozen;
        at = dm_generation_find(frozen, key);
    }
    if (at == 0) {
        return false;
    }
    const struct dm_row *row = dm_row_at(in, at);
    if (value != NULL) {
        *value = dm_row_value(row);
    }
    if (lsn != NULL) {
        *lsn = row->lsn;
    }
    return true;
}

bool dm_overlay_get_settled(const struct dm_overlay *overlay, struct dm_hashed_key key,
                            struct dm_slice *value)
{
    const struct dm_generation *settled = overlay->settled;
    uint32_t at = dm_generation_find(settled, key);
    if (at != 0) {
        *value = dm_row_value(dm_row_at(settled, at));
    }
    return at != 0;
}

bool dm_overlay_side(struct dm_overlay *overlay, enum dm_table table, struct dm_slice key,
                     struct dm_slice value)
{
    DM_ASSERT(key.size <= UINT8_MAX && value.size <= UINT16_MAX);
    struct dm_generation *current = overlay->current;
    if (!has_room(overlay, key.size, value.size)) {
        return false;
    }
    uint32_t at = dm_row_add(current, key, value, value.size, DM_ROW_SIDE);
    dm_row_at(current, at)->tag = (uint16_t)table;
    if (current->side_count++ == 0) {
        current->side_first = at;
    } else {
        dm_row_at(current, current->side_last)->hash_next = at;
    }
    current->side_last = at;
    return true;
}

size_t dm_overlay_row_size(size_t key_size, size_t value_size)
{
    return (size_t)dm_row_units(key_size, value_size) * DM_ROW_UNIT;
}

uint32_t dm_overlay_count(const struct dm_overlay *overlay)
{
    return overlay->current->count + (overlay->frozen == NULL ? 0 : overlay->frozen->count);
}

uint32_t dm_overlay_current_count(const struct dm_overlay *overlay)
{
    return overlay->current->count + overlay->current->side_count;
}

static size_t generation_memory(const struct dm_generation *generation)
{
    if (generation == NULL) {
        return 0;
    }
    return (size_t)generation->used * DM_ROW_UNIT + dm_index_memory(&generation->index);
}

void dm_overlay_prefetch_bucket(const struct dm_overlay *overlay, uint64_t hash)
{
    const struct dm_generation *all[] = {overlay->current, overlay->frozen, overlay->settled};
    for (int i = 0; i < 3; i++) {
        if (all[i] != NULL) {
            __builtin_prefetch(dm_index_bucket(&all[i]->index, hash));
        }
    }
}

/* The row at the head of its bucket. NULL: none. */
static const struct dm_row *first_row(const struct dm_generation *generation, uint64_t hash)
{
    if (generation == NULL || generation->count == 0) {
        return NULL;
    }
    uint32_t at = dm_index_first(&generation->index, hash);
    return at == 0 ? NULL : dm_row_at(generation, at);
}

void dm_overlay_prefetch_row(const struct dm_overlay *overlay, uint64_t hash)
{
    const struct dm_generation *all[] = {overlay->current, overlay->frozen, overlay->settled};
    for (int i = 0; i < 3; i++) {
        const struct dm_row *row = first_row(all[i], hash);
        if (row != NULL) {
            __builtin_prefetch(row);
        }
    }
}

/* Of a row whose first line is here, the rest. */
static void prefetch_rest(const struct dm_row *row)
{
    size_t end = sizeof *row + row->key_size + row->value_size;
    for (size_t at = CACHE_LINE; at < end; at += CACHE_LINE) {
        __builtin_prefetch((const uint8_t *)row + at);
    }
}

/* The first generation that has the key is where the lookup ends. What stands in its way
 * there is passed by its first line alone; behind it comes the one that is looked for, most
 * likely, whole. */
void dm_overlay_prefetch_value(const struct dm_overlay *overlay, uint64_t hash)
{
    const struct dm_generation *all[] = {overlay->current, overlay->frozen, overlay->settled};
    for (int i = 0; i < 3; i++) {
        const struct dm_row *row = first_row(all[i], hash);
        if (row == NULL) {
            continue;
        }
        if (row->tag == dm_row_tag(hash)) {
            prefetch_rest(row);
            return;
        }
        if (row->hash_next != 0) {
            const struct dm_row *next = dm_row_at(all[i], row->hash_next);
            for (size_t at = 0; at < (size_t)LIKELY_LINES * CACHE_LINE; at += CACHE_LINE) {
                __builtin_prefetch((const uint8_t *)next + at);
            }
        }
    }
}

uint32_t dm_overlay_contacts_max(const struct dm_overlay *overlay)
{
    return overlay->contacts_max;
}

uint32_t dm_overlay_contacts_end(const struct dm_overlay *overlay)
{
    return overlay->contacts_end;
}

size_t dm_overlay_used(const struct dm_overlay *overlay)
{
    return units_used(overlay) * DM_ROW_UNIT;
}

size_t dm_overlay_used_max(const struct dm_overlay *overlay)
{
    return overlay->used_max;
}

size_t dm_overlay_used_end(const struct dm_overlay *overlay)
{
    return overlay->used_end;
}

size_t dm_overlay_current_used(const struct dm_overlay *overlay)
{
    return (size_t)overlay->current->used * DM_ROW_UNIT;
}

uint32_t dm_overlay_longest(const struct dm_overlay *overlay)
{
    return dm_index_longest(&overlay->current->index);
}

size_t dm_overlay_memory(const struct dm_overlay *overlay)
{
    return generation_memory(overlay->current) + generation_memory(overlay->frozen) +
           generation_memory(overlay->settled);
}

struct dm_generation *dm_overlay_freeze(struct dm_overlay *overlay, uint64_t upto_lsn)
{
    DM_ASSERT(overlay->frozen == NULL);
    if (dm_overlay_current_count(overlay) == 0) {
        return NULL;
    }
    struct dm_generation *fresh = atomic_exchange(&overlay->spare.generation, NULL);
    if (fresh == NULL) {
        fresh = dm_generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
    }
    if (fresh == NULL) {
        return NULL;
    }
    DM_ASSERT(fresh->count == 0 && fresh->side_count == 0 && fresh->used == 1);
    fresh->id = overlay->current->id + 1;
    dm_index_expect(&fresh->index, overlay->current->count);
    overlay->frozen = overlay->current;
    overlay->frozen->upto_lsn = upto_lsn;
    overlay->current = fresh;
    return overlay->frozen;
}

struct dm_generation *dm_overlay_drop(struct dm_overlay *overlay)
{
    DM_ASSERT(overlay->frozen == NULL || overlay->frozen->id < overlay->current->id);
    struct dm_generation *dropped = overlay->frozen;
    overlay->frozen = NULL;
    return dropped;
}

struct dm_generation *dm_overlay_settle(struct dm_overlay *overlay,
                                        struct dm_generation *generation)
{
    struct dm_generation *before = overlay->settled;
    DM_ASSERT(generation == NULL || before == NULL || before->id < generation->id);
    overlay->settled = generation;
    return before;
}

struct dm_generation *dm_overlay_shed(struct dm_overlay *overlay)
{
    if (overlay->settled != NULL) {
        return dm_overlay_settle(overlay, NULL);
    }
    struct dm_generation *spare = atomic_exchange(&overlay->spare.generation, NULL);
    struct dm_generation *current = overlay->current;
    if (spare != NULL || current->touched == 0 || dm_overlay_current_count(overlay) != 0) {
        return spare;
    }
    struct dm_generation *fresh =
        dm_generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
    if (fresh == NULL) {
        return NULL;
    }
    fresh->id = current->id + 1;
    overlay->current = fresh;
    return current;
}
