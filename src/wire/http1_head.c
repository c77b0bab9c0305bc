#include "wire/http1_head.h"

static bool put(struct dm_buf *to, const char *text)
{
    return dm_buf_append(to, text, strlen(text));
}

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

bool dm_http1_header_write(struct dm_buf *to, const char *name, const char *value)
{
    return put(to, name) && put(to, ": ") && put(to, value) && put(to, "\r\n");
}

static bool put_connection(struct dm_buf *to, enum dm_http1_connection connection)
{
    return connection == DM_HTTP1_CLOSES  ? put(to, "connection: close\r\n")
           : connection == DM_HTTP1_KEEPS ? put(to, "connection: keep-alive\r\n")
                                          : true;
}

static bool put_cors(struct dm_buf *to, const struct dm_http1_route *route)
{
    static const char expose[] =
        "access-control-expose-headers: grpc-status, grpc-message, grpc-accept-encoding, "
        "accept-encoding, connect-accept-encoding\r\n";
    if (route->cors && !put(to, "vary: origin\r\n")) {
        return false;
    }
    return route->cors_origin == NULL ||
           (dm_http1_header_write(to, "access-control-allow-origin", route->cors_origin) &&
            put(to, expose));
}

bool dm_http1_head_write(struct dm_buf *to, int status, const char *content_type,
                         enum dm_http1_connection connection, const struct dm_http1_route *route)
{
    return put(to, status_line(status)) &&
           (content_type == NULL || dm_http1_header_write(to, "content-type", content_type)) &&
           put(to, "x-content-type-options: nosniff\r\n") &&
           (route->class == DM_HTTP_FILE || put(to, "cache-control: no-store\r\n")) &&
           put_connection(to, connection) && put_cors(to, route);
}
