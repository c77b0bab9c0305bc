#ifndef DM_RPC_MESSAGE_H
#define DM_RPC_MESSAGE_H

#include "base/buf.h"
#include "base/code.h"
#include "base/limits.h"
#include "base/slice.h"
#include "rpc/state.h"

#include <dm_fields.h>
#include <pb_decode.h>
#include <pb_encode.h>

/* Between nanopb and the calls. Texts are slices (dm_fields.h), never copied, neither in nor
 * out. */

/* A repeated string field; `count` goes on past DM_BATCH_MAX, the items do not. */
struct dm_texts {
    uint32_t count;
    struct dm_slice items[DM_BATCH_MAX];
};
pb_callback_t dm_texts_in(struct dm_texts *to);
/* INVALID_ARGUMENT when there are more than DM_BATCH_MAX. */
enum dm_code dm_texts_check(const struct dm_texts *texts, const char *field,
                            struct dm_error *error);

/* Decodes `payload` into a message that is zeroed but for its repeated fields.
 * INVALID_ARGUMENT naming the type. */
enum dm_code dm_decode(const struct dm_inbound *in, struct dm_slice payload,
                       const pb_msgdesc_t *fields, void *message, struct dm_error *error);

/* Room for any single message of ours but batches and lists: a Contact has four texts of
 * at most 64 bytes, a result a sentence besides. */
enum { DM_SMALL_MESSAGE = 1024 };
/* Encodes into `out`, which has DM_SMALL_MESSAGE bytes. */
struct dm_slice dm_encode(uint8_t *out, const pb_msgdesc_t *fields, const void *message);

/* Appends one element of a repeated message field, or one text field (nothing when it is
 * empty). false: no memory. */
bool dm_append_message(struct dm_buf *buf, uint32_t tag, const pb_msgdesc_t *fields,
                       const void *message);
bool dm_append_text(struct dm_buf *buf, uint32_t tag, struct dm_slice text);

/* An enum of the wire as the core's u8. What does not fit becomes 255, which no enum has. */
static inline uint8_t dm_enum8(int64_t value)
{
    return value >= 0 && value < UINT8_MAX ? (uint8_t)value : UINT8_MAX;
}

#endif
