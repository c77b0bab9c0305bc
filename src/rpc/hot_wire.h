#ifndef DM_RPC_HOT_WIRE_H
#define DM_RPC_HOT_WIRE_H

#include "base/assert.h"
#include "base/slice.h"
#include "base/varint.h"
#include "rpc/message.h"

#include <stdbool.h>
#include <stdint.h>

/* The pieces of the hot codec: values on the wire, and the loop over a message's fields.
 * tools/gen/hot_codec.py writes what is made of them. */

/* A field's key: its number and its wire type. */
#define KEY(tag, type) ((uint32_t)(tag) << 3 | (uint32_t)(type))
#define TEXT(tag) KEY(tag, PB_WT_STRING)
#define NUMBER(tag) KEY(tag, PB_WT_VARINT)

/* ---- reading ------------------------------------------------------------------ */

struct reader {
    const uint8_t *at, *end;
    const char *wrong; /* after a failure */
};

static inline bool fail(struct reader *from, const char *wrong)
{
    from->wrong = wrong;
    return false;
}

static inline struct reader reader_of(struct dm_slice bytes)
{
    const uint8_t *at = bytes.data;
    return (struct reader){.at = at, .end = bytes.size != 0 ? at + bytes.size : at};
}

static inline bool read_byte(struct reader *from, uint8_t *byte)
{
    if (from->at == from->end) {
        return fail(from, "end-of-stream");
    }
    *byte = *from->at++;
    return true;
}

/* May `byte`, at bit 32 and above, follow `value`? Zeros may, and the ones that extend the
 * sign of a negative int32, which is written with ten bytes. */
static inline bool is_extension(uint32_t value, unsigned shift, uint8_t byte)
{
    uint8_t sign = shift < 63 ? 0xFF : 0x01;
    return shift < 64 && ((byte & 0x7F) == 0 || (value >> 31 != 0 && byte == sign));
}

static inline bool read_long_varint32(struct reader *from, uint32_t *to)
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

static inline bool read_uint64(struct reader *from, uint64_t *to)
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

static inline bool read_int64(struct reader *from, int64_t *to)
{
    uint64_t value;
    if (!read_uint64(from, &value)) {
        return false;
    }
    *to = (int64_t)value;
    return true;
}

static inline bool read_uint32(struct reader *from, uint32_t *to)
{
    uint64_t value;
    if (!read_uint64(from, &value)) {
        return false;
    }
    *to = (uint32_t)value;
    return value <= UINT32_MAX || fail(from, "integer too large");
}

/* Its upper bits are the sign's, and are not looked at. */
static inline bool read_int32(struct reader *from, int32_t *to)
{
    uint64_t value;
    if (!read_uint64(from, &value)) {
        return false;
    }
    *to = (int32_t)(uint32_t)value;
    return true;
}

/* Any number, whether the enum has it or not. */
static inline bool read_enum(struct reader *from, void *to)
{
    enum any { ANY };
    _Static_assert(sizeof(enum any) == sizeof(uint32_t), "an enum is kept like a number");
    uint32_t number = 0;
    bool read = read_uint32(from, &number);
    memcpy(to, &number, sizeof number);
    return read;
}

static inline bool read_bool(struct reader *from, bool *to)
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

static inline bool skip_size(struct reader *from, size_t size)
{
    if (size > (size_t)(from->end - from->at)) {
        return fail(from, "end-of-stream");
    }
    from->at += size;
    return true;
}

static inline bool skip_varint(struct reader *from)
{
    uint8_t byte;
    do {
        if (!read_byte(from, &byte)) {
            return false;
        }
    } while ((byte & 0x80) != 0);
    return true;
}

/* Skips a field that the message does not have. It does have those whose bits are set in `own`,
 * but with another wire type. */
static inline bool skip_field(struct reader *from, uint32_t key, uint64_t own)
{
    uint32_t size, number = key >> 3;
    if (number == 0) {
        return fail(from, "zero tag");
    }
    if (number < 64 && (own >> number & 1) != 0) {
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
static inline bool read_message(struct reader *from, field_reader read_field, void *to)
{
    struct dm_slice bytes;
    if (!read_bytes(from, &bytes)) {
        return false;
    }
    struct reader inner = reader_of(bytes);
    return read_fields(&inner, read_field, to) || fail(from, inner.wrong);
}

/* The last member of a oneof stands; the one before it is forgotten. */
static inline void choose(pb_size_t *which, pb_size_t tag, void *members, size_t size)
{
    if (*which != tag) {
        memset(members, 0, size);
        *which = tag;
    }
}

static inline bool read_text_item(struct reader *from, struct dm_items *to)
{
    struct dm_slice text;
    if (!read_bytes(from, &text)) {
        return false;
    }
    if (to->count < to->capacity) {
        ((struct dm_slice *)to->items)[to->count] = text;
    }
    to->count++;
    return true;
}

static inline bool read_number_item(struct reader *from, struct dm_items *to)
{
    uint64_t number;
    if (!read_uint64(from, &number)) {
        return false;
    }
    if (to->count < to->capacity) {
        ((uint64_t *)to->items)[to->count] = number;
    }
    to->count++;
    return true;
}

/* Packed numbers, as proto3 writes them. */
static inline bool read_packed_items(struct reader *from, struct dm_items *to)
{
    struct dm_slice bytes;
    if (!read_bytes(from, &bytes)) {
        return false;
    }
    struct reader inner = reader_of(bytes);
    while (inner.at != inner.end) {
        if (!read_number_item(&inner, to)) {
            return fail(from, inner.wrong);
        }
    }
    return true;
}

/* ---- writing -------------------------------------------------------------------- */

/* Answers are written from their last byte to their first, the fields in falling order: so
 * the size of an inner message is known when its length is to be written. `at` is the
 * front of what is written. Texts and items leave room for all the rest: their front may
 * not go below `floor`. */
struct writer {
    uint8_t *at, *floor, *end;
};

/* `out` has DM_SMALL_MESSAGE bytes. `fixed_max`: the most that is written besides texts and
 * items. */
static inline struct writer writer_of(uint8_t *out, size_t fixed_max)
{
    return (struct writer){
        .at = out + DM_SMALL_MESSAGE, .floor = out + fixed_max, .end = out + DM_SMALL_MESSAGE};
}

static inline struct dm_slice written(const struct writer *to)
{
    return dm_slice(to->at, (size_t)(to->end - to->at));
}

/* A key has two bytes at most; which one has it is known when this is compiled. */
static inline void put_key(struct writer *to, uint32_t key)
{
    if (key >= 0x80) {
        *--to->at = (uint8_t)(key >> 7);
        key |= 0x80;
    }
    *--to->at = (uint8_t)key;
}

static inline void put_varint(struct writer *to, uint64_t value)
{
    if (value < 0x80) {
        *--to->at = (uint8_t)value;
        return;
    }
    to->at -= dm_varint_size(value);
    (void)dm_varint_put(to->at, value);
}

static inline void put_present_number(struct writer *to, uint32_t tag, uint64_t value)
{
    put_varint(to, value);
    put_key(to, NUMBER(tag));
}

/* Writes nothing for zero, as proto3 wants it. */
static inline void put_number(struct writer *to, uint32_t tag, uint64_t value)
{
    if (value != 0) {
        put_present_number(to, tag, value);
    }
}

/* Makes what was put since `end` was the front an inner message. */
static inline void put_head(struct writer *to, uint32_t tag, const uint8_t *end)
{
    put_varint(to, (uint64_t)(end - to->at));
    put_key(to, TEXT(tag));
}

static inline void put_bytes(struct writer *to, struct dm_slice text)
{
    DM_ASSERT(to->at - to->floor >= (ptrdiff_t)text.size);
    to->at -= text.size;
    memcpy(to->at, text.data, text.size);
}

static inline void put_present_text(struct writer *to, uint32_t tag, struct dm_slice text)
{
    if (text.size != 0) {
        put_bytes(to, text);
    }
    put_varint(to, text.size);
    put_key(to, TEXT(tag));
}

static inline void put_text(struct writer *to, uint32_t tag, struct dm_slice text)
{
    if (text.size != 0) {
        put_present_text(to, tag, text);
    }
}

/* The head of an item, and a number: a varint and a key. */
enum { ITEM_MAX = 12 };

static inline void put_text_items(struct writer *to, uint32_t tag, const struct dm_items *items)
{
    const struct dm_slice *texts = items->items;
    for (uint32_t i = items->count; i > 0; i--) {
        DM_ASSERT(to->at - to->floor >= (ptrdiff_t)texts[i - 1].size + ITEM_MAX);
        put_present_text(to, tag, texts[i - 1]);
    }
}

static inline void put_packed_items(struct writer *to, uint32_t tag, const struct dm_items *items)
{
    const uint64_t *numbers = items->items;
    const uint8_t *end = to->at;
    for (uint32_t i = items->count; i > 0; i--) {
        DM_ASSERT(to->at - to->floor >= ITEM_MAX);
        put_varint(to, numbers[i - 1]);
    }
    if (to->at != end) {
        put_head(to, tag, end);
    }
}

#endif
