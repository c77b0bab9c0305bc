#ifndef DM_CLIENT_MESSAGE_H
#define DM_CLIENT_MESSAGE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The structs of <dormouse/message.h> to protobuf and back, by tables that tools/gen/client.py
 * writes: one entry a field, by rising field number. The bytes are nanopb's work. */

enum dm_field_kind {
    DM_FIELD_TEXT,    /* struct dormouse_text */
    DM_FIELD_ENUM,    /* int32_t, of an int32 too */
    DM_FIELD_I64,     /* int64_t */
    DM_FIELD_U32,     /* uint32_t */
    DM_FIELD_U64,     /* uint64_t */
    DM_FIELD_BOOL,    /* bool */
    DM_FIELD_TIME_MS, /* int64_t of Timestamp or Duration, here and below */
    DM_FIELD_SPAN_US,
    DM_FIELD_MESSAGE,  /* the struct itself */
    DM_FIELD_TEXTS,    /* pointer and size_t count */
    DM_FIELD_MESSAGES, /* likewise */
    DM_FIELD_NUMBERS,  /* likewise; `element` is their kind */
};

struct dm_message;

struct dm_field {
    enum dm_field_kind kind;
    uint32_t tag;
    uint16_t offset;
    int16_t has;    /* offset of the bool has_x; -1: none. A message without it is always sent */
    uint16_t count; /* offset of the count of TEXTS, MESSAGES and NUMBERS */
    enum dm_field_kind element;       /* of NUMBERS */
    const struct dm_message *message; /* of MESSAGE and MESSAGES */
};

struct dm_message {
    const struct dm_field *fields;
    uint32_t fields_count;
    uint32_t size; /* of the struct */
};

/* Memory of one decoded message's arrays, all freed at once. A zeroed struct is empty. */
struct dm_arena {
    struct dm_arena_chunk *chunks;
};
void dm_arena_finish(struct dm_arena *arena);

/* Appends the message to the buffer. false: no memory; the buffer is then unchanged. */
bool dm_message_encode(struct dm_buf *out, const struct dm_message *message, const void *from);

/* Fills the struct; its texts point into `bytes`, its arrays live in the arena. false: not
 * valid, or no memory. */
bool dm_message_decode(struct dm_slice bytes, const struct dm_message *message, void *to,
                       struct dm_arena *arena);

#include "dm_message_tables.h"

#endif
