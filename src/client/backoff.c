#include "client/backoff.h"

#include "base/assert.h"

void dm_backoff_init(struct dm_backoff *backoff, uint32_t min_ms, uint32_t max_ms, uint64_t seed)
{
    DM_ASSERT(min_ms <= max_ms);
    *backoff = (struct dm_backoff){.min_ms = min_ms, .max_ms = max_ms, .now_ms = min_ms};
    backoff->random = seed | 1; /* never zero */
}

static uint64_t next_random(struct dm_backoff *backoff)
{
    backoff->random ^= backoff->random << 13;
    backoff->random ^= backoff->random >> 7;
    backoff->random ^= backoff->random << 17;
    return backoff->random;
}

uint64_t dm_backoff_next(struct dm_backoff *backoff)
{
    DM_ASSERT(backoff->now_ms >= backoff->min_ms && backoff->now_ms <= backoff->max_ms);
    uint64_t half = backoff->now_ms / 2;
    uint64_t pause = half + next_random(backoff) % (half + 1);
    backoff->now_ms = backoff->now_ms > backoff->max_ms / 2 ? backoff->max_ms : backoff->now_ms * 2;
    return pause;
}

void dm_backoff_lasted(struct dm_backoff *backoff, uint64_t up_ms)
{
    if (up_ms >= backoff->max_ms) {
        backoff->now_ms = backoff->min_ms;
    }
}
