#ifndef DM_WIRE_CONNECT_H
#define DM_WIRE_CONNECT_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The Connect protocol's pieces (connectrpc.com/docs/protocol). Functions that append to a
 * buffer return false when there is no memory. */

int dm_connect_http_status(enum dm_code code);

/* {"code":"not_found","message":"..."} */
bool dm_connect_error(struct dm_buf *to, enum dm_code code, const char *message);

/* The message that ends a stream, without its envelope: {} or {"error":...}. */
bool dm_connect_end_stream(struct dm_buf *to, enum dm_code code, const char *message);

/* connect-timeout-ms into nanoseconds, clamped as dm_grpc_timeout_ns does; -1: malformed. */
int64_t dm_connect_timeout_ns(struct dm_slice text);

/* A GET's query. Unknown parameters are ignored. */
struct dm_connect_query {
    bool has_message, base64, bad; /* bad: a malformed escape */
    bool compressed;               /* a compression other than identity is named */
    bool version_1;                /* connect is absent, or v1 */
    struct dm_slice encoding;      /* of the query; data NULL: absent */
    struct dm_slice message;       /* of the query, still encoded */
};
void dm_connect_query_read(struct dm_slice query, struct dm_connect_query *out);

enum dm_connect_decoded { DM_CONNECT_DECODED, DM_CONNECT_MALFORMED, DM_CONNECT_NO_MEMORY };
/* The query's message, decoded, appended. */
enum dm_connect_decoded dm_connect_query_message(const struct dm_connect_query *query,
                                                 struct dm_buf *to);

#endif
