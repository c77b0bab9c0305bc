#ifndef DM_CLIENT_MESSAGE_H
#define DM_CLIENT_MESSAGE_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"
#include "client/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The structs of <dormouse/message.h> to protobuf and back, by tables that tools/gen/client.py
 * writes: one entry a field, by rising field number. The bytes are nanopb's work.
 *
 * Each struct begins with its struct_size. Of one that a program passes, nothing behind that is
 * looked at: the program may have been compiled with an older header. A struct_size of 0 is the
 * library's own mark for whole structs: all that are decoded have it. */

enum dm_field_kind {
    DM_FIELD_TEXT,    /* struct dormouse_text */
    DM_FIELD_ENUM,    /* int32_t, of an int32 too */
    DM_FIELD_I64,     /* int64_t */
    DM_FIELD_U32,     /* uint32_t */
    DM_FIELD_U64,     /* uint64_t */
    DM_FIELD_BOOL,    /* bool */
    DM_FIELD_TIME_MS, /* int64_t of Timestamp or Duration, here and below */
    DM_FIELD_SPAN_US,
    DM_FIELD_MESSAGE,  /* a pointer to the struct */
    DM_FIELD_TEXTS,    /* a pointer to the elements, and a size_t count */
    DM_FIELD_MESSAGES, /* likewise; the elements are pointers to structs */
    DM_FIELD_NUMBERS,  /* likewise; `element` is their kind */
};

struct dm_message;

struct dm_field {
    const char *name; /* of the member */
    enum dm_field_kind kind;
    uint32_t tag;
    uint16_t offset;
    uint16_t end;   /* offset behind the field's last member: a shorter struct does not have it */
    int16_t has;    /* offset of the bool has_x; -1: none */
    uint16_t count; /* offset of the count of TEXTS, MESSAGES and NUMBERS */
    uint8_t one_of; /* a number for each union of the message: at most one field of it is set */
    bool always;    /* of MESSAGE: decoded to an empty one where it did not come */
    enum dm_field_kind element;       /* of NUMBERS */
    const struct dm_message *message; /* of MESSAGE and MESSAGES */
};

struct dm_message {
    const char *name; /* "struct dormouse_check" */
    const struct dm_field *fields;
    uint32_t fields_count;
    uint32_t size;       /* of the struct */
    uint32_t size_first; /* up to the last member that it had at first: no program has less */
};

/* Where a struct's member ends. */
#define DM_END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Looks through a struct that a program passes, and through those that it points to. DM_OK, or
 * DM_INVALID_ARGUMENT. */
enum dm_code dm_message_check(const struct dm_message *message, const void *from,
                              struct dm_error *error);

/* Appends the message to the buffer. false: no memory; the buffer is then unchanged. */
bool dm_message_encode(struct dm_buf *out, const struct dm_message *message, const void *from);

/* Fills the struct; its texts point into `bytes`, what it points to lives in the arena. false: not
 * valid, or no memory. */
bool dm_message_decode(struct dm_slice bytes, const struct dm_message *message, void *to,
                       struct dm_arena *arena);

#include "dm_message_tables.h"

#endif
