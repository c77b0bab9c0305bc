#include "json/table.h"

const struct dm_json_message *dm_json_message_find(const char *name)
{
    size_t low = 0, high = dm_json_message_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, dm_json_messages[middle].name);
        if (order == 0) {
            return &dm_json_messages[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct dm_json_field *dm_json_field_by_number(const struct dm_json_message *message,
                                                    uint32_t number)
{
    /* nearly all messages number their fields 1, 2, 3 ... */
    if (number - 1 < message->count && message->fields[number - 1].number == number) {
        return &message->fields[number - 1];
    }
    for (size_t i = 0; i < message->count; i++) {
        if (message->fields[i].number == number) {
            return &message->fields[i];
        }
    }
    return NULL;
}

static bool same(struct dm_json_text text, struct dm_slice slice)
{
    return dm_slice_equal(dm_slice(text.data, text.size), slice);
}

const struct dm_json_field *dm_json_field_by_name(const struct dm_json_message *message,
                                                  struct dm_slice name)
{
    for (size_t i = 0; i < message->count; i++) {
        if (same(message->fields[i].json_name, name) || same(message->fields[i].name, name)) {
            return &message->fields[i];
        }
    }
    return NULL;
}

const struct dm_json_enum_value *dm_json_value_by_number(const struct dm_json_enum *enumeration,
                                                         int32_t number)
{
    for (size_t i = 0; i < enumeration->count; i++) {
        if (enumeration->values[i].number == number) {
            return &enumeration->values[i];
        }
    }
    return NULL;
}

const struct dm_json_enum_value *dm_json_value_by_name(const struct dm_json_enum *enumeration,
                                                       struct dm_slice name)
{
    for (size_t i = 0; i < enumeration->count; i++) {
        if (same(enumeration->values[i].name, name)) {
            return &enumeration->values[i];
        }
    }
    return NULL;
}
