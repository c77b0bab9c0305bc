#ifndef DM_WIRE_HTTP1_REQUEST_H
#define DM_WIRE_HTTP1_REQUEST_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* A request over HTTP/1.1, and what its headers say together: where it ends, and for whom and
 * for what it is. Pure. */

enum dm_http1_verb {
    DM_HTTP1_VERB_OTHER, /* PUT, DELETE, PATCH: known, and allowed nowhere */
    DM_HTTP1_VERB_GET,
    DM_HTTP1_VERB_HEAD,
    DM_HTTP1_VERB_POST,
    DM_HTTP1_VERB_OPTIONS,
};

/* Headers that somebody here looks at. */
enum dm_http1_header {
    DM_HTTP1_HOST,
    DM_HTTP1_TRANSFER_ENCODING,
    DM_HTTP1_CONTENT_LENGTH,
    DM_HTTP1_CONTENT_TYPE,
    DM_HTTP1_CONTENT_ENCODING,
    DM_HTTP1_EXPECT,
    DM_HTTP1_ORIGIN,
    DM_HTTP1_FETCH_SITE,
    DM_HTTP1_PREFLIGHT_METHOD,
    DM_HTTP1_CONNECT_VERSION,
    DM_HTTP1_CONNECT_TIMEOUT,
    DM_HTTP1_CONNECT_ENCODING,
    DM_HTTP1_GRPC_TIMEOUT,
    DM_HTTP1_GRPC_ENCODING,
    DM_HTTP1_HEADERS, /* their number */
};

/* Slices are valid until dm_http1_parser_next. */
struct dm_http1_request {
    enum dm_http1_verb verb;
    bool minor_1;    /* HTTP/1.1, not 1.0 */
    bool keep_alive; /* the client wants to go on after the answer */
    bool chunked;
    uint64_t content_length;
    struct dm_slice path, query;               /* raw; path "*" for OPTIONS */
    struct dm_slice authority;                 /* of an absolute target, else Host */
    struct dm_slice headers[DM_HTTP1_HEADERS]; /* data NULL: absent; else the last one's value */
    uint8_t header_counts[DM_HTTP1_HEADERS];
    struct dm_slice body; /* when DONE; what came of it when too large is dropped */
    bool body_too_large;
};

/* Sets path, query and authority of *request, from `target` and Host. 0, or the HTTP status
 * of a refusal with its sentence (static text). */
int dm_http1_request_judge(struct dm_http1_request *request, struct dm_slice target,
                           const char **why);

#endif
