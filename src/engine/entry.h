#ifndef DM_ENGINE_ENTRY_H
#define DM_ENGINE_ENTRY_H

#include "base/slice.h"
#include "core/ident.h"
#include "core/policy.h"
#include "core/record.h"

#include <stdbool.h>
#include <stdint.h>

/* What the engine writes into the journal. Every entry says what is, not what to do:
 * replaying it again changes nothing. Little-endian, version in the kind. */
enum dm_entry_kind {
    DM_ENTRY_CONTACT = 1, /* a contact's state after a write; an event where it has a seq */
    DM_ENTRY_DELETE = 2,  /* a contact is gone */
    DM_ENTRY_ACCOUNT = 3, /* an account got its number */
    DM_ENTRY_BOT = 4,     /* a bot of an account got its number, or its policy changed */
};

struct dm_entry_contact {
    uint32_t account;
    uint8_t from; /* enum dm_status; NONE: it did not exist */
    uint32_t missed_inbound;
    int64_t at_ms, due_ms;
    uint64_t previous_seq;
    struct dm_slice contact, record; /* record: encoded */
};
struct dm_entry_delete {
    uint32_t account;
    uint8_t from;
    int64_t at_ms;
    uint64_t fence_floor; /* of the account from now on */
    struct dm_slice contact;
};
struct dm_entry_account {
    uint32_t account;
    struct dm_slice id;
};
struct dm_entry_bot {
    uint32_t account, bot;
    struct dm_slice id, policy; /* policy: encoded; empty: none was set */
};
struct dm_entry_body {
    enum dm_entry_kind kind;
    union {
        struct dm_entry_contact contact;
        struct dm_entry_delete deleted;
        struct dm_entry_account account;
        struct dm_entry_bot bot;
    };
};

enum { DM_ENTRY_SIZE_MAX = 48 + DM_ID_SIZE_MAX + DM_RECORD_SIZE_MAX + DM_POLICY_SIZE };

/* Returns the size written to `out` (room for DM_ENTRY_SIZE_MAX). */
size_t dm_entry_encode(const struct dm_entry_body *body, uint8_t *out);
/* Slices point into `bytes`. false: no entry of a known kind, or cut. */
bool dm_entry_decode(struct dm_entry_body *body, struct dm_slice bytes);

#endif
