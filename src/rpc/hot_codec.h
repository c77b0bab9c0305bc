#ifndef DM_RPC_HOT_CODEC_H
#define DM_RPC_HOT_CODEC_H

#include "base/slice.h"
#include "dormouse/v1/dormouse.pb.h"
#include "engine/engine.h"
#include "rpc/convert.h"

#include <stdbool.h>
#include <stdint.h>

/* The messages of the four methods that make up nearly all calls, written out by hand:
 * nanopb walks descriptors, which for these costs as much as all the rest of the call.
 * They accept, refuse and mean what nanopb does with the same descriptors, in the same
 * words; the one exception is a text of another wire type, which is refused here.
 *
 * A decoder returns NULL, or what is wrong with the bytes. Texts are slices of `from`;
 * one whose field is absent has no data. After a failure *to is of no use. */

struct dm_check_in {
    struct dm_slice account_id, contact_id;
};
const char *dm_check_decode(struct dm_slice from, struct dm_check_in *to);

struct dm_commit_reply_in {
    struct dm_slice account_id, contact_id, request_id;
    uint64_t fence;
};
const char *dm_commit_reply_decode(struct dm_slice from, struct dm_commit_reply_in *to);

struct dm_record_activity_in {
    struct dm_slice account_id, contact_id, actor, request_id;
    uint32_t activity; /* any number */
};
const char *dm_record_activity_decode(struct dm_slice from, struct dm_record_activity_in *to);

/* `change` is for dm_change_read, its texts are in `texts`. */
struct dm_set_status_in {
    struct dm_slice account_id, contact_id, request_id;
    struct dm_change_in texts;
    dormouse_v1_StatusChange change;
    bool has_change, has_if_revision;
    uint64_t if_revision;
};
const char *dm_set_status_decode(struct dm_slice from, struct dm_set_status_in *to);

/* The answers, in `out`, which has DM_SMALL_MESSAGE bytes; the slice is a part of it. */
struct dm_slice dm_check_encode(uint8_t *out, const struct dm_effective *state);
struct dm_slice dm_commit_reply_encode(uint8_t *out, const struct dm_outcome *outcome);
struct dm_slice dm_record_activity_encode(uint8_t *out, const struct dm_outcome *outcome);
struct dm_slice dm_set_status_encode(uint8_t *out, const struct dm_outcome *outcome);

#endif
