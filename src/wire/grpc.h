#ifndef DM_WIRE_GRPC_H
#define DM_WIRE_GRPC_H

#include "wire/exchange.h"

/* gRPC (grpc/doc/PROTOCOL-HTTP2.md): messages in envelopes, and how it ended in HTTP's trailers,
 * which is why it needs HTTP/2. */

extern const struct dm_call_protocol dm_grpc_protocol;

/* "100m" and the like into nanoseconds, at most DM_GRPC_TIMEOUT_NS_MAX; a time-out of zero
 * is 1 ns, for 0 means none. -1 when malformed. */
#define DM_GRPC_TIMEOUT_NS_MAX (366LL * 24 * 3600 * 1000000000)
int64_t dm_grpc_timeout_ns(struct dm_slice text);

/* Appends the message percent-encoded, as grpc-message wants it. false: no memory. */
bool dm_grpc_percent_encode(struct dm_buf *to, struct dm_slice message);

#endif
