#include "wire/http1_route.h"

#include "base/limits.h"
#include "wire/connect.h"
#include "wire/grpc.h"

const char dm_http1_accept_post[] =
    "application/json, application/proto, application/connect+json, application/connect+proto, "
    "application/grpc-web, application/grpc-web+json, application/grpc-web+proto, "
    "application/grpc-web-text, application/grpc-web-text+proto";

static void bare(struct dm_http1_route *out, int status, const char *why)
{
    out->kind = DM_HTTP1_BARE;
    out->status = status;
    out->why = why;
}

static void fail(struct dm_http1_route *out, enum dm_code code, const char *message)
{
    if (out->code == DM_OK) {
        out->code = code;
        out->message = message;
    }
}

static bool is_rpc_path(const struct dm_session_limits *limits, struct dm_slice path,
                        struct dm_http1_route *out)
{
    if (path.size > DM_HTTP_PATH_MAX || !dm_grpc_split_path(path, &out->service, &out->method)) {
        return false;
    }
    return limits->known_service != NULL
               ? limits->known_service(out->service)
               : memchr(out->service.data, '.', out->service.size) != NULL;
}

/* false: no content type of an RPC. */
static bool set_kind(struct dm_slice type, struct dm_http1_route *out)
{
    static const struct {
        const char *type;
        enum dm_http1_kind kind;
        enum dm_codec codec;
        bool text;
    } types[] = {
        {"application/proto", DM_HTTP1_CONNECT_UNARY, DM_CODEC_PROTO, false},
        {"application/json", DM_HTTP1_CONNECT_UNARY, DM_CODEC_JSON, false},
        {"application/connect+proto", DM_HTTP1_CONNECT_STREAM, DM_CODEC_PROTO, false},
        {"application/connect+json", DM_HTTP1_CONNECT_STREAM, DM_CODEC_JSON, false},
        {"application/grpc-web", DM_HTTP1_GRPC_WEB, DM_CODEC_PROTO, false},
        {"application/grpc-web+proto", DM_HTTP1_GRPC_WEB, DM_CODEC_PROTO, false},
        {"application/grpc-web+json", DM_HTTP1_GRPC_WEB, DM_CODEC_JSON, false},
        {"application/grpc-web-text", DM_HTTP1_GRPC_WEB, DM_CODEC_PROTO, true},
        {"application/grpc-web-text+proto", DM_HTTP1_GRPC_WEB, DM_CODEC_PROTO, true},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (dm_text_equal(type, types[i].type)) {
            out->kind = types[i].kind;
            out->codec = types[i].codec;
            out->text = types[i].text;
            out->content_type = types[i].type;
            return true;
        }
    }
    return false;
}

static void judge_encoding(const struct dm_http1_request *r, enum dm_http1_header header,
                           struct dm_http1_route *out)
{
    struct dm_slice encoding = r->headers[header];
    if (encoding.data != NULL && encoding.size != 0 && !dm_text_equal(encoding, "identity")) {
        out->accept_encoding = true;
        fail(out, DM_UNIMPLEMENTED, "unknown compression: the only encoding here is identity");
    }
}

static void judge_timeout(const struct dm_http1_request *r, struct dm_http1_route *out)
{
    bool grpc = out->kind == DM_HTTP1_GRPC_WEB;
    struct dm_slice text = r->headers[grpc ? DM_HTTP1_GRPC_TIMEOUT : DM_HTTP1_CONNECT_TIMEOUT];
    if (text.data == NULL) {
        return;
    }
    out->timeout_ns = grpc ? dm_grpc_timeout_ns(text) : dm_connect_timeout_ns(text);
    if (out->timeout_ns < 0) {
        out->timeout_ns = 0;
        fail(out, DM_INVALID_ARGUMENT,
             grpc ? "grpc-timeout is malformed" : "connect-timeout-ms is malformed");
    }
}

static void judge_call(const struct dm_http1_request *r, struct dm_http1_route *out)
{
    struct dm_slice version = r->headers[DM_HTTP1_CONNECT_VERSION];
    if (out->kind != DM_HTTP1_GRPC_WEB && version.data != NULL &&
        !dm_slice_equal(version, dm_slice_str("1"))) {
        fail(out, DM_INVALID_ARGUMENT, "connect-protocol-version must be 1");
    }
    if (out->kind == DM_HTTP1_CONNECT_UNARY) {
        judge_encoding(r, DM_HTTP1_CONTENT_ENCODING, out);
    } else if (out->kind == DM_HTTP1_CONNECT_STREAM) {
        judge_encoding(r, DM_HTTP1_CONNECT_ENCODING, out);
    } else {
        judge_encoding(r, DM_HTTP1_GRPC_ENCODING, out);
    }
    judge_timeout(r, out);
}

static void unknown_type(struct dm_http1_route *out, const char *why)
{
    bare(out, 415, why);
    out->accept_post = true;
}

static void route_get(const struct dm_http1_request *r, struct dm_http1_route *out)
{
    struct dm_connect_query query;
    dm_connect_query_read(r->query, &query);
    out->kind = DM_HTTP1_CONNECT_UNARY;
    out->get = true;
    if (dm_text_equal(query.encoding, "json")) {
        out->codec = DM_CODEC_JSON;
        out->content_type = "application/json";
    } else if (dm_text_equal(query.encoding, "proto")) {
        out->codec = DM_CODEC_PROTO;
        out->content_type = "application/proto";
    } else {
        unknown_type(out, "a call by GET needs a query: encoding=json (or proto) and message=...");
        return;
    }
    if (!query.version_1) {
        fail(out, DM_INVALID_ARGUMENT, "connect must be v1");
    }
    if (!query.has_message) {
        fail(out, DM_INVALID_ARGUMENT, "the parameter message is missing");
    }
    if (query.bad) {
        fail(out, DM_INVALID_ARGUMENT, "base64 must be 0 or 1");
    }
    if (query.compressed) {
        out->accept_encoding = true;
        fail(out, DM_UNIMPLEMENTED, "unknown compression: the only encoding here is identity");
    }
    judge_call(r, out);
}

static void route_options(const struct dm_http1_request *r, bool rpc, struct dm_http1_route *out)
{
    bool preflight = r->headers[DM_HTTP1_ORIGIN].data != NULL &&
                     r->headers[DM_HTTP1_PREFLIGHT_METHOD].data != NULL;
    bare(out, 204, "");
    out->preflight = preflight && out->cors_origin != NULL;
    out->allow = out->preflight ? NULL : rpc ? "GET, POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

static void route_rpc(const struct dm_http1_request *r, struct dm_http1_route *out)
{
    if (r->verb == DM_HTTP1_VERB_GET) {
        route_get(r, out);
        return;
    }
    if (r->verb != DM_HTTP1_VERB_POST) {
        bare(out, 405, "methods are called by POST, some by GET");
        out->allow = "GET, POST";
        return;
    }
    if (!set_kind(dm_media_type(r->headers[DM_HTTP1_CONTENT_TYPE]), out)) {
        unknown_type(
            out, "this content-type is not served here: send application/json, application/proto, "
                 "application/connect+json (streams) or application/grpc-web");
        return;
    }
    judge_call(r, out);
}

static struct dm_browser_verdict judge_browser(const struct dm_http1_request *r,
                                               const struct dm_session_limits *limits,
                                               enum dm_http_class class)
{
    const struct dm_browser_head head = {
        .class = class,
        .scheme = "http",
        .authority = r->authority,
        .origin = r->headers[DM_HTTP1_ORIGIN],
        .fetch_site = r->headers[DM_HTTP1_FETCH_SITE],
        .twice = r->header_counts[DM_HTTP1_ORIGIN] > 1 || r->header_counts[DM_HTTP1_FETCH_SITE] > 1,
    };
    return dm_browser_judge(&head, !limits->any_host, limits);
}

void dm_http1_route(const struct dm_http1_request *request, const struct dm_session_limits *limits,
                    struct dm_http1_route *out)
{
    *out = (struct dm_http1_route){0};
    bool rpc = is_rpc_path(limits, request->path, out);
    out->class = dm_http_class(request->path, rpc);
    struct dm_browser_verdict verdict = judge_browser(request, limits, out->class);
    out->cors = limits->cors_origins != NULL;
    out->cors_origin = verdict.cors_origin;
    if (verdict.status != 0) {
        bare(out, verdict.status, verdict.why);
    } else if (request->header_counts[DM_HTTP1_CONTENT_TYPE] > 1) {
        bare(out, 400, "more than one content-type");
    } else if (request->header_counts[DM_HTTP1_EXPECT] != 0 &&
               !dm_text_equal(request->headers[DM_HTTP1_EXPECT], "100-continue")) {
        bare(out, 417, "the only expectation served is 100-continue");
    } else if (request->verb == DM_HTTP1_VERB_OPTIONS) {
        route_options(request, rpc, out);
    } else if (rpc) {
        route_rpc(request, out);
    } else if (request->verb == DM_HTTP1_VERB_GET || request->verb == DM_HTTP1_VERB_HEAD) {
        out->kind = DM_HTTP1_PLAIN;
    } else if (dm_grpc_split_path(request->path, &out->service, &out->method)) {
        bare(out, 404, "there is no such service");
    } else {
        bare(out, 405, "this path is read by GET");
        out->allow = "GET, HEAD";
    }
}
