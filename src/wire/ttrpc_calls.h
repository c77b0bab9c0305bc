#ifndef DM_WIRE_TTRPC_CALLS_H
#define DM_WIRE_TTRPC_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* The open calls of one ttrpc connection, by stream id. A call that is answered before the next
 * one comes leaves no trace; others stand in a table: linear probing, at most half full. */

enum dm_ttrpc_call_state {
    DM_TTRPC_CALL_CLOSED,    /* the client has sent all: unary, or one request and a stream back */
    DM_TTRPC_CALL_OPEN,      /* data frames may come */
    DM_TTRPC_CALL_CANCELLED, /* ended by us, and the owner does not know yet */
};

struct dm_ttrpc_call {
    uint32_t id;   /* 0: an empty place */
    uint8_t state; /* enum dm_ttrpc_call_state */
};

/* Zeroed: empty. */
struct dm_ttrpc_calls {
    struct dm_ttrpc_call current; /* begun last, not in the table yet; id 0: none */
    struct dm_ttrpc_call *places; /* NULL: none yet */
    uint32_t size, used;
    uint32_t displaced;    /* of them not in their own place */
    uint32_t cancelled;    /* of them DM_TTRPC_CALL_CANCELLED */
    uint32_t round, begin; /* the last one that was asked for, and where its ids begin */
};

void dm_ttrpc_calls_finish(struct dm_ttrpc_calls *calls);

/* A call begins; the one before is settled. */
void dm_ttrpc_calls_begin(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call);
/* Puts the one that began last into the table, if it is open still. false: no memory. */
bool dm_ttrpc_calls_settle(struct dm_ttrpc_calls *calls);
/* Handed out, and without a last frame? */
bool dm_ttrpc_calls_is_open(struct dm_ttrpc_calls *calls, uint64_t id);
/* Forgets an id. True when it was open: its owner counts on an end. */
bool dm_ttrpc_calls_close(struct dm_ttrpc_calls *calls, uint64_t id);
/* One that was closed is to be told of as cancelled. false: no memory. */
bool dm_ttrpc_calls_cancel(struct dm_ttrpc_calls *calls, uint32_t id);
/* Forgets one of those, and returns its id; 0: there is none. */
uint32_t dm_ttrpc_calls_next_cancelled(struct dm_ttrpc_calls *calls);

/* ---- the table ------------------------------------------------------------------------ */

/* NULL: no such call is in it. Any number is an id that may be asked for. */
struct dm_ttrpc_call *dm_ttrpc_calls_find(struct dm_ttrpc_calls *calls, uint64_t id);
/* Adds a call that is not in the table yet; its id is not 0. false when there is no memory. */
bool dm_ttrpc_calls_add(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call call);
/* `call` is in the table; what else was found in it may stand elsewhere after. */
void dm_ttrpc_calls_remove(struct dm_ttrpc_calls *calls, struct dm_ttrpc_call *call);

#endif
