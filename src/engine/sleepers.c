#include "engine/sleepers.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/index.h"
#include "wheel/wheel.h"

#include <stdlib.h>

/* Cascades and expiries touched in one call: what a burst may take of a turn. */
enum { ADVANCE_BUDGET = 4096, EXPIRED_MAX = 256, INLINE_MAX = 27 };

/* A sleeper and its timer share their number: timers are 0-based, sleepers (items of
 * the index) 1-based. */
struct sleeper {
    uint32_t link; /* chain of the index; of the free list when unused */
    uint32_t account;
    uint32_t fence;
    uint8_t size;
    uint8_t id[INLINE_MAX]; /* or, when longer: a pointer to it in the first 8 bytes */
};
_Static_assert(sizeof(struct sleeper) == 40, "56 bytes a sleeper with its timer");

struct dm_sleepers {
    struct dm_wheel *wheel;
    struct dm_index index;
    struct dm_region region;
    struct sleeper *pool;
    uint32_t used, max, free;
    size_t long_ids; /* bytes outside the pool */
};

static struct sleeper *at(const struct dm_sleepers *sleepers, uint32_t item)
{
    return &sleepers->pool[item - 1];
}

static struct dm_slice contact_of(const struct sleeper *sleeper)
{
    if (sleeper->size <= INLINE_MAX) {
        return dm_slice(sleeper->id, sleeper->size);
    }
    void *outside;
    memcpy(&outside, sleeper->id, sizeof outside);
    return dm_slice(outside, sleeper->size);
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
    dm_key_make(&key, sleeper->account, contact_of(sleeper));
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
        !dm_index_init(&sleepers->index, sleepers_max, index_link, index_hash, sleepers)) {
        dm_sleepers_destroy(sleepers);
        return NULL;
    }
    sleepers->pool = sleepers->region.base;
    return sleepers;
}

static void free_id(struct dm_sleepers *sleepers, struct sleeper *sleeper)
{
    if (sleeper->size > INLINE_MAX) {
        void *outside;
        memcpy(&outside, sleeper->id, sizeof outside);
        free(outside);
        sleepers->long_ids -= sleeper->size;
    }
    sleeper->size = 0;
}

void dm_sleepers_destroy(struct dm_sleepers *sleepers)
{
    if (sleepers == NULL) {
        return;
    }
    for (uint32_t i = 0; i < sleepers->used; i++) {
        free_id(sleepers, &sleepers->pool[i]);
    }
    dm_index_finish(&sleepers->index);
    dm_region_finish(&sleepers->region);
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
        if (sleeper->account == account && dm_slice_equal(contact_of(sleeper), contact)) {
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
    free_id(sleepers, at(sleepers, item));
    at(sleepers, item)->link = sleepers->free;
    sleepers->free = item;
}

static bool store_id(struct dm_sleepers *sleepers, struct sleeper *sleeper, struct dm_slice id)
{
    if (id.size <= INLINE_MAX) {
        memcpy(sleeper->id, id.data, id.size);
    } else {
        void *outside = malloc(id.size);
        if (outside == NULL) {
            return false;
        }
        memcpy(outside, id.data, id.size);
        memcpy(sleeper->id, &outside, sizeof outside);
        sleepers->long_ids += id.size;
    }
    sleeper->size = (uint8_t)id.size;
    return true;
}

bool dm_sleepers_set(struct dm_sleepers *sleepers, struct dm_slice key, int64_t until_ms,
                     uint64_t fence)
{
    uint32_t account = dm_key_account(key);
    struct dm_slice contact = dm_key_contact(key);
    uint64_t hash = hash_of(key);
    uint32_t item = find(sleepers, account, contact, hash);
    if (item == 0) {
        item = take_free(sleepers);
        if (item == 0) {
            return false;
        }
        struct sleeper *sleeper = at(sleepers, item);
        sleeper->account = account;
        if (!store_id(sleepers, sleeper, contact)) {
            give_free(sleepers, item);
            return false;
        }
        dm_index_insert(&sleepers->index, item, hash);
    }
    at(sleepers, item)->fence = (uint32_t)fence;
    dm_wheel_arm(sleepers->wheel, item - 1, (uint64_t)until_ms);
    return true;
}

void dm_sleepers_clear(struct dm_sleepers *sleepers, struct dm_slice key)
{
    uint32_t account = dm_key_account(key);
    struct dm_slice contact = dm_key_contact(key);
    uint64_t hash = hash_of(key);
    uint32_t item = find(sleepers, account, contact, hash);
    if (item != 0) {
        dm_wheel_cancel(sleepers->wheel, item - 1);
        dm_index_remove(&sleepers->index, item, hash);
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
        struct dm_slice contact = contact_of(sleeper);
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
           (size_t)sleepers->used * sizeof *sleepers->pool + sleepers->long_ids;
}
