#ifndef DM_WIRE_H2_HEAD_H
#define DM_WIRE_H2_HEAD_H

#include "base/code.h"
#include "base/slice.h"

#include <nghttp2/nghttp2.h>

#include <stdbool.h>

/* The heads of answers over HTTP/2. */

/* Names, and values of static text, are not copied by nghttp2. */
nghttp2_nv dm_h2_nv_static(const char *name, const char *value);
nghttp2_nv dm_h2_nv_copied(const char *name, struct dm_slice value);
/* grpc-status */
nghttp2_nv dm_h2_nv_status(enum dm_code code);

/* What every answer of gRPC begins with. */
enum { DM_H2_GRPC_HEAD = 4 };
void dm_h2_grpc_head(nghttp2_nv headers[DM_H2_GRPC_HEAD], bool json);

/* Of an answer that is no gRPC. The headers point into the struct. */
struct dm_h2_page_head {
    bool has_body; /* HTTP knows none with this status: then no length is told either */
    size_t count;
    nghttp2_nv headers[5];
    char status[3], length[24];
};
/* `content_type` NULL: none. `stored`: caches may keep it. */
void dm_h2_page_head_init(struct dm_h2_page_head *head, int status, const char *content_type,
                          size_t body_size, bool stored);

#endif
