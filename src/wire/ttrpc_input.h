#ifndef DM_WIRE_TTRPC_INPUT_H
#define DM_WIRE_TTRPC_INPUT_H

#include "base/buf.h"
#include "wire/session.h"
#include "wire/ttrpc_frame.h"

/* Whole frames out of the bytes of a ttrpc connection. They are read where they were fed; only a
 * half frame at the end, and what is left when nobody wants more, is copied and kept. */

struct dm_ttrpc_input {
    size_t frame_max;       /* a body over it is not waited for */
    struct dm_crowd *crowd; /* NULL: never full */
    struct dm_slice fed;    /* and not looked at yet; the owner's memory */
    struct dm_buf held;     /* what comes before that */
    uint64_t discard;       /* bytes of a body that was refused, still to come */
    uint32_t frames;        /* taken so far */
    bool no_memory;         /* a piece is missing: the connection cannot go on */
};

struct dm_ttrpc_frame {
    struct dm_ttrpc_header header;
    bool too_long;        /* the body is refused, and to be thrown away */
    struct dm_slice body; /* empty then */
};

/* The bytes must stay where they are until dm_ttrpc_input_keep. */
void dm_ttrpc_input_feed(struct dm_ttrpc_input *in, struct dm_slice bytes);
/* The next whole frame, which stays the next one until it is taken. */
bool dm_ttrpc_input_look(struct dm_ttrpc_input *in, struct dm_ttrpc_frame *frame);
/* Takes the one that was looked at last. Its body stands where it came until the next look. */
void dm_ttrpc_input_take(struct dm_ttrpc_input *in, const struct dm_ttrpc_frame *frame);
/* Copies what was fed and not taken. */
void dm_ttrpc_input_keep(struct dm_ttrpc_input *in);
/* The payloads of the next requests, as far as that is cheap to tell. */
size_t dm_ttrpc_input_payloads(const struct dm_ttrpc_input *in, struct dm_ttrpc_names *names,
                               struct dm_slice *payloads, size_t max);
/* What is half there: see struct dm_load. */
void dm_ttrpc_input_load(const struct dm_ttrpc_input *in, struct dm_load *load);
void dm_ttrpc_input_finish(struct dm_ttrpc_input *in);

#endif
