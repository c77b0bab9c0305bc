#include "core/record.h"

#include "base/assert.h"
#include "core/codec.h"

/* The bytes of a record, all little-endian:
 *
 *   head     u8 version, u8 status, u8 reason, u8 flags, u32 bot, u64 fence,
 *            u64 revision, i64 since_ms, i64 until_ms, u64 last_seq,
 *            u32 bot_messages, u32 missed_inbound, u8 actor size,
 *            u8 answer count, u16 reserved (0)
 *   actor    its bytes
 *   answers  u64 request, u64 fence, u64 revision, u64 last_seq, i64 since_ms,
 *            i64 until_ms, u32 bot, u32 bot_messages, u32 missed_inbound,
 *            u8 status, u8 reason, u8 mode, u8 decision, u8 flags,
 *            u8 actor size, then the actor's bytes
 *
 * Decoding fails on an unknown version, on a size that does not come out even,
 * and on any number that no record of ours can hold. */
enum { VERSION = 1 };
enum { FLAG_LOCKED = 1 };
enum { ANSWER_LOCKED = 1, ANSWER_GRANTED = 2, ANSWER_CHANGED = 4, ANSWER_FLAGS = 7 };

void dm_record_copy(struct dm_record *to, const struct dm_record *from)
{
    DM_ASSERT(from->answer_count <= DM_ANSWERS_MAX);
    memcpy(to, from,
           offsetof(struct dm_record, answers) + from->answer_count * sizeof from->answers[0]);
}

static void put_text(uint8_t **at, const struct dm_text64 *text)
{
    memcpy(*at, text->bytes, text->size);
    *at += text->size;
}

static void put_answer(uint8_t **at, const struct dm_answer *answer)
{
    dm_put64(at, answer->request);
    dm_put64(at, answer->fence);
    dm_put64(at, answer->revision);
    dm_put64(at, answer->last_seq);
    dm_put64(at, (uint64_t)answer->since_ms);
    dm_put64(at, (uint64_t)answer->until_ms);
    dm_put32(at, answer->bot);
    dm_put32(at, answer->bot_messages);
    dm_put32(at, answer->missed_inbound);
    dm_put8(at, answer->status);
    dm_put8(at, answer->reason);
    dm_put8(at, answer->mode);
    dm_put8(at, answer->decision);
    dm_put8(at, (uint8_t)((answer->locked ? ANSWER_LOCKED : 0) |
                          (answer->granted ? ANSWER_GRANTED : 0) |
                          (answer->changed ? ANSWER_CHANGED : 0)));
    dm_put8(at, answer->actor.size);
    put_text(at, &answer->actor);
}

size_t dm_record_encode(const struct dm_record *record, uint8_t *out)
{
    DM_ASSERT(record->answer_count <= DM_ANSWERS_MAX);
    uint8_t *at = out;
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
    dm_put8(&at, record->answer_count);
    dm_put16(&at, 0);
    put_text(&at, &record->actor);
    for (int i = 0; i < record->answer_count; i++) {
        put_answer(&at, &record->answers[i]);
    }
    return (size_t)(at - out);
}

/* What every contact obeys: only a snooze has an end, only INACTIVE is locked, and
 * MODE_OFF is nobody's reason. */
static bool state_valid(uint8_t status, uint8_t reason, bool locked, int64_t until_ms)
{
    return status >= DM_STATUS_ACTIVE && status < DM_STATUS_COUNT &&
           reason >= DM_REASON_NEVER_SET && reason < DM_REASON_MODE_OFF &&
           (status == DM_STATUS_SNOOZED || until_ms == 0) &&
           (status == DM_STATUS_INACTIVE || !locked);
}

bool dm_record_head(struct dm_record_head *head, struct dm_slice bytes)
{
    if (bytes.size < DM_RECORD_HEAD_SIZE) {
        return false;
    }
    const uint8_t *at = bytes.data;
    uint8_t version = dm_get8(&at);
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
    if (version != VERSION || (flags & ~FLAG_LOCKED) != 0) {
        return false;
    }
    if (head->status == DM_STATUS_NONE) { /* what a delete leaves behind: its fence */
        return head->reason == DM_REASON_UNSPECIFIED && !head->locked && head->until_ms == 0;
    }
    return state_valid(head->status, head->reason, head->locked, head->until_ms);
}

static bool get_text(const uint8_t **at, const uint8_t *end, size_t size, struct dm_text64 *text)
{
    if (size > sizeof text->bytes || size > (size_t)(end - *at)) {
        return false;
    }
    text->size = (uint8_t)size;
    memcpy(text->bytes, *at, size);
    *at += size;
    return true;
}

static bool get_answer(const uint8_t **at, const uint8_t *end, struct dm_answer *answer)
{
    if ((size_t)(end - *at) < DM_ANSWER_HEAD_SIZE) {
        return false;
    }
    answer->request = dm_get64(at);
    answer->fence = dm_get64(at);
    answer->revision = dm_get64(at);
    answer->last_seq = dm_get64(at);
    answer->since_ms = (int64_t)dm_get64(at);
    answer->until_ms = (int64_t)dm_get64(at);
    answer->bot = dm_get32(at);
    answer->bot_messages = dm_get32(at);
    answer->missed_inbound = dm_get32(at);
    answer->status = dm_get8(at);
    answer->reason = dm_get8(at);
    answer->mode = dm_get8(at);
    answer->decision = dm_get8(at);
    uint8_t flags = dm_get8(at);
    answer->locked = (flags & ANSWER_LOCKED) != 0;
    answer->granted = (flags & ANSWER_GRANTED) != 0;
    answer->changed = (flags & ANSWER_CHANGED) != 0;
    if (answer->request == 0 || (flags & ~ANSWER_FLAGS) != 0 || answer->mode < DM_MODE_OFF ||
        answer->mode > DM_MODE_AUTO_PILOT || answer->decision < DM_DECISION_REPLY ||
        answer->decision > DM_DECISION_SILENT ||
        !state_valid(answer->status, answer->reason, answer->locked, answer->until_ms)) {
        return false;
    }
    size_t actor_size = dm_get8(at);
    return get_text(at, end, actor_size, &answer->actor);
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

    const uint8_t *end = (const uint8_t *)bytes.data + bytes.size;
    const uint8_t *at = (const uint8_t *)bytes.data + DM_RECORD_HEAD_SIZE - 4;
    size_t actor_size = dm_get8(&at);
    record->answer_count = dm_get8(&at);
    if (dm_get16(&at) != 0 || record->answer_count > DM_ANSWERS_MAX ||
        !get_text(&at, end, actor_size, &record->actor)) {
        return false;
    }
    for (int i = 0; i < record->answer_count; i++) {
        if (!get_answer(&at, end, &record->answers[i])) {
            return false;
        }
    }
    return at == end;
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
