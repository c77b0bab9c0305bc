#include "rpc/token.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/hash.h"

enum { VERSION = 1, HEAD = 5, RAW_MAX = HEAD + DM_POSITION_MAX };

_Static_assert(DM_TOKEN_MAX <= UINT8_MAX, "a token's size has a byte");
_Static_assert(DM_POSITION_MAX >= sizeof(uint64_t) + DM_ID_SIZE_MAX, "a wake time and an id");

static uint32_t check_sum(uint64_t query, const uint8_t *position, size_t size)
{
    uint8_t bytes[8];
    dm_store_le64(bytes, query);
    return dm_crc32c(dm_crc32c(0, bytes, sizeof bytes), position, size);
}

void dm_token_make(struct dm_token *token, uint64_t query, struct dm_slice position)
{
    uint8_t raw[RAW_MAX] = {VERSION};
    DM_ASSERT(position.size <= DM_POSITION_MAX);
    memcpy(raw + HEAD, position.data, position.size);
    dm_store_le32(raw + 1, check_sum(query, raw + HEAD, position.size));
    struct dm_slice bytes = dm_slice(raw, HEAD + position.size);
    dm_base64_write(DM_BASE64_URL, bytes, (uint8_t *)token->text);
    token->size = (uint8_t)dm_base64_size(DM_BASE64_URL, bytes.size);
}

enum dm_code dm_token_read(struct dm_slice token, uint64_t query, struct dm_position *position,
                           struct dm_error *error)
{
    uint8_t raw[DM_TOKEN_MAX];
    ptrdiff_t read = token.size <= DM_TOKEN_MAX ? dm_base64_read(token, raw) : -1;
    size_t size = (size_t)read;
    if (read < HEAD || size > RAW_MAX || raw[0] != VERSION ||
        dm_load_le32(raw + 1) != check_sum(query, raw + HEAD, size - HEAD)) {
        return dm_fail(
            error, DM_INVALID_ARGUMENT,
            "page_token: does not belong to this query; repeat the query exactly, or begin "
            "without a token");
    }
    position->size = size - HEAD;
    memcpy(position->bytes, raw + HEAD, position->size);
    return DM_OK;
}
