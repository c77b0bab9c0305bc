#ifndef DM_WIRE_HTTP1_CHUNKS_H
#define DM_WIRE_HTTP1_CHUNKS_H

#include "base/slice.h"

#include <stdint.h>

/* A body in chunks (RFC 9112, 7.1), to the letter: sizes of at most 16 digits, extensions
 * with the white space and the quoted text that the grammar has, trailers that are fields.
 * Extensions and trailers are read and dropped. Nothing beyond that passes: where two servers
 * in a row read a chunk differently, a request can be hidden in it.
 *
 * A zeroed struct is the beginning of a body. */
struct dm_http1_chunks {
    uint8_t state, digits;
    uint64_t left;  /* of the chunk's data */
    uint32_t extra; /* bytes of extensions and trailers */
};

enum dm_http1_chunks_step {
    DM_HTTP1_CHUNKS_MORE, /* all bytes are taken */
    DM_HTTP1_CHUNKS_DATA, /* *data is a piece of the body, a slice of what came */
    DM_HTTP1_CHUNKS_END,  /* the body is whole; what is left in *bytes comes after it */
    DM_HTTP1_CHUNKS_BAD,
    DM_HTTP1_CHUNKS_LONG, /* extensions and trailers past DM_HTTP1_CHUNK_EXTRA_MAX */
};

/* The next step, with the bytes for it taken off *bytes. */
enum dm_http1_chunks_step dm_http1_chunks_next(struct dm_http1_chunks *chunks,
                                               struct dm_slice *bytes, struct dm_slice *data);

#endif
