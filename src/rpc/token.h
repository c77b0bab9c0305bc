#ifndef DM_RPC_TOKEN_H
#define DM_RPC_TOKEN_H

#include "base/code.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdint.h>

/* Page tokens: where a page ended, bound to the query that it belongs to. Opaque to
 * clients; no secret. base64url of: version, check sum over query and position (so
 * that a token of another query is noticed), position. */

enum {
    DM_POSITION_MAX = 8 + DM_ID_SIZE_MAX,
    DM_TOKEN_MAX = (1 + 4 + DM_POSITION_MAX + 2) / 3 * 4,
};

struct dm_token {
    uint8_t size;
    char text[DM_TOKEN_MAX];
};

/* `query`: a hash of all that must be the same in the next request. */
void dm_token_make(struct dm_token *token, uint64_t query, struct dm_slice position);

struct dm_position {
    uint8_t bytes[DM_POSITION_MAX];
    size_t size;
};
/* INVALID_ARGUMENT when it is no token of this query. */
enum dm_code dm_token_read(struct dm_slice token, uint64_t query, struct dm_position *position,
                           struct dm_error *error);

#endif
