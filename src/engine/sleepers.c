#include "engine/sleepers.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/limits.h"
#include "wheel/wheel.h"

#include <stdlib.h>

/* Cascades and expiries touched in one call: what a burst may take of a turn. */
enum { ADVANCE_BUDGET = 4096, EXPIRED_MAX = 256, INLINE_MAX = 27 };
/* Of a slot with more timers than these, its beginning has to do for the earliest. */
enum { EARLIEST_LOOKED_AT_MAX = DM_SCAN_PER_TURN };

/* A sleeper and its timer share their number: timers are 0-based, sleepers (items of
 * the index) 1-based. */
struct sleeper {
    uint32_t link; /* chain of the index; of the free list when unused */
    uint32_t account;
    uint32_t fence;
    uint8_t size;
    uint8_t id[INLINE_MAX]; /* or, when longer: the number of its cell in the first 4 bytes */
};
_Static_assert(sizeof(struct sleeper) == 40, "56 bytes a sleeper with its timer");
_Static_assert(sizeof(uint32_t) <= INLINE_MAX, "a cell's number fits where the id would be");
_Static_assert(DM_WAKES_PER_TURN <= EXPIRED_MAX, "a turn's wakes come in one call");

/* A long id. Cells are 1-based; one that is free begins with the number of the next. */
struct cell {
    uint8_t bytes[DM_ID_SIZE_MAX];
};

struct dm_sleepers {
    struct dm_wheel *wheel;
    struct dm_index index;
    struct dm_region region, cell_region;
    struct sleeper *pool;
    uint32_t used, max, free;
    struct cell *cells;
    uint32_t cells_used, cell_free;
};

static struct sleeper *at(const struct dm_sleepers *sleepers, uint32_t item)
{
    DM_ASSERT(item - 1 < sleepers->used);
    return &sleepers->pool[item - 1];
}

static uint32_t cell_of(const struct sleeper *sleeper)
{
    uint32_t cell;
    memcpy(&cell, sleeper->id, sizeof cell);
    return cell;
}

static struct dm_slice contact_of(const struct dm_sleepers *sleepers, const struct sleeper *sleeper)
{
    if (sleeper->size <= INLINE_MAX) {
        return dm_slice(sleeper->id, sleeper->size);
    }
    return dm_slice(sleepers->cells[cell_of(sleeper) - 1].bytes, sleeper->size);
}

static uint64_t hash_of(struct dm_slice key)
{
    return dm_keyed_hash(key.data, key.size);
}

static uint32_t *index_link(void *context, uint32_t item)
{
    return &at(context, item)->link;
}

static uint64_t index_hash(void *context, uint32_t item)
{
    const struct sleeper *sleeper = at(context, item);
    struct dm_key key;
    dm_key_make(&key, sleeper->account, contact_of(context, sleeper));
    return hash_of(dm_key_slice(&key));
}

struct dm_sleepers *dm_sleepers_create(uint32_t sleepers_max, int64_t now_ms)
{
    struct dm_sleepers *sleepers = calloc(1, sizeof *sleepers);
    if (sleepers == NULL) {
        return NULL;
    }
    sleepers->max = sleepers_max;
    sleepers->wheel = dm_wheel_create(sleepers_max, (uint64_t)now_ms);
    if (sleepers->wheel == NULL ||
        !dm_region_init(&sleepers->region, (size_t)sleepers_max * sizeof *sleepers->pool) ||
        !dm_region_init(&sleepers->cell_region, (size_t)sleepers_max * sizeof(struct cell)) ||
        !dm_index_init(&sleepers->index, sleepers_max, index_link, index_hash, sleepers)) {
        dm_sleepers_destroy(sleepers);
        return NULL;
    }
    sleepers->pool = sleepers->region.base;
    sleepers->cells = sleepers->cell_region.base;
    return sleepers;
}

void dm_sleepers_destroy(struct dm_sleepers *sleepers)
{
    if (sleepers == NULL) {
        return;
    }
    dm_index_finish(&sleepers->index);
    dm_region_finish(&sleepers->region);
    dm_region_finish(&sleepers->cell_region);
    if (sleepers->wheel != NULL) {
        dm_wheel_destroy(sleepers->wheel);
    }
    free(sleepers);
}

static uint32_t find(const struct dm_sleepers *sleepers, uint32_t account, struct dm_slice contact,
                     uint64_t hash)
{
    uint32_t item = dm_index_first(&sleepers->index, hash);
    while (item != 0) {
        const struct sleeper *sleeper = at(sleepers, item);
        if (sleeper->account == account && dm_slice_equal(contact_of(sleepers, sleeper), contact)) {
            break;
        }
        item = sleeper->link;
    }
    return item;
}

static uint32_t take_free(struct dm_sleepers *sleepers)
{
    uint32_t item = sleepers->free;
    if (item != 0) {
        sleepers->free = at(sleepers, item)->link;
        return item;
    }
    return sleepers->used < sleepers->max ? ++sleepers->used : 0;
}

static void give_free(struct dm_sleepers *sleepers, uint32_t item)
{
    struct sleeper *sleeper = at(sleepers, item);
    if (sleeper->size > INLINE_MAX) {
        uint32_t cell = cell_of(sleeper);
        memcpy(sleepers->cells[cell - 1].bytes, &sleepers->cell_free, sizeof cell);
        sleepers->cell_free = cell;
    }
    sleeper->size = 0;
    sleeper->link = sleepers->free;
    sleepers->free = item;
}

/* There are as many cells as sleepers. */
static uint32_t take_cell(struct dm_sleepers *sleepers)
{
    uint32_t cell = sleepers->cell_free;
    if (cell == 0) {
        DM_ASSERT(sleepers->cells_used < sleepers->max);
        return ++sleepers->cells_used;
    }
    memcpy(&sleepers->cell_free, sleepers->cells[cell - 1].bytes, sizeof cell);
    return cell;
}

static void store_id(struct dm_sleepers *sleepers, struct sleeper *sleeper, struct dm_slice id)
{
    sleeper->size = (uint8_t)id.size;
    if (id.size <= INLINE_MAX) {
        memcpy(sleeper->id, id.data, id.size);
        return;
    }
    uint32_t cell = take_cell(sleepers);
    memcpy(sleepers->cells[cell - 1].bytes, id.data, id.size);
    memcpy(sleeper->id, &cell, sizeof cell);
}

bool dm_sleepers_set(struct dm_sleepers *sleepers, struct dm_hashed_key hashed, int64_t until_ms,
                     uint64_t fence)
{
    uint32_t account = dm_key_account(hashed.key);
    struct dm_slice contact = dm_key_contact(hashed.key);
    uint32_t item = find(sleepers, account, contact, hashed.hash);
    if (item == 0) {
        item = take_free(sleepers);
        if (item == 0) {
            return false;
        }
        struct sleeper *sleeper = at(sleepers, item);
        sleeper->account = account;
        store_id(sleepers, sleeper, contact);
        dm_index_insert(&sleepers->index, item, hashed.hash);
    }
    at(sleepers, item)->fence = (uint32_t)fence;
    dm_wheel_arm(sleepers->wheel, item - 1, (uint64_t)until_ms);
    return true;
}

bool dm_sleepers_has(const struct dm_sleepers *sleepers, struct dm_hashed_key hashed)
{
    uint32_t account = dm_key_account(hashed.key);
    struct dm_slice contact = dm_key_contact(hashed.key);
    return find(sleepers, account, contact, hashed.hash) != 0;
}

uint32_t dm_sleepers_room(const struct dm_sleepers *sleepers)
{
    DM_ASSERT(sleepers->index.count <= sleepers->max);
    return sleepers->max - sleepers->index.count;
}

void dm_sleepers_clear(struct dm_sleepers *sleepers, struct dm_hashed_key hashed)
{
    uint32_t account = dm_key_account(hashed.key);
    struct dm_slice contact = dm_key_contact(hashed.key);
    uint32_t item = find(sleepers, account, contact, hashed.hash);
    if (item != 0) {
        dm_wheel_cancel(sleepers->wheel, item - 1);
        dm_index_remove(&sleepers->index, item, hashed.hash);
        give_free(sleepers, item);
    }
}

size_t dm_sleepers_expired(struct dm_sleepers *sleepers, int64_t now_ms, struct dm_sleeper *out,
                           size_t max, bool *more)
{
    uint32_t timers[EXPIRED_MAX];
    size_t count = dm_wheel_advance(sleepers->wheel, (uint64_t)now_ms, ADVANCE_BUDGET, timers,
                                    max < EXPIRED_MAX ? max : EXPIRED_MAX, more);
    for (size_t i = 0; i < count; i++) {
        uint32_t item = timers[i] + 1;
        struct sleeper *sleeper = at(sleepers, item);
        struct dm_slice contact = contact_of(sleepers, sleeper);
        out[i].fence = sleeper->fence;
        dm_key_make(&out[i].key, sleeper->account, contact);
        dm_index_remove(&sleepers->index, item, hash_of(dm_key_slice(&out[i].key)));
        give_free(sleepers, item);
    }
    return count;
}

int64_t dm_sleepers_next(const struct dm_sleepers *sleepers)
{
    uint64_t next = dm_wheel_next(sleepers->wheel);
    return next > INT64_MAX ? INT64_MAX : (int64_t)next;
}

int64_t dm_sleepers_earliest(const struct dm_sleepers *sleepers)
{
    uint64_t earliest = dm_wheel_earliest(sleepers->wheel, EARLIEST_LOOKED_AT_MAX);
    return earliest > INT64_MAX ? INT64_MAX : (int64_t)earliest;
}

uint32_t dm_sleepers_count(const struct dm_sleepers *sleepers)
{
    return sleepers->index.count;
}

uint32_t dm_sleepers_longest(const struct dm_sleepers *sleepers)
{
    return dm_index_longest(&sleepers->index);
}

size_t dm_sleepers_memory(const struct dm_sleepers *sleepers)
{
    return dm_wheel_memory(sleepers->wheel) + dm_index_memory(&sleepers->index) +
           (size_t)sleepers->used * sizeof *sleepers->pool +
           (size_t)sleepers->cells_used * sizeof *sleepers->cells;
}
