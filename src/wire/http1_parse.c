#include "wire/http1_parse.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "wire/http1_chunks.h"
#include "wire/http1_request.h"

#include <llhttp.h>

#include <stdlib.h>

/* A request's head is gathered until its empty line, checked line by line, and given to
 * llhttp in one piece, so that every name and value is one slice of it. Its body is then
 * counted, or taken out of its chunks, as it comes.
 *
 * What RFC 9112 and 9110 ask a server to bear, it bears: empty lines before a request, a
 * higher minor version, absolute targets, white space around values. What they leave to it is
 * refused, for it is where requests are smuggled: lines that end in a bare LF, folded lines,
 * equal Content-Lengths, words with other space between them. And what llhttp (strict) lets
 * pass: empty names, Transfer-Encoding that is not exactly "chunked", or twice, or in HTTP/1.0,
 * or beside Content-Length; no Host or several. tests/unit/wire/http1_book_test.c has it case
 * by case. */

enum {
    BLANK_LINES_MAX = 2,     /* before a request line: RFC 9112, 2.2, wants at least one */
    REQUEST_LINE_EXTRA = 32, /* a request line beside its URL */
    KEEP_HEAD = 4096,        /* bytes of memory kept from request to request */
};
_Static_assert((int)KEEP_HEAD <= (int)DM_HTTP_HEAD_MAX, "no more is kept than a head may have");

struct dm_http1_parser {
    llhttp_t ll;
    struct dm_http1_request request;
    struct dm_buf head;
    struct dm_buf *body; /* the owner's */
    size_t line;         /* where in head the current line begins */
    size_t first_line;   /* size of the request line */
    uint32_t lines, blank_lines;
    bool head_done, done;
    struct dm_slice url, name, value;
    bool value_open; /* a value has begun: more of it that is not adjacent is a fold */
    size_t body_max, body_seen;
    struct dm_http1_chunks chunks;
    int status;
    const char *why;
};

static int refuse(struct dm_http1_parser *p, int status, const char *why)
{
    if (p->status == 0) {
        p->status = status;
        p->why = why;
    }
    return -1;
}

/* ---- llhttp's callbacks --------------------------------------------------------------- */

static int on_url(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    p->url = dm_slice(at, size);
    return size > DM_HTTP_URL_MAX ? refuse(p, 414, "the URL is too long") : 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    p->name = dm_slice(at, size);
    p->value = dm_slice(at + size, 0);
    p->value_open = false;
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    if (p->value_open) {
        return refuse(p, 400, "a header is folded over lines");
    }
    p->value_open = true;
    p->value = dm_slice(at, size);
    return 0;
}

static struct dm_slice trimmed(struct dm_slice value)
{
    const char *text = value.data;
    while (value.size != 0 && (text[value.size - 1] == ' ' || text[value.size - 1] == '\t')) {
        value.size--;
    }
    return value;
}

static int on_value_complete(llhttp_t *ll)
{
    struct dm_http1_parser *p = ll->data;
    enum dm_http_name name = dm_http_name(p->name);
    if (name != DM_HTTP_NAMES) {
        dm_http_note(&p->request.http, name, trimmed(p->value));
    }
    return 0;
}

static int on_headers_complete(llhttp_t *ll)
{
    struct dm_http1_parser *p = ll->data;
    struct dm_http1_request *r = &p->request;
    ll->upgrade = 0; /* we offer none: the header is ignored */
    p->head_done = true;
    switch (ll->method) {
    case HTTP_GET:
        r->http.verb = DM_HTTP_VERB_GET;
        break;
    case HTTP_HEAD:
        r->http.verb = DM_HTTP_VERB_HEAD;
        break;
    case HTTP_POST:
        r->http.verb = DM_HTTP_VERB_POST;
        break;
    case HTTP_OPTIONS:
        r->http.verb = DM_HTTP_VERB_OPTIONS;
        break;
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_PATCH:
        break;
    default:
        return refuse(p, 501, "this method is not served");
    }
    if (ll->http_major != 1 || ll->http_minor > 1) {
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are served here");
    }
    r->minor_1 = ll->http_minor == 1;
    r->keep_alive = llhttp_should_keep_alive(ll) != 0;
    r->chunked = (ll->flags & F_CHUNKED) != 0;
    r->content_length = ll->content_length;
    const char *why = NULL;
    int status = dm_http1_request_judge(r, p->url, &why);
    if (status != 0) {
        return refuse(p, status, why);
    }
    if (!r->chunked && r->content_length > DM_HTTP_DISCARD_MAX) {
        return refuse(p, 413, "the request body is too large");
    }
    p->done = !r->chunked && r->content_length == 0;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
};

/* ---- gathering a head ----------------------------------------------------------------- */

/* Three words with one space between them; llhttp would skip more. */
static bool is_request_line(const uint8_t *line, size_t size)
{
    int spaces = 0;
    for (size_t i = 0; i < size; i++) {
        spaces += line[i] == ' ';
    }
    return spaces == 2;
}

/* "HTTP/1.2" is read as 1.1: RFC 9110, 2.5. */
static void lower_minor(uint8_t *line, size_t size)
{
    static const char version[] = " HTTP/1.";
    enum { TAIL = sizeof version - 1 + 3 }; /* and the digit, CR and LF */
    if (size > TAIL && memcmp(line + size - TAIL, version, sizeof version - 1) == 0 &&
        line[size - 3] >= '2' && line[size - 3] <= '9') {
        line[size - 3] = '1';
    }
}

/* A line has come to its LF. true: it was the empty one that ends the head. */
static bool end_of_line(struct dm_http1_parser *p)
{
    uint8_t *line = p->head.data + p->head.start + p->line;
    size_t size = dm_buf_size(&p->head) - p->line;
    if (size < 2 || line[size - 2] != '\r') {
        (void)refuse(p, 400, "a line does not end in CR LF");
        return false;
    }
    if (size == 2 && p->line == 0) {
        dm_buf_reset(&p->head, KEEP_HEAD);
        if (++p->blank_lines > BLANK_LINES_MAX) {
            (void)refuse(p, 400, "empty lines in place of a request");
        }
        return false;
    }
    if (size == 2) {
        return true;
    }
    if (p->line == 0 && !is_request_line(line, size)) {
        (void)refuse(p, 400, "the request line is malformed");
    } else if (p->line == 0) {
        p->first_line = size;
        lower_minor(line, size);
    } else if (line[0] == ' ' || line[0] == '\t') {
        (void)refuse(p, 400, "a header is folded over lines");
    } else if (line[0] == ':') {
        (void)refuse(p, 400, "a header has no name");
    } else if (++p->lines > DM_HTTP_HEADERS_MAX) {
        (void)refuse(p, 431, "too many headers");
    }
    p->line += size;
    return false;
}

static void judge_head_size(struct dm_http1_parser *p)
{
    size_t size = dm_buf_size(&p->head);
    if (p->line == 0 && size > DM_HTTP_URL_MAX + REQUEST_LINE_EXTRA) {
        (void)refuse(p, 414, "the URL is too long");
    } else if (p->line != 0 && size - p->first_line > DM_HTTP_HEAD_MAX) {
        (void)refuse(p, 431, "the headers are too large");
    }
}

/* The head is whole, or is refused, or all bytes are taken. */
static bool gather_head(struct dm_http1_parser *p, struct dm_slice bytes, size_t *used)
{
    const char *text = bytes.data;
    while (*used < bytes.size && p->status == 0) {
        size_t left = bytes.size - *used;
        const char *end = memchr(text + *used, '\n', left);
        size_t part = end == NULL ? left : (size_t)(end - text) + 1 - *used;
        size_t part_max = DM_HTTP_URL_MAX + DM_HTTP_HEAD_MAX;
        if (!dm_buf_append(&p->head, text + *used, part < part_max ? part : part_max)) {
            (void)refuse(p, 503, "out of memory");
            return false;
        }
        *used += part;
        judge_head_size(p);
        if (end != NULL && p->status == 0 && end_of_line(p)) {
            return true;
        }
    }
    return false;
}

/* Is the first word of the request line one that can be a method's name? */
static bool is_token(const uint8_t *line)
{
    size_t size = 0;
    while (line[size] > ' ' && line[size] < 0x7f &&
           strchr("\"(),/:;<=>?@[\\]{}", line[size]) == NULL) {
        size++;
    }
    return size != 0 && line[size] == ' ';
}

static void parse_head(struct dm_http1_parser *p)
{
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    p->ll.data = p;
    llhttp_errno_t error =
        llhttp_execute(&p->ll, (const char *)dm_buf_head(&p->head), dm_buf_size(&p->head));
    if (error == HPE_INVALID_METHOD && is_token(dm_buf_head(&p->head))) {
        (void)refuse(p, 501, "this method is not served");
    } else if (error == HPE_INVALID_VERSION) {
        (void)refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are served here");
    } else if ((error != HPE_OK && error != HPE_PAUSED) || !p->head_done) {
        (void)refuse(p, 400, "the request's head is malformed");
    }
}

/* ---- bodies --------------------------------------------------------------------------- */

static void take_body(struct dm_http1_parser *p, struct dm_slice data)
{
    p->body_seen += data.size;
    if (p->body_seen > DM_HTTP_DISCARD_MAX) {
        (void)refuse(p, 413, "the request body is too large");
        return;
    }
    if (p->request.body_too_large || p->body_max == 0) {
        return;
    }
    if (p->body_seen > p->body_max || !dm_buf_append(p->body, data.data, data.size)) {
        p->request.body_too_large = true;
        dm_buf_finish(p->body);
    }
}

static void take_counted(struct dm_http1_parser *p, struct dm_slice bytes, size_t *used)
{
    uint64_t left = p->request.content_length - p->body_seen;
    *used = bytes.size < left ? bytes.size : (size_t)left;
    take_body(p, dm_slice(bytes.data, *used));
    p->done = p->body_seen == p->request.content_length;
}

static void take_chunks(struct dm_http1_parser *p, struct dm_slice bytes, size_t *used)
{
    struct dm_slice rest = bytes;
    struct dm_slice data;
    enum dm_http1_chunks_step step;
    do {
        step = dm_http1_chunks_next(&p->chunks, &rest, &data);
        if (step == DM_HTTP1_CHUNKS_DATA) {
            take_body(p, data);
        }
    } while (step == DM_HTTP1_CHUNKS_DATA && p->status == 0);
    *used = bytes.size - rest.size;
    p->done = step == DM_HTTP1_CHUNKS_END;
    if (step == DM_HTTP1_CHUNKS_BAD) {
        (void)refuse(p, 400, "the request's body is malformed");
    } else if (step == DM_HTTP1_CHUNKS_LONG) {
        (void)refuse(p, 400, "too many chunk extensions or trailers");
    }
}

enum dm_http1_progress dm_http1_parse(struct dm_http1_parser *p, struct dm_slice bytes,
                                      size_t *used)
{
    *used = 0;
    if (p->status != 0) {
        return DM_HTTP1_REFUSED;
    }
    if (!p->head_done) {
        if (gather_head(p, bytes, used)) {
            parse_head(p);
        }
        return p->status != 0 ? DM_HTTP1_REFUSED : p->head_done ? DM_HTTP1_HEAD : DM_HTTP1_MORE;
    }
    if (p->done) {
        return DM_HTTP1_DONE;
    }
    if (p->request.chunked) {
        take_chunks(p, bytes, used);
    } else {
        take_counted(p, bytes, used);
    }
    return p->status != 0 ? DM_HTTP1_REFUSED : p->done ? DM_HTTP1_DONE : DM_HTTP1_MORE;
}

/* ---- the rest ------------------------------------------------------------------------- */

struct dm_http1_parser *dm_http1_parser_create(void)
{
    return calloc(1, sizeof(struct dm_http1_parser));
}

void dm_http1_parser_destroy(struct dm_http1_parser *parser)
{
    if (parser != NULL) {
        dm_buf_finish(&parser->head);
        free(parser);
    }
}

const struct dm_http1_request *dm_http1_request(const struct dm_http1_parser *parser)
{
    return &parser->request;
}

void dm_http1_take_body(struct dm_http1_parser *parser, struct dm_buf *to, size_t size_max)
{
    parser->body = to;
    parser->body_max = size_max;
}

int dm_http1_refusal(const struct dm_http1_parser *parser, const char **why)
{
    *why = parser->why;
    return parser->status;
}

bool dm_http1_parser_idle(const struct dm_http1_parser *parser)
{
    return !parser->head_done && dm_buf_size(&parser->head) == 0;
}

void dm_http1_parser_half(const struct dm_http1_parser *parser, bool *head, bool *body)
{
    *head = !parser->head_done && dm_buf_size(&parser->head) != 0;
    *body = parser->head_done && !parser->done;
}

size_t dm_http1_parser_memory(const struct dm_http1_parser *parser)
{
    return parser->head.capacity;
}

void dm_http1_parser_next(struct dm_http1_parser *parser)
{
    struct dm_buf head = parser->head;
    dm_buf_reset(&head, KEEP_HEAD);
    dm_clear(parser, sizeof *parser);
    parser->head = head;
}
