#ifndef DM_WIRE_GRPCWEB_H
#define DM_WIRE_GRPCWEB_H

#include "wire/exchange.h"

/* gRPC-Web (grpc/doc/PROTOCOL-WEB.md): gRPC's messages in a body, and gRPC's trailers as its last
 * frame, for clients that see no trailers of HTTP; all in base64 for those that can only read
 * text. */
extern const struct dm_call_protocol dm_grpcweb_protocol;

#endif
