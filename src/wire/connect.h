#ifndef DM_WIRE_CONNECT_H
#define DM_WIRE_CONNECT_H

#include "wire/exchange.h"

/* Connect (connectrpc.com/docs/protocol): calls of one message each way as plain POSTs and GETs,
 * whose status is HTTP's; streams in envelopes, the last of which says how they ended. */
extern const struct dm_call_protocol dm_connect_protocol, dm_connect_stream_protocol;

/* A GET's query. Unknown parameters are ignored. */
struct dm_connect_query {
    bool has_message, base64, bad; /* bad: a malformed escape */
    bool compressed;               /* a compression other than identity is named */
    bool version_1;                /* connect is absent, or v1 */
    const char *twice;             /* a parameter comes twice: a sentence; or NULL */
    struct dm_slice encoding;      /* of the query; data NULL: absent */
    struct dm_slice message;       /* of the query, still encoded */
};
void dm_connect_query_read(struct dm_slice query, struct dm_connect_query *out);

enum dm_connect_decoded { DM_CONNECT_DECODED, DM_CONNECT_MALFORMED, DM_CONNECT_NO_MEMORY };
/* The query's message, decoded, appended. */
enum dm_connect_decoded dm_connect_query_message(const struct dm_connect_query *query,
                                                 struct dm_buf *to);

#endif
