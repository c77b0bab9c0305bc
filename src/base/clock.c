#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t system_wall_ms(void *context)
{
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t system_monotonic_ns(void *context)
{
    (void)context;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct dm_clock dm_clock_system(void)
{
    return (struct dm_clock){
        .wall_ms = system_wall_ms, .monotonic_ns = system_monotonic_ns, .context = NULL};
}

static int64_t held_wall_ms(void *context)
{
    const struct dm_held_clock *held = context;
    return held->held ? held->wall_ms : dm_clock_wall_ms(&held->base);
}

static uint64_t held_monotonic_ns(void *context)
{
    const struct dm_held_clock *held = context;
    return dm_clock_monotonic_ns(&held->base);
}

struct dm_clock dm_clock_held(struct dm_held_clock *held)
{
    return (struct dm_clock){
        .wall_ms = held_wall_ms, .monotonic_ns = held_monotonic_ns, .context = held};
}
