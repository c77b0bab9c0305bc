#ifndef DM_WIRE_ENVELOPE_H
#define DM_WIRE_ENVELOPE_H

#include "base/code.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* What gRPC, gRPC-Web and Connect's streams put around a message: one byte of flags, the
 * length in four (grpc/doc/PROTOCOL-HTTP2.md, connectrpc.com/docs/protocol). Pure. */

#define DM_TOO_LARGE_SENTENCE "the message is larger than this server takes"

enum { DM_ENVELOPE_HEAD = 5, DM_ENVELOPE_COMPRESSED = 1, DM_ENVELOPE_END = 2 };
void dm_envelope_write(uint8_t head[DM_ENVELOPE_HEAD], uint8_t flags, size_t size);

/* The first message in `bytes`. DM_OK: it is there (*message is a slice of `bytes`) or more
 * bytes are needed (*whole is false). Otherwise why it never will be: a flag that we did not
 * offer (INTERNAL), or larger than `size_max` (RESOURCE_EXHAUSTED), with the sentence in
 * *why (static text). */
enum dm_code dm_envelope_read(struct dm_slice bytes, size_t size_max, bool *whole,
                              struct dm_slice *message, const char **why);

#endif
