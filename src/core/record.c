#include "core/record.h"

#include "base/assert.h"
#include "base/hash.h"
#include "core/codec.h"

/* The bytes of a record, all little-endian:
 *
 *   head     u8 version, u8 status, u8 reason, u8 flags, u32 bot, u64 fence,
 *            u64 revision, i64 since_ms, i64 until_ms, u64 last_seq,
 *            u32 bot_messages, u32 missed_inbound, u8 actor size,
 *            u8 answer count, u16 reserved (0)
 *   actor    its bytes
 *   answers  see answers.c
 *   checksum u32, from version 3 on: CRC-32C of all before it
 *
 * Decoding fails on an unknown version, on a size that does not come out even,
 * and on any number that no record of ours can hold. */
enum { VERSION = 3, VERSION_2 = 2, VERSION_1 = 1 };
enum { FLAG_LOCKED = 1 };

_Static_assert(DM_RECORD_HEAD_SIZE == 4 + 4 + 5 * 8 + 2 * 4 + 1 + 1 + 2, "the head's fields");
_Static_assert(DM_RECORD_SIZE_MAX <= 2000, "a value stays clear of LMDB's overflow pages");

/* Is it what a step may leave behind: a contact, or what is left of a deleted one? */
static bool is_whole(const struct dm_record *record)
{
    return record->status == DM_STATUS_NONE
               ? record->reason == DM_REASON_UNSPECIFIED && !record->locked && record->until_ms == 0
               : dm_state_valid(record->status, record->reason, record->locked, record->until_ms);
}

void dm_record_clear(struct dm_record *record)
{
    memset(record, 0, offsetof(struct dm_record, answers.bytes));
}

void dm_record_copy(struct dm_record *to, const struct dm_record *from)
{
    DM_ASSERT(from->answers.size <= DM_ANSWERS_SIZE_MAX);
    memcpy(to, from, offsetof(struct dm_record, answers.bytes) + from->answers.size);
}

static void put_text(uint8_t **at, const struct dm_text64 *text)
{
    memcpy(*at, text->bytes, text->size);
    *at += text->size;
}

size_t dm_record_encode(const struct dm_record *record, uint8_t *out)
{
    const struct dm_answers *answers = &record->answers;
    uint8_t *at = out;
    DM_ASSERT(is_whole(record));
    DM_ASSERT(record->actor.size <= sizeof record->actor.bytes);
    DM_ASSERT(answers->count <= DM_ANSWERS_MAX && answers->size <= DM_ANSWERS_SIZE_MAX);
    dm_put8(&at, VERSION);
    dm_put8(&at, record->status);
    dm_put8(&at, record->reason);
    dm_put8(&at, record->locked ? FLAG_LOCKED : 0);
    dm_put32(&at, record->bot);
    dm_put64(&at, record->fence);
    dm_put64(&at, record->revision);
    dm_put64(&at, (uint64_t)record->since_ms);
    dm_put64(&at, (uint64_t)record->until_ms);
    dm_put64(&at, record->last_seq);
    dm_put32(&at, record->bot_messages);
    dm_put32(&at, record->missed_inbound);
    dm_put8(&at, record->actor.size);
    dm_put8(&at, answers->count);
    dm_put16(&at, 0);
    put_text(&at, &record->actor);
    DM_ASSERT(at - out == DM_RECORD_HEAD_SIZE + record->actor.size);
    memcpy(at, answers->bytes, answers->size);
    at += answers->size;
    dm_put32(&at, dm_crc32c(0, out, (size_t)(at - out)));
    return (size_t)(at - out);
}

static uint8_t version_of(struct dm_slice bytes)
{
    return *(const uint8_t *)bytes.data;
}

/* There are enough bytes. Returns the flags. */
static uint8_t get_head(struct dm_record_head *head, struct dm_slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data + 1;
    head->status = dm_get8(&at);
    head->reason = dm_get8(&at);
    uint8_t flags = dm_get8(&at);
    head->locked = (flags & FLAG_LOCKED) != 0;
    head->bot = dm_get32(&at);
    head->fence = dm_get64(&at);
    head->revision = dm_get64(&at);
    head->since_ms = (int64_t)dm_get64(&at);
    head->until_ms = (int64_t)dm_get64(&at);
    head->last_seq = dm_get64(&at);
    head->bot_messages = dm_get32(&at);
    head->missed_inbound = dm_get32(&at);
    return flags;
}

bool dm_record_head(struct dm_record_head *head, struct dm_slice bytes)
{
    if (bytes.size < DM_RECORD_HEAD_SIZE) {
        return false;
    }
    uint8_t version = version_of(bytes);
    uint8_t flags = get_head(head, bytes);
    if (version < VERSION_1 || version > VERSION || (flags & ~FLAG_LOCKED) != 0) {
        return false;
    }
    if (head->status == DM_STATUS_NONE) { /* what a delete leaves behind: its fence */
        return head->reason == DM_REASON_UNSPECIFIED && !head->locked && head->until_ms == 0;
    }
    return dm_state_valid(head->status, head->reason, head->locked, head->until_ms);
}

static size_t checksum_size(struct dm_slice bytes)
{
    return version_of(bytes) == VERSION ? DM_RECORD_CHECKSUM_SIZE : 0;
}

bool dm_record_decode(struct dm_record *record, struct dm_slice bytes)
{
    struct dm_record_head head;
    if (!dm_record_head(&head, bytes)) {
        return false;
    }
    record->status = head.status;
    record->reason = head.reason;
    record->locked = head.locked;
    record->bot = head.bot;
    record->bot_messages = head.bot_messages;
    record->missed_inbound = head.missed_inbound;
    record->fence = head.fence;
    record->revision = head.revision;
    record->since_ms = head.since_ms;
    record->until_ms = head.until_ms;
    record->last_seq = head.last_seq;

    const uint8_t *end = (const uint8_t *)bytes.data + bytes.size - checksum_size(bytes);
    const uint8_t *at = (const uint8_t *)bytes.data + DM_RECORD_HEAD_SIZE - 4;
    if (end < at + 4) {
        return false;
    }
    size_t actor_size = dm_get8(&at);
    uint8_t count = dm_get8(&at);
    if (dm_get16(&at) != 0 || count > DM_ANSWERS_MAX ||
        !dm_get_text(&at, end, actor_size, &record->actor)) {
        return false;
    }
    struct dm_slice answers = dm_slice(at, (size_t)(end - at));
    return version_of(bytes) == VERSION_1 ? dm_answers_decode_1(&record->answers, count, answers)
                                          : dm_answers_decode(&record->answers, count, answers);
}

struct dm_record_head dm_record_left(struct dm_slice bytes)
{
    struct dm_record_head head = {0};
    if (bytes.size >= DM_RECORD_HEAD_SIZE) {
        (void)get_head(&head, bytes);
    }
    head.status = head.status < DM_STATUS_COUNT ? head.status : (uint8_t)DM_STATUS_NONE;
    return head;
}

struct dm_slice dm_record_actor(struct dm_slice bytes)
{
    const uint8_t *in = bytes.data;
    size_t size = bytes.size < DM_RECORD_HEAD_SIZE ? 0 : in[DM_RECORD_HEAD_SIZE - 4];
    if (bytes.size < DM_RECORD_HEAD_SIZE + size) {
        return dm_slice(NULL, 0);
    }
    return dm_slice(in + DM_RECORD_HEAD_SIZE, size);
}

static bool makes_sense(struct dm_slice bytes)
{
    struct dm_record record;
    return dm_record_decode(&record, bytes) && dm_answers_valid(&record.answers);
}

bool dm_record_intact(struct dm_slice bytes)
{
    if (bytes.size < DM_RECORD_HEAD_SIZE || version_of(bytes) > VERSION) {
        return false;
    }
    if (version_of(bytes) <= VERSION_2) {
        return makes_sense(bytes);
    }
    size_t size = bytes.size - DM_RECORD_CHECKSUM_SIZE;
    return dm_load_le32((const uint8_t *)bytes.data + size) == dm_crc32c(0, bytes.data, size);
}
