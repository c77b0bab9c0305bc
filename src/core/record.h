#ifndef DM_CORE_RECORD_H
#define DM_CORE_RECORD_H

#include "base/slice.h"
#include "core/answers.h"
#include "core/text.h"

#include <stdbool.h>
#include <stdint.h>

/* The state of one contact, decoded. A zeroed record is a contact never written
 * to (status NONE). Large because of `answers`: copy with dm_record_copy, which
 * touches only what is in use. */
struct dm_record {
    uint8_t status; /* enum dm_status */
    uint8_t reason; /* enum dm_reason */
    bool locked;
    uint32_t bot; /* number within the account; 0: the default bot */
    uint32_t bot_messages;
    uint32_t missed_inbound;
    uint64_t fence;
    uint64_t revision;
    int64_t since_ms; /* when the status became what it is */
    int64_t until_ms; /* while SNOOZED: when it ends; else 0 */
    uint64_t last_seq;
    struct dm_text64 actor;
    struct dm_answers answers;
};

/* Makes it a contact never written to. */
void dm_record_clear(struct dm_record *record);
void dm_record_copy(struct dm_record *to, const struct dm_record *from);

/* The encoded form, on disk and in the overlay: a fixed little-endian head, then
 * the actor, then the answers, then a checksum. Version 3; versions 1 (larger answers) and
 * 2, which have no checksum, are read, too. A record with status NONE (what a delete leaves)
 * can be encoded, too. */
enum {
    DM_RECORD_HEAD_SIZE = 60,
    DM_RECORD_CHECKSUM_SIZE = 4,
    DM_RECORD_SIZE_MAX = DM_RECORD_HEAD_SIZE + 64 + DM_ANSWERS_SIZE_MAX + DM_RECORD_CHECKSUM_SIZE,
};

/* Returns the size written to `out` (room for DM_RECORD_SIZE_MAX). */
size_t dm_record_encode(const struct dm_record *record, uint8_t *out);

/* Are these the bytes that were encoded once? Their checksum tells (CRC-32C of everything before
 * it). Where a version has none, all parts, answers included, must make sense. Ask this of
 * everything that comes from a disk, before the calls below: they never read outside of the
 * bytes, and trust them otherwise. */
bool dm_record_intact(struct dm_slice bytes);

/* false when the bytes are no record of a known version: data loss, not input.
 * *record is then undefined. Of answers only their sizes are looked at. */
bool dm_record_decode(struct dm_record *record, struct dm_slice bytes);

/* What Check and the indexes need, read straight from the encoded head, which alone
 * is validated. */
struct dm_record_head {
    uint8_t status, reason;
    bool locked;
    uint32_t bot, bot_messages, missed_inbound;
    uint64_t fence, revision, last_seq;
    int64_t since_ms, until_ms;
};
bool dm_record_head(struct dm_record_head *head, struct dm_slice bytes);

/* What the bytes of a damaged record still say, true or not. All zero when there are too few
 * bytes; status NONE when the status makes no sense. For tidying up, never to be shown. */
struct dm_record_head dm_record_left(struct dm_slice bytes);

/* The actor in an encoded record whose head has been read; empty when it is cut. */
struct dm_slice dm_record_actor(struct dm_slice bytes);

#endif
