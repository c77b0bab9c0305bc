#ifndef DM_BASE_CLOCK_H
#define DM_BASE_CLOCK_H

#include <stdbool.h>
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

/* A clock over another one, whose wall time can be held: then everything that a thread does in
 * one go, a hundred calls perhaps, has the same time and costs one reading. The monotonic time
 * goes on. Belongs to one thread. */
struct dm_held_clock {
    struct dm_clock base;
    bool held;
    int64_t wall_ms; /* while held */
};

/* `held` must stay where it is while the clock is used. */
struct dm_clock dm_clock_held(struct dm_held_clock *held);

/* Holds the wall time at now. If it is held already, it moves on to now. */
static inline void dm_clock_hold(struct dm_held_clock *held)
{
    held->wall_ms = dm_clock_wall_ms(&held->base);
    held->held = true;
}

static inline void dm_clock_let_go(struct dm_held_clock *held)
{
    held->held = false;
}

#endif
