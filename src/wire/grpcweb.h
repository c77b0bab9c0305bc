#ifndef DM_WIRE_GRPCWEB_H
#define DM_WIRE_GRPCWEB_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"

/* gRPC-Web (grpc/doc/PROTOCOL-WEB.md): gRPC's messages in an HTTP/1.1 body, trailers as the
 * last frame of it, all in base64 for clients that can only read text. */

/* Appends the frame that ends a stream. false: no memory. */
bool dm_grpcweb_trailers(struct dm_buf *to, enum dm_code code, const char *message);

#endif
