#ifndef DM_LOOP_PATIENCE_H
#define DM_LOOP_PATIENCE_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

/* How long we wait for clients. Pure: time comes in. All timers of a kind have the same limit,
 * so they stand in the order in which they were started. Starting and stopping one is O(1), and
 * nobody looks at those that are not due. */

enum patience_kind {
    PATIENCE_SILENT, /* a connection's first byte; see conns_accept */
    PATIENCE_HEAD,   /* a head, or whatever begins a connection, to be whole */
    PATIENCE_BODY,   /* a message's next bytes */
    PATIENCE_WRITE,  /* the client to take what is sent */
};
enum { PATIENCE_KINDS = 4 };

struct patience_timer {
    struct dm_list link;
    uint64_t since_ns;
    uint32_t number; /* the caller's: what is waited for */
    int64_t bytes;   /* the caller's: how far it was at the start */
};

struct patience {
    struct dm_list order[PATIENCE_KINDS];
    uint64_t limit_ns[PATIENCE_KINDS];
};

void patience_init(struct patience *patience);
void patience_timer_init(struct patience_timer *timer);

/* From now on. One that runs already starts anew. */
void patience_start(struct patience *patience, enum patience_kind kind,
                    struct patience_timer *timer, uint64_t now_ns);
/* No effect when it does not run. */
void patience_stop(struct patience_timer *timer);
static inline bool patience_runs(const struct patience_timer *timer)
{
    return !dm_list_empty(&timer->link);
}

/* The one that has been due for longest (it goes on running); NULL: none is due. */
struct patience_timer *patience_due(const struct patience *patience, enum patience_kind kind,
                                    uint64_t now_ns);
/* When one of these is due first, or 0. */
uint64_t patience_next_ns(const struct patience *patience, enum patience_kind kind);

#endif
