/* A codec of every kind of field, generated as the server's is. */
#include "every_kind.pb.h"
#include "hot/hot.h"
#include "rpc/hot_wire.h"

#include "dm_hot_codec.h"
#include "dm_hot_codec.inc"

DM_HOT_DECODED(HOT_DECODED_)
DM_HOT_ENCODED(HOT_ENCODED_)

const struct hot_decoded hot_every_decoded[1] = {DM_HOT_DECODED(HOT_DECODED_ROW_)};
const struct hot_encoded hot_every_encoded[1] = {DM_HOT_ENCODED(HOT_ENCODED_ROW_)};
