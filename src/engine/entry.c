#include "engine/entry.h"

#include "base/assert.h"
#include "base/bytes.h"

/* All kinds begin: kind, from, id size, 0, account. */
enum { PREFIX = 8, CONTACT_HEAD = 40, DELETE_HEAD = 24, ACCOUNT_HEAD = 8, BOT_HEAD = 16 };

_Static_assert(DM_ID_SIZE_MAX <= UINT8_MAX, "an id's size is one byte");
_Static_assert(DM_RECORD_SIZE_MAX <= UINT16_MAX, "a record's size is two bytes");
_Static_assert(DM_ENTRY_SIZE_MAX >= CONTACT_HEAD + DM_ID_SIZE_MAX + DM_RECORD_SIZE_MAX &&
                   DM_ENTRY_SIZE_MAX >= BOT_HEAD + DM_ID_SIZE_MAX + DM_POLICY_SIZE &&
                   DM_ENTRY_SIZE_MAX >= DELETE_HEAD + DM_ID_SIZE_MAX,
               "every kind has room");

static uint8_t *put_prefix(uint8_t *out, enum dm_entry_kind kind, uint8_t from, size_t id_size,
                           uint32_t account)
{
    DM_ASSERT(id_size <= DM_ID_SIZE_MAX);
    out[0] = (uint8_t)kind;
    out[1] = from;
    out[2] = (uint8_t)id_size;
    out[3] = 0;
    dm_store_le32(out + 4, account);
    return out + PREFIX;
}

static size_t put_bytes(uint8_t *out, size_t at, struct dm_slice bytes)
{
    if (bytes.size != 0) {
        memcpy(out + at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

static size_t encode_contact(const struct dm_entry_contact *c, uint8_t *out)
{
    DM_ASSERT(c->record.size <= DM_RECORD_SIZE_MAX);
    uint8_t *p = put_prefix(out, DM_ENTRY_CONTACT, c->from, c->contact.size, c->account);
    dm_store_le64(p, (uint64_t)c->at_ms);
    dm_store_le64(p + 8, c->previous_seq);
    dm_store_le64(p + 16, (uint64_t)c->due_ms);
    dm_store_le32(p + 24, c->missed_inbound);
    dm_store_le16(p + 28, (uint16_t)c->record.size);
    dm_store_le16(p + 30, 0);
    return put_bytes(out, put_bytes(out, CONTACT_HEAD, c->contact), c->record);
}

static bool decode_contact(struct dm_entry_contact *c, const uint8_t *in, size_t size)
{
    if (size < CONTACT_HEAD) {
        return false;
    }
    size_t id_size = in[2];
    size_t record_size = dm_load_le16(in + 36);
    if (size != CONTACT_HEAD + id_size + record_size) {
        return false;
    }
    *c = (struct dm_entry_contact){
        .account = dm_load_le32(in + 4),
        .from = in[1],
        .at_ms = (int64_t)dm_load_le64(in + 8),
        .previous_seq = dm_load_le64(in + 16),
        .due_ms = (int64_t)dm_load_le64(in + 24),
        .missed_inbound = dm_load_le32(in + 32),
        .contact = dm_slice(in + CONTACT_HEAD, id_size),
        .record = dm_slice(in + CONTACT_HEAD + id_size, record_size),
    };
    return true;
}

static size_t encode_delete(const struct dm_entry_delete *d, uint8_t *out)
{
    uint8_t *p = put_prefix(out, DM_ENTRY_DELETE, d->from, d->contact.size, d->account);
    dm_store_le64(p, (uint64_t)d->at_ms);
    dm_store_le64(p + 8, d->fence_floor);
    return put_bytes(out, DELETE_HEAD, d->contact);
}

static bool decode_delete(struct dm_entry_delete *d, const uint8_t *in, size_t size)
{
    if (size < DELETE_HEAD || size != (size_t)DELETE_HEAD + in[2]) {
        return false;
    }
    *d = (struct dm_entry_delete){
        .account = dm_load_le32(in + 4),
        .from = in[1],
        .at_ms = (int64_t)dm_load_le64(in + 8),
        .fence_floor = dm_load_le64(in + 16),
        .contact = dm_slice(in + DELETE_HEAD, in[2]),
    };
    return true;
}

static size_t encode_bot(const struct dm_entry_bot *b, uint8_t *out)
{
    uint8_t *p = put_prefix(out, DM_ENTRY_BOT, 0, b->id.size, b->account);
    dm_store_le32(p, b->bot);
    dm_store_le32(p + 4, (uint32_t)b->policy.size);
    return put_bytes(out, put_bytes(out, BOT_HEAD, b->id), b->policy);
}

static bool decode_bot(struct dm_entry_bot *b, const uint8_t *in, size_t size)
{
    if (size < BOT_HEAD || size < (size_t)BOT_HEAD + in[2]) {
        return false;
    }
    size_t policy_at = (size_t)BOT_HEAD + in[2];
    if (size - policy_at != dm_load_le32(in + 12)) {
        return false;
    }
    *b = (struct dm_entry_bot){
        .account = dm_load_le32(in + 4),
        .bot = dm_load_le32(in + 8),
        .id = dm_slice(in + BOT_HEAD, in[2]),
        .policy = dm_slice(in + policy_at, size - policy_at),
    };
    return true;
}

size_t dm_entry_encode(const struct dm_entry_body *body, uint8_t *out)
{
    switch (body->kind) {
    case DM_ENTRY_CONTACT:
        return encode_contact(&body->contact, out);
    case DM_ENTRY_DELETE:
        return encode_delete(&body->deleted, out);
    case DM_ENTRY_ACCOUNT:
        (void)put_prefix(out, DM_ENTRY_ACCOUNT, 0, body->account.id.size, body->account.account);
        return put_bytes(out, ACCOUNT_HEAD, body->account.id);
    case DM_ENTRY_BOT:
        return encode_bot(&body->bot, out);
    }
    DM_ASSERT(body->kind == DM_ENTRY_BOT); /* an unknown kind */
    return 0;
}

bool dm_entry_decode(struct dm_entry_body *body, struct dm_slice bytes)
{
    const uint8_t *in = bytes.data;
    if (bytes.size < PREFIX || in[2] > DM_ID_SIZE_MAX) {
        return false;
    }
    body->kind = (enum dm_entry_kind)in[0];
    switch (body->kind) {
    case DM_ENTRY_CONTACT:
        return decode_contact(&body->contact, in, bytes.size);
    case DM_ENTRY_DELETE:
        return decode_delete(&body->deleted, in, bytes.size);
    case DM_ENTRY_ACCOUNT:
        body->account = (struct dm_entry_account){
            .account = dm_load_le32(in + 4),
            .id = dm_slice(in + ACCOUNT_HEAD, in[2]),
        };
        return bytes.size == (size_t)ACCOUNT_HEAD + in[2];
    case DM_ENTRY_BOT:
        return decode_bot(&body->bot, in, bytes.size);
    }
    return false;
}
