#include "wire/route.h"

#include "base/limits.h"
#include "wire/connect.h"
#include "wire/grpc.h"
#include "wire/grpcweb.h"

_Static_assert(DM_HTTP_PATH_MAX < DM_HTTP_URL_MAX, "a URL has room for a path and a query");

static void refuse(struct dm_route *out, int status, const char *why)
{
    out->protocol = NULL;
    out->status = status;
    out->why = why;
}

static void fail(struct dm_route *out, enum dm_code code, const char *message)
{
    if (out->code == DM_OK) {
        out->code = code;
        out->message = message;
    }
}

/* "/service/Method" apart; false when the path has another shape. */
static bool split_path(struct dm_slice path, struct dm_slice *service, struct dm_slice *method)
{
    const char *text = path.data;
    if (path.size < 4 || path.size > DM_HTTP_PATH_MAX || text[0] != '/') {
        return false;
    }
    const char *slash = memchr(text + 1, '/', path.size - 1);
    if (slash == NULL) {
        return false;
    }
    *service = dm_slice(text + 1, (size_t)(slash - text) - 1);
    *method = dm_slice(slash + 1, path.size - service->size - 2);
    return service->size != 0 && method->size != 0 &&
           memchr(method->data, '/', method->size) == NULL;
}

static bool is_known(const struct dm_session_limits *limits, struct dm_slice service)
{
    return limits->known_service != NULL ? limits->known_service(service)
                                         : memchr(service.data, '.', service.size) != NULL;
}

/* ---- content types -------------------------------------------------------------------- */

#define TYPE(text) DM_HTTP_HEADER_INIT("content-type", text)
#define NAMED(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }

static const struct call_type {
    struct dm_slice type;
    const struct dm_call_protocol *protocol;
    enum dm_codec codec;
    bool text;
    struct dm_http_header answer;
} call_types[] = {
    {NAMED("application/grpc"), &dm_grpc_protocol, DM_CODEC_PROTO, false, TYPE("application/grpc")},
    {NAMED("application/grpc+proto"), &dm_grpc_protocol, DM_CODEC_PROTO, false,
     TYPE("application/grpc")},
    {NAMED("application/grpc+json"), &dm_grpc_protocol, DM_CODEC_JSON, false,
     TYPE("application/grpc+json")},
    {NAMED("application/proto"), &dm_connect_protocol, DM_CODEC_PROTO, false,
     TYPE("application/proto")},
    {NAMED("application/json"), &dm_connect_protocol, DM_CODEC_JSON, false,
     TYPE("application/json")},
    {NAMED("application/connect+proto"), &dm_connect_stream_protocol, DM_CODEC_PROTO, false,
     TYPE("application/connect+proto")},
    {NAMED("application/connect+json"), &dm_connect_stream_protocol, DM_CODEC_JSON, false,
     TYPE("application/connect+json")},
    {NAMED("application/grpc-web"), &dm_grpcweb_protocol, DM_CODEC_PROTO, false,
     TYPE("application/grpc-web")},
    {NAMED("application/grpc-web+proto"), &dm_grpcweb_protocol, DM_CODEC_PROTO, false,
     TYPE("application/grpc-web+proto")},
    {NAMED("application/grpc-web+json"), &dm_grpcweb_protocol, DM_CODEC_JSON, false,
     TYPE("application/grpc-web+json")},
    {NAMED("application/grpc-web-text"), &dm_grpcweb_protocol, DM_CODEC_PROTO, true,
     TYPE("application/grpc-web-text")},
    {NAMED("application/grpc-web-text+proto"), &dm_grpcweb_protocol, DM_CODEC_PROTO, true,
     TYPE("application/grpc-web-text+proto")},
};

/* NULL: none of a call. */
static const struct call_type *find_type(struct dm_slice type)
{
    for (size_t i = 0; type.size != 0 && i < sizeof call_types / sizeof call_types[0]; i++) {
        if (dm_text_is(type, call_types[i].type.data, call_types[i].type.size)) {
            return &call_types[i];
        }
    }
    return NULL;
}

/* ---- calls ---------------------------------------------------------------------------- */

/* A header that comes twice is a list (RFC 9110, 5.3), and neither of these may be one. */
static void judge_encoding(const struct dm_http_request *r, struct dm_route *out)
{
    struct dm_slice encoding = r->headers[out->protocol->encoding];
    bool twice = r->counts[out->protocol->encoding] > 1;
    if (twice || (encoding.size != 0 && !dm_text_equal(encoding, "identity"))) {
        out->tell_encodings = true;
        fail(out, DM_UNIMPLEMENTED, out->protocol->bad_encoding);
    }
}

static void judge_timeout(const struct dm_http_request *r, struct dm_route *out)
{
    if (!dm_http_has(r, out->protocol->timeout)) {
        return;
    }
    bool twice = r->counts[out->protocol->timeout] > 1;
    out->timeout_ns = out->protocol->timeout_ns(r->headers[out->protocol->timeout]);
    if (twice || out->timeout_ns < 0) {
        out->timeout_ns = 0;
        fail(out, DM_INVALID_ARGUMENT, out->protocol->bad_timeout);
    }
}

static void judge_call(const struct dm_http_request *r, struct dm_route *out)
{
    struct dm_slice version = r->headers[DM_HTTP_CONNECT_VERSION];
    bool connect = out->protocol->timeout == DM_HTTP_CONNECT_TIMEOUT;
    if (connect && version.data != NULL && !dm_slice_equal(version, dm_slice_str("1"))) {
        fail(out, DM_INVALID_ARGUMENT, "connect-protocol-version must be 1");
    }
    judge_encoding(r, out);
    judge_timeout(r, out);
}

static void unknown_type(const struct dm_http_request *r, struct dm_route *out, const char *why)
{
    refuse(out, 415, why);
    out->accept_post = true;
    out->grpc = r->version == DM_HTTP_2;
}

static void set_type(struct dm_route *out, const struct call_type *type)
{
    out->protocol = type->protocol;
    out->codec = type->codec;
    out->text = type->text;
    out->content_type = &type->answer;
}

static void route_grpc(const struct dm_http_request *r, const struct call_type *type,
                       struct dm_route *out)
{
    if (r->verb != DM_HTTP_VERB_POST) {
        refuse(out, 405, "methods are called by POST");
        out->allow = "POST";
        return;
    }
    set_type(out, type);
    if (!split_path(r->path, &out->service, &out->method)) {
        fail(out, DM_UNIMPLEMENTED, "the path is not /service/method");
    }
    judge_call(r, out);
}

static void judge_query(const struct dm_connect_query *query, struct dm_route *out)
{
    if (query->twice != NULL) {
        fail(out, DM_INVALID_ARGUMENT, query->twice);
    }
    if (!query->version_1) {
        fail(out, DM_INVALID_ARGUMENT, "connect must be v1");
    }
    if (!query->has_message) {
        fail(out, DM_INVALID_ARGUMENT, "the parameter message is missing");
    }
    if (query->bad) {
        fail(out, DM_INVALID_ARGUMENT, "base64 must be 0 or 1");
    }
    if (query->compressed) {
        out->tell_encodings = true;
        fail(out, DM_UNIMPLEMENTED, out->protocol->bad_encoding);
    }
}

static void route_get(const struct dm_http_request *r, struct dm_exchange *x)
{
    struct dm_route *out = &x->route;
    struct dm_connect_query query;
    dm_connect_query_read(r->query, &query);
    out->get = true;
    if (dm_text_equal(query.encoding, "json")) {
        set_type(out, find_type(dm_slice_str("application/json")));
    } else if (dm_text_equal(query.encoding, "proto")) {
        set_type(out, find_type(dm_slice_str("application/proto")));
    } else {
        unknown_type(r, out,
                     "a call by GET needs a query: encoding=json (or proto) and message=...");
        return;
    }
    judge_query(&query, out);
    judge_call(r, out);
    if (out->code != DM_OK) {
        return;
    }
    enum dm_connect_decoded decoded = dm_connect_query_message(&query, &x->input);
    if (decoded != DM_CONNECT_DECODED) {
        fail(out, decoded == DM_CONNECT_MALFORMED ? DM_INVALID_ARGUMENT : DM_RESOURCE_EXHAUSTED,
             "the parameter message is malformed");
    }
}

static void route_call(const struct dm_http_request *r, const struct call_type *type,
                       struct dm_exchange *x)
{
    struct dm_route *out = &x->route;
    if (r->verb == DM_HTTP_VERB_GET) {
        route_get(r, x);
    } else if (r->verb != DM_HTTP_VERB_POST) {
        refuse(out, 405, "methods are called by POST, some by GET");
        out->allow = "GET, POST";
    } else if (type == NULL) {
        unknown_type(
            r, out,
            "this content-type is not served here: send application/json, application/proto, "
            "application/connect+json (streams) or application/grpc-web");
    } else if (type->protocol == &dm_grpc_protocol) {
        unknown_type(r, out, "gRPC needs HTTP/2; over HTTP/1.1 there are Connect and gRPC-Web");
    } else {
        set_type(out, type);
        judge_call(r, out);
    }
}

/* ---- all requests --------------------------------------------------------------------- */

static void route_options(const struct dm_http_request *r, bool call, struct dm_route *out)
{
    bool preflight = dm_http_has(r, DM_HTTP_ORIGIN) && dm_http_has(r, DM_HTTP_PREFLIGHT_METHOD);
    refuse(out, 204, "");
    out->preflight = preflight && out->cors_origin != NULL;
    out->allow = out->preflight ? NULL : call ? "GET, POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

/* What no page may do is refused before anything else is told of. true: go on. */
static bool judge_browser(const struct dm_http_request *r, const struct dm_session_limits *limits,
                          struct dm_route *out)
{
    /* No browser speaks HTTP/2 without TLS, and clients of gRPC put into :authority what their
     * resolver calls the server. */
    bool host_rule = r->version == DM_HTTP_1 && !limits->any_host;
    if (!host_rule && !dm_http_has(r, DM_HTTP_ORIGIN) && !dm_http_has(r, DM_HTTP_FETCH_SITE)) {
        return true;
    }
    const struct dm_browser_head head = {
        .class = out->class,
        .scheme = r->https ? "https" : "http",
        .authority = r->authority,
        .origin = r->headers[DM_HTTP_ORIGIN],
        .fetch_site = r->headers[DM_HTTP_FETCH_SITE],
        .twice = r->counts[DM_HTTP_ORIGIN] > 1 || r->counts[DM_HTTP_FETCH_SITE] > 1,
    };
    struct dm_browser_verdict verdict = dm_browser_judge(&head, host_rule, limits);
    out->cors_origin = verdict.cors_origin;
    if (verdict.status != 0) {
        refuse(out, verdict.status, verdict.why);
    }
    return verdict.status == 0;
}

/* true: go on. */
static bool judge_head(const struct dm_http_request *r, struct dm_route *out)
{
    if (r->refusal != 0) {
        refuse(out, r->refusal, r->refusal_why);
    } else if (r->counts[DM_HTTP_CONTENT_TYPE] > 1) {
        refuse(out, 400, "more than one content-type");
    } else if (dm_http_has(r, DM_HTTP_EXPECT) &&
               !dm_text_equal(r->headers[DM_HTTP_EXPECT], "100-continue")) {
        refuse(out, 417, "the only expectation served is 100-continue");
    } else {
        return true;
    }
    return false;
}

static void route_page(const struct dm_http_request *r, struct dm_route *out)
{
    if (r->verb == DM_HTTP_VERB_GET || r->verb == DM_HTTP_VERB_HEAD) {
        out->if_none_match = r->headers[DM_HTTP_IF_NONE_MATCH];
        out->accept_encoding = r->headers[DM_HTTP_ACCEPT_ENCODING];
        return;
    }
    if (split_path(r->path, &out->service, &out->method)) {
        refuse(out, 404, "there is no such service");
        return;
    }
    refuse(out, 405, "this path is read by GET");
    out->allow = "GET, HEAD";
}

void dm_route(struct dm_exchange *x, const struct dm_http_request *r)
{
    struct dm_route *out = &x->route;
    const struct call_type *type = find_type(dm_media_type(r->headers[DM_HTTP_CONTENT_TYPE]));
    bool grpc = type != NULL && type->protocol == &dm_grpc_protocol && r->version == DM_HTTP_2;
    bool call = !grpc && split_path(r->path, &out->service, &out->method) &&
                is_known(x->limits, out->service);
    out->class = dm_http_class(r->path, grpc || call);
    out->verb = r->verb;
    out->path = r->path;
    out->query = r->query;
    if (!judge_browser(r, x->limits, out) || !judge_head(r, out)) {
        return;
    }
    if (grpc) {
        route_grpc(r, type, out);
    } else if (r->verb == DM_HTTP_VERB_OPTIONS) {
        route_options(r, call, out);
    } else if (call) {
        route_call(r, type, x);
    } else {
        route_page(r, out);
    }
}
