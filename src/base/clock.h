#ifndef DM_BASE_CLOCK_H
#define DM_BASE_CLOCK_H

#include <stdint.h>

/* The only source of time. Everything below loop/ is given one, or a time, and
 * asks no system clock; tests and simulation hand in a virtual one. */
struct dm_clock {
    int64_t (*wall_ms)(void *context);       /* UTC, milliseconds since 1970; may step */
    uint64_t (*monotonic_ns)(void *context); /* never goes back */
    void *context;
};

static inline int64_t dm_clock_wall_ms(const struct dm_clock *clock)
{
    return clock->wall_ms(clock->context);
}

static inline uint64_t dm_clock_monotonic_ns(const struct dm_clock *clock)
{
    return clock->monotonic_ns(clock->context);
}

/* The machine's clocks. */
struct dm_clock dm_clock_system(void);

#endif
