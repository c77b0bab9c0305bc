#include "client/field.h"

#include "base/assert.h"

#include <inttypes.h>

/* Requests are looked through before they are encoded: what is wrong with one is the program's own
 * doing, and is said rather than sent. */

enum { UNIONS = 8 }; /* of one message, numbered from 1: tools/gen/client.py keeps to it */

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

static enum dm_code check_inside(const struct dm_field *field, const void *from,
                                 struct dm_error *error)
{
    if (field->kind == DM_FIELD_MESSAGE) {
        const void *inner = dm_field_message(field, from);
        return inner == NULL ? DM_OK : dm_message_check(field->message, inner, error);
    }
    size_t count = *(const size_t *)dm_field_at(from, field->count);
    for (size_t i = 0; i < count; i++) {
        const void *element = dm_field_element(field, from, i);
        enum dm_code code = element == NULL ? dm_fail(error, DM_INVALID_ARGUMENT,
                                                      "%s[%zu] is NULL; %s_count is %zu",
                                                      field->name, i, field->name, count)
                                            : dm_message_check(field->message, element, error);
        if (code != DM_OK) {
            return code;
        }
    }
    return DM_OK;
}

static enum dm_code check_size(const struct dm_message *message, size_t size,
                               struct dm_error *error)
{
    if (size < message->size_first) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "the struct_size of a %s is %zu, which no version had; DORMOUSE() sets it",
                       message->name, size);
    }
    if (size > message->size) {
        return dm_fail(error, DM_INVALID_ARGUMENT,
                       "the struct_size of a %s is %zu, more than this library knows: %" PRIu32
                       "; use a newer one",
                       message->name, size, message->size);
    }
    return DM_OK;
}

/* Of several in a union at most one is set. */
static enum dm_code check_unions(const struct dm_message *message, const void *from,
                                 struct dm_error *error)
{
    const struct dm_field *set[UNIONS] = {NULL};
    for (uint32_t i = 0; i < message->fields_count; i++) {
        const struct dm_field *field = &message->fields[i];
        if (field->one_of == 0 || !dm_field_present(field, from) || !is_set(field, from)) {
            continue;
        }
        DM_ASSERT(field->one_of < UNIONS);
        if (set[field->one_of] != NULL) {
            return dm_fail(error, DM_INVALID_ARGUMENT,
                           "%s and %s of a %s are both set; the server takes one of them",
                           set[field->one_of]->name, field->name, message->name);
        }
        set[field->one_of] = field;
    }
    return DM_OK;
}

enum dm_code dm_message_check(const struct dm_message *message, const void *from,
                              struct dm_error *error)
{
    enum dm_code code = check_size(message, *(const size_t *)from, error);
    if (code == DM_OK) {
        code = check_unions(message, from, error);
    }
    for (uint32_t i = 0; code == DM_OK && i < message->fields_count; i++) {
        const struct dm_field *field = &message->fields[i];
        if (field->message != NULL && dm_field_present(field, from)) {
            code = check_inside(field, from, error);
        }
    }
    return code;
}
