#include "rpc/token.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"

enum { VERSION = 1, HEAD = 5, RAW_MAX = HEAD + DM_POSITION_MAX };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint32_t check_sum(uint64_t query, const uint8_t *position, size_t size)
{
    uint8_t bytes[8];
    dm_store_le64(bytes, query);
    return dm_crc32c(dm_crc32c(0, bytes, sizeof bytes), position, size);
}

void dm_token_make(struct dm_token *token, uint64_t query, struct dm_slice position)
{
    uint8_t raw[RAW_MAX + 2] = {VERSION};
    DM_ASSERT(position.size <= DM_POSITION_MAX);
    memcpy(raw + HEAD, position.data, position.size);
    dm_store_le32(raw + 1, check_sum(query, raw + HEAD, position.size));
    size_t size = HEAD + position.size, out = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
        size_t count = size - i >= 3 ? 4 : size - i + 1;
        for (size_t j = 0; j < count; j++) {
            token->text[out++] = letters[group >> (18 - 6 * j) & 63];
        }
    }
    token->size = (uint8_t)out;
}

static bool decode(struct dm_slice token, uint8_t raw[RAW_MAX], size_t *size)
{
    const char *text = token.data;
    uint32_t bits = 0, held = 0;
    *size = 0;
    if (token.size > DM_TOKEN_MAX || token.size % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < token.size; i++) {
        const char *letter = text[i] != 0 ? strchr(letters, text[i]) : NULL;
        if (letter == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(letter - letters);
        held += 6;
        if (held >= 8) {
            held -= 8;
            raw[(*size)++] = (uint8_t)(bits >> held);
        }
    }
    return *size >= HEAD && raw[0] == VERSION;
}

enum dm_code dm_token_read(struct dm_slice token, uint64_t query, struct dm_position *position,
                           struct dm_error *error)
{
    uint8_t raw[DM_TOKEN_MAX];
    size_t size;
    if (!decode(token, raw, &size) || size > RAW_MAX ||
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
