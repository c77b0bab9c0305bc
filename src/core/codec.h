#ifndef DM_CORE_CODEC_H
#define DM_CORE_CODEC_H

#include "base/bytes.h"
#include "core/text.h"

#include <stdbool.h>

/* Inside core only: fixed-layout little-endian fields, one after the other. Each
 * moves *at past its field; the caller has made sure of the room. */

static inline void dm_put8(uint8_t **at, uint8_t v)
{
    *(*at)++ = v;
}

static inline void dm_put16(uint8_t **at, uint16_t v)
{
    dm_store_le16(*at, v);
    *at += sizeof v;
}

static inline void dm_put32(uint8_t **at, uint32_t v)
{
    dm_store_le32(*at, v);
    *at += sizeof v;
}

static inline void dm_put64(uint8_t **at, uint64_t v)
{
    dm_store_le64(*at, v);
    *at += sizeof v;
}

static inline uint8_t dm_get8(const uint8_t **at)
{
    return *(*at)++;
}

static inline uint16_t dm_get16(const uint8_t **at)
{
    uint16_t v = dm_load_le16(*at);
    *at += sizeof v;
    return v;
}

static inline uint32_t dm_get32(const uint8_t **at)
{
    uint32_t v = dm_load_le32(*at);
    *at += sizeof v;
    return v;
}

static inline uint64_t dm_get64(const uint8_t **at)
{
    uint64_t v = dm_load_le64(*at);
    *at += sizeof v;
    return v;
}

/* false when the text is longer than it may be, or than what is left before `end`. */
static inline bool dm_get_text(const uint8_t **at, const uint8_t *end, size_t size,
                               struct dm_text64 *text)
{
    if (size > sizeof text->bytes || size > (size_t)(end - *at)) {
        return false;
    }
    text->size = (uint8_t)size;
    memcpy(text->bytes, *at, size);
    *at += size;
    return true;
}

#endif
