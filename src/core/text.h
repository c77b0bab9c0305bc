#ifndef DM_CORE_TEXT_H
#define DM_CORE_TEXT_H

#include "base/assert.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdint.h>

/* Text of at most 64 bytes kept by value (an actor). */
struct dm_text64 {
    uint8_t size;
    char bytes[64];
};

_Static_assert(DM_ACTOR_SIZE_MAX <= sizeof((struct dm_text64 *)0)->bytes, "every actor fits");

static inline void dm_text64_set(struct dm_text64 *text, struct dm_slice from)
{
    DM_ASSERT(from.size <= sizeof text->bytes);
    text->size = (uint8_t)from.size;
    if (from.size > 0) {
        memcpy(text->bytes, from.data, from.size);
    }
}

#endif
