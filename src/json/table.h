#ifndef DM_JSON_TABLE_H
#define DM_JSON_TABLE_H

#include "base/slice.h"
#include "dm_json_tables.h"

/* Searches in the generated tables. NULL: there is none. */

const struct dm_json_message *dm_json_message_find(const char *name);
const struct dm_json_field *dm_json_field_by_number(const struct dm_json_message *message,
                                                    uint32_t number);
/* By its name in JSON or in the proto file. */
const struct dm_json_field *dm_json_field_by_name(const struct dm_json_message *message,
                                                  struct dm_slice name);
const struct dm_json_enum_value *dm_json_value_by_number(const struct dm_json_enum *enumeration,
                                                         int32_t number);
const struct dm_json_enum_value *dm_json_value_by_name(const struct dm_json_enum *enumeration,
                                                       struct dm_slice name);

/* Protobuf's wire types, as far as proto3 has them. */
enum { DM_WIRE_VARINT = 0, DM_WIRE_FIXED64 = 1, DM_WIRE_BYTES = 2, DM_WIRE_FIXED32 = 5 };

static inline bool dm_json_is_varint(const struct dm_json_field *field)
{
    return field->kind <= DM_JSON_ENUM;
}

#endif
