#include "view/wake_key.h"

#include "base/assert.h"
#include "base/bytes.h"

size_t dm_wake_key_make(uint8_t *out, struct dm_slice contact_key, int64_t until_ms)
{
    DM_ASSERT(contact_key.size >= 4 && contact_key.size + 8 <= DM_WAKE_KEY_SIZE_MAX);
    memcpy(out, contact_key.data, 4);
    dm_store_be64(out + 4, (uint64_t)until_ms);
    memcpy(out + 12, (const uint8_t *)contact_key.data + 4, contact_key.size - 4);
    return contact_key.size + 8;
}

bool dm_wake_key_read(struct dm_wake_key *out, struct dm_slice key)
{
    if (key.size <= 12 || key.size > DM_WAKE_KEY_SIZE_MAX) {
        return false;
    }
    const uint8_t *bytes = key.data;
    out->account = dm_load_be32(bytes);
    out->until_ms = (int64_t)dm_load_be64(bytes + 4);
    out->contact = dm_slice(bytes + 12, key.size - 12);
    return out->until_ms >= 0;
}
