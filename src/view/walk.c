#include "view/walk.h"

#include "base/limits.h"

enum { STAGE_BEGIN, STAGE_UNDER_WAY, STAGE_END };

static const struct dm_generation *generation_of(const struct dm_overlay *overlay, uint64_t id)
{
    if (overlay->current->id == id) {
        return overlay->current;
    }
    return overlay->frozen != NULL && overlay->frozen->id == id ? overlay->frozen : NULL;
}

static void item_fill(struct dm_overlay_item *item, const struct dm_row *row, bool newest)
{
    item->key = dm_row_key(row);
    item->value = dm_row_value(row);
    item->lsn = row->lsn;
    item->newest = newest;
}

static uint32_t find_in_current(const struct dm_overlay *overlay,
                                const struct dm_generation *generation, struct dm_slice key)
{
    if (generation == overlay->current || overlay->current->count == 0) {
        return 0;
    }
    return dm_generation_find(overlay->current, dm_key_hashed(key));
}

/* Has the walk passed this contact of current already? It goes from the newest to the oldest of
 * those that were in the chain at its first step, and sees none that came later. */
static bool walk_passed(const struct dm_overlay *overlay, const struct dm_overlay_walk *walk,
                        uint32_t at)
{
    const struct dm_row *row = dm_row_at(overlay->current, at);
    uint32_t first = row->flags & DM_ROW_LATER ? row->account_next : at;
    return overlay->current->id == walk->start_generation && first <= walk->start;
}

static void walk_item(const struct dm_overlay *overlay, const struct dm_overlay_walk *walk,
                      const struct dm_generation *generation, const struct dm_row *row,
                      struct dm_overlay_item *item)
{
    uint32_t later = find_in_current(overlay, generation, dm_row_key(row));
    if (later == 0) {
        item_fill(item, row, true);
    } else if (walk_passed(overlay, walk, later)) {
        item_fill(item, row, false);
    } else {
        /* It was put again where this walk never comes, so it is shown here or not at all. */
        item_fill(item, dm_row_at(overlay->current, later), true);
    }
}

static void walk_enter(struct dm_overlay_walk *walk, const struct dm_generation *generation)
{
    walk->stage = STAGE_UNDER_WAY;
    walk->generation = generation->id;
    walk->next = *dm_generation_account(generation, walk->account);
}

bool dm_overlay_walk(const struct dm_overlay *overlay, struct dm_overlay_walk *walk,
                     struct dm_overlay_item *item)
{
    if (walk->stage == STAGE_END || walk->account > DM_ACCOUNTS_MAX) {
        return false;
    }
    if (walk->stage == STAGE_BEGIN) {
        walk_enter(walk, overlay->current);
        walk->start_generation = walk->generation;
        walk->start = walk->next;
    }
    const struct dm_generation *generation = generation_of(overlay, walk->generation);
    /* Gone means applied, and what is older is, too. */
    while (generation != NULL) {
        if (walk->next != 0) {
            const struct dm_row *first = dm_row_at(generation, walk->next);
            walk->next = first->account_next;
            walk_item(overlay, walk, generation, dm_row_newest(generation, first), item);
            return true;
        }
        generation = generation_of(overlay, walk->generation - 1);
        if (generation != NULL) {
            walk_enter(walk, generation);
        }
    }
    walk->stage = STAGE_END;
    return false;
}

bool dm_overlay_walk_all(const struct dm_overlay *overlay, struct dm_overlay_walk *walk,
                         struct dm_overlay_item *item)
{
    const struct dm_generation *oldest =
        overlay->frozen != NULL ? overlay->frozen : overlay->current;
    /* At the beginning, and when the generation it was in has been applied. */
    if (walk->generation < oldest->id) {
        walk->generation = oldest->id;
        walk->next = 1;
    }
    const struct dm_generation *generation = generation_of(overlay, walk->generation);
    while (generation != NULL) {
        const struct dm_row *first = dm_generation_next(generation, &walk->next);
        if (first != NULL) {
            const struct dm_row *row = dm_row_newest(generation, first);
            item_fill(item, row, find_in_current(overlay, generation, dm_row_key(row)) == 0);
            return true;
        }
        generation = generation_of(overlay, walk->generation + 1);
        if (generation != NULL) {
            walk->generation = generation->id;
            walk->next = 1;
        }
    }
    return false;
}
