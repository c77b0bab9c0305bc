#include "wire/http1_answer.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdio.h>

static const char *status_line(int status)
{
    static const struct {
        int status;
        const char *line;
    } lines[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {204, "HTTP/1.1 204 No Content\r\n"},
        {301, "HTTP/1.1 301 Moved Permanently\r\n"},
        {302, "HTTP/1.1 302 Found\r\n"},
        {304, "HTTP/1.1 304 Not Modified\r\n"},
        {400, "HTTP/1.1 400 Bad Request\r\n"},
        {401, "HTTP/1.1 401 Unauthorized\r\n"},
        {403, "HTTP/1.1 403 Forbidden\r\n"},
        {404, "HTTP/1.1 404 Not Found\r\n"},
        {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
        {409, "HTTP/1.1 409 Conflict\r\n"},
        {413, "HTTP/1.1 413 Content Too Large\r\n"},
        {414, "HTTP/1.1 414 URI Too Long\r\n"},
        {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
        {417, "HTTP/1.1 417 Expectation Failed\r\n"},
        {421, "HTTP/1.1 421 Misdirected Request\r\n"},
        {429, "HTTP/1.1 429 Too Many Requests\r\n"},
        {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
        {499, "HTTP/1.1 499 Client Closed Request\r\n"},
        {500, "HTTP/1.1 500 Internal Server Error\r\n"},
        {501, "HTTP/1.1 501 Not Implemented\r\n"},
        {503, "HTTP/1.1 503 Service Unavailable\r\n"},
        {504, "HTTP/1.1 504 Gateway Timeout\r\n"},
        {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (lines[i].status == status) {
            return lines[i].line;
        }
    }
    return "HTTP/1.1 500 Internal Server Error\r\n";
}

/* ---- the head ------------------------------------------------------------------------- */

static void put(struct dm_http1 *h, struct dm_slice bytes)
{
    if (!dm_buf_append(&h->base.out, bytes.data, bytes.size)) {
        h->base.closing = true;
    }
}

static void put_text(struct dm_http1 *h, const char *text)
{
    put(h, dm_slice_str(text));
}

static uint8_t *copy(uint8_t *to, struct dm_slice text)
{
    memcpy(to, text.data, text.size);
    return to + text.size;
}

static bool lives(const struct dm_http1 *h)
{
    return dm_http1_request(h->parser)->keep_alive && !h->last_answer;
}

/* What only this version of HTTP says, with the empty line that ends the head. */
static const char *framing(const struct dm_http1 *h)
{
    if (h->chunked) {
        return lives(h) ? "transfer-encoding: chunked\r\n\r\n"
                        : "connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    }
    if (!lives(h)) {
        return "connection: close\r\n\r\n";
    }
    /* A client of HTTP/1.0 wants to be told. */
    return dm_http1_request(h->parser)->minor_1 ? "\r\n" : "connection: keep-alive\r\n\r\n";
}

/* All of it in one piece of memory. */
static void put_head(struct dm_http1 *h, int status, const struct dm_http_headers *headers)
{
    static const struct dm_slice colon = {": ", 2};
    static const struct dm_slice end_of_line = {"\r\n", 2};
    struct dm_slice first = dm_slice_str(status_line(status));
    struct dm_slice last = dm_slice_str(framing(h));
    size_t size = first.size + last.size;
    for (size_t i = 0; i < headers->count; i++) {
        size += headers->list[i].name.size + headers->list[i].value.size + colon.size +
                end_of_line.size;
    }
    uint8_t *room = dm_buf_reserve(&h->base.out, size);
    if (room == NULL) {
        h->base.closing = true;
        return;
    }
    uint8_t *at = copy(room, first);
    for (size_t i = 0; i < headers->count; i++) {
        at = copy(at, headers->list[i].name);
        at = copy(at, colon);
        at = copy(at, headers->list[i].value);
        at = copy(at, end_of_line);
    }
    at = copy(at, last);
    DM_ASSERT((size_t)(at - room) == size);
    dm_buf_commit(&h->base.out, size);
}

/* ---- the transport -------------------------------------------------------------------- */

static struct dm_http1 *http1_of(struct dm_exchange *x)
{
    return DM_CONTAINER_OF(x, struct dm_http1, x);
}

static void complete(struct dm_http1 *h)
{
    if (!lives(h)) {
        h->base.closing = true;
    }
}

static void answer(struct dm_exchange *x, const struct dm_http_answer *answer)
{
    struct dm_http1 *h = http1_of(x);
    h->chunked = false;
    put_head(h, answer->status, &answer->headers);
    put(h, answer->body);
    complete(h);
}

static void begin(struct dm_exchange *x, const struct dm_http_headers *headers)
{
    struct dm_http1 *h = http1_of(x);
    h->chunked = dm_http1_request(h->parser)->minor_1;
    h->last_answer = h->last_answer || !h->chunked; /* the end of the connection ends it */
    put_head(h, 200, headers);
}

static bool data(struct dm_exchange *x, struct dm_slice head, struct dm_slice rest)
{
    struct dm_http1 *h = http1_of(x);
    if (h->chunked) {
        char text[32];
        int length = snprintf(text, sizeof text, "%zx\r\n", head.size + rest.size);
        put(h, dm_slice(text, (size_t)length));
    }
    put(h, head);
    put(h, rest);
    if (h->chunked) {
        put_text(h, "\r\n");
    }
    return true; /* without memory the connection is closing: half an answer cannot be mended */
}

static void end(struct dm_exchange *x)
{
    struct dm_http1 *h = http1_of(x);
    if (h->chunked) {
        put_text(h, "0\r\n\r\n");
    }
    complete(h);
}

const struct dm_http_transport dm_http1_transport = {
    .answer = answer, .begin = begin, .data = data, .end = end};
