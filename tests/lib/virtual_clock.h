#ifndef DM_TESTS_LIB_VIRTUAL_CLOCK_H
#define DM_TESTS_LIB_VIRTUAL_CLOCK_H

#include "base/clock.h"

/* A clock that goes only when it is told to. */
struct virtual_clock {
    int64_t wall_ms;
    uint64_t monotonic_ns;
};

static inline int64_t virtual_clock_wall(void *context)
{
    return ((struct virtual_clock *)context)->wall_ms;
}

static inline uint64_t virtual_clock_monotonic(void *context)
{
    return ((struct virtual_clock *)context)->monotonic_ns;
}

static inline struct dm_clock virtual_clock_port(struct virtual_clock *clock)
{
    return (struct dm_clock){
        .wall_ms = virtual_clock_wall, .monotonic_ns = virtual_clock_monotonic, .context = clock};
}

/* Time passes. */
static inline void virtual_clock_advance(struct virtual_clock *clock, int64_t ms)
{
    clock->wall_ms += ms;
    clock->monotonic_ns += (uint64_t)ms * 1000000U;
}

#endif
