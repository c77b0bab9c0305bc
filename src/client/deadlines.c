#include "client/deadlines.h"

#include "base/assert.h"

#include <stdlib.h>

static void put(struct dm_deadlines *deadlines, uint32_t place, struct dm_deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

static void sift_up(struct dm_deadlines *deadlines, uint32_t place, struct dm_deadline *deadline)
{
    while (place > 1 && deadlines->heap[place / 2]->at_ms > deadline->at_ms) {
        put(deadlines, place, deadlines->heap[place / 2]);
        place /= 2;
    }
    put(deadlines, place, deadline);
}

static void sift_down(struct dm_deadlines *deadlines, uint32_t place, struct dm_deadline *deadline)
{
    for (;;) {
        uint32_t child = place * 2;
        if (child > deadlines->count) {
            break;
        }
        if (child < deadlines->count &&
            deadlines->heap[child + 1]->at_ms < deadlines->heap[child]->at_ms) {
            child++;
        }
        if (deadlines->heap[child]->at_ms >= deadline->at_ms) {
            break;
        }
        put(deadlines, place, deadlines->heap[child]);
        place = child;
    }
    put(deadlines, place, deadline);
}

bool dm_deadlines_add(struct dm_deadlines *deadlines, struct dm_deadline *deadline, uint64_t at_ms)
{
    if (deadlines->count + 1 >= deadlines->capacity) {
        uint32_t capacity = deadlines->capacity == 0 ? 64 : deadlines->capacity * 2;
        void *heap = realloc(deadlines->heap, capacity * sizeof(struct dm_deadline *));
        if (heap == NULL) {
            return false;
        }
        deadlines->heap = heap;
        deadlines->capacity = capacity;
    }
    DM_ASSERT(deadline->place == 0);
    deadline->at_ms = at_ms;
    sift_up(deadlines, ++deadlines->count, deadline);
    return true;
}

void dm_deadlines_remove(struct dm_deadlines *deadlines, struct dm_deadline *deadline)
{
    uint32_t place = deadline->place;
    if (place == 0) {
        return;
    }
    DM_ASSERT(place <= deadlines->count && deadlines->heap[place] == deadline);
    deadline->place = 0;
    struct dm_deadline *last = deadlines->heap[deadlines->count--];
    if (last == deadline) {
        return;
    }
    if (place > 1 && deadlines->heap[place / 2]->at_ms > last->at_ms) {
        sift_up(deadlines, place, last);
    } else {
        sift_down(deadlines, place, last);
    }
}

struct dm_deadline *dm_deadlines_first(const struct dm_deadlines *deadlines)
{
    return deadlines->count == 0 ? NULL : deadlines->heap[1];
}

void dm_deadlines_finish(struct dm_deadlines *deadlines)
{
    DM_ASSERT(deadlines->count == 0);
    free(deadlines->heap);
    *deadlines = (struct dm_deadlines){0};
}
