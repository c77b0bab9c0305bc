#ifndef DM_WIRE_H2_ANSWER_H
#define DM_WIRE_H2_ANSWER_H

#include "wire/h2_stream.h"

/* Answers over HTTP/2: their heads go to nghttp2, their bodies wait with the stream until it asks
 * for them. */

extern const struct dm_http_transport dm_h2_transport;

/* nghttp2's: copies a DATA frame into the session's output. */
int dm_h2_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t length,
                    nghttp2_data_source *source, void *user);

/* A client that does not take its answers is given no more calls. */
bool dm_h2_output_is_full(const struct dm_h2 *h);
/* Bytes of stream messages that make sense now. */
size_t dm_h2_room(const struct dm_h2 *h, const struct dm_h2_stream *st);

#endif
