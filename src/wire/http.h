#ifndef DM_WIRE_HTTP_H
#define DM_WIRE_HTTP_H

#include "base/code.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* A request and an answer as HTTP has them, of whatever version (RFC 9110). */

enum dm_http_verb {
    DM_HTTP_VERB_OTHER, /* PUT, DELETE, PATCH: known, and allowed nowhere */
    DM_HTTP_VERB_GET,
    DM_HTTP_VERB_HEAD,
    DM_HTTP_VERB_POST,
    DM_HTTP_VERB_OPTIONS,
};

/* Headers of requests that somebody here looks at. */
enum dm_http_name {
    DM_HTTP_HOST,
    DM_HTTP_TRANSFER_ENCODING,
    DM_HTTP_CONTENT_LENGTH,
    DM_HTTP_CONTENT_TYPE,
    DM_HTTP_CONTENT_ENCODING,
    DM_HTTP_EXPECT,
    DM_HTTP_ORIGIN,
    DM_HTTP_FETCH_SITE,
    DM_HTTP_PREFLIGHT_METHOD,
    DM_HTTP_ACCEPT_ENCODING,
    DM_HTTP_IF_NONE_MATCH,
    DM_HTTP_CONNECT_VERSION,
    DM_HTTP_CONNECT_TIMEOUT,
    DM_HTTP_CONNECT_ENCODING,
    DM_HTTP_GRPC_TIMEOUT,
    DM_HTTP_GRPC_ENCODING,
    DM_HTTP_NAMES, /* their number; as a name: none of them */
};
/* Letters' case does not matter. */
enum dm_http_name dm_http_name(struct dm_slice text);

enum dm_http_version { DM_HTTP_1, DM_HTTP_2 };

/* A request without its body. Its transport says how long the slices are valid. */
struct dm_http_request {
    enum dm_http_version version;
    enum dm_http_verb verb;
    bool https;                             /* as the client said; HTTP/1.1 has no word for it */
    struct dm_slice path, query;            /* raw; path "*" for OPTIONS */
    struct dm_slice authority;              /* for whom it is; data NULL: not told */
    struct dm_slice headers[DM_HTTP_NAMES]; /* data NULL: absent; else the last one's value */
    uint8_t counts[DM_HTTP_NAMES];          /* 2: so many or more */
    int refusal;                            /* not 0: what its transport refuses it with, */
    const char *refusal_why;                /* and a sentence (static text) */
};

/* Notes a header's value. */
static inline void dm_http_note(struct dm_http_request *request, enum dm_http_name name,
                                struct dm_slice value)
{
    request->headers[name] = value;
    request->counts[name] = request->counts[name] == 0 ? 1 : 2;
}
static inline bool dm_http_has(const struct dm_http_request *request, enum dm_http_name name)
{
    return request->counts[name] != 0;
}
/* Takes path and query from a target that begins with a path. */
void dm_http_split_target(struct dm_http_request *request, struct dm_slice target);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), of a time since 1970 to the year 9999. */
enum { DM_HTTP_DATE_SIZE = 29 };
void dm_http_date(int64_t unix_s, char to[DM_HTTP_DATE_SIZE]);

/* ---- answers -------------------------------------------------------------------------- */

/* A header or a trailer of an answer. Names are static text in small letters. */
struct dm_http_header {
    struct dm_slice name, value;
    bool lasting; /* the value is valid for the life of the process */
};
/* Of static text; the second form for what is static itself. */
#define DM_HTTP_HEADER(name_text, value_text) \
    ((struct dm_http_header)DM_HTTP_HEADER_INIT(name_text, value_text))
#define DM_HTTP_HEADER_INIT(name_text, value_text)                                     \
    {                                                                                  \
        {name_text, sizeof(name_text) - 1}, {value_text, sizeof(value_text) - 1}, true \
    }

enum { DM_HTTP_HEADERS_ANSWERED_MAX = 20 };
/* A zeroed struct is an empty list. */
struct dm_http_headers {
    size_t count;
    struct dm_http_header list[DM_HTTP_HEADERS_ANSWERED_MAX];
};
/* The list has room. */
void dm_http_headers_add(struct dm_http_headers *headers, struct dm_http_header header);
const struct dm_http_header *dm_http_headers_find(const struct dm_http_headers *headers,
                                                  const char *name);

/* An answer that is whole. Slices are borrowed until the call that takes it has returned. */
struct dm_http_answer {
    int status;
    /* What every answer has is added (wire/exchange.h): no content-length here. A
     * cache-control in the list counts instead of ours. */
    struct dm_http_headers headers;
    struct dm_slice body;
    bool body_lasting; /* it lies in the program itself: it may be sent from there */
    bool no_length;    /* gRPC's own: nothing but the head, of whatever length */
};
/* An empty answer of this status. */
void dm_http_answer_init(struct dm_http_answer *answer, int status);
/* Adds a content-type, static text. */
void dm_http_answer_type(struct dm_http_answer *answer, const char *content_type);

/* RFC 9110, 6.4.1 and 8.6: has an answer of this status a body, and so a length? */
bool dm_http_has_body(int status);
/* As Connect has it (connectrpc.com/docs/protocol). */
int dm_http_status(enum dm_code code);

/* ---- text ----------------------------------------------------------------------------- */

/* The media type of a content-type without its parameters, and is it this one? Letters'
 * case does not matter. */
struct dm_slice dm_media_type(struct dm_slice content_type);
bool dm_text_equal(struct dm_slice text, const char *lower);
/* The same, for a text whose size is known. */
static inline bool dm_text_is(struct dm_slice text, const char *lower, size_t size)
{
    const char *at = text.data;
    if (text.size != size || size == 0) {
        return text.size == size;
    }
    if (memcmp(at, lower, size) == 0) {
        return true;
    }
    for (size_t i = 0; i < size; i++) {
        bool other_case = at[i] >= 'A' && at[i] <= 'Z' && (at[i] ^ 0x20) == lower[i];
        if (at[i] != lower[i] && !other_case) {
            return false;
        }
    }
    return true;
}

/* A number in decimal, written towards the end of `room`. */
enum { DM_DECIMAL_MAX = 20 };
struct dm_slice dm_decimal(uint64_t number, char room[DM_DECIMAL_MAX]);

#endif
