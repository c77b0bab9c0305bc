#ifndef DM_BENCH_FRAME_H
#define DM_BENCH_FRAME_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Frames of ttrpc, as far as a measuring instrument needs them: the size (BE32), the stream's id
 * (BE32), a type and flags, then the message. */

enum {
    FRAME_HEADER = 10,
    FRAME_REQUEST = 1, /* types */
    FRAME_RESPONSE = 2,
    FRAME_DATA = 3,
    FRAME_REMOTE_CLOSED = 1, /* flags */
    FRAME_NO_DATA = 4,
};

/* Appends a request frame. false: no memory. */
bool frame_append(struct dm_buf *out, uint32_t stream, const char *method, struct dm_slice payload);
/* Gives the one request frame in `frame` a deadline. */
bool frame_set_timeout(struct dm_buf *frame, uint64_t timeout_ns);

/* The code that a response's body says (13: it is none), and the payload, within it. */
int frame_response(struct dm_slice body, struct dm_slice *payload);

#endif
