#ifndef DM_ENGINE_SLEEPERS_H
#define DM_ENGINE_SLEEPERS_H

#include "base/slice.h"
#include "core/ident.h"

#include <stdbool.h>
#include <stdint.h>

/* The contacts that sleep within the horizon: a timer each on the wheel, found by key,
 * so that a snooze that ends otherwise leaves nothing behind. 56 bytes a contact, 64 more
 * with an id of more than 27 bytes, and 4 of its bucket. All in address space that is reserved
 * at the start: nothing here can fail for want of memory later. */

struct dm_sleepers;

struct dm_sleepers *dm_sleepers_create(uint32_t sleepers_max, int64_t now_ms);
void dm_sleepers_destroy(struct dm_sleepers *sleepers);

/* Arms the contact's one timer, or moves it. false when sleepers_max others are armed. */
bool dm_sleepers_set(struct dm_sleepers *sleepers, struct dm_hashed_key hashed, int64_t until_ms,
                     uint64_t fence);
bool dm_sleepers_has(const struct dm_sleepers *sleepers, struct dm_hashed_key hashed);
uint32_t dm_sleepers_room(const struct dm_sleepers *sleepers); /* timers that are not armed */
/* No effect when there is none. */
void dm_sleepers_clear(struct dm_sleepers *sleepers, struct dm_hashed_key hashed);

struct dm_sleeper {
    struct dm_key key;
    uint32_t fence; /* the low 32 bits of the fence it was armed with */
};
/* Takes out up to `max` whose time has come, earliest first. *more: call again soon. */
size_t dm_sleepers_expired(struct dm_sleepers *sleepers, int64_t now_ms, struct dm_sleeper *out,
                           size_t max, bool *more);

/* See dm_wheel_next; INT64_MAX when there is none. */
int64_t dm_sleepers_next(const struct dm_sleepers *sleepers);
/* See dm_wheel_earliest; INT64_MAX when there is none. */
int64_t dm_sleepers_earliest(const struct dm_sleepers *sleepers);
uint32_t dm_sleepers_count(const struct dm_sleepers *sleepers);
/* Sleepers that the worst lookup compares with. Walks all buckets: for tests. */
uint32_t dm_sleepers_longest(const struct dm_sleepers *sleepers);
size_t dm_sleepers_memory(const struct dm_sleepers *sleepers); /* bytes, everything included */

#endif
