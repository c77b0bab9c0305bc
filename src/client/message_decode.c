#include "client/field.h"

#include <pb_decode.h>

/* Elements of one array: what a wrong answer may make us allocate. */
enum { ELEMENTS_MAX = 65536 };

static bool decode_fields(pb_istream_t *stream, const struct dm_message *message, void *to,
                          struct dm_arena *arena);
static void *make_inner(const struct dm_field *field, void *to, struct dm_arena *arena);

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
        [DM_SECONDS_TAG] = (uint64_t)(*out / per_second),
        [DM_NANOS_TAG] = (uint64_t)(*out % per_second * (1000000000 / per_second)),
    };
    while (inner.bytes_left > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(&inner, &type, &tag, &eof)) {
            return false;
        }
        bool known = (tag == DM_SECONDS_TAG || tag == DM_NANOS_TAG) && type == PB_WT_VARINT;
        if (!(known ? pb_decode_varint(&inner, &parts[tag]) : pb_skip_field(&inner, type))) {
            return false;
        }
    }
    int64_t seconds = (int64_t)parts[DM_SECONDS_TAG], nanos = (int64_t)parts[DM_NANOS_TAG];
    if (seconds > INT64_MAX / 2000000 || seconds < INT64_MIN / 2000000 || nanos >= 1000000000 ||
        nanos <= -1000000000) {
        return false;
    }
    *out = seconds * per_second + nanos / (1000000000 / per_second);
    return true;
}

/* An empty message: whole, with those inside that are always there. Depth is that of the schema,
 * which has no circles. */
static bool make_empty(const struct dm_message *message, void *to, struct dm_arena *arena)
{
    memset(to, 0, message->size);
    for (uint32_t i = 0; i < message->fields_count; i++) {
        const struct dm_field *field = &message->fields[i];
        if (field->always && make_inner(field, to, arena) == NULL) {
            return false;
        }
    }
    return true;
}

/* An empty message that the field points to from now on. NULL: no memory. */
static void *make_inner(const struct dm_field *field, void *to, struct dm_arena *arena)
{
    void *inner = dm_arena_alloc(arena, field->message->size);
    if (inner == NULL || !make_empty(field->message, inner, arena)) {
        return NULL;
    }
    memcpy(dm_field_at_mutable(to, field->offset), &inner, sizeof inner);
    return inner;
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
static size_t occurrences(const pb_istream_t *stream, uint32_t wanted, pb_wire_type_t first)
{
    pb_istream_t ahead = *stream;
    size_t count = 1;
    if (!pb_skip_field(&ahead, first)) {
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
    union array_head *head = dm_arena_alloc(arena, sizeof *head + capacity * size);
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

/* The place of the next element. The array is allocated whole when its first one comes, with
 * room for the `more` that are there. A message around it may come in several pieces, which
 * protobuf merges: then each piece with elements finds those of the ones before, and the array is
 * full when its own first element comes. NULL: no memory, or too many. */
static void *next_element(const struct dm_field *field, void *to, size_t more,
                          struct dm_arena *arena)
{
    char *elements = dm_field_pointer(dm_field_at(to, field->offset));
    size_t *count = dm_field_at_mutable(to, field->count);
    size_t size = dm_element_size(field);
    if (*count == capacity_of(elements)) {
        elements = grow(elements, *count, more, size, arena);
        if (elements == NULL) {
            return NULL;
        }
        memcpy(dm_field_at_mutable(to, field->offset), &elements, sizeof elements);
    }
    return elements + (*count)++ * size;
}

static bool is_full(const struct dm_field *field, const void *to)
{
    return *(const size_t *)dm_field_at(to, field->count) ==
           capacity_of(dm_field_pointer(dm_field_at(to, field->offset)));
}

static bool get_element(pb_istream_t *stream, const struct dm_field *field, void *to,
                        struct dm_arena *arena)
{
    size_t more = is_full(field, to) ? occurrences(stream, field->tag, PB_WT_STRING) : 0;
    void *element = next_element(field, to, more, arena);
    if (element == NULL) {
        return false;
    }
    if (field->kind == DM_FIELD_TEXTS) {
        return get_text(stream, element);
    }
    void *message = dm_arena_alloc(arena, field->message->size);
    if (message == NULL || !make_empty(field->message, message, arena)) {
        return false;
    }
    memcpy(element, &message, sizeof message);
    return get_message(stream, field->message, message, arena);
}

static bool get_number(pb_istream_t *stream, enum dm_field_kind kind, void *value)
{
    uint64_t number;
    if (!pb_decode_varint(stream, &number)) {
        return false;
    }
    switch (kind) {
    case DM_FIELD_ENUM:
        *(int32_t *)value = (int32_t)(uint32_t)number;
        return true;
    case DM_FIELD_U32:
        *(uint32_t *)value = (uint32_t)number;
        return true;
    case DM_FIELD_I64:
    case DM_FIELD_U64:
        *(uint64_t *)value = number;
        return true;
    default:
        *(bool *)value = number != 0;
        return true;
    }
}

/* Numbers come one by one, or packed as one text; its bytes below 0x80 are their ends. */
static bool get_numbers(pb_istream_t *stream, pb_wire_type_t type, const struct dm_field *field,
                        void *to, struct dm_arena *arena)
{
    struct dormouse_text packed;
    if (type == PB_WT_VARINT) {
        size_t more = is_full(field, to) ? occurrences(stream, field->tag, type) : 0;
        void *element = next_element(field, to, more, arena);
        return element != NULL && get_number(stream, field->element, element);
    }
    if (!get_text(stream, &packed)) {
        return false;
    }
    size_t more = 0;
    for (size_t i = 0; i < packed.size; i++) {
        more += (packed.data[i] & 0x80) == 0;
    }
    pb_istream_t inner = pb_istream_from_buffer((const pb_byte_t *)packed.data, packed.size);
    while (inner.bytes_left > 0) {
        void *element = next_element(field, to, more, arena);
        if (element == NULL || !get_number(&inner, field->element, element)) {
            return false;
        }
    }
    return true;
}

static bool is_number(enum dm_field_kind kind)
{
    return kind >= DM_FIELD_ENUM && kind <= DM_FIELD_BOOL;
}

static bool get_field(pb_istream_t *stream, pb_wire_type_t type, const struct dm_field *field,
                      void *to, struct dm_arena *arena)
{
    void *value = dm_field_at_mutable(to, field->offset);
    if (field->has >= 0) {
        *(bool *)dm_field_at_mutable(to, (size_t)field->has) = true;
    }
    switch (field->kind) {
    case DM_FIELD_TEXT:
        return get_text(stream, value);
    case DM_FIELD_TIME_MS:
        return get_time(stream, 1000, value);
    case DM_FIELD_SPAN_US:
        return get_time(stream, 1000000, value);
    case DM_FIELD_MESSAGE:
        value = dm_field_pointer(value);
        value = value == NULL ? make_inner(field, to, arena) : value;
        return value != NULL && get_message(stream, field->message, value, arena);
    case DM_FIELD_TEXTS:
    case DM_FIELD_MESSAGES:
        return get_element(stream, field, to, arena);
    case DM_FIELD_NUMBERS:
        return get_numbers(stream, type, field, to, arena);
    default:
        return get_number(stream, field->kind, value);
    }
}

/* Numbers rise, mostly without gaps: a field stands at its number's place, or before it. */
static const struct dm_field *find_field(const struct dm_message *message, uint32_t tag)
{
    uint32_t i = tag < message->fields_count ? tag : message->fields_count;
    while (i > 0 && message->fields[i - 1].tag > tag) {
        i--;
    }
    return i > 0 && message->fields[i - 1].tag == tag ? &message->fields[i - 1] : NULL;
}

static bool fits(enum dm_field_kind kind, pb_wire_type_t type)
{
    bool number = is_number(kind) || kind == DM_FIELD_NUMBERS;
    return (number && type == PB_WT_VARINT) || (!is_number(kind) && type == PB_WT_STRING);
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
        const struct dm_field *field = find_field(message, tag);
        if (field == NULL) {
            if (!pb_skip_field(stream, type)) {
                return false;
            }
            continue;
        }
        if (!fits(field->kind, type) || !get_field(stream, type, field, to, arena)) {
            return false;
        }
    }
    return true;
}

bool dm_message_decode(struct dm_slice bytes, const struct dm_message *message, void *to,
                       struct dm_arena *arena)
{
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.size);
    return make_empty(message, to, arena) && decode_fields(&stream, message, to, arena);
}
