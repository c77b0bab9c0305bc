#ifndef DM_WIRE_HTTP1_ANSWER_H
#define DM_WIRE_HTTP1_ANSWER_H

#include "wire/exchange.h"
#include "wire/http1_parse.h"

/* Answers over HTTP/1.1: they go into the session's output as they are made, in chunks when their
 * length is not known. */

struct dm_http1 {
    struct dm_session base;
    struct dm_session_limits limits;
    struct dm_http1_parser *parser;
    struct dm_exchange x;  /* the request at hand and its answer */
    uint64_t id;           /* of its call */
    struct dm_buf pending; /* fed behind it */
    bool lent;             /* the last event has shown bytes of x.input */
    bool chunked;          /* the answer's parts are chunks */
    bool last_answer;      /* after the next whole answer the connection closes */
    bool crowded;          /* this request's body may only be small: see dm_session_limits */
    uint32_t requests;     /* done with so far */
};

extern const struct dm_http_transport dm_http1_transport;

#endif
