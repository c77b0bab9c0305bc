#ifndef DM_JSON_JSON_H
#define DM_JSON_JSON_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"

/* ProtoJSON (protobuf.dev/programming-guides/json): between a message's bytes and its
 * JSON text, by tables that the build makes from the descriptors (dm_json_tables.h).
 * `type` is a message's full name, "dormouse.v1.CheckRequest". What comes out is appended
 * to `out`; after a failure its content is undefined.
 *
 * Strict where the standard leaves a choice: a name twice, two members of one oneof, an
 * unknown enum name, null in a list, a lone surrogate are errors. Unknown fields are
 * skipped, but their syntax is checked. */

/* INVALID_ARGUMENT, with a sentence that begins with the place ("change.snoozeUntil: ..."),
 * when `json` is no such message. RESOURCE_EXHAUSTED past DM_MESSAGE_SIZE_MAX on either
 * side, or when there is no memory. */
enum dm_code dm_json_to_proto(const char *type, struct dm_slice json, struct dm_buf *out,
                              struct dm_error *error);
/* INTERNAL when `proto` is no such message; RESOURCE_EXHAUSTED when the text would be
 * larger than DM_MESSAGE_SIZE_MAX, or there is no memory. A field that may occur once and
 * occurs several times has its last value; a message field that does is refused. */
enum dm_code dm_proto_to_json(const char *type, struct dm_slice proto, struct dm_buf *out,
                              struct dm_error *error);
/* The same for who reads it on a terminal, or by a script that wants the same members always: a
 * field without presence is there with its default, too; what a terminal would obey is escaped;
 * bytes of a text that are no UTF-8 become U+FFFD. */
enum dm_code dm_proto_to_json_shown(const char *type, struct dm_slice proto, struct dm_buf *out,
                                    struct dm_error *error);

#endif
