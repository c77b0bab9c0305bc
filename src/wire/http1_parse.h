#ifndef DM_WIRE_HTTP1_PARSE_H
#define DM_WIRE_HTTP1_PARSE_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* HTTP/1.0 and 1.1 requests out of bytes, one at a time, by llhttp. A request that two
 * servers in a row could read differently is refused (smuggling): see http1_parse.c. */

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

struct dm_http1_parser;
/* NULL when there is no memory. */
struct dm_http1_parser *dm_http1_parser_create(void);
void dm_http1_parser_destroy(struct dm_http1_parser *parser);

enum dm_http1_progress {
    DM_HTTP1_MORE,    /* all bytes are taken; feed more */
    DM_HTTP1_HEAD,    /* the request's head is there: set body_max and go on with the rest */
    DM_HTTP1_DONE,    /* the whole request is there; call dm_http1_parser_next to go on */
    DM_HTTP1_REFUSED, /* answer with the status of dm_http1_refusal and close */
};

/* Takes bytes and tells in *used how many. */
enum dm_http1_progress dm_http1_parse(struct dm_http1_parser *parser, struct dm_slice bytes,
                                      size_t *used);
const struct dm_http1_request *dm_http1_request(const struct dm_http1_parser *parser);
/* More than this of a body is read and dropped. */
void dm_http1_body_max(struct dm_http1_parser *parser, size_t size);
/* The HTTP status, and a sentence for people (static text). */
int dm_http1_refusal(const struct dm_http1_parser *parser, const char **why);
/* Has any byte of a request come that is not done? */
bool dm_http1_parser_idle(const struct dm_http1_parser *parser);
/* What of a request has begun to come and is not whole. */
void dm_http1_parser_half(const struct dm_http1_parser *parser, bool *head, bool *body);
/* Of its buffers, as allocated. */
size_t dm_http1_parser_memory(const struct dm_http1_parser *parser);
void dm_http1_parser_next(struct dm_http1_parser *parser);

#endif
