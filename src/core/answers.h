#ifndef DM_CORE_ANSWERS_H
#define DM_CORE_ANSWERS_H

#include "base/limits.h"
#include "base/slice.h"
#include "core/text.h"
#include "core/types.h"

#include <stdbool.h>
#include <stdint.h>

/* What a call with a request_id was answered: enough to give the same answer
 * again. The contact as it was then, and the call's own results. */
struct dm_answer {
    uint64_t request; /* dm_hash of method and request_id; never 0 */
    uint64_t fence, revision, last_seq;
    int64_t since_ms, until_ms;
    uint32_t bot, bot_messages, missed_inbound;
    uint8_t status, reason, mode, decision;
    bool locked, granted, changed;
    struct dm_text64 actor;
};

enum {
    /* Encoded: its size, 10 fixed bytes, 5 varints of 64 bits and 3 of 32, an actor. */
    DM_ANSWER_SIZE_MAX = 1 + 10 + 5 * 10 + 3 * 5 + 64,
    DM_ANSWERS_SIZE_MAX = DM_ANSWERS_MAX * DM_ANSWER_SIZE_MAX,
};

/* Answers remembered, oldest first. They stay encoded: each call passes all of them on, and
 * a repeated one, which is rare, reads one. */
struct dm_answers {
    uint8_t count;
    uint16_t size; /* of what is in use of `bytes` */
    uint8_t bytes[DM_ANSWERS_SIZE_MAX];
};

/* Remembers one more; of DM_ANSWERS_MAX the oldest is forgotten. */
void dm_answers_add(struct dm_answers *answers, const struct dm_answer *answer);
/* What this request (not 0) was answered; false: it is not remembered. */
bool dm_answers_find(const struct dm_answers *answers, uint64_t request, struct dm_answer *answer);
/* Does each of them make sense? For bytes that came without a checksum. */
bool dm_answers_valid(const struct dm_answers *answers);

/* For record.c: reads the answers of a record, which are all of `bytes`. dm_answers_decode reads
 * what is written today, and checks the sizes only; dm_answers_decode_1 reads version 1 of a
 * record. */
bool dm_answers_decode(struct dm_answers *answers, uint8_t count, struct dm_slice bytes);
bool dm_answers_decode_1(struct dm_answers *answers, uint8_t count, struct dm_slice bytes);

#endif
