#include "wheel/wheel.h"

#include "base/assert.h"
#include "wheel/slots.h"

/* What the wheel holds, looked at without moving time: when something is due, and whether all
 * is as it must be. */

/* Lowers *earliest to the slot's earliest tick. false: there are more entries than *left. */
static bool slot_earliest(const struct dm_wheel *wheel, unsigned level, unsigned slot, size_t *left,
                          uint64_t *earliest)
{
    const struct entry *pool = wheel->pool;
    for (uint32_t lane = 0; lane < LISTS; lane++) {
        uint32_t head = head_of(level, slot) + lane;
        for (uint32_t at = pool[head].next; at != head; at = pool[at].next) {
            if (*left == 0) {
                return false;
            }
            (*left)--;
            uint64_t due = pool[at].tick > wheel->now ? pool[at].tick : wheel->now;
            *earliest = due < *earliest ? due : *earliest;
        }
    }
    return true;
}

/* Looks at the slots in the order of time, as long as they may hold something earlier. */
uint64_t dm_wheel_earliest(const struct dm_wheel *wheel, size_t looked_at_max)
{
    uint64_t earliest = UINT64_MAX;
    unsigned half_done = cascade_due(wheel) ? wheel->cascading : 0;
    /* What is left of a cascade belongs to any of the lower levels. */
    if (half_done != 0 && !slot_earliest(wheel, half_done, byte_at(wheel->now, half_done),
                                         &looked_at_max, &earliest)) {
        return wheel->now;
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned from = half_done != 0 && level == half_done ? byte_at(wheel->now, level) + 1 : 0;
        for (unsigned slot = from; wheel->levels >> level & 1 && slot < SLOTS; slot++) {
            if (!slot_occupied(wheel, level, slot)) {
                continue;
            }
            /* An entry that was re-armed later and left here may come after what follows. */
            uint64_t start = slot_start(wheel, level, slot);
            if (start > earliest) {
                return earliest;
            }
            if (!slot_earliest(wheel, level, slot, &looked_at_max, &earliest)) {
                return start;
            }
        }
    }
    return earliest;
}

/* What a slot promises of an entry in it. At a higher level the tick may lie beyond the
 * slot (it was re-armed later and left here), never before it. */
static void validate_tick(const struct dm_wheel *wheel, unsigned level, unsigned slot,
                          uint64_t tick)
{
    uint64_t start = slot_start(wheel, level, slot);
    bool here = slot == byte_at(wheel->now, level);
    if (level == 0) {
        DM_ASSERT(here ? tick <= wheel->now : tick == start);
    } else {
        DM_ASSERT(tick >= start);
        DM_ASSERT(here ? level == wheel->cascading && start == wheel->now : start > wheel->now);
    }
}

static uint32_t validate_slot(const struct dm_wheel *wheel, unsigned level, unsigned slot)
{
    const struct entry *pool = wheel->pool;
    uint32_t found = 0;
    for (uint32_t lane = 0; lane < LISTS; lane++) {
        uint32_t head = head_of(level, slot) + lane;
        for (uint32_t at = head; pool[at].next != head; found++) {
            uint32_t next = pool[at].next;
            DM_ASSERT(next >= ENTRIES_FROM && next - ENTRIES_FROM < wheel->used);
            DM_ASSERT(pool[next].prev == at && (next & LANE_MASK) == lane);
            DM_ASSERT(found < wheel->count);
            validate_tick(wheel, level, slot, pool[next].tick);
            at = next;
        }
        DM_ASSERT(pool[pool[head].prev].next == head);
    }
    DM_ASSERT(slot_occupied(wheel, level, slot) == (found != 0));
    return found;
}

void dm_wheel_validate(const struct dm_wheel *wheel)
{
    uint32_t linked = 0;
    for (unsigned level = 0; level < LEVELS; level++) {
        uint32_t before = linked;
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            linked += validate_slot(wheel, level, slot);
        }
        DM_ASSERT((wheel->levels >> level & 1) == (linked != before));
    }
    uint32_t armed = 0;
    for (uint32_t entry = 0; entry < wheel->used; entry++) {
        armed += wheel->pool[ENTRIES_FROM + entry].next != 0;
    }
    DM_ASSERT(linked == wheel->count && armed == wheel->count);
}
