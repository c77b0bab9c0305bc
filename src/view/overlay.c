#include "view/overlay.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/limits.h"
#include "base/region.h"
#include "view/sort.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A generation is an arena of entries that only grows. An entry is known by its offset
 * divided by 8 (0: none), so that links are 32 bits.
 *
 * By key: a dm_index. By account: a chain, newest first, of the first entry that each contact had.
 * A value that outgrows its entry moves to a new one, which takes the old one's place in the hash
 * chain; the first entry stays in the account's chain and leads to the newest. So a walk's position
 * never goes away, and it meets every contact once. */

enum {
    UNIT = 8,
    CONTACTS_BEYOND = 16,
    CACHE_LINE = 64,
    LIKELY_LINES = 3,          /* of an entry: a record with few answers */
    GIVEN_BACK_STEP = 2 << 20, /* bytes: no huge page is taken apart */
    GIVEN_BACK_SHARE = 8,
};
#define ARENA_SIZE_MAX ((size_t)UINT32_MAX * UNIT)
/* Entries of the largest arena: each has a key of at least an account's number. */
#define CONTACTS_END_MAX ((uint32_t)(ARENA_SIZE_MAX / 32))

enum { FLAG_MOVED = 1, FLAG_LATER = 2, FLAG_SIDE = 4 };

struct entry {
    uint32_t hash_next;    /* of a first entry that moved: its contact's newest entry; of a side
                              row: the next one */
    uint32_t account_next; /* of one that came later: its contact's first entry */
    uint64_t lsn;
    uint16_t value_size, value_room;
    uint8_t key_size, flags;
    uint16_t tag;    /* upper bits of the hash: most other keys differ here already; of a side
                        row: its table */
    uint8_t bytes[]; /* the key, the value */
};
_Static_assert(sizeof(struct entry) == 24, "no padding in an entry");

/* A generation that was applied, emptied, and kept for its memory: pages that have been
 * touched once cost nothing the next time. The applier's thread leaves it here, the
 * loop's takes it. */
struct spare {
    _Atomic(struct dm_generation *) generation;
};

struct dm_generation {
    struct spare *home; /* of the overlay that it belongs to */
    uint64_t id;
    uint64_t upto_lsn;
    uint32_t count;
    uint32_t used;  /* of the arena, in units */
    size_t touched; /* bytes of the arena that may have pages from earlier use */
    struct dm_region arena;
    struct dm_index index;                      /* of each contact's newest entry */
    struct dm_region accounts;                  /* u32 heads by account number */
    uint32_t side_count, side_first, side_last; /* a chain of entries */
    struct dm_grave grave;
};

struct dm_overlay {
    uint32_t contacts_max, contacts_end;
    size_t used_max, used_end; /* of the arenas of both generations together */
    struct dm_generation *current, *frozen;
    struct dm_generation *settled; /* applied and dropped, or NULL */
    struct spare spare;
};

/* ---- one generation ------------------------------------------------------- */

static struct entry *entry_at(const struct dm_generation *generation, uint32_t at)
{
    return (struct entry *)(void *)((uint8_t *)generation->arena.base + (size_t)at * UNIT);
}

static struct dm_slice entry_key(const struct entry *entry)
{
    return dm_slice(entry->bytes, entry->key_size);
}

static struct dm_slice entry_value(const struct entry *entry)
{
    return dm_slice(entry->bytes + entry->key_size, entry->value_size);
}

static uint32_t entry_units(size_t key_size, size_t room)
{
    return (uint32_t)((sizeof(struct entry) + key_size + room + UNIT - 1) / UNIT);
}

static uint64_t hash_of(struct dm_slice key)
{
    return dm_keyed_hash(key.data, key.size);
}

static uint16_t tag_of(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

/* Where the link to the key's newest entry is; *link is 0 when there is none. */
static uint32_t *find_link(const struct dm_generation *generation, struct dm_hashed_key key)
{
    uint32_t *link = dm_index_bucket(&generation->index, key.hash);
    while (*link != 0) {
        struct entry *entry = entry_at(generation, *link);
        if (entry->tag == tag_of(key.hash) && dm_slice_equal(entry_key(entry), key.key)) {
            break;
        }
        link = &entry->hash_next;
    }
    return link;
}

static uint32_t find(const struct dm_generation *generation, struct dm_hashed_key key)
{
    return generation == NULL || generation->count == 0 ? 0 : *find_link(generation, key);
}

static uint32_t *index_link(void *context, uint32_t at)
{
    return &entry_at(context, at)->hash_next;
}

static uint64_t index_hash(void *context, uint32_t at)
{
    return hash_of(entry_key(entry_at(context, at)));
}

static uint32_t account_of(struct dm_slice key)
{
    return dm_load_be32(key.data);
}

static uint32_t *account_head(const struct dm_generation *generation, uint32_t account)
{
    return (uint32_t *)generation->accounts.base + account;
}

/* Fills a new entry at the arena's end and links it nowhere. The caller has checked
 * that there is room. */
static uint32_t entry_add(struct dm_generation *generation, struct dm_slice key,
                          struct dm_slice value, size_t room, uint8_t flags)
{
    uint32_t at = generation->used;
    generation->used += entry_units(key.size, room);
    struct entry *entry = entry_at(generation, at);
    *entry = (struct entry){
        .value_size = (uint16_t)value.size,
        .value_room = (uint16_t)room,
        .key_size = (uint8_t)key.size,
        .flags = flags,
    };
    memcpy(entry->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(entry->bytes + key.size, value.data, value.size);
    }
    return at;
}

static struct dm_generation *generation_create(struct spare *home, uint32_t contacts_end,
                                               size_t arena_size)
{
    struct dm_generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        return NULL;
    }
    generation->home = home;
    generation->id = 1;
    generation->used = 1; /* offset 0 is no entry */
    size_t accounts_size = ((size_t)DM_ACCOUNTS_MAX + 1) * sizeof(uint32_t);
    if (!dm_region_init(&generation->arena, arena_size) ||
        !dm_region_init(&generation->accounts, accounts_size) ||
        !dm_index_init(&generation->index, contacts_end, index_link, index_hash, generation)) {
        dm_generation_destroy(generation);
        return NULL;
    }
    /* Entries are met in random order: with small pages each would miss the TLB, too. */
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

/* What was needed now will be again. What was needed before, some burst, goes back to the
 * system a share at a time: bursts come in rows, and a fresh page costs as much as ten calls. */
static void shrink(struct dm_generation *generation)
{
    size_t needed = in_steps((size_t)generation->used * UNIT);
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
        *place = entry_at(generation, *place)->hash_next;
    }
    if (*place == 0) {
        return false;
    }
    const struct entry *entry = entry_at(generation, *place);
    *table = (enum dm_table)entry->tag;
    *key = entry_key(entry);
    *value = entry_value(entry);
    return true;
}

/* ---- the overlay ---------------------------------------------------------- */

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
    overlay->current = generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
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
    return (units_used(overlay) + entry_units(key_size, room)) * UNIT <= overlay->used_end;
}

static bool replace(struct dm_overlay *overlay, uint32_t *link, struct dm_slice key,
                    struct dm_slice value, uint64_t lsn)
{
    struct dm_generation *current = overlay->current;
    uint32_t old_at = *link;
    struct entry *old = entry_at(current, old_at);
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
    uint32_t at = entry_add(current, key, value, room, FLAG_LATER);
    struct entry *entry = entry_at(current, at);
    entry->lsn = lsn;
    entry->tag = old->tag;
    entry->hash_next = old->hash_next;
    uint32_t first_at = old->flags & FLAG_LATER ? old->account_next : old_at;
    struct entry *first = entry_at(current, first_at);
    entry->account_next = first_at;
    *link = at;
    first->flags |= FLAG_MOVED;
    first->hash_next = at;
    return true;
}

bool dm_overlay_put(struct dm_overlay *overlay, struct dm_hashed_key hashed, struct dm_slice value,
                    uint64_t lsn)
{
    struct dm_slice key = hashed.key;
    DM_ASSERT(key.size >= 4 && key.size <= UINT8_MAX && value.size <= UINT16_MAX);
    DM_ASSERT(account_of(key) <= DM_ACCOUNTS_MAX);
    struct dm_generation *current = overlay->current;
    uint32_t *link = find_link(current, hashed);
    if (*link != 0) {
        return replace(overlay, link, key, value, lsn);
    }
    if (dm_overlay_count(overlay) >= overlay->contacts_end ||
        !has_room(overlay, key.size, value.size)) {
        return false;
    }
    uint32_t at = entry_add(current, key, value, value.size, 0);
    struct entry *entry = entry_at(current, at);
    uint32_t *head = account_head(current, account_of(key));
    entry->lsn = lsn;
    entry->tag = tag_of(hashed.hash);
    entry->account_next = *head;
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
    uint32_t at = find(current, key);
    if (at == 0) {
        in = frozen;
        at = find(frozen, key);
    }
    if (at == 0) {
        return false;
    }
    const struct entry *entry = entry_at(in, at);
    if (value != NULL) {
        *value = entry_value(entry);
    }
    if (lsn != NULL) {
        *lsn = entry->lsn;
    }
    return true;
}

bool dm_overlay_get_settled(const struct dm_overlay *overlay, struct dm_hashed_key key,
                            struct dm_slice *value)
{
    const struct dm_generation *settled = overlay->settled;
    uint32_t at = find(settled, key);
    if (at != 0) {
        *value = entry_value(entry_at(settled, at));
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
    uint32_t at = entry_add(current, key, value, value.size, FLAG_SIDE);
    entry_at(current, at)->tag = (uint16_t)table;
    if (current->side_count++ == 0) {
        current->side_first = at;
    } else {
        entry_at(current, current->side_last)->hash_next = at;
    }
    current->side_last = at;
    return true;
}

size_t dm_overlay_entry_size(size_t key_size, size_t value_size)
{
    return (size_t)entry_units(key_size, value_size) * UNIT;
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
    return (size_t)generation->used * UNIT + dm_index_memory(&generation->index);
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

/* The entry at the head of its bucket. NULL: none. */
static const struct entry *first_entry(const struct dm_generation *generation, uint64_t hash)
{
    if (generation == NULL || generation->count == 0) {
        return NULL;
    }
    uint32_t at = dm_index_first(&generation->index, hash);
    return at == 0 ? NULL : entry_at(generation, at);
}

void dm_overlay_prefetch_entry(const struct dm_overlay *overlay, uint64_t hash)
{
    const struct dm_generation *all[] = {overlay->current, overlay->frozen, overlay->settled};
    for (int i = 0; i < 3; i++) {
        const struct entry *entry = first_entry(all[i], hash);
        if (entry != NULL) {
            __builtin_prefetch(entry);
        }
    }
}

/* Of an entry whose first line is here, the rest. */
static void prefetch_rest(const struct entry *entry)
{
    size_t end = sizeof *entry + entry->key_size + entry->value_size;
    for (size_t at = CACHE_LINE; at < end; at += CACHE_LINE) {
        __builtin_prefetch((const uint8_t *)entry + at);
    }
}

/* The first generation that has the key is where the lookup ends. What stands in its way
 * there is passed by its first line alone; behind it comes the one that is looked for, most
 * likely, whole. */
void dm_overlay_prefetch_value(const struct dm_overlay *overlay, uint64_t hash)
{
    const struct dm_generation *all[] = {overlay->current, overlay->frozen, overlay->settled};
    for (int i = 0; i < 3; i++) {
        const struct entry *entry = first_entry(all[i], hash);
        if (entry == NULL) {
            continue;
        }
        if (entry->tag == tag_of(hash)) {
            prefetch_rest(entry);
            return;
        }
        if (entry->hash_next != 0) {
            const struct entry *next = entry_at(all[i], entry->hash_next);
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
    return units_used(overlay) * UNIT;
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
    return (size_t)overlay->current->used * UNIT;
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
        fresh = generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
    }
    if (fresh == NULL) {
        return NULL;
    }
    fresh->id = overlay->current->id + 1;
    dm_index_expect(&fresh->index, overlay->current->count);
    overlay->frozen = overlay->current;
    overlay->frozen->upto_lsn = upto_lsn;
    overlay->current = fresh;
    return overlay->frozen;
}

struct dm_generation *dm_overlay_drop(struct dm_overlay *overlay)
{
    struct dm_generation *dropped = overlay->frozen;
    overlay->frozen = NULL;
    return dropped;
}

struct dm_generation *dm_overlay_settle(struct dm_overlay *overlay,
                                        struct dm_generation *generation)
{
    struct dm_generation *before = overlay->settled;
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
        generation_create(&overlay->spare, overlay->contacts_end, overlay->used_end);
    if (fresh == NULL) {
        return NULL;
    }
    fresh->id = current->id + 1;
    overlay->current = fresh;
    return current;
}

/* ---- walks ---------------------------------------------------------------- */

enum { STAGE_BEGIN, STAGE_UNDER_WAY, STAGE_END };

static const struct dm_generation *generation_of(const struct dm_overlay *overlay, uint64_t id)
{
    if (overlay->current->id == id) {
        return overlay->current;
    }
    return overlay->frozen != NULL && overlay->frozen->id == id ? overlay->frozen : NULL;
}

/* The entry that holds the value now, from a contact's first one. */
static const struct entry *newest_of(const struct dm_generation *generation,
                                     const struct entry *first)
{
    return first->flags & FLAG_MOVED ? entry_at(generation, first->hash_next) : first;
}

static void item_fill(struct dm_overlay_item *item, const struct entry *entry, bool newest)
{
    item->key = entry_key(entry);
    item->value = entry_value(entry);
    item->lsn = entry->lsn;
    item->newest = newest;
}

static uint32_t find_in_current(const struct dm_overlay *overlay,
                                const struct dm_generation *generation, struct dm_slice key)
{
    if (generation == overlay->current || overlay->current->count == 0) {
        return 0;
    }
    return find(overlay->current, dm_key_hashed(key));
}

/* Did the walk pass this contact of current already? It goes from the newest to the
 * older, so it saw what was in the chain at its first step, and nothing since. */
static bool walk_passed(const struct dm_overlay *overlay, const struct dm_overlay_walk *walk,
                        uint32_t at)
{
    const struct entry *entry = entry_at(overlay->current, at);
    uint32_t first = entry->flags & FLAG_LATER ? entry->account_next : at;
    return overlay->current->id == walk->start_generation && first <= walk->start;
}

static void walk_item(const struct dm_overlay *overlay, const struct dm_overlay_walk *walk,
                      const struct dm_generation *generation, const struct entry *entry,
                      struct dm_overlay_item *item)
{
    uint32_t later = find_in_current(overlay, generation, entry_key(entry));
    if (later == 0) {
        item_fill(item, entry, true);
    } else if (walk_passed(overlay, walk, later)) {
        item_fill(item, entry, false);
    } else {
        /* It was put again where this walk never comes: here is its only chance. */
        item_fill(item, entry_at(overlay->current, later), true);
    }
}

static void walk_enter(struct dm_overlay_walk *walk, const struct dm_generation *generation)
{
    walk->stage = STAGE_UNDER_WAY;
    walk->generation = generation->id;
    walk->next = *account_head(generation, walk->account);
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
            const struct entry *first = entry_at(generation, walk->next);
            walk->next = first->account_next;
            walk_item(overlay, walk, generation, newest_of(generation, first), item);
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

/* Moves the walk to the next first entry at or after its position; NULL at the end. */
static const struct entry *arena_next(const struct dm_generation *generation,
                                      struct dm_overlay_walk *walk)
{
    while (walk->next < generation->used) {
        const struct entry *entry = entry_at(generation, walk->next);
        walk->next += entry_units(entry->key_size, entry->value_room);
        if ((entry->flags & (FLAG_LATER | FLAG_SIDE)) == 0) {
            return entry;
        }
    }
    return NULL;
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
        const struct entry *first = arena_next(generation, walk);
        if (first != NULL) {
            const struct entry *entry = newest_of(generation, first);
            item_fill(item, entry, find_in_current(overlay, generation, entry_key(entry)) == 0);
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

/* ---- for the applier -------------------------------------------------------- */

static struct dm_slice sort_key(const void *context, uint32_t number)
{
    return entry_key(entry_at(context, number));
}

struct dm_generation_entry *dm_generation_sorted(const struct dm_generation *generation,
                                                 size_t *count)
{
    *count = 0;
    size_t total = generation->count;
    if (total == 0) {
        return NULL;
    }
    struct dm_generation_entry *sorted = malloc(total * sizeof *sorted);
    struct dm_sort_item *items = malloc((total + total / 2) * sizeof *items);
    if (sorted == NULL || items == NULL) {
        free(sorted);
        free(items);
        return NULL;
    }
    struct dm_overlay_walk walk = {.next = 1};
    for (size_t i = 0; i < total; i++) {
        const struct entry *first = arena_next(generation, &walk);
        DM_ASSERT(first != NULL);
        const struct entry *entry = newest_of(generation, first);
        ptrdiff_t offset = (const uint8_t *)entry - (const uint8_t *)generation->arena.base;
        items[i].number = (uint32_t)(offset / UNIT);
    }
    dm_sort_keys(items, items + total, total, sort_key, generation);
    for (size_t i = 0; i < total; i++) {
        const struct entry *entry = entry_at(generation, items[i].number);
        sorted[i] =
            (struct dm_generation_entry){.key = entry_key(entry), .value = entry_value(entry)};
    }
    free(items);
    *count = total;
    return sorted;
}
