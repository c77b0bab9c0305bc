#ifndef DM_VIEW_WAKE_KEY_H
#define DM_VIEW_WAKE_KEY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys of DM_TABLE_WAKES. `out` has room for DM_WAKE_KEY_SIZE_MAX; returns the size. */
enum { DM_WAKE_KEY_SIZE_MAX = 4 + 8 + 64 };
size_t dm_wake_key_make(uint8_t *out, struct dm_slice contact_key, int64_t until_ms);
struct dm_wake_key {
    uint32_t account;
    int64_t until_ms;
    struct dm_slice contact; /* the contact_id alone */
};
/* false: it is none that dm_wake_key_make makes of a contact that sleeps. */
bool dm_wake_key_read(struct dm_wake_key *out, struct dm_slice key);

#endif
