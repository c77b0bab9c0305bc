/* The hot messages of the server. */
#include "hot/hot.h"
#include "rpc/hot_codec.h"

DM_HOT_DECODED(HOT_DECODED_)
DM_HOT_ENCODED(HOT_ENCODED_)

const struct hot_decoded hot_decoded[] = {DM_HOT_DECODED(HOT_DECODED_ROW_)};
const size_t hot_decoded_count = sizeof hot_decoded / sizeof hot_decoded[0];
const struct hot_encoded hot_encoded[] = {DM_HOT_ENCODED(HOT_ENCODED_ROW_)};
const size_t hot_encoded_count = sizeof hot_encoded / sizeof hot_encoded[0];
