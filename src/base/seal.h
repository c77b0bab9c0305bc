#ifndef DM_BASE_SEAL_H
#define DM_BASE_SEAL_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/slice.h"

#include <stdbool.h>

/* Small rows on disk, with their CRC-32C behind them. */
enum { DM_SEAL_SIZE = 4 };

/* Appends the checksum to the `size` bytes, which have room for it; returns the size with it. */
static inline size_t dm_seal(uint8_t *bytes, size_t size)
{
    dm_store_le32(bytes + size, dm_crc32c(0, bytes, size));
    return size + DM_SEAL_SIZE;
}

/* Removes the checksum. false (and nothing changes): these are not the bytes that were sealed. */
static inline bool dm_unseal(struct dm_slice *bytes)
{
    if (bytes->size < DM_SEAL_SIZE) {
        return false;
    }
    size_t size = bytes->size - DM_SEAL_SIZE;
    if (dm_load_le32((const uint8_t *)bytes->data + size) != dm_crc32c(0, bytes->data, size)) {
        return false;
    }
    bytes->size = size;
    return true;
}

#endif
