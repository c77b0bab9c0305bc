#ifndef DM_WIRE_TTRPC_CALLS_H
#define DM_WIRE_TTRPC_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* The open calls of one ttrpc connection, by stream id: linear probing, at most half full. */

struct dm_ttrpc_call {
    uint32_t id;   /* 0: an empty place */
    uint8_t state; /* the session's */
};

/* Zeroed: empty. */
struct dm_ttrpc_calls {
    struct dm_ttrpc_call *places; /* NULL: none yet */
    uint32_t size, used;
    uint32_t displaced;    /* of them not in their own place */
    uint32_t round, begin; /* the last one that was asked for, and where its ids begin */
};

void dm_ttrpc_calls_finish(struct dm_ttrpc_calls *calls);
/* NULL: no such call is open. Any number is an id that may be asked for. */
struct dm_ttrpc_call *dm_ttrpc_calls_find(struct dm_ttrpc_calls *calls, uint64_t id);
/* One that is not in yet; its id is not 0. false when there is no memory. */
bool dm_ttrpc_calls_add(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call);
/* `call` is in the table; what else was found in it may stand elsewhere after. */
void dm_ttrpc_calls_remove(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call *call);

#endif
