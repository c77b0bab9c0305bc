#ifndef DM_WIRE_HTTP1_PARSE_H
#define DM_WIRE_HTTP1_PARSE_H

#include "base/buf.h"
#include "wire/http1_request.h"

#include <stdbool.h>
#include <stdint.h>

/* HTTP/1.0 and 1.1 requests out of bytes, one at a time, by llhttp. A request that two
 * servers in a row could read differently is refused (smuggling): see http1_parse.c. */

struct dm_http1_parser;
/* NULL when there is no memory. */
struct dm_http1_parser *dm_http1_parser_create(void);
void dm_http1_parser_destroy(struct dm_http1_parser *parser);

enum dm_http1_progress {
    DM_HTTP1_MORE, /* all bytes are taken; feed more */
    DM_HTTP1_HEAD, /* the request's head is there: call dm_http1_take_body, go on with the rest */
    DM_HTTP1_DONE, /* the whole request is there; call dm_http1_parser_next to go on */
    DM_HTTP1_REFUSED, /* answer with the status of dm_http1_refusal and close */
};

/* Takes bytes and tells in *used how many. */
enum dm_http1_progress dm_http1_parse(struct dm_http1_parser *parser, struct dm_slice bytes,
                                      size_t *used);
const struct dm_http1_request *dm_http1_request(const struct dm_http1_parser *parser);
/* Where the body goes; one that is longer than size_max is dropped as it comes. 0:
 * nobody reads it. After HEAD. */
void dm_http1_take_body(struct dm_http1_parser *parser, struct dm_buf *to, size_t size_max);
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
