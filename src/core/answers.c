#include "core/answers.h"

#include "base/assert.h"
#include "base/varint.h"
#include "core/codec.h"

/* The bytes of an answer:
 *
 * u8 size of what follows, u64 request, u8 state (2 bits each of status, mode and decision, then
 * locked, granted), u8 reason (and changed, its highest bit), varints fence, revision, last_seq,
 * since_ms and until_ms (zigzag), bot, bot_messages, missed_inbound, then the actor's bytes
 *
 * Eight of them go through every call with a request_id, into the journal and the view. So they
 * are small (some 40 bytes) and are passed on as they are. */

enum {
    SIZE_MIN = 8 + 2 + 8, /* without the size itself: every varint one byte, no actor */
    LOCKED = 1 << 6,
    GRANTED = 1 << 7,
    CHANGED = 1 << 7,
};

_Static_assert(DM_ANSWER_SIZE_MAX - 1 <= UINT8_MAX, "an answer's size is one byte");
_Static_assert(DM_ANSWERS_SIZE_MAX <= UINT16_MAX, "the size of all of them is two");
_Static_assert(DM_STATUS_COUNT <= 4 && DM_MODE_AUTO_PILOT < 4 && DM_DECISION_SILENT < 4,
               "status, mode and decision have two bits each");
_Static_assert(DM_REASON_COUNT <= CHANGED, "a reason leaves its highest bit to `changed`");

/* Is it an answer that a step may give? */
static bool makes_sense(const struct dm_answer *answer)
{
    return answer->request != 0 && answer->mode >= DM_MODE_OFF &&
           answer->mode <= DM_MODE_AUTO_PILOT && answer->decision >= DM_DECISION_REPLY &&
           answer->decision <= DM_DECISION_SILENT &&
           dm_state_valid(answer->status, answer->reason, answer->locked, answer->until_ms);
}

/* Returns what it takes, its size byte included. */
static size_t encode(const struct dm_answer *answer, uint8_t *out)
{
    uint8_t *at = out + 1;
    dm_put64(&at, answer->request);
    dm_put8(&at, (uint8_t)(answer->status | answer->mode << 2 | answer->decision << 4 |
                           (answer->locked ? LOCKED : 0) | (answer->granted ? GRANTED : 0)));
    dm_put8(&at, (uint8_t)(answer->reason | (answer->changed ? CHANGED : 0)));
    at = dm_varint_put(at, answer->fence);
    at = dm_varint_put(at, answer->revision);
    at = dm_varint_put(at, answer->last_seq);
    at = dm_varint_put(at, dm_zigzag(answer->since_ms));
    at = dm_varint_put(at, dm_zigzag(answer->until_ms));
    at = dm_varint_put(at, answer->bot);
    at = dm_varint_put(at, answer->bot_messages);
    at = dm_varint_put(at, answer->missed_inbound);
    memcpy(at, answer->actor.bytes, answer->actor.size);
    size_t size = (size_t)(at - out) + answer->actor.size;
    out[0] = (uint8_t)(size - 1);
    return size;
}

/* ---- reading ------------------------------------------------------------------ */

/* Takes the shortest form only, so that the same answer always has the same bytes. */
static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    const uint8_t *from = *at;
    return dm_varint_get(at, end, value) && (size_t)(*at - from) == dm_varint_size(*value);
}

static bool get_number(const uint8_t **at, const uint8_t *end, uint32_t *number)
{
    uint64_t value;
    bool ok = get_varint(at, end, &value) && value <= UINT32_MAX;
    *number = (uint32_t)value;
    return ok;
}

static bool get_time(const uint8_t **at, const uint8_t *end, int64_t *time_ms)
{
    uint64_t value;
    bool ok = get_varint(at, end, &value);
    *time_ms = dm_unzigzag(value);
    return ok;
}

/* Decodes an answer whose size is known to be right. */
static bool decode(const uint8_t *in, struct dm_answer *answer)
{
    const uint8_t *at = in + 1, *end = at + in[0];
    answer->request = dm_get64(&at);
    uint8_t state = dm_get8(&at), reason = dm_get8(&at);
    answer->status = state & 3;
    answer->mode = state >> 2 & 3;
    answer->decision = state >> 4 & 3;
    answer->locked = (state & LOCKED) != 0;
    answer->granted = (state & GRANTED) != 0;
    answer->reason = (uint8_t)(reason & ~CHANGED);
    answer->changed = (reason & CHANGED) != 0;
    return get_varint(&at, end, &answer->fence) && get_varint(&at, end, &answer->revision) &&
           get_varint(&at, end, &answer->last_seq) && get_time(&at, end, &answer->since_ms) &&
           get_time(&at, end, &answer->until_ms) && get_number(&at, end, &answer->bot) &&
           get_number(&at, end, &answer->bot_messages) &&
           get_number(&at, end, &answer->missed_inbound) &&
           dm_get_text(&at, end, (size_t)(end - at), &answer->actor) && makes_sense(answer);
}

/* ---- all of them ----------------------------------------------------------------- */

void dm_answers_add(struct dm_answers *answers, const struct dm_answer *answer)
{
    DM_ASSERT(answer->request != 0 && answer->status != DM_STATUS_NONE);
    if (answers->count == DM_ANSWERS_MAX) {
        size_t oldest = 1 + (size_t)answers->bytes[0];
        DM_ASSERT(oldest <= answers->size);
        answers->count--;
        answers->size = (uint16_t)(answers->size - oldest);
        memmove(answers->bytes, answers->bytes + oldest, answers->size);
    }
    DM_ASSERT(answers->size + DM_ANSWER_SIZE_MAX <= DM_ANSWERS_SIZE_MAX);
    size_t size = encode(answer, answers->bytes + answers->size);
    DM_ASSERT(size <= DM_ANSWER_SIZE_MAX);
    answers->size = (uint16_t)(answers->size + size);
    answers->count++;
}

bool dm_answers_find(const struct dm_answers *answers, uint64_t request, struct dm_answer *answer)
{
    const uint8_t *at = answers->bytes;
    DM_ASSERT(request != 0);
    for (int i = 0; i < answers->count; i++, at += 1 + at[0]) {
        if (dm_load_le64(at + 1) == request) {
            bool readable = decode(at, answer);
            DM_ASSERT(readable);
            return true;
        }
    }
    return false;
}

bool dm_answers_valid(const struct dm_answers *answers)
{
    const uint8_t *at = answers->bytes;
    for (int i = 0; i < answers->count; i++, at += 1 + at[0]) {
        struct dm_answer answer;
        if (!decode(at, &answer)) {
            return false;
        }
    }
    return true;
}

bool dm_answers_decode(struct dm_answers *answers, uint8_t count, struct dm_slice bytes)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    for (int i = 0; i < count; i++, at += 1 + at[0]) {
        if (at >= end || at[0] < SIZE_MIN || at[0] >= DM_ANSWER_SIZE_MAX || at[0] >= end - at) {
            return false;
        }
    }
    if (at != end) {
        return false;
    }
    DM_ASSERT(count <= DM_ANSWERS_MAX && bytes.size <= DM_ANSWERS_SIZE_MAX);
    answers->count = count;
    answers->size = (uint16_t)bytes.size;
    memcpy(answers->bytes, bytes.data, bytes.size);
    return true;
}

/* ---- version 1 -------------------------------------------------------------------- */

/* u64 request, u64 fence, u64 revision, u64 last_seq, i64 since_ms, i64 until_ms, u32 bot,
 * u32 bot_messages, u32 missed_inbound, u8 status, u8 reason, u8 mode, u8 decision, u8
 * flags, u8 actor size, then the actor's bytes */
enum { HEAD_SIZE_1 = 66, LOCKED_1 = 1, GRANTED_1 = 2, CHANGED_1 = 4, FLAGS_1 = 7 };

static bool decode_1(const uint8_t **at, const uint8_t *end, struct dm_answer *answer)
{
    if (end - *at < HEAD_SIZE_1) {
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
    answer->locked = (flags & LOCKED_1) != 0;
    answer->granted = (flags & GRANTED_1) != 0;
    answer->changed = (flags & CHANGED_1) != 0;
    size_t actor_size = dm_get8(at);
    return (flags & ~FLAGS_1) == 0 && makes_sense(answer) &&
           dm_get_text(at, end, actor_size, &answer->actor);
}

bool dm_answers_decode_1(struct dm_answers *answers, uint8_t count, struct dm_slice bytes)
{
    const uint8_t *at = bytes.data, *end = at + bytes.size;
    answers->count = 0;
    answers->size = 0;
    for (int i = 0; i < count; i++) {
        struct dm_answer answer;
        if (!decode_1(&at, end, &answer)) {
            return false;
        }
        dm_answers_add(answers, &answer);
    }
    return at == end;
}
