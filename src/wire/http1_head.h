#ifndef DM_WIRE_HTTP1_HEAD_H
#define DM_WIRE_HTTP1_HEAD_H

#include "base/buf.h"
#include "wire/http1_route.h"

#include <stdbool.h>

/* The head of an answer over HTTP/1.1. */

enum dm_http1_connection {
    DM_HTTP1_GOES_ON, /* and the client knows */
    DM_HTTP1_KEEPS,   /* and an HTTP/1.0 client wants to be told */
    DM_HTTP1_CLOSES,
};

/* Appends the status line and the headers that all answers have, without the empty line
 * that ends the head. `content_type` NULL: none. false: no memory. */
bool dm_http1_head_write(struct dm_buf *to, int status, const char *content_type,
                         enum dm_http1_connection connection, const struct dm_http1_route *route);

/* Appends "name: value". */
bool dm_http1_header_write(struct dm_buf *to, const char *name, const char *value);

#endif
