#ifndef DM_RPC_HOT_CODEC_H
#define DM_RPC_HOT_CODEC_H

#include "base/slice.h"
#include "dormouse/v1/dormouse.pb.h"

#include <stdint.h>

/* The messages of the four methods that make up nearly all calls, written out in full by
 * tools/gen/hot_codec.py: nanopb walks descriptors, which for these costs as much as all the
 * rest of the call. They accept, refuse and mean what nanopb does with the same structs, in
 * the same words; the one exception is a text of another wire type, which nanopb refuses
 * without words.
 *
 * const char *dm_<request>_decode(from, to): `to` is zeroed but for the room of its repeated
 * fields. Returns NULL, or what is wrong with the bytes; then *to is of no use. Texts are
 * slices of `from`; one whose field is absent has no data.
 *
 * struct dm_slice dm_<response>_encode(out, from): `out` has DM_SMALL_MESSAGE bytes; the
 * slice is a part of it. */
#include "dm_hot_codec.h"

#endif
