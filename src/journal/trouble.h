#ifndef DM_JOURNAL_TROUBLE_H
#define DM_JOURNAL_TROUBLE_H

#include "journal/order.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What the writing side has run into, and the bell by which the owner hears of it. Written by
 * whoever writes (the owner or the writer's thread), read by both.
 *
 * No space is not final: what waits is tried again. Any other failure to write, and every
 * failed sync, is: nobody knows what is on disk then, only a restart reads it. */
struct dm_trouble {
    int event;         /* an eventfd; what it tells: dm_order_event. -1: there was none to be had */
    _Atomic int state; /* enum dm_order_state */
    pthread_mutex_t mutex;
    struct dm_error error; /* under the mutex: the newest */
};

void dm_trouble_init(struct dm_trouble *trouble);
void dm_trouble_finish(struct dm_trouble *trouble);

static inline enum dm_order_state dm_trouble_state(struct dm_trouble *trouble)
{
    return (enum dm_order_state)atomic_load_explicit(&trouble->state, memory_order_acquire);
}

/* A copy of the newest. */
void dm_trouble_error(struct dm_trouble *trouble, struct dm_error *error);

/* Rings the bell. */
void dm_trouble_ring(struct dm_trouble *trouble);

/* Out of something that may come back? `failed` is -errno, here and below. */
bool dm_trouble_may_pass(int failed);

/* Notes it, and tells of it when it is worse than what was known. Always false. */
bool dm_trouble_note(struct dm_trouble *trouble, enum dm_order_state state, const char *what,
                     const char *name, int failed);
/* Of a write or an allocation: whether it is final is for `failed` to say. */
bool dm_trouble_write(struct dm_trouble *trouble, const char *what, const char *name, int failed);

/* There is space again, or nobody needed it. true: it had been missing. */
bool dm_trouble_over(struct dm_trouble *trouble);

#endif
