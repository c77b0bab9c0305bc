#ifndef DM_WIRE_H2_GUARD_H
#define DM_WIRE_H2_GUARD_H

#include "base/slice.h"

#include <stdint.h>

/* Looks at the heads of a client's frames before nghttp2 does, for what that lets pass
 * because it forgets closed streams (kept, they would cost memory for every call) and heeds no
 * priorities. Pure: bytes in, a verdict out.
 *
 *   DATA, HEADERS on a stream that the client has reset: STREAM_CLOSED, for the stream
 *   DATA, HEADERS on one that it has ended:              STREAM_CLOSED
 *   HEADERS, DATA on one that it has passed over:        PROTOCOL_ERROR
 *   PRIORITY on stream 0, or on itself:                  PROTOCOL_ERROR
 *
 * (RFC 9113, 5.1 and 6.3; RFC 7540, 5.3.1.) What the server has reset says nothing: frames may
 * have been on their way. It remembers the newest of each 64 streams by their number, so of
 * older ones it may say nothing, but never anything wrong. */

enum { DM_H2_GUARD_STREAMS = 64 };

struct dm_h2_guard {
    uint32_t skip; /* bytes until the next head */
    uint8_t head[13];
    uint8_t got;                       /* bytes of it */
    uint32_t highest;                  /* stream opened */
    uint32_t ids[DM_H2_GUARD_STREAMS]; /* at (id / 2) modulo their number; 0: none */
    uint64_t ended, reset;             /* which of them the client is done with, by bit */
};

struct dm_h2_fault {
    uint32_t code;   /* of HTTP/2; 0: none */
    uint32_t stream; /* to be reset; 0: the connection is to end */
};

/* Before the client's preface. */
void dm_h2_guard_init(struct dm_h2_guard *guard);

/* How many of the bytes can be handed on. With a fault of the connection: those before the
 * frame in question, and nothing shall follow. Else all, or those up to the fault: look at
 * the rest again. */
size_t dm_h2_guard_look(struct dm_h2_guard *guard, struct dm_slice bytes,
                        struct dm_h2_fault *fault);

#endif
