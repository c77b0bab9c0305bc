#ifndef DM_WIRE_GRPCWEB_H
#define DM_WIRE_GRPCWEB_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"

#include <stddef.h>

/* gRPC-Web (grpc/doc/PROTOCOL-WEB.md): gRPC's messages in an HTTP/1.1 body, trailers as the
 * last frame of it, all in base64 for clients that can only read text. */

/* Appends the frame that ends a stream. false: no memory. */
bool dm_grpcweb_trailers(struct dm_buf *to, enum dm_code code, const char *message);

/* Base64 of either alphabet into `room`, which may be the text itself; padded quartets may
 * be followed by more, for a body is encoded in segments; the last padding may be left out.
 * The number of bytes, or -1 when malformed. */
ptrdiff_t dm_base64_decode(struct dm_slice text, uint8_t *room);

/* Appends `bytes` in base64 with padding. false: no memory. */
bool dm_base64_encode(struct dm_buf *to, struct dm_slice bytes);

#endif
