#ifndef DM_CORE_IDENT_H
#define DM_CORE_IDENT_H

#include "base/code.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdint.h>

/* An id (account, contact, bot): 1 to DM_ID_SIZE_MAX bytes of valid UTF-8 (no
 * surrogates, no overlong forms, at most U+10FFFF) without control characters
 * (U+0000 to U+001F, U+007F to U+009F). DM_INVALID_ARGUMENT with a sentence that
 * begins with `field` otherwise. */
enum dm_code dm_id_check(struct dm_slice id, const char *field, struct dm_error *error);

/* The same for free text that may be empty (actor, request_id), at most `size_max`. */
enum dm_code dm_text_check(struct dm_slice text, size_t size_max, const char *field,
                           struct dm_error *error);

/* A contact's key in every ordered place: BE32(account) ‖ contact_id. */
enum { DM_KEY_SIZE_MAX = 4 + DM_ID_SIZE_MAX };

struct dm_key {
    uint8_t size;
    uint8_t bytes[DM_KEY_SIZE_MAX];
};

/* `contact` has been checked; empty: what all keys of the account begin with. */
void dm_key_make(struct dm_key *key, uint32_t account, struct dm_slice contact);

static inline void dm_key_copy(struct dm_key *to, const struct dm_key *from)
{
    to->size = from->size;
    memcpy(to->bytes, from->bytes, from->size);
}

static inline struct dm_slice dm_key_slice(const struct dm_key *key)
{
    return dm_slice(key->bytes, key->size);
}

/* A key and its dm_keyed_hash: several calls about one key need it only once. */
struct dm_hashed_key {
    struct dm_slice key;
    uint64_t hash;
};

static inline struct dm_hashed_key dm_key_hashed(struct dm_slice key)
{
    return (struct dm_hashed_key){.key = key, .hash = dm_keyed_hash(key.data, key.size)};
}

uint32_t dm_key_account(struct dm_slice key);
struct dm_slice dm_key_contact(struct dm_slice key);

#endif
