#include "core/ident.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdbool.h>

/* One UTF-8 sequence at the front of [at, end): its length, 0 when it is none.
 * Each lead byte fixes the length and the range of the second byte, which is what
 * rules out overlong forms, surrogates and all beyond U+10FFFF (the Unicode
 * Standard, table 3-7). */
static size_t utf8_length(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if ((size_t)(end - at) < length) {
        return 0;
    }
    switch (lead) {
    case 0xE0:
        low = 0xA0;
        break;
    case 0xED:
        high = 0x9F;
        break;
    case 0xF0:
        low = 0x90;
        break;
    case 0xF4:
        high = 0x8F;
        break;
    default:
        break;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xBF) {
            return 0;
        }
    }
    return length;
}

/* U+0000 to U+001F, U+007F, and U+0080 to U+009F, which are C2 80 to C2 9F. */
static bool is_control(const uint8_t *at)
{
    return at[0] < 0x20 || at[0] == 0x7F || (at[0] == 0xC2 && at[1] <= 0x9F);
}

/* How many bytes at the front are printable ASCII, looked at 8 at a time: nearly all ids
 * are nothing else. May stop early. */
static size_t plain_length(const uint8_t *at, size_t size)
{
    const uint64_t ones = 0x0101010101010101U, highs = ones << 7;
    size_t length = 0;
    while (length + 8 <= size) {
        uint64_t word = dm_load_le64(at + length);
        /* A high bit is set in: a byte that has it; one below 0x20, by the borrow; 0x7F, by
         * the carry. */
        if (((word | (word - ones * 0x20) | (word + ones)) & highs) != 0) {
            break;
        }
        length += 8;
    }
    return length;
}

enum dm_code dm_text_check(struct dm_slice text, size_t size_max, const char *field,
                           struct dm_error *error)
{
    if (text.size > size_max) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "%s: has %zu bytes; at most %zu are allowed",
                       field, text.size, size_max);
    }
    if (text.size == 0) {
        return DM_OK;
    }
    const uint8_t *at = text.data, *end = at + text.size;
    at += plain_length(at, text.size);
    while (at < end) {
        size_t offset = text.size - (size_t)(end - at);
        size_t length = utf8_length(at, end);
        if (length == 0) {
            return dm_fail(error, DM_INVALID_ARGUMENT,
                           "%s: is not valid UTF-8 at byte %zu; send UTF-8 text", field, offset);
        }
        if (is_control(at)) {
            return dm_fail(error, DM_INVALID_ARGUMENT,
                           "%s: has a control character at byte %zu; remove it", field, offset);
        }
        at += length;
    }
    return DM_OK;
}

enum dm_code dm_id_check(struct dm_slice id, const char *field, struct dm_error *error)
{
    if (id.size == 0) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "%s: is missing; give 1 to %d bytes", field,
                       DM_ID_SIZE_MAX);
    }
    return dm_text_check(id, DM_ID_SIZE_MAX, field, error);
}

void dm_key_make(struct dm_key *key, uint32_t account, struct dm_slice contact)
{
    DM_ASSERT(contact.size <= DM_ID_SIZE_MAX);
    key->size = (uint8_t)(sizeof account + contact.size);
    dm_store_be32(key->bytes, account);
    if (contact.size != 0) {
        memcpy(key->bytes + sizeof account, contact.data, contact.size);
    }
}

uint32_t dm_key_account(struct dm_slice key)
{
    DM_ASSERT(key.size >= sizeof(uint32_t));
    return dm_load_be32(key.data);
}

struct dm_slice dm_key_contact(struct dm_slice key)
{
    DM_ASSERT(key.size >= sizeof(uint32_t));
    return dm_slice((const uint8_t *)key.data + sizeof(uint32_t), key.size - sizeof(uint32_t));
}
