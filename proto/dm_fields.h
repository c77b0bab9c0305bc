#ifndef DM_FIELDS_H
#define DM_FIELDS_H

#include "base/slice.h"

#include <pb.h>
#include <stdint.h>

/* The fields whose size nanopb cannot know, in the structs that it generates for us
 * (tools/gen/nanopb_options.py says which): texts are never copied, neither in nor out.
 *
 * A string or bytes field is a struct dm_slice: of what was read, with NULL as data if it was
 * absent; or of what is to be written and lives until then. nanopb does not tell these fields
 * with presence from those without, so it writes no empty text (the hot codec does, where
 * `data` is not NULL and the field has presence). */

/* A repeated field of a hot message. Its owner gives `items` with room for `capacity` of
 * them before the message is read; `count` goes on past that, the items do not. They are
 *   uint64_t          of numbers, booleans and enums: the varint as it is on the wire
 *   struct dm_slice   of texts, and of messages: each one's bytes */
struct dm_items {
    void *items;
    uint32_t count, capacity;
};

/* What a struct's texts are read from: slices of `payload`. */
pb_istream_t dm_istream(struct dm_slice payload);

/* nanopb calls these for such fields. The first leaves repeated ones to their
 * pb_callback_t, the second takes them for struct dm_items. */
bool dm_text_callback(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field);
bool dm_items_callback(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field);

/* The text that `in` is at, for a pb_callback_t. false: its wire type is that of a number. */
bool dm_text_take(pb_istream_t *in, struct dm_slice *to);

#endif
