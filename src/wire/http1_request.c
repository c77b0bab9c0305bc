#include "wire/http1_request.h"

#include "wire/browser.h"

static int refuse(const char **why, int status, const char *sentence)
{
    *why = sentence;
    return status;
}

static bool is_coding_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* "gzip, chunked" is well framed, and unknown here: RFC 9112, 6.1, has a status for it. */
static bool is_coding_before_chunked(const struct dm_http1_request *r)
{
    static const char end[] = "chunked";
    struct dm_slice list = r->http.headers[DM_HTTP_TRANSFER_ENCODING];
    const char *text = list.data;
    size_t size = 0;
    while (size < list.size && is_coding_character(text[size])) {
        size++;
    }
    bool itself = dm_text_equal(dm_slice(text, size), end);
    size_t at = size;
    while (at < list.size && strchr(", \t", text[at]) != NULL) {
        at++;
    }
    return size != 0 && !itself && memchr(text + size, ',', at - size) != NULL &&
           dm_text_equal(dm_slice(text + at, list.size - at), end);
}

static int judge_framing(const struct dm_http1_request *r, const char **why)
{
    uint8_t encodings = r->http.counts[DM_HTTP_TRANSFER_ENCODING];
    if (encodings != 0) {
        if (encodings == 1 && r->minor_1 && is_coding_before_chunked(r)) {
            return refuse(why, 501, "the only transfer-encoding is chunked");
        }
        if (encodings > 1 || !r->minor_1 ||
            !dm_text_equal(r->http.headers[DM_HTTP_TRANSFER_ENCODING], "chunked")) {
            return refuse(why, 400, "the only transfer-encoding is chunked");
        }
        if (r->http.counts[DM_HTTP_CONTENT_LENGTH] != 0) {
            return refuse(why, 400, "transfer-encoding and content-length exclude each other");
        }
    }
    if (r->http.counts[DM_HTTP_CONTENT_LENGTH] > 1) {
        return refuse(why, 400, "more than one content-length");
    }
    return 0;
}

static int judge_host(struct dm_http1_request *r, const char **why)
{
    struct dm_slice host;
    uint8_t hosts = r->http.counts[DM_HTTP_HOST];
    if (hosts > 1 || (hosts == 0 && r->minor_1) ||
        !dm_authority_host(r->http.headers[DM_HTTP_HOST], &host)) {
        return refuse(why, 400, "exactly one valid host header is needed");
    }
    r->http.authority = r->http.headers[DM_HTTP_HOST];
    return 0;
}

/* "http://authority/path": takes the authority, which counts instead of Host, off *target.
 * RFC 9112, 3.2.2. */
static int take_authority(struct dm_http1_request *r, struct dm_slice *target, const char **why)
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
    r->http.authority = dm_slice(text + skip, end - skip);
    if (!dm_authority_host(r->http.authority, &host) || host.size == 0) {
        return refuse(why, 400, "the request target names no valid host");
    }
    *target = dm_slice(text + end, size - end);
    return 0;
}

static int split_target(struct dm_http1_request *r, struct dm_slice url, const char **why)
{
    struct dm_slice target = url;
    if (dm_slice_equal(target, dm_slice_str("*")) && r->http.verb == DM_HTTP_VERB_OPTIONS) {
        r->http.path = target;
        return 0;
    }
    int status = take_authority(r, &target, why);
    if (status != 0) {
        return status;
    }
    dm_http_split_target(&r->http, target);
    if (r->http.path.size == 0 && target.size != url.size) {
        r->http.path = dm_slice_str("/");
    }
    bool is_path = r->http.path.size != 0 && *(const char *)r->http.path.data == '/';
    if (!is_path || memchr(target.data, '#', target.size) != NULL) {
        return refuse(why, 400, "the request target is not a path");
    }
    return 0;
}

int dm_http1_request_judge(struct dm_http1_request *r, struct dm_slice target, const char **why)
{
    int status = judge_framing(r, why);
    status = status != 0 ? status : judge_host(r, why);
    return status != 0 ? status : split_target(r, target, why);
}
