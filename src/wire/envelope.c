#include "wire/envelope.h"

#include "base/bytes.h"

void dm_envelope_write(uint8_t head[DM_ENVELOPE_HEAD], uint8_t flags, size_t size)
{
    head[0] = flags;
    dm_store_be32(head + 1, (uint32_t)size);
}

enum dm_code dm_envelope_read(struct dm_slice bytes, size_t size_max, bool *whole,
                              struct dm_slice *message, const char **why)
{
    const uint8_t *head = bytes.data;
    *whole = false;
    if (bytes.size == 0) {
        return DM_OK;
    }
    if (head[0] == DM_ENVELOPE_COMPRESSED) {
        *why = "a message is flagged as compressed, but no encoding was agreed";
        return DM_INTERNAL;
    }
    if (head[0] != 0) {
        *why = "a message has unknown flags";
        return DM_INTERNAL;
    }
    if (bytes.size < DM_ENVELOPE_HEAD) {
        return DM_OK;
    }
    size_t size = dm_load_be32(head + 1);
    if (size > size_max) {
        *why = DM_TOO_LARGE_SENTENCE;
        return DM_RESOURCE_EXHAUSTED;
    }
    if (bytes.size - DM_ENVELOPE_HEAD >= size) {
        *whole = true;
        *message = dm_slice(head + DM_ENVELOPE_HEAD, size);
    }
    return DM_OK;
}
