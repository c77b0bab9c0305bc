#include "core/ident.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/utf8.h"

#include <stdbool.h>

_Static_assert(DM_KEY_SIZE_MAX + 8 <= 511, "with a time in front, a key has room in LMDB");
_Static_assert(DM_KEY_SIZE_MAX <= UINT8_MAX, "a key's size is one byte");

/* Sets the high bit of every byte that is not printable ASCII: of one that has it already, of
 * one below 0x20 by the borrow, of 0x7F by the carry. */
static uint64_t not_plain(const uint8_t *at)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t word = dm_load_le64(at);
    return (word | (word - ones * 0x20) | (word + ones)) & ones << 7;
}

/* Is all of it printable ASCII, as in nearly all ids? Looks at 8 bytes at a time, at the last
 * ones together with some before them. false: look closer. */
static bool is_plain(const uint8_t *at, size_t size)
{
    if (size < 8) {
        return false;
    }
    uint64_t found = not_plain(at + size - 8);
    for (size_t i = 0; i + 8 <= size; i += 8) {
        found |= not_plain(at + i);
    }
    return found == 0;
}

enum dm_code dm_text_check(struct dm_slice text, size_t size_max, const char *field,
                           struct dm_error *error)
{
    if (text.size > size_max) {
        return dm_fail(error, DM_INVALID_ARGUMENT, "%s: has %zu bytes; at most %zu are allowed",
                       field, text.size, size_max);
    }
    if (text.size == 0 || is_plain(text.data, text.size)) {
        return DM_OK;
    }
    const uint8_t *at = text.data, *end = at + text.size;
    while (at < end) {
        size_t offset = text.size - (size_t)(end - at);
        uint32_t point;
        size_t length = dm_utf8_read(at, end, &point);
        if (length == 0) {
            return dm_fail(error, DM_INVALID_ARGUMENT,
                           "%s: is not valid UTF-8 at byte %zu; send UTF-8 text", field, offset);
        }
        if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
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
