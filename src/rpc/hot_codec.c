#include "rpc/hot_codec.h"

#include "base/assert.h"

/* A field's key: its number and its wire type. */
#define KEY(tag, type) ((uint32_t)(tag) << 3 | (uint32_t)(type))
#define TEXT(tag) KEY(tag, PB_WT_STRING)
#define NUMBER(tag) KEY(tag, PB_WT_VARINT)

/* ---- reading ------------------------------------------------------------------ */

struct reader {
    const uint8_t *at, *end;
    const char *wrong; /* after a failure */
};

static bool fail(struct reader *from, const char *wrong)
{
    from->wrong = wrong;
    return false;
}

static struct reader reader_of(struct dm_slice bytes)
{
    const uint8_t *at = bytes.data;
    return (struct reader){.at = at, .end = bytes.size != 0 ? at + bytes.size : at};
}

static bool read_byte(struct reader *from, uint8_t *byte)
{
    if (from->at == from->end) {
        return fail(from, "end-of-stream");
    }
    *byte = *from->at++;
    return true;
}

/* May `byte`, at bit 32 and above, follow `value`? Zeros may, and the ones that extend the
 * sign of a negative int32, which is written with ten bytes. */
static bool is_extension(uint32_t value, unsigned shift, uint8_t byte)
{
    uint8_t sign = shift < 63 ? 0xFF : 0x01;
    return shift < 64 && ((byte & 0x7F) == 0 || (value >> 31 != 0 && byte == sign));
}

static bool read_long_varint32(struct reader *from, uint32_t *to)
{
    uint32_t value = 0;
    uint8_t byte;
    unsigned shift = 0;
    do {
        if (!read_byte(from, &byte)) {
            return false;
        }
        if (shift < 28) {
            value |= (uint32_t)(byte & 0x7F) << shift;
        } else if (shift == 28) {
            if ((byte & 0x70) != 0 && (byte & 0x78) != 0x78) {
                return fail(from, "varint overflow");
            }
            value |= (uint32_t)(byte & 0x0F) << shift;
        } else if (!is_extension(value, shift, byte)) {
            return fail(from, "varint overflow");
        }
        shift += 7;
    } while ((byte & 0x80) != 0);
    *to = value;
    return true;
}

/* Keys, lengths and booleans: what is beyond 32 bits is refused. */
static inline bool read_varint32(struct reader *from, uint32_t *to)
{
    if (from->at != from->end && *from->at < 0x80) {
        *to = *from->at++;
        return true;
    }
    return read_long_varint32(from, to);
}

static bool read_varint64(struct reader *from, uint64_t *to)
{
    uint64_t value = 0;
    uint8_t byte;
    unsigned shift = 0;
    do {
        if (!read_byte(from, &byte)) {
            return false;
        }
        if (shift >= 63 && (byte & 0xFE) != 0) {
            return fail(from, "varint overflow");
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0);
    *to = value;
    return true;
}

static bool read_uint32(struct reader *from, uint32_t *to)
{
    uint64_t value;
    if (!read_varint64(from, &value)) {
        return false;
    }
    *to = (uint32_t)value;
    return value <= UINT32_MAX || fail(from, "integer too large");
}

static bool read_bool(struct reader *from, bool *to)
{
    uint32_t value;
    if (!read_varint32(from, &value)) {
        return false;
    }
    *to = value != 0;
    return true;
}

static inline bool read_bytes(struct reader *from, struct dm_slice *to)
{
    uint32_t size;
    if (!read_varint32(from, &size)) {
        return false;
    }
    if (size > (size_t)(from->end - from->at)) {
        return fail(from, "parent stream too short");
    }
    *to = dm_slice(from->at, size);
    from->at += size;
    return true;
}

static bool skip_size(struct reader *from, size_t size)
{
    if (size > (size_t)(from->end - from->at)) {
        return fail(from, "end-of-stream");
    }
    from->at += size;
    return true;
}

static bool skip_varint(struct reader *from)
{
    uint8_t byte;
    do {
        if (!read_byte(from, &byte)) {
            return false;
        }
    } while ((byte & 0x80) != 0);
    return true;
}

/* A field that the message does not have; those up to `last` it has, with other types. */
static bool skip_field(struct reader *from, uint32_t key, uint32_t last)
{
    uint32_t size;
    if (key >> 3 == 0) {
        return fail(from, "zero tag");
    }
    if (key >> 3 <= last) {
        return fail(from, "wrong wire type");
    }
    switch (key & 7) {
    case PB_WT_VARINT:
        return skip_varint(from);
    case PB_WT_64BIT:
        return skip_size(from, 8);
    case PB_WT_STRING:
        return read_varint32(from, &size) && skip_size(from, size);
    case PB_WT_32BIT:
        return skip_size(from, 4);
    default:
        return fail(from, "invalid wire_type");
    }
}

/* Reads the one field with this key into the message `to`, or skips it. */
typedef bool (*field_reader)(struct reader *from, uint32_t key, void *to);

static inline bool read_fields(struct reader *from, field_reader read_field, void *to)
{
    while (from->at != from->end) {
        uint32_t key;
        if (!read_varint32(from, &key) || !read_field(from, key, to)) {
            return false;
        }
    }
    return true;
}

/* A message within a message; given twice, the second is merged into the first. */
static bool read_message(struct reader *from, field_reader read_field, void *to)
{
    struct dm_slice bytes;
    if (!read_bytes(from, &bytes)) {
        return false;
    }
    struct reader inner = reader_of(bytes);
    return read_fields(&inner, read_field, to) || fail(from, inner.wrong);
}

/* ---- requests ------------------------------------------------------------------- */

static bool read_check(struct reader *from, uint32_t key, void *message)
{
    struct dm_check_in *to = message;
    switch (key) {
    case TEXT(dormouse_v1_CheckRequest_account_id_tag):
        return read_bytes(from, &to->account_id);
    case TEXT(dormouse_v1_CheckRequest_contact_id_tag):
        return read_bytes(from, &to->contact_id);
    default:
        return skip_field(from, key, dormouse_v1_CheckRequest_contact_id_tag);
    }
}

const char *dm_check_decode(struct dm_slice from, struct dm_check_in *to)
{
    struct reader reader = reader_of(from);
    *to = (struct dm_check_in){0};
    return read_fields(&reader, read_check, to) ? NULL : reader.wrong;
}

static bool read_commit_reply(struct reader *from, uint32_t key, void *message)
{
    struct dm_commit_reply_in *to = message;
    switch (key) {
    case TEXT(dormouse_v1_CommitReplyRequest_account_id_tag):
        return read_bytes(from, &to->account_id);
    case TEXT(dormouse_v1_CommitReplyRequest_contact_id_tag):
        return read_bytes(from, &to->contact_id);
    case NUMBER(dormouse_v1_CommitReplyRequest_fence_tag):
        return read_varint64(from, &to->fence);
    case TEXT(dormouse_v1_CommitReplyRequest_request_id_tag):
        return read_bytes(from, &to->request_id);
    default:
        return skip_field(from, key, dormouse_v1_CommitReplyRequest_request_id_tag);
    }
}

const char *dm_commit_reply_decode(struct dm_slice from, struct dm_commit_reply_in *to)
{
    struct reader reader = reader_of(from);
    *to = (struct dm_commit_reply_in){0};
    return read_fields(&reader, read_commit_reply, to) ? NULL : reader.wrong;
}

static bool read_record_activity(struct reader *from, uint32_t key, void *message)
{
    struct dm_record_activity_in *to = message;
    switch (key) {
    case TEXT(dormouse_v1_RecordActivityRequest_account_id_tag):
        return read_bytes(from, &to->account_id);
    case TEXT(dormouse_v1_RecordActivityRequest_contact_id_tag):
        return read_bytes(from, &to->contact_id);
    case NUMBER(dormouse_v1_RecordActivityRequest_activity_tag):
        return read_uint32(from, &to->activity);
    case TEXT(dormouse_v1_RecordActivityRequest_actor_tag):
        return read_bytes(from, &to->actor);
    case TEXT(dormouse_v1_RecordActivityRequest_request_id_tag):
        return read_bytes(from, &to->request_id);
    default:
        return skip_field(from, key, dormouse_v1_RecordActivityRequest_request_id_tag);
    }
}

const char *dm_record_activity_decode(struct dm_slice from, struct dm_record_activity_in *to)
{
    struct reader reader = reader_of(from);
    *to = (struct dm_record_activity_in){0};
    return read_fields(&reader, read_record_activity, to) ? NULL : reader.wrong;
}

/* ---- SetStatusRequest -------------------------------------------------------------- */

/* Where the fields of a Timestamp or a Duration go: their numbers are the same. */
struct time_in {
    int64_t *seconds;
    int32_t *nanos;
};

static bool read_time(struct reader *from, uint32_t key, void *message)
{
    struct time_in *to = message;
    uint64_t value;
    switch (key) {
    case NUMBER(google_protobuf_Timestamp_seconds_tag):
        if (!read_varint64(from, &value)) {
            return false;
        }
        *to->seconds = (int64_t)value;
        return true;
    case NUMBER(google_protobuf_Timestamp_nanos_tag):
        if (!read_varint64(from, &value)) {
            return false;
        }
        *to->nanos = (int32_t)(uint32_t)value;
        return true;
    default:
        return skip_field(from, key, google_protobuf_Timestamp_nanos_tag);
    }
}

/* The last member of a oneof stands; the one before it is forgotten. */
static void choose_wake(dormouse_v1_StatusChange *change, pb_size_t tag)
{
    if (change->which_wake != tag) {
        memset(&change->wake, 0, sizeof change->wake);
        change->which_wake = tag;
    }
}

static bool read_snooze_for(struct reader *from, dormouse_v1_StatusChange *change)
{
    google_protobuf_Duration *duration = &change->wake.snooze_for;
    struct time_in to = {.seconds = &duration->seconds, .nanos = &duration->nanos};
    choose_wake(change, dormouse_v1_StatusChange_snooze_for_tag);
    return read_message(from, read_time, &to);
}

static bool read_snooze_until(struct reader *from, dormouse_v1_StatusChange *change)
{
    google_protobuf_Timestamp *timestamp = &change->wake.snooze_until;
    struct time_in to = {.seconds = &timestamp->seconds, .nanos = &timestamp->nanos};
    choose_wake(change, dormouse_v1_StatusChange_snooze_until_tag);
    return read_message(from, read_time, &to);
}

static bool read_change(struct reader *from, uint32_t key, void *message)
{
    struct dm_set_status_in *to = message;
    uint32_t number = 0;
    bool read;
    switch (key) {
    case NUMBER(dormouse_v1_StatusChange_status_tag):
        read = read_uint32(from, &number);
        to->change.status = (dormouse_v1_Status)number;
        return read;
    case TEXT(dormouse_v1_StatusChange_snooze_for_tag):
        return read_snooze_for(from, &to->change);
    case TEXT(dormouse_v1_StatusChange_snooze_until_tag):
        return read_snooze_until(from, &to->change);
    case TEXT(dormouse_v1_StatusChange_actor_tag):
        return read_bytes(from, &to->texts.actor);
    case NUMBER(dormouse_v1_StatusChange_reason_tag):
        read = read_uint32(from, &number);
        to->change.reason = (dormouse_v1_Reason)number;
        return read;
    case NUMBER(dormouse_v1_StatusChange_lock_tag):
        return read_bool(from, &to->change.lock);
    case NUMBER(dormouse_v1_StatusChange_unlock_tag):
        return read_bool(from, &to->change.unlock);
    case TEXT(dormouse_v1_StatusChange_bot_id_tag):
        return read_bytes(from, &to->texts.bot_id);
    default:
        return skip_field(from, key, dormouse_v1_StatusChange_bot_id_tag);
    }
}

static bool read_set_status(struct reader *from, uint32_t key, void *message)
{
    struct dm_set_status_in *to = message;
    switch (key) {
    case TEXT(dormouse_v1_SetStatusRequest_account_id_tag):
        return read_bytes(from, &to->account_id);
    case TEXT(dormouse_v1_SetStatusRequest_contact_id_tag):
        return read_bytes(from, &to->contact_id);
    case TEXT(dormouse_v1_SetStatusRequest_change_tag):
        to->has_change = true;
        return read_message(from, read_change, to);
    case NUMBER(dormouse_v1_SetStatusRequest_if_revision_tag):
        to->has_if_revision = true;
        return read_varint64(from, &to->if_revision);
    case TEXT(dormouse_v1_SetStatusRequest_request_id_tag):
        return read_bytes(from, &to->request_id);
    default:
        return skip_field(from, key, dormouse_v1_SetStatusRequest_request_id_tag);
    }
}

const char *dm_set_status_decode(struct dm_slice from, struct dm_set_status_in *to)
{
    struct reader reader = reader_of(from);
    *to = (struct dm_set_status_in){0};
    return read_fields(&reader, read_set_status, to) ? NULL : reader.wrong;
}

/* ---- writing -------------------------------------------------------------------- */

/* Answers are written from their last byte to their first, the fields in falling order: so
 * the size of an inner message is known when its length is to be written. `at` is the
 * front of what is written. */
struct writer {
    uint8_t *at, *begin, *end;
};

/* No answer has more bytes than this besides its texts: at most 30 numbers and lengths of
 * up to 10 bytes, each with a key of one. */
enum { NUMBERS_MAX = 30 * 11 };
_Static_assert(NUMBERS_MAX + 4 * DM_ID_SIZE_MAX <= DM_SMALL_MESSAGE &&
                   DM_ACTOR_SIZE_MAX <= DM_ID_SIZE_MAX,
               "an answer with its four texts fits");
_Static_assert(dormouse_v1_Contact_last_seq_tag < 16, "the key of every field is one byte");

static struct writer writer_of(uint8_t *out)
{
    return (struct writer){
        .at = out + DM_SMALL_MESSAGE, .begin = out, .end = out + DM_SMALL_MESSAGE};
}

static struct dm_slice written(const struct writer *to)
{
    return dm_slice(to->at, (size_t)(to->end - to->at));
}

static inline void put_varint(struct writer *to, uint64_t value)
{
    if (value < 0x80) {
        *--to->at = (uint8_t)value;
        return;
    }
    unsigned bits = 64U - (unsigned)__builtin_clzll(value);
    to->at -= (bits + 6) / 7;
    uint8_t *byte = to->at;
    for (; value >= 0x80; value >>= 7) {
        *byte++ = (uint8_t)(value | 0x80);
    }
    *byte = (uint8_t)value;
}

static inline void put_present_number(struct writer *to, uint32_t tag, uint64_t value)
{
    put_varint(to, value);
    *--to->at = (uint8_t)NUMBER(tag);
}

/* Nothing for zero, as proto3 has it. */
static inline void put_number(struct writer *to, uint32_t tag, uint64_t value)
{
    if (value != 0) {
        put_present_number(to, tag, value);
    }
}

static void put_text(struct writer *to, uint32_t tag, struct dm_slice text)
{
    if (text.size == 0) {
        return;
    }
    DM_ASSERT((size_t)(to->at - to->begin) >= NUMBERS_MAX + text.size);
    to->at -= text.size;
    memcpy(to->at, text.data, text.size);
    put_varint(to, text.size);
    *--to->at = (uint8_t)TEXT(tag);
}

/* Makes what was put since `end` was the front an inner message. */
static inline void put_head(struct writer *to, uint32_t tag, const uint8_t *end)
{
    put_varint(to, (uint64_t)(end - to->at));
    *--to->at = (uint8_t)TEXT(tag);
}

/* A Timestamp; 0 is none. */
static void put_time(struct writer *to, uint32_t tag, int64_t ms)
{
    if (ms == 0) {
        return;
    }
    const uint8_t *end = to->at;
    const google_protobuf_Timestamp time = dm_timestamp(ms);
    put_number(to, google_protobuf_Timestamp_nanos_tag, (uint64_t)time.nanos);
    put_number(to, google_protobuf_Timestamp_seconds_tag, (uint64_t)time.seconds);
    put_head(to, tag, end);
}

static void put_contact(struct writer *to, uint32_t tag, const struct dm_contact *contact)
{
    const uint8_t *end = to->at;
    put_number(to, dormouse_v1_Contact_last_seq_tag, contact->last_seq);
    put_number(to, dormouse_v1_Contact_mode_tag, contact->mode);
    put_text(to, dormouse_v1_Contact_bot_id_tag, contact->bot_id);
    put_number(to, dormouse_v1_Contact_missed_inbound_tag, contact->missed_inbound);
    put_number(to, dormouse_v1_Contact_bot_messages_tag, contact->bot_messages);
    put_number(to, dormouse_v1_Contact_locked_tag, contact->locked);
    put_number(to, dormouse_v1_Contact_revision_tag, contact->revision);
    put_number(to, dormouse_v1_Contact_fence_tag, contact->fence);
    put_time(to, dormouse_v1_Contact_snoozed_until_tag, contact->until_ms);
    put_time(to, dormouse_v1_Contact_since_tag, contact->since_ms);
    put_text(to, dormouse_v1_Contact_actor_tag, contact->actor);
    put_number(to, dormouse_v1_Contact_reason_tag, contact->reason);
    put_number(to, dormouse_v1_Contact_status_tag, contact->status);
    put_text(to, dormouse_v1_Contact_contact_id_tag, contact->contact_id);
    put_text(to, dormouse_v1_Contact_account_id_tag, contact->account_id);
    put_head(to, tag, end);
}

/* ---- answers ---------------------------------------------------------------------- */

struct dm_slice dm_check_encode(uint8_t *out, const struct dm_effective *state)
{
    struct writer to = writer_of(out);
    if (state->limited) {
        put_present_number(&to, dormouse_v1_CheckResponse_messages_left_tag, state->messages_left);
    }
    put_time(&to, dormouse_v1_CheckResponse_valid_until_tag, state->until_ms);
    put_number(&to, dormouse_v1_CheckResponse_fence_tag, state->fence);
    put_number(&to, dormouse_v1_CheckResponse_reason_tag, state->decision_reason);
    put_number(&to, dormouse_v1_CheckResponse_status_tag, state->status);
    put_number(&to, dormouse_v1_CheckResponse_decision_tag, state->decision);
    return written(&to);
}

struct dm_slice dm_commit_reply_encode(uint8_t *out, const struct dm_outcome *outcome)
{
    struct writer to = writer_of(out);
    put_contact(&to, dormouse_v1_CommitReplyResponse_contact_tag, &outcome->contact);
    put_number(&to, dormouse_v1_CommitReplyResponse_decision_tag, outcome->decision);
    put_number(&to, dormouse_v1_CommitReplyResponse_granted_tag, outcome->granted);
    return written(&to);
}

struct dm_slice dm_record_activity_encode(uint8_t *out, const struct dm_outcome *outcome)
{
    struct writer to = writer_of(out);
    put_number(&to, dormouse_v1_RecordActivityResponse_changed_tag, outcome->changed);
    put_number(&to, dormouse_v1_RecordActivityResponse_decision_tag, outcome->decision);
    put_contact(&to, dormouse_v1_RecordActivityResponse_contact_tag, &outcome->contact);
    return written(&to);
}

struct dm_slice dm_set_status_encode(uint8_t *out, const struct dm_outcome *outcome)
{
    struct writer to = writer_of(out);
    put_number(&to, dormouse_v1_SetStatusResponse_changed_tag, outcome->changed);
    put_contact(&to, dormouse_v1_SetStatusResponse_contact_tag, &outcome->contact);
    return written(&to);
}
