#ifndef DM_CLIENT_DEADLINES_H
#define DM_CLIENT_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

/* Points in time, the soonest first: a binary heap of links that are embedded in what they
 * end. Calls with one timeout come in order, so that adding moves nothing. */
struct dm_deadline {
    uint64_t at_ms;
    uint32_t place;                                /* in the heap, from 1; 0: not in it */
    void (*expired)(struct dm_deadline *deadline); /* the owner's; the heap never calls it */
};

struct dm_deadlines {
    struct dm_deadline **heap; /* [1, count] */
    uint32_t count, capacity;
};

/* false when there is no memory. */
bool dm_deadlines_add(struct dm_deadlines *deadlines, struct dm_deadline *deadline, uint64_t at_ms);
/* One that is not in it is ignored. */
void dm_deadlines_remove(struct dm_deadlines *deadlines, struct dm_deadline *deadline);
/* NULL when empty. */
struct dm_deadline *dm_deadlines_first(const struct dm_deadlines *deadlines);
void dm_deadlines_finish(struct dm_deadlines *deadlines);

#endif
