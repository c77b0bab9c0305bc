#include "wire/h2_request.h"

#include "wire/grpc.h"

static enum dm_h2_verb verb_of(struct dm_slice text)
{
    return dm_slice_equal(text, dm_slice_str("POST"))   ? DM_H2_VERB_POST
           : dm_slice_equal(text, dm_slice_str("GET"))  ? DM_H2_VERB_GET
           : dm_slice_equal(text, dm_slice_str("HEAD")) ? DM_H2_VERB_HEAD
                                                        : DM_H2_VERB_OTHER;
}

static enum dm_h2_content content_of(struct dm_slice content_type)
{
    struct dm_slice type = dm_media_type(content_type);
    if (dm_text_equal(type, "application/grpc") || dm_text_equal(type, "application/grpc+proto")) {
        return DM_H2_CONTENT_GRPC;
    }
    return dm_text_equal(type, "application/grpc+json") ? DM_H2_CONTENT_GRPC_JSON
                                                        : DM_H2_CONTENT_OTHER;
}

bool dm_h2_request_note(struct dm_h2_request *request, struct dm_slice name, struct dm_slice value)
{
    enum { FIELD_OVERHEAD = 32, BOMB_FACTOR = 8 }; /* the overhead: RFC 9113, 6.5.2 */
    request->header_bytes += (uint32_t)(name.size + value.size + FIELD_OVERHEAD);
    request->header_count++;
    if (request->header_bytes > DM_HTTP_HEAD_MAX * BOMB_FACTOR) {
        return false;
    }
    const char *text = name.data;
    if (name.size == 5 && memcmp(text, ":path", 5) == 0) {
        request->path_too_long = value.size > sizeof request->path;
        request->path_size = request->path_too_long ? 0 : value.size;
        memcpy(request->path, value.data, request->path_size);
    } else if (name.size == 7 && memcmp(text, ":method", 7) == 0) {
        request->verb = verb_of(value);
    } else if (name.size == 12 && memcmp(text, "content-type", 12) == 0) {
        request->content_twice = request->content_seen;
        request->content_seen = true;
        request->content = content_of(value);
    } else if (name.size == 12 && memcmp(text, "grpc-timeout", 12) == 0) {
        request->timeout_ns = dm_grpc_timeout_ns(value);
        request->bad_timeout = request->timeout_ns < 0;
    } else if (name.size == 13 && memcmp(text, "grpc-encoding", 13) == 0) {
        request->unknown_encoding = !dm_text_equal(value, "identity");
    }
    return true;
}

static struct dm_h2_verdict refused(int status)
{
    return (struct dm_h2_verdict){.status = status};
}

static struct dm_h2_verdict failed(enum dm_code code, const char *message)
{
    return (struct dm_h2_verdict){.code = code, .message = message};
}

struct dm_h2_verdict dm_h2_request_judge(const struct dm_h2_request *request)
{
    struct dm_h2_verdict fine = {0};
    if (request->header_bytes > DM_HTTP_HEAD_MAX || request->header_count > DM_HTTP_HEADERS_MAX) {
        return refused(431);
    }
    if (request->content_twice) {
        return refused(400);
    }
    if (request->content == DM_H2_CONTENT_OTHER) {
        fine.page = request->verb == DM_H2_VERB_GET || request->verb == DM_H2_VERB_HEAD;
        if (!fine.page) {
            return refused(415);
        }
        if (request->path_too_long) {
            return refused(414);
        }
        return request->path_size == 0 || request->path[0] != '/' ? refused(400) : fine;
    }
    if (request->verb != DM_H2_VERB_POST) {
        return refused(405);
    }
    if (!dm_grpc_split_path(dm_h2_request_path(request), &fine.service, &fine.method)) {
        return failed(DM_UNIMPLEMENTED, "the path is not /service/method");
    }
    if (request->unknown_encoding) {
        return failed(DM_UNIMPLEMENTED, "this server takes no compressed messages");
    }
    if (request->bad_timeout) {
        return failed(DM_INVALID_ARGUMENT, "grpc-timeout is malformed");
    }
    return fine;
}

enum dm_http_class dm_h2_request_class(const struct dm_h2_request *request)
{
    return dm_http_class(dm_h2_request_path(request), request->content != DM_H2_CONTENT_OTHER);
}

void dm_h2_request_split(const struct dm_h2_request *request, struct dm_slice *path,
                         struct dm_slice *query)
{
    *path = dm_h2_request_path(request);
    const char *mark = memchr(request->path, '?', path->size);
    if (mark != NULL) {
        path->size = (size_t)(mark - request->path);
        *query = dm_slice(mark + 1, request->path_size - path->size - 1);
    }
}
