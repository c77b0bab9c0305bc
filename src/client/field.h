#ifndef DM_CLIENT_FIELD_H
#define DM_CLIENT_FIELD_H

#include "client/message.h"

#include <dormouse/message.h>

/* What encoding and decoding share: where the table says that a field's value is. */

/* A Timestamp's fields, and a Duration's. */
enum { DM_SECONDS_TAG = 1, DM_NANOS_TAG = 2 };

static inline const void *dm_field_at(const void *from, size_t offset)
{
    return (const char *)from + offset;
}

static inline void *dm_field_at_mutable(void *to, size_t offset)
{
    return (char *)to + offset;
}

/* A pointer whose type only the table knows: copied, for its object is of another type. */
static inline void *dm_field_pointer(const void *from)
{
    void *pointer;
    memcpy(&pointer, from, sizeof pointer);
    return pointer;
}

/* Where the field may be, of a struct that a program passes: it may be shorter than ours. */
static inline bool dm_field_present(const struct dm_field *field, const void *from)
{
    size_t size = *(const size_t *)from;
    return size == 0 || field->end <= size;
}

/* The message that the field points to, or that the element `i` of its array does. */
static inline const void *dm_field_message(const struct dm_field *field, const void *from)
{
    return dm_field_pointer(dm_field_at(from, field->offset));
}
static inline const void *dm_field_element(const struct dm_field *field, const void *from, size_t i)
{
    const char *elements = dm_field_message(field, from);
    return dm_field_pointer(elements + i * sizeof(void *));
}

/* Of one element of a field that is an array. */
static inline size_t dm_element_size(const struct dm_field *field)
{
    if (field->kind == DM_FIELD_TEXTS) {
        return sizeof(struct dormouse_text);
    }
    if (field->kind == DM_FIELD_MESSAGES) {
        return sizeof(void *);
    }
    switch (field->element) {
    case DM_FIELD_ENUM:
    case DM_FIELD_U32:
        return sizeof(uint32_t);
    case DM_FIELD_BOOL:
        return sizeof(bool);
    default:
        return sizeof(uint64_t);
    }
}

#endif
