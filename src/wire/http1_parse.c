#include "wire/http1_parse.h"

#include "base/limits.h"
#include "wire/browser.h"
#include "wire/grpc.h"

#include <llhttp.h>

#include <stdlib.h>

/* A request's head is gathered until its empty line, checked line by line, and given to
 * llhttp in one piece, so that every name and value is one slice of it. Its body then goes
 * through llhttp as it comes.
 *
 * llhttp (strict) is the grammar. Refused here, because it lets them pass or because they
 * are where requests are smuggled: lines that end in a bare LF, folded lines, empty names,
 * Transfer-Encoding that is not exactly "chunked", or twice, or in HTTP/1.0, or beside
 * Content-Length; more than one Content-Length; no Host or several; a request line of other
 * than three words; versions other than 1.0 and 1.1. */

enum {
    BLANK_LINES_MAX = 2,     /* before a request line: RFC 9112, 2.2 */
    REQUEST_LINE_EXTRA = 32, /* a request line beside its URL */
    KEEP_HEAD = 4096,        /* bytes of memory kept from request to request */
    KEEP_BODY = 65536,
};

struct dm_http1_parser {
    llhttp_t ll;
    struct dm_http1_request request;
    struct dm_buf head, body;
    size_t line;       /* where in head the current line begins */
    size_t first_line; /* size of the request line */
    uint32_t lines, blank_lines;
    bool head_done, in_body, done;
    struct dm_slice url, name, value;
    bool value_open; /* a value has begun: more of it that is not adjacent is a fold */
    size_t body_max, body_seen;
    uint32_t extra; /* bytes of chunk extensions and trailers */
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

/* ---- llhttp's callbacks -------------------------------------------------------------- */

static int count_extra(struct dm_http1_parser *p, size_t size)
{
    if (size > DM_HTTP1_CHUNK_EXTRA_MAX - p->extra) {
        return refuse(p, 400, "too many chunk extensions or trailers");
    }
    p->extra += (uint32_t)size;
    return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    p->url = dm_slice(at, size);
    return size > DM_HTTP_URL_MAX ? refuse(p, 414, "the URL is too long") : 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    if (p->in_body) {
        return count_extra(p, size + 2);
    }
    p->name = dm_slice(at, size);
    p->value = dm_slice(at + size, 0);
    p->value_open = false;
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    if (p->in_body) {
        return count_extra(p, size + 2);
    }
    if (p->value_open) {
        return refuse(p, 400, "a header is folded over lines");
    }
    p->value_open = true;
    p->value = dm_slice(at, size);
    return 0;
}

static int on_chunk_extension(llhttp_t *ll, const char *at, size_t size)
{
    (void)at;
    return count_extra(ll->data, size + 1);
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
    static const struct {
        const char *text;
        size_t size;
    } names[DM_HTTP1_HEADERS] = {
#define NAME(text) {text, sizeof(text) - 1}
        [DM_HTTP1_HOST] = NAME("host"),
        [DM_HTTP1_TRANSFER_ENCODING] = NAME("transfer-encoding"),
        [DM_HTTP1_CONTENT_LENGTH] = NAME("content-length"),
        [DM_HTTP1_CONTENT_TYPE] = NAME("content-type"),
        [DM_HTTP1_CONTENT_ENCODING] = NAME("content-encoding"),
        [DM_HTTP1_EXPECT] = NAME("expect"),
        [DM_HTTP1_ORIGIN] = NAME("origin"),
        [DM_HTTP1_FETCH_SITE] = NAME("sec-fetch-site"),
        [DM_HTTP1_PREFLIGHT_METHOD] = NAME("access-control-request-method"),
        [DM_HTTP1_CONNECT_VERSION] = NAME("connect-protocol-version"),
        [DM_HTTP1_CONNECT_TIMEOUT] = NAME("connect-timeout-ms"),
        [DM_HTTP1_CONNECT_ENCODING] = NAME("connect-content-encoding"),
        [DM_HTTP1_GRPC_TIMEOUT] = NAME("grpc-timeout"),
        [DM_HTTP1_GRPC_ENCODING] = NAME("grpc-encoding"),
#undef NAME
    };
    struct dm_http1_parser *p = ll->data;
    if (p->in_body) {
        return 0;
    }
    for (int i = 0; i < DM_HTTP1_HEADERS; i++) {
        if (p->name.size == names[i].size && dm_text_equal(p->name, names[i].text)) {
            p->request.headers[i] = trimmed(p->value);
            p->request.header_counts[i]++;
            break;
        }
    }
    return 0;
}

/* ---- judging a head ------------------------------------------------------------------- */

static int judge_framing(struct dm_http1_parser *p)
{
    const struct dm_http1_request *r = &p->request;
    uint8_t encodings = r->header_counts[DM_HTTP1_TRANSFER_ENCODING];
    if (encodings != 0) {
        if (encodings > 1 || !r->minor_1 ||
            !dm_text_equal(r->headers[DM_HTTP1_TRANSFER_ENCODING], "chunked")) {
            return refuse(p, 400, "the only transfer-encoding is chunked");
        }
        if (r->header_counts[DM_HTTP1_CONTENT_LENGTH] != 0) {
            return refuse(p, 400, "transfer-encoding and content-length exclude each other");
        }
    }
    if (r->header_counts[DM_HTTP1_CONTENT_LENGTH] > 1) {
        return refuse(p, 400, "more than one content-length");
    }
    return 0;
}

static int judge_host(struct dm_http1_parser *p)
{
    struct dm_http1_request *r = &p->request;
    struct dm_slice host;
    uint8_t hosts = r->header_counts[DM_HTTP1_HOST];
    if (hosts > 1 || (hosts == 0 && r->minor_1) ||
        !dm_authority_host(r->headers[DM_HTTP1_HOST], &host)) {
        return refuse(p, 400, "exactly one valid host header is needed");
    }
    r->authority = r->headers[DM_HTTP1_HOST];
    return 0;
}

/* "http://authority/path": takes the authority, which counts instead of Host, off *target.
 * RFC 9112, 3.2.2. */
static int take_authority(struct dm_http1_parser *p, struct dm_slice *target)
{
    const char *text = target->data;
    size_t size = target->size;
    size_t skip = size > 7 && dm_text_equal(dm_slice(text, 7), "http://")    ? 7
                  : size > 8 && dm_text_equal(dm_slice(text, 8), "https://") ? 8
                                                                             : 0;
    if (skip == 0) {
        return 0;
    }
    size_t end = skip;
    while (end < size && text[end] != '/' && text[end] != '?') {
        end++;
    }
    struct dm_slice host;
    p->request.authority = dm_slice(text + skip, end - skip);
    if (!dm_authority_host(p->request.authority, &host) || host.size == 0) {
        return refuse(p, 400, "the request target names no valid host");
    }
    *target = dm_slice(text + end, size - end);
    return 0;
}

static int split_url(struct dm_http1_parser *p)
{
    struct dm_http1_request *r = &p->request;
    struct dm_slice target = p->url;
    if (dm_slice_equal(target, dm_slice_str("*")) && r->verb == DM_HTTP1_VERB_OPTIONS) {
        r->path = target;
        return 0;
    }
    if (take_authority(p, &target) != 0) {
        return -1;
    }
    const char *text = target.data;
    bool absolute = target.size != p->url.size;
    const char *mark = memchr(text, '?', target.size);
    size_t size = mark == NULL ? target.size : (size_t)(mark - text);
    r->path = size == 0 && absolute ? dm_slice_str("/") : dm_slice(text, size);
    r->query = mark == NULL ? dm_slice(NULL, 0) : dm_slice(mark + 1, target.size - size - 1);
    bool is_path = r->path.size != 0 && *(const char *)r->path.data == '/';
    if (!is_path || memchr(text, '#', target.size) != NULL) {
        return refuse(p, 400, "the request target is no path");
    }
    return 0;
}

static int on_headers_complete(llhttp_t *ll)
{
    struct dm_http1_parser *p = ll->data;
    struct dm_http1_request *r = &p->request;
    ll->upgrade = 0; /* we offer none: the header is ignored */
    p->head_done = p->in_body = true;
    switch (ll->method) {
    case HTTP_GET:
        r->verb = DM_HTTP1_VERB_GET;
        break;
    case HTTP_HEAD:
        r->verb = DM_HTTP1_VERB_HEAD;
        break;
    case HTTP_POST:
        r->verb = DM_HTTP1_VERB_POST;
        break;
    case HTTP_OPTIONS:
        r->verb = DM_HTTP1_VERB_OPTIONS;
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
    if (judge_framing(p) != 0 || judge_host(p) != 0 || split_url(p) != 0) {
        return -1;
    }
    if (!r->chunked && r->content_length > DM_HTTP_DISCARD_MAX) {
        return refuse(p, 413, "the request body is too large");
    }
    return 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t size)
{
    struct dm_http1_parser *p = ll->data;
    p->body_seen += size;
    if (p->body_seen > DM_HTTP_DISCARD_MAX) {
        return refuse(p, 413, "the request body is too large");
    }
    if (p->request.body_too_large) {
        return 0;
    }
    if (p->body_seen > p->body_max || !dm_buf_append(&p->body, at, size)) {
        p->request.body_too_large = true;
        dm_buf_finish(&p->body);
    }
    return 0;
}

static int on_message_complete(llhttp_t *ll)
{
    struct dm_http1_parser *p = ll->data;
    p->done = true;
    p->request.body = dm_buf_slice(&p->body);
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
};

/* ---- gathering a head ------------------------------------------------------------------ */

/* Three words with one space between them; llhttp would skip more. */
static bool is_request_line(const uint8_t *line, size_t size)
{
    int spaces = 0;
    for (size_t i = 0; i < size; i++) {
        spaces += line[i] == ' ';
    }
    return spaces == 2;
}

/* A line has come to its LF. true: it was the empty one that ends the head. */
static bool end_of_line(struct dm_http1_parser *p)
{
    const uint8_t *line = p->head.data + p->head.start + p->line;
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

static void parse_head(struct dm_http1_parser *p)
{
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    p->ll.data = p;
    llhttp_errno_t error =
        llhttp_execute(&p->ll, (const char *)dm_buf_head(&p->head), dm_buf_size(&p->head));
    if (error == HPE_INVALID_VERSION) {
        (void)refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are served here");
    } else if ((error != HPE_OK && error != HPE_PAUSED) || !p->head_done) {
        (void)refuse(p, 400, "the request's head is malformed");
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
    if (bytes.size == 0) {
        return DM_HTTP1_MORE;
    }
    llhttp_errno_t error = llhttp_execute(&p->ll, bytes.data, bytes.size);
    if (p->done) {
        *used = (size_t)(llhttp_get_error_pos(&p->ll) - (const char *)bytes.data);
        return DM_HTTP1_DONE;
    }
    *used = bytes.size;
    if (error != HPE_OK) {
        (void)refuse(p, 400, "the request's body is malformed");
    }
    return p->status != 0 ? DM_HTTP1_REFUSED : DM_HTTP1_MORE;
}

/* ---- the rest ---------------------------------------------------------------------------- */

struct dm_http1_parser *dm_http1_parser_create(void)
{
    return calloc(1, sizeof(struct dm_http1_parser));
}

void dm_http1_parser_destroy(struct dm_http1_parser *parser)
{
    if (parser != NULL) {
        dm_buf_finish(&parser->head);
        dm_buf_finish(&parser->body);
        free(parser);
    }
}

const struct dm_http1_request *dm_http1_request(const struct dm_http1_parser *parser)
{
    return &parser->request;
}

void dm_http1_body_max(struct dm_http1_parser *parser, size_t size)
{
    parser->body_max = size;
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

void dm_http1_parser_next(struct dm_http1_parser *parser)
{
    struct dm_buf head = parser->head;
    struct dm_buf body = parser->body;
    dm_buf_reset(&head, KEEP_HEAD);
    dm_buf_reset(&body, KEEP_BODY);
    *parser = (struct dm_http1_parser){.head = head, .body = body};
}
