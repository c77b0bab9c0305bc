#include "client/message.h"

#include "base/assert.h"

#include <dormouse/message.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>

enum {
    /* Elements of one array: what a wrong answer may make us allocate. */
    ELEMENTS_MAX = 65536,
    SECONDS_TAG = 1,
    NANOS_TAG = 2,
};

static const void *at(const void *from, size_t offset)
{
    return (const char *)from + offset;
}

static void *at_mutable(void *to, size_t offset)
{
    return (char *)to + offset;
}

/* A pointer whose type only the table knows: copied, for its object is of another type. */
static void *load_pointer(const void *from)
{
    void *pointer;
    memcpy(&pointer, from, sizeof pointer);
    return pointer;
}

/* ---- encoding -------------------------------------------------------------- */

static bool encode_fields(pb_ostream_t *stream, const struct dm_message *message, const void *from);

static bool put_key(pb_ostream_t *stream, pb_wire_type_t type, uint32_t tag)
{
    return pb_encode_tag(stream, type, tag);
}

static bool put_number(pb_ostream_t *stream, uint32_t tag, uint64_t value, bool always)
{
    return (value == 0 && !always) ||
           (put_key(stream, PB_WT_VARINT, tag) && pb_encode_varint(stream, value));
}

static bool put_text(pb_ostream_t *stream, uint32_t tag, const struct dormouse_text *text,
                     bool always)
{
    if (text->size == 0 && !always) {
        return true;
    }
    return put_key(stream, PB_WT_STRING, tag) &&
           pb_encode_string(stream, (const pb_byte_t *)text->data, text->size);
}

/* Timestamp and Duration have the same fields. A Timestamp's nanos are never negative, a
 * Duration's have the sign of its seconds; ours are not negative in either. */
static bool put_time(pb_ostream_t *stream, uint32_t tag, int64_t value, int64_t per_second)
{
    if (value == 0) {
        return true;
    }
    int64_t seconds = value / per_second;
    int64_t nanos = value % per_second * (1000000000 / per_second);
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return put_number(&sizing, SECONDS_TAG, (uint64_t)seconds, false) &&
           put_number(&sizing, NANOS_TAG, (uint64_t)nanos, false) &&
           put_key(stream, PB_WT_STRING, tag) && pb_encode_varint(stream, sizing.bytes_written) &&
           put_number(stream, SECONDS_TAG, (uint64_t)seconds, false) &&
           put_number(stream, NANOS_TAG, (uint64_t)nanos, false);
}

static bool put_message(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    return encode_fields(&sizing, field->message, from) &&
           put_key(stream, PB_WT_STRING, field->tag) &&
           pb_encode_varint(stream, sizing.bytes_written) &&
           encode_fields(stream, field->message, from);
}

static bool put_array(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    const char *elements = load_pointer(at(from, field->offset));
    size_t count = *(const size_t *)at(from, field->count);
    for (size_t i = 0; i < count; i++) {
        bool ok = field->kind == DM_FIELD_TEXTS
                      ? put_text(stream, field->tag,
                                 (const struct dormouse_text *)(const void *)elements + i, true)
                      : put_message(stream, field, elements + i * field->message->size);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool put_field(pb_ostream_t *stream, const struct dm_field *field, const void *from)
{
    const void *value = at(from, field->offset);
    bool has = field->has >= 0 && *(const bool *)at(from, (size_t)field->has);
    if (field->has >= 0 && !has) {
        return true;
    }
    switch (field->kind) {
    case DM_FIELD_TEXT:
        return put_text(stream, field->tag, value, has);
    case DM_FIELD_ENUM:
        return put_number(stream, field->tag, (uint64_t)(int64_t) * (const int32_t *)value, has);
    case DM_FIELD_U32:
        return put_number(stream, field->tag, *(const uint32_t *)value, has);
    case DM_FIELD_U64:
        return put_number(stream, field->tag, *(const uint64_t *)value, has);
    case DM_FIELD_BOOL:
        return put_number(stream, field->tag, *(const bool *)value, has);
    case DM_FIELD_TIME_MS:
        return put_time(stream, field->tag, *(const int64_t *)value, 1000);
    case DM_FIELD_SPAN_US:
        return put_time(stream, field->tag, *(const int64_t *)value, 1000000);
    case DM_FIELD_MESSAGE:
        return put_message(stream, field, value);
    case DM_FIELD_TEXTS:
    case DM_FIELD_MESSAGES:
        return put_array(stream, field, from);
    }
    return false;
}

static bool encode_fields(pb_ostream_t *stream, const struct dm_message *message, const void *from)
{
    for (uint32_t i = 0; i < message->fields_count; i++) {
        if (!put_field(stream, &message->fields[i], from)) {
            return false;
        }
    }
    return true;
}

bool dm_message_encode(struct dm_buf *out, const struct dm_message *message, const void *from)
{
    pb_ostream_t sizing = PB_OSTREAM_SIZING;
    if (!encode_fields(&sizing, message, from)) {
        return false;
    }
    uint8_t *room = dm_buf_reserve(out, sizing.bytes_written);
    if (room == NULL) {
        return false;
    }
    pb_ostream_t stream = pb_ostream_from_buffer(room, sizing.bytes_written);
    bool ok = encode_fields(&stream, message, from);
    DM_ASSERT(ok && stream.bytes_written == sizing.bytes_written);
    dm_buf_commit(out, stream.bytes_written);
    return true;
}

/* ---- decoding -------------------------------------------------------------- */

struct dm_arena_chunk {
    struct dm_arena_chunk *next;
    max_align_t data[];
};

static void *arena_alloc(struct dm_arena *arena, size_t size)
{
    struct dm_arena_chunk *chunk = calloc(1, sizeof *chunk + size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk->data;
}

void dm_arena_finish(struct dm_arena *arena)
{
    while (arena->chunks != NULL) {
        struct dm_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

static bool decode_fields(pb_istream_t *stream, const struct dm_message *message, void *to,
                          struct dm_arena *arena);

/* A buffer stream's state is where it reads: so texts need no copy. */
static bool get_text(pb_istream_t *stream, struct dormouse_text *out)
{
    uint32_t size;
    if (!pb_decode_varint32(stream, &size) || size > stream->bytes_left) {
        return false;
    }
    out->data = stream->state;
    out->size = size;
    return pb_read(stream, NULL, size);
}

/* What is there already counts on where the message comes again without it, as protobuf merges
 * messages: *out is both where to and where from. */
static bool get_time(pb_istream_t *stream, int64_t per_second, int64_t *out)
{
    struct dormouse_text text;
    if (!get_text(stream, &text)) {
        return false;
    }
    pb_istream_t inner = pb_istream_from_buffer((const pb_byte_t *)text.data, text.size);
    uint64_t parts[] = {
        [SECONDS_TAG] = (uint64_t)(*out / per_second),
        [NANOS_TAG] = (uint64_t)(*out % per_second * (1000000000 / per_second)),
    };
    while (inner.bytes_left > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(&inner, &type, &tag, &eof)) {
            return false;
        }
        bool known = (tag == SECONDS_TAG || tag == NANOS_TAG) && type == PB_WT_VARINT;
        if (!(known ? pb_decode_varint(&inner, &parts[tag]) : pb_skip_field(&inner, type))) {
            return false;
        }
    }
    int64_t seconds = (int64_t)parts[SECONDS_TAG], nanos = (int64_t)parts[NANOS_TAG];
    if (seconds > INT64_MAX / 2000000 || seconds < INT64_MIN / 2000000 || nanos >= 1000000000 ||
        nanos <= -1000000000) {
        return false;
    }
    *out = seconds * per_second + nanos / (1000000000 / per_second);
    return true;
}

static bool get_message(pb_istream_t *stream, const struct dm_message *message, void *to,
                        struct dm_arena *arena)
{
    struct dormouse_text text;
    if (!get_text(stream, &text)) {
        return false;
    }
    pb_istream_t inner = pb_istream_from_buffer((const pb_byte_t *)text.data, text.size);
    return decode_fields(&inner, message, to, arena);
}

/* How often a field comes in what is left of the stream, its first value being next. */
static size_t occurrences(const pb_istream_t *stream, uint32_t wanted)
{
    pb_istream_t ahead = *stream;
    size_t count = 1;
    if (!pb_skip_field(&ahead, PB_WT_STRING)) {
        return 0;
    }
    while (ahead.bytes_left > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(&ahead, &type, &tag, &eof) || !pb_skip_field(&ahead, type)) {
            return 0;
        }
        count += tag == wanted;
    }
    return count;
}

/* What stands in front of an array's elements in the arena. */
union array_head {
    size_t capacity; /* elements */
    max_align_t align;
};

static size_t capacity_of(const char *elements)
{
    return elements == NULL ? 0 : ((const union array_head *)(const void *)elements - 1)->capacity;
}

/* A full array with room for `more` elements; NULL: no memory, or too many. At least doubled:
 * a message that comes in a thousand pieces must not be copied a thousand times. */
static char *grow(const char *elements, size_t count, size_t more, size_t size,
                  struct dm_arena *arena)
{
    if (more == 0 || more > ELEMENTS_MAX - count) {
        return NULL;
    }
    size_t capacity = count + more;
    if (capacity < count * 2) {
        capacity = count * 2 < ELEMENTS_MAX ? count * 2 : ELEMENTS_MAX;
    }
    union array_head *head = arena_alloc(arena, sizeof *head + capacity * size);
    if (head == NULL) {
        return NULL;
    }
    head->capacity = capacity;
    char *moved = (char *)(head + 1);
    if (count > 0) {
        memcpy(moved, elements, count * size);
    }
    return moved;
}

/* The array is allocated whole when its first element comes. A message around it may come in
 * several pieces, which protobuf merges: then each piece with elements finds those of the ones
 * before, and the array is full when its own first element comes. */
static bool get_element(pb_istream_t *stream, const struct dm_field *field, void *to,
                        struct dm_arena *arena)
{
    char *elements = load_pointer(at(to, field->offset));
    size_t *count = at_mutable(to, field->count);
    size_t size =
        field->kind == DM_FIELD_TEXTS ? sizeof(struct dormouse_text) : field->message->size;
    if (*count == capacity_of(elements)) {
        elements = grow(elements, *count, occurrences(stream, field->tag), size, arena);
        if (elements == NULL) {
            return false;
        }
        memcpy(at_mutable(to, field->offset), &elements, sizeof elements);
    }
    void *element = elements + (*count)++ * size;
    return field->kind == DM_FIELD_TEXTS ? get_text(stream, element)
                                         : get_message(stream, field->message, element, arena);
}

static bool get_number(pb_istream_t *stream, const struct dm_field *field, void *value)
{
    uint64_t number;
    if (!pb_decode_varint(stream, &number)) {
        return false;
    }
    switch (field->kind) {
    case DM_FIELD_ENUM:
        *(int32_t *)value = (int32_t)(uint32_t)number;
        return true;
    case DM_FIELD_U32:
        *(uint32_t *)value = (uint32_t)number;
        return true;
    case DM_FIELD_U64:
        *(uint64_t *)value = number;
        return true;
    default:
        *(bool *)value = number != 0;
        return true;
    }
}

static bool is_number(enum dm_field_kind kind)
{
    return kind == DM_FIELD_ENUM || kind == DM_FIELD_U32 || kind == DM_FIELD_U64 ||
           kind == DM_FIELD_BOOL;
}

static bool get_field(pb_istream_t *stream, const struct dm_field *field, void *to,
                      struct dm_arena *arena)
{
    void *value = at_mutable(to, field->offset);
    if (field->has >= 0) {
        *(bool *)at_mutable(to, (size_t)field->has) = true;
    }
    switch (field->kind) {
    case DM_FIELD_TEXT:
        return get_text(stream, value);
    case DM_FIELD_TIME_MS:
        return get_time(stream, 1000, value);
    case DM_FIELD_SPAN_US:
        return get_time(stream, 1000000, value);
    case DM_FIELD_MESSAGE:
        return get_message(stream, field->message, value, arena);
    case DM_FIELD_TEXTS:
    case DM_FIELD_MESSAGES:
        return get_element(stream, field, to, arena);
    default:
        return get_number(stream, field, value);
    }
}

static bool decode_fields(pb_istream_t *stream, const struct dm_message *message, void *to,
                          struct dm_arena *arena)
{
    while (stream->bytes_left > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(stream, &type, &tag, &eof) || tag == 0) {
            return false;
        }
        if (tag > message->fields_count) {
            if (!pb_skip_field(stream, type)) {
                return false;
            }
            continue;
        }
        const struct dm_field *field = &message->fields[tag - 1];
        DM_ASSERT(field->tag == tag);
        bool fits = type == (is_number(field->kind) ? PB_WT_VARINT : PB_WT_STRING);
        if (!fits || !get_field(stream, field, to, arena)) {
            return false;
        }
    }
    return true;
}

bool dm_message_decode(struct dm_slice bytes, const struct dm_message *message, void *to,
                       struct dm_arena *arena)
{
    memset(to, 0, message->size);
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.size);
    return decode_fields(&stream, message, to, arena);
}
