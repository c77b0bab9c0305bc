#ifndef DM_WIRE_HTTP1_REQUEST_H
#define DM_WIRE_HTTP1_REQUEST_H

#include "wire/http.h"

#include <stdbool.h>
#include <stdint.h>

/* A request over HTTP/1.1, and what its headers say together: where it ends, and for whom and
 * for what it is. Pure. */

/* Slices are valid until dm_http1_parser_next. */
struct dm_http1_request {
    struct dm_http_request http;
    bool minor_1;    /* HTTP/1.1, not 1.0 */
    bool keep_alive; /* the client wants to go on after the answer */
    bool chunked;
    bool body_too_large; /* what came of the body is dropped */
    uint64_t content_length;
};

/* Sets path, query and authority of *request, from `target` and Host. 0, or the HTTP status
 * of a refusal with its sentence (static text). */
int dm_http1_request_judge(struct dm_http1_request *request, struct dm_slice target,
                           const char **why);

#endif
