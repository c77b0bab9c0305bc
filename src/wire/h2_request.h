#ifndef DM_WIRE_H2_REQUEST_H
#define DM_WIRE_H2_REQUEST_H

#include "base/code.h"
#include "base/limits.h"
#include "base/slice.h"
#include "wire/browser.h"

#include <stdbool.h>
#include <stdint.h>

/* The head of a request over HTTP/2, header by header, and what is wrong with it. Pure. */

enum dm_h2_verb { DM_H2_VERB_OTHER, DM_H2_VERB_POST, DM_H2_VERB_GET, DM_H2_VERB_HEAD };
enum dm_h2_content { DM_H2_CONTENT_OTHER, DM_H2_CONTENT_GRPC, DM_H2_CONTENT_GRPC_JSON };

/* A zeroed struct is a request of which nothing has come. */
struct dm_h2_request {
    enum dm_h2_verb verb;
    enum dm_h2_content content;
    bool unknown_encoding, bad_timeout, path_too_long, content_seen, content_twice;
    uint32_t header_bytes, header_count;
    int64_t timeout_ns;
    size_t path_size;
    char path[DM_HTTP_PATH_MAX];
};

/* false: so many bytes of headers that it can only be a compressed bomb. */
bool dm_h2_request_note(struct dm_h2_request *request, struct dm_slice name, struct dm_slice value);

struct dm_h2_verdict {
    int status;        /* not 0: the HTTP status of a refusal */
    enum dm_code code; /* not DM_OK: a gRPC call that has failed */
    const char *message;
    bool page; /* a GET or HEAD that is no call */
    struct dm_slice service, method;
};
struct dm_h2_verdict dm_h2_request_judge(const struct dm_h2_request *request);

enum dm_http_class dm_h2_request_class(const struct dm_h2_request *request);
/* The path without its query, and the query. */
void dm_h2_request_split(const struct dm_h2_request *request, struct dm_slice *path,
                         struct dm_slice *query);

static inline struct dm_slice dm_h2_request_path(const struct dm_h2_request *request)
{
    return dm_slice(request->path, request->path_size);
}

#endif
