#ifndef DM_TESTS_HOT_H
#define DM_TESTS_HOT_H

#include "base/slice.h"

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The generated hot codec beside nanopb, message by message: both work on the same structs,
 * and nanopb's descriptors say how to compare them, so a new field needs nothing here. */

struct hot_decoded {
    const char *name;
    const pb_msgdesc_t *fields;
    size_t size; /* of the struct */
    const char *(*decode)(struct dm_slice from, void *to);
};
struct hot_encoded {
    const char *name;
    const pb_msgdesc_t *fields;
    size_t size;
    struct dm_slice (*encode)(uint8_t *out, const void *from);
    size_t fixed_max; /* DM_HOT_FIXED_MAX */
};

/* Those of the served methods, and of every_kind.proto. */
extern const struct hot_decoded hot_decoded[];
extern const struct hot_encoded hot_encoded[];
extern const size_t hot_decoded_count, hot_encoded_count;
extern const struct hot_decoded hot_every_decoded[1];
extern const struct hot_encoded hot_every_encoded[1];

/* Reads `bytes` with both. Aborts when one accepts what the other refuses, or when they make
 * something else of it, or give other words to what they refuse. Did they accept? */
bool hot_decodes_alike(const struct hot_decoded *message, struct dm_slice bytes);

/* Reads `bytes` with nanopb, and writes the message with both. Aborts when the bytes differ.
 * false: they were no message, or one too large to be an answer. */
bool hot_encodes_alike(const struct hot_encoded *message, struct dm_slice bytes);

/* For the table of a generated header. */
#define HOT_DECODED_(name_, type)                                     \
    static const char *decode_##name_(struct dm_slice from, void *to) \
    {                                                                 \
        return dm_##name_##_decode(from, to);                         \
    }
#define HOT_ENCODED_(name_, type)                                         \
    static struct dm_slice encode_##name_(uint8_t *out, const void *from) \
    {                                                                     \
        return dm_##name_##_encode(out, from);                            \
    }
#define HOT_DECODED_ROW_(name_, type) \
    {.name = #name_, .fields = type##_fields, .size = sizeof(type), .decode = decode_##name_},
#define HOT_ENCODED_ROW_(name_, type) \
    {.name = #name_,                  \
     .fields = type##_fields,         \
     .size = sizeof(type),            \
     .encode = encode_##name_,        \
     .fixed_max = DM_HOT_FIXED_MAX},

#endif
