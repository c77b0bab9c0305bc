#ifndef DM_CLIENT_BACKOFF_H
#define DM_CLIENT_BACKOFF_H

#include <stdint.h>

/* Pauses between attempts that double from min_ms to max_ms. */
struct dm_backoff {
    uint32_t min_ms, max_ms;
    uint32_t now_ms; /* of the next pause; back to min_ms after a connection that lasted */
    uint64_t random;
};

void dm_backoff_init(struct dm_backoff *backoff, uint32_t min_ms, uint32_t max_ms, uint64_t seed);
/* The next pause. Half of it is certain, half is chance: clients of one server that fell do not
 * all come back at the same moment. */
uint64_t dm_backoff_next(struct dm_backoff *backoff);
/* A connection has ended that was up for so long. If that is max_ms or more, the pauses begin at
 * min_ms again. So a server that accepts and then closes, even one that answers a call before,
 * is not asked more often than one that cannot be reached. */
void dm_backoff_lasted(struct dm_backoff *backoff, uint64_t up_ms);

#endif
