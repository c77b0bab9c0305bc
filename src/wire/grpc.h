#ifndef DM_WIRE_GRPC_H
#define DM_WIRE_GRPC_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* What gRPC, gRPC-Web and Connect share: paths, time-outs, enveloped messages and
 * the encoding of grpc-message. Pure functions.
 * Source: grpc/doc/PROTOCOL-HTTP2.md, connectrpc.com/docs/protocol. */

/* "/service/Method" apart; false when the path has another shape. */
bool dm_grpc_split_path(struct dm_slice path, struct dm_slice *service, struct dm_slice *method);

/* "100m" and the like into nanoseconds, at most DM_GRPC_TIMEOUT_NS_MAX; a time-out of zero
 * is 1 ns, for 0 means none. -1 when malformed. */
#define DM_GRPC_TIMEOUT_NS_MAX (366LL * 24 * 3600 * 1000000000)
int64_t dm_grpc_timeout_ns(struct dm_slice text);

/* Appends the message percent-encoded, as grpc-message wants it. false: no memory. */
bool dm_grpc_percent_encode(struct dm_buf *to, struct dm_slice message);

/* The media type of a content-type without its parameters, and is it this one? Letters'
 * case does not matter. */
struct dm_slice dm_media_type(struct dm_slice content_type);
bool dm_text_equal(struct dm_slice text, const char *lower);

/* An envelope: one byte of flags, the length in four, the message. */
enum { DM_ENVELOPE_HEAD = 5, DM_ENVELOPE_COMPRESSED = 1, DM_ENVELOPE_END = 2 };
void dm_envelope_write(uint8_t head[DM_ENVELOPE_HEAD], uint8_t flags, size_t size);

/* The first message in `bytes`. DM_OK: it is there (*message is a slice of `bytes`) or more
 * bytes are needed (*whole is false). Otherwise why it never will be: a flag that we did not
 * offer (INTERNAL), or larger than `size_max` (RESOURCE_EXHAUSTED), with the sentence in
 * *why (static text). */
enum dm_code dm_envelope_read(struct dm_slice bytes, size_t size_max, bool *whole,
                              struct dm_slice *message, const char **why);

#endif
