#ifndef DM_RPC_CONVERT_H
#define DM_RPC_CONVERT_H

#include "dormouse/v1/dormouse.pb.h"
#include "engine/engine.h"
#include "rpc/message.h"

/* Between the messages and what the core and the engine speak. Enumerations have the
 * same numbers on both sides; times are whole milliseconds inside, rounded up. */

google_protobuf_Timestamp dm_timestamp(int64_t ms);
google_protobuf_Duration dm_duration(int64_t ms);
/* INVALID_ARGUMENT naming `field` when it is outside of what the type allows. */
enum dm_code dm_timestamp_ms(const google_protobuf_Timestamp *from, const char *field, int64_t *ms,
                             struct dm_error *error);
enum dm_code dm_duration_ms(const google_protobuf_Duration *from, const char *field, int64_t *ms,
                            struct dm_error *error);

/* Texts are referred to, not copied: `from` outlives `to`. */
void dm_contact_message(dormouse_v1_Contact *to, const struct dm_contact *from);
void dm_event_message(dormouse_v1_StatusEvent *to, const struct dm_event *from);

/* A StatusChange on its way in: expect it before decoding, read it after. */
struct dm_change_in {
    struct dm_slice actor, bot_id;
};
void dm_change_expect(dormouse_v1_StatusChange *message, struct dm_change_in *in);
/* Checks all of it but what depends on the contact; `present`: the field was set. */
enum dm_code dm_change_read(const dormouse_v1_StatusChange *message, bool present,
                            const struct dm_change_in *in, int64_t now_ms, struct dm_change *change,
                            struct dm_error *error);

/* account_id and contact_id, which nearly all requests have. */
enum dm_code dm_contact_check(struct dm_slice account_id, struct dm_slice contact_id,
                              struct dm_error *error);
enum dm_code dm_request_id_check(struct dm_slice request_id, struct dm_error *error);

/* 0: the default. INVALID_ARGUMENT past the most. */
enum dm_code dm_page_size(uint32_t asked, uint32_t *size, struct dm_error *error);

#endif
