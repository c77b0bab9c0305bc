#ifndef DM_WIRE_HTTP1_ROUTE_H
#define DM_WIRE_HTTP1_ROUTE_H

#include "wire/browser.h"
#include "wire/http1_parse.h"
#include "wire/session.h"

/* Which protocol an HTTP/1.1 request speaks, and what is wrong with it. Pure: decided from
 * the head alone. */

enum dm_http1_kind {
    DM_HTTP1_PLAIN,         /* GET or HEAD outside the RPC paths */
    DM_HTTP1_CONNECT_UNARY, /* POST or GET */
    DM_HTTP1_CONNECT_STREAM,
    DM_HTTP1_GRPC_WEB,
    DM_HTTP1_BARE, /* an answer of `status` without a protocol */
};

struct dm_http1_route {
    enum dm_http1_kind kind;
    enum dm_http_class class;
    enum dm_codec codec;
    bool text; /* gRPC-Web in base64 */
    bool get;  /* Connect: the message is in the query */
    struct dm_slice service, method;
    int64_t timeout_ns;
    const char *content_type; /* of the answer */
    const char *cors_origin;  /* the allowed origin that asks, or NULL */
    bool cors;                /* pages of some origins may call, so answers depend on it */

    /* BARE: */
    int status;
    const char *why;
    const char *allow; /* header, or NULL */
    bool accept_post;  /* header: what may be posted */
    bool preflight;

    /* A call that has failed already, unless DM_OK; to be told in its own protocol. */
    enum dm_code code;
    const char *message;
    bool accept_encoding; /* tell which encodings are taken */
};

extern const char dm_http1_accept_post[];

void dm_http1_route(const struct dm_http1_request *request, const struct dm_session_limits *limits,
                    struct dm_http1_route *out);

#endif
