#ifndef DM_WHEEL_WHEEL_H
#define DM_WHEEL_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hierarchical timer wheel (Varghese and Lauck, 1987), exact: an entry expires
 * at its tick, never before, and is not rounded to a slot. Pure: time comes in,
 * expired entries come out; it reads no clock and calls nobody back.
 *
 * Ticks are uint64 of any unit (here: milliseconds since 1970). Eight levels of
 * 256 slots: an entry sits at the level of the highest byte in which its tick
 * differs from `now`, so every tick fits and nothing wraps. Entries are the
 * caller's small integers (indices of its own pool); links are 32 bits.
 *
 * Insert, cancel and re-arm are O(1). An entry cascades at most once a level; one
 * that is re-armed to a later tick may stay in its slot until time reaches that, and
 * is placed anew then. Both cascading and expiring take a budget, so a burst never
 * stalls a turn.
 *
 * The wheel never goes back: a tick at or before `now` counts as `now`, for the
 * order too, and expires at the next advance. */

#define DM_WHEEL_NONE UINT32_MAX
/* The pool's positions are 32 bits, and the slots' lists have some of them. */
#define DM_WHEEL_ENTRIES_MAX 0xffff0000U

struct dm_wheel;

/* Entries are 0 to entry_max - 1 (address space is reserved for all of them, memory
 * comes when an entry is first used). NULL when there is no memory, or for more than
 * DM_WHEEL_ENTRIES_MAX. */
struct dm_wheel *dm_wheel_create(uint32_t entry_max, uint64_t now);
void dm_wheel_destroy(struct dm_wheel *wheel);

/* Arms `entry`; if it is armed, moves it. */
void dm_wheel_arm(struct dm_wheel *wheel, uint32_t entry, uint64_t tick);

/* No effect when it is not armed. An entry that has expired and was not yet popped
 * is armed still, and can be cancelled or re-armed. */
void dm_wheel_cancel(struct dm_wheel *wheel, uint32_t entry);
bool dm_wheel_armed(const struct dm_wheel *wheel, uint32_t entry);
uint64_t dm_wheel_tick(const struct dm_wheel *wheel, uint32_t entry); /* of an armed one */

/* Moves time on, towards `now`, touching at most `budget` entries (each step of a
 * cascade and each expiry is one), and puts the expired ones into `out` (room for
 * out_max), in order of their ticks; of equal ticks, in any order. They are disarmed
 * thereby. Returns how many; *more is true while something is left to do for `now`
 * (call again, with the same or a later `now`). A `now` earlier than where the wheel
 * stands has no effect at all: nothing comes out, *more is false. */
size_t dm_wheel_advance(struct dm_wheel *wheel, uint64_t now, size_t budget, uint32_t *out,
                        size_t out_max, bool *more);

/* Not later than the earliest armed tick; exact when that shares all but its lowest
 * byte with `now` and no cascade is half done, else possibly an earlier tick at which
 * only cascading is due. UINT64_MAX when nothing is armed. */
uint64_t dm_wheel_next(const struct dm_wheel *wheel);

/* The earliest armed tick; where the wheel stands, if that one is due already. If more than
 * `looked_at_max` entries would have to be looked at, it is the beginning of the slot, which is
 * not later. UINT64_MAX when nothing is armed. */
uint64_t dm_wheel_earliest(const struct dm_wheel *wheel, size_t looked_at_max);

uint32_t dm_wheel_count(const struct dm_wheel *wheel);

/* Where the wheel stands: everything that was due before has been handed out. It is behind the
 * `now` of the last advance while that said `more`. */
uint64_t dm_wheel_now(const struct dm_wheel *wheel);

/* Bytes in use: entries ever used, and the slots. */
size_t dm_wheel_memory(const struct dm_wheel *wheel);

/* Checks every link, bitmap and count; aborts on a broken one. For tests: O(n). */
void dm_wheel_validate(const struct dm_wheel *wheel);

#endif
