#include "client/field.h"

/* Requests are looked through before they are encoded: what is wrong with one is the program's own
 * doing, and is said rather than sent. */

static const char no_size[] = "a struct of the request has no struct_size: DORMOUSE() sets it";
static const char too_large[] = "a struct of the request is larger than this library knows: the "
                                "program was compiled for a newer one";
static const char no_element[] = "an array of the request has a NULL in it";
static const char two_of_one[] =
    "two members of the request are set of which the server takes only one";

static bool is_set(const struct dm_field *field, const void *from)
{
    static const char zeros[sizeof(struct dormouse_text)];
    const char *value = dm_field_at(from, field->offset);
    if (field->has >= 0) {
        return *(const bool *)dm_field_at(from, (size_t)field->has);
    }
    switch (field->kind) {
    case DM_FIELD_TEXT:
        return ((const struct dormouse_text *)(const void *)value)->size != 0;
    case DM_FIELD_ENUM:
    case DM_FIELD_U32:
        return memcmp(value, zeros, sizeof(uint32_t)) != 0;
    case DM_FIELD_BOOL:
        return *(const bool *)value;
    default: /* a number of 64 bits, or a pointer */
        return memcmp(value, zeros, field->kind == DM_FIELD_MESSAGE ? sizeof(void *) : 8) != 0;
    }
}

static const char *wrong_inside(const struct dm_field *field, const void *from)
{
    if (field->kind == DM_FIELD_MESSAGE) {
        const void *inner = dm_field_message(field, from);
        return inner == NULL ? NULL : dm_message_wrong(field->message, inner);
    }
    size_t count = *(const size_t *)dm_field_at(from, field->count);
    for (size_t i = 0; i < count; i++) {
        const void *element = dm_field_element(field, from, i);
        const char *wrong =
            element == NULL ? no_element : dm_message_wrong(field->message, element);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

const char *dm_message_wrong(const struct dm_message *message, const void *from)
{
    size_t size = *(const size_t *)from;
    if (size < message->size_first) {
        return no_size;
    }
    if (size > message->size) {
        return too_large;
    }
    uint32_t unions = 0; /* a bit for each of which a field was set */
    for (uint32_t i = 0; i < message->fields_count; i++) {
        const struct dm_field *field = &message->fields[i];
        if (!dm_field_present(field, from)) {
            continue;
        }
        if (field->one_of != 0 && is_set(field, from)) {
            if ((unions & 1U << field->one_of) != 0) {
                return two_of_one;
            }
            unions |= 1U << field->one_of;
        }
        if (field->message != NULL) {
            const char *wrong = wrong_inside(field, from);
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    return NULL;
}
