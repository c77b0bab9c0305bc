#include "rpc/hot_codec.h"

#include "rpc/hot_wire.h"

#include "dm_hot_codec.inc"

_Static_assert(DM_HOT_FIXED_MAX + DM_HOT_TEXTS_MAX * DM_ID_SIZE_MAX <= DM_SMALL_MESSAGE &&
                   DM_ACTOR_SIZE_MAX <= DM_ID_SIZE_MAX,
               "an answer with all its texts fits");
