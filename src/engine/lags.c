#include "engine/lags.h"

#include "base/assert.h"

#include <stdlib.h>

void dm_engine_note_wake(struct dm_engine *engine, uint64_t lsn, int64_t due_ms)
{
    struct dm_lag_ring *ring = &engine->lags;
    if (ring->count == ring->capacity) {
        uint32_t capacity = ring->capacity == 0 ? 1024 : ring->capacity * 2;
        struct dm_lag *items = malloc((size_t)capacity * sizeof *items);
        if (items == NULL) {
            engine->wakes++; /* its lag stays unknown */
            return;
        }
        for (uint32_t i = 0; i < ring->count; i++) {
            items[i] = ring->items[(ring->head + i) & (ring->capacity - 1)];
        }
        free(ring->items);
        *ring = (struct dm_lag_ring){.items = items, .count = ring->count, .capacity = capacity};
    }
    DM_ASSERT(ring->count < ring->capacity && (ring->capacity & (ring->capacity - 1)) == 0);
    ring->items[(ring->head + ring->count++) & (ring->capacity - 1)] =
        (struct dm_lag){.lsn = lsn, .due_ms = due_ms};
}

void dm_engine_note_lags(struct dm_engine *engine, int64_t now_ms)
{
    struct dm_lag_ring *ring = &engine->lags;
    uint64_t durable = dm_order_durable(engine->order);
    while (ring->count != 0 && ring->items[ring->head].lsn <= durable) {
        int64_t lag_ms = now_ms - ring->items[ring->head].due_ms;
        dm_histogram_add(&engine->wake_lag_ms, lag_ms < 0 ? 0 : (uint64_t)lag_ms);
        engine->wakes++;
        ring->head = (ring->head + 1) & (ring->capacity - 1);
        ring->count--;
    }
}
