#ifndef DM_WIRE_H2_HEAD_H
#define DM_WIRE_H2_HEAD_H

#include "base/limits.h"
#include "wire/http.h"

#include <nghttp2/nghttp2.h>

/* The head of a request over HTTP/2, header by header. A connection needs one: heads do not
 * interleave. Values stay where nghttp2 has them, and are held there as long as they are needed. */

enum {
    DM_H2_HELD_PATH = DM_HTTP_NAMES,
    DM_H2_HELD_AUTHORITY,
    DM_H2_HELD, /* their number */
};

/* A zeroed struct is a head of which nothing has come. */
struct dm_h2_head {
    struct dm_http_request request;
    uint32_t size, count; /* as RFC 9113, 6.5.2, counts them */
    uint32_t held;        /* which of the values, by bit */
    nghttp2_rcbuf *values[DM_H2_HELD];
};

/* For the next head: lets go of the values of this one. */
void dm_h2_head_reset(struct dm_h2_head *head);
/* false: so many bytes of headers that it can only be a compressed bomb. */
bool dm_h2_head_note(struct dm_h2_head *head, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* All has come: judges what this version of HTTP says. head->request is valid until the reset. */
void dm_h2_head_end(struct dm_h2_head *head);
/* Takes a value that is to outlive it out of the head, to be let go of by nghttp2_rcbuf_decref;
 * NULL: there is none. */
nghttp2_rcbuf *dm_h2_head_take(struct dm_h2_head *head, uint32_t index);

#endif
