#ifndef DM_JSON_VALUE_H
#define DM_JSON_VALUE_H

#include "base/slice.h"
#include "dm_json_tables.h"

#include <stdint.h>

/* Single values between their text in ProtoJSON and their numbers. A function that reads
 * returns NULL, or what is wrong with the text, to be put after it: "is not a number". */

/* `text` is a JSON number, of any form that is whole ("1.5e3"): read exactly, never by way
 * of a double. *bits is what the field's varint holds. */
const char *dm_json_integer(struct dm_slice text, enum dm_json_kind kind, uint64_t *bits);

/* A google.protobuf.Timestamp or Duration. */
struct dm_json_time {
    int64_t seconds;
    int32_t nanos;
};
const char *dm_json_timestamp(struct dm_slice text, struct dm_json_time *time);
const char *dm_json_duration(struct dm_slice text, struct dm_json_time *time);

/* Writes the text, without quotes; returns its size, 0 when the value is out of range. */
enum { DM_JSON_TIME_SIZE = 48 };
size_t dm_json_timestamp_text(struct dm_json_time time, char *to);
size_t dm_json_duration_text(struct dm_json_time time, char *to);

#endif
