#include "wire/ttrpc_calls.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stddef.h>
#include <stdlib.h>

enum { SIZE_MIN = 16, SIZE_KEEP = 256 /* places that a connection without calls may keep */ };

void dm_ttrpc_calls_finish(struct dm_ttrpc_calls *calls)
{
    free(calls->places);
    *calls = (struct dm_ttrpc_calls){0};
}

/* Ids are odd and grow by two: halved, they fill neighbouring places. Each time that they have
 * come round they begin elsewhere, where nobody outside knows: an id is the client's choice, and
 * thousands of them that wanted one place would be looked through one by one. */
static uint32_t place_of(struct dm_ttrpc_calls *calls, uint32_t id)
{
    uint32_t number = id >> 1, mask = calls->size - 1;
    if ((number & ~mask) != calls->round) {
        calls->round = number & ~mask;
        /* The first begins where a zeroed table says; its ids all have places of their own. */
        calls->begin =
            calls->round == 0 ? 0 : (uint32_t)dm_keyed_hash(&calls->round, sizeof calls->round);
    }
    return (number + calls->begin) & mask;
}

struct dm_ttrpc_call *dm_ttrpc_calls_find(struct dm_ttrpc_calls *calls, uint64_t id)
{
    if (calls->used == 0 || id == 0 || id > UINT32_MAX) {
        return NULL;
    }
    for (uint32_t at = place_of(calls, (uint32_t)id);; at = (at + 1) & (calls->size - 1)) {
        if (calls->places[at].id == id) {
            return &calls->places[at];
        }
        if (calls->places[at].id == 0) {
            return NULL;
        }
    }
}

static void place_call(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call)
{
    uint32_t home = place_of(calls, call.id), at = home;
    while (calls->places[at].id != 0) {
        at = (at + 1) & (calls->size - 1);
    }
    calls->displaced += at != home;
    calls->places[at] = call;
}

static bool grow_table(struct dm_ttrpc_calls *calls)
{
    struct dm_ttrpc_call *old = calls->places;
    uint32_t old_size = calls->size;
    uint32_t size = old_size == 0 ? SIZE_MIN : old_size * 2;
    struct dm_ttrpc_call *table = calloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    calls->places = table;
    calls->size = size;
    calls->displaced = 0;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i].id != 0) {
            place_call(calls, old[i]);
        }
    }
    free(old);
    return true;
}

bool dm_ttrpc_calls_add(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call)
{
    if ((calls->used + 1) * 2 > calls->size && !grow_table(calls)) {
        return false;
    }
    place_call(calls, call);
    calls->used++;
    return true;
}

/* Moves back what could not stand in its own place. Returns where the gap is then. */
static uint32_t close_gap(struct dm_ttrpc_calls *calls, uint32_t gap)
{
    uint32_t mask = calls->size - 1;
    for (uint32_t at = (gap + 1) & mask; calls->places[at].id != 0; at = (at + 1) & mask) {
        uint32_t home = place_of(calls, calls->places[at].id);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            calls->places[gap] = calls->places[at];
            calls->displaced -= gap == home;
            gap = at;
        }
    }
    return gap;
}

void dm_ttrpc_calls_remove(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call *call)
{
    uint32_t gap = (uint32_t)(call - calls->places);
    DM_ASSERT(gap < calls->size && call->id != 0 && calls->used > 0);
    if (calls->displaced != 0) {
        calls->displaced -= gap != place_of(calls, call->id);
        gap = close_gap(calls, gap);
    }
    calls->places[gap] = (struct dm_ttrpc_call){0};
    calls->used--;
    if (calls->used == 0 && calls->size > SIZE_KEEP) {
        free(calls->places);
        calls->places = NULL;
        calls->size = 0;
    }
}

/* ---- calls
 * --------------------------------------------------------------------------------------- */

void dm_ttrpc_calls_begin(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call)
{
    DM_ASSERT(calls->current.id == 0 && call.id != 0);
    calls->current = call;
}

bool dm_ttrpc_calls_settle(struct dm_ttrpc_calls *calls)
{
    if (calls->current.id != 0) {
        if (!dm_ttrpc_calls_add(calls, calls->current)) {
            return false;
        }
        calls->current.id = 0;
    }
    return true;
}

bool dm_ttrpc_calls_is_open(struct dm_ttrpc_calls *calls, uint64_t id)
{
    if (id != 0 && calls->current.id == id) {
        return true;
    }
    const struct dm_ttrpc_call *call = dm_ttrpc_calls_find(calls, id);
    return call != NULL && call->state != DM_TTRPC_CALL_CANCELLED;
}

bool dm_ttrpc_calls_close(struct dm_ttrpc_calls *calls, uint64_t id)
{
    if (id != 0 && calls->current.id == id) {
        calls->current.id = 0;
        return true;
    }
    struct dm_ttrpc_call *call = dm_ttrpc_calls_find(calls, id);
    if (call == NULL || call->state == DM_TTRPC_CALL_CANCELLED) {
        return false;
    }
    dm_ttrpc_calls_remove(calls, call);
    return true;
}

bool dm_ttrpc_calls_cancel(struct dm_ttrpc_calls *calls, uint32_t id)
{
    const struct dm_ttrpc_call call = {.id = id, .state = DM_TTRPC_CALL_CANCELLED};
    if (!dm_ttrpc_calls_add(calls, call)) {
        return false;
    }
    calls->cancelled++;
    return true;
}

uint32_t dm_ttrpc_calls_next_cancelled(struct dm_ttrpc_calls *calls)
{
    for (uint32_t at = 0; calls->cancelled != 0 && at < calls->size; at++) {
        struct dm_ttrpc_call *call = &calls->places[at];
        if (call->id != 0 && call->state == DM_TTRPC_CALL_CANCELLED) {
            uint32_t id = call->id;
            dm_ttrpc_calls_remove(calls, call);
            calls->cancelled--;
            return id;
        }
    }
    return 0;
}
