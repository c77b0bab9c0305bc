#ifndef DM_WIRE_TTRPC_FRAME_H
#define DM_WIRE_TTRPC_FRAME_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The frames of ttrpc (containerd/ttrpc: PROTOCOL.md, request.proto), for both ends: a
 * header of ten bytes and, in requests and responses, a small protobuf envelope. The
 * envelope is read and written by hand; what it carries stays where it is. */

enum {
    DM_TTRPC_HEADER_SIZE = 10,

    DM_TTRPC_REQUEST = 1,
    DM_TTRPC_RESPONSE = 2,
    DM_TTRPC_DATA = 3,

    DM_TTRPC_REMOTE_CLOSED = 1, /* the sender sends no more on this stream */
    DM_TTRPC_REMOTE_OPEN = 2,   /* of a request: more data frames follow */
    DM_TTRPC_NO_DATA = 4,       /* of a data frame: it carries no message */
};

struct dm_ttrpc_header {
    uint32_t size; /* of the body, without the header */
    uint32_t stream;
    uint8_t type, flags;
};

/* Of DM_TTRPC_HEADER_SIZE bytes. Any ten bytes are a header; judging it is the caller's. */
void dm_ttrpc_header_load(const uint8_t *from, struct dm_ttrpc_header *header);
void dm_ttrpc_header_store(uint8_t *to, const struct dm_ttrpc_header *header);

/* Metadata is skipped when read and never written. */
struct dm_ttrpc_request {
    struct dm_slice service, method, payload;
    int64_t timeout_ns; /* 0 or less: none */
};

/* The fields service and method as they stood at the front of a request. */
struct dm_ttrpc_names {
    uint8_t size; /* of the bytes; 0: none */
    uint8_t service_size, method_size;
    uint8_t bytes[61];
};

struct dm_ttrpc_response {
    int32_t code;            /* google.rpc.Code */
    struct dm_slice message; /* with a code that is not 0 */
    struct dm_slice payload;
};

/* Reads one body. The slices point into it. Unknown fields are skipped, of a field that
 * comes twice the last one counts. false: not a valid envelope, *out is then undefined. */
bool dm_ttrpc_request_read(struct dm_slice body, struct dm_ttrpc_request *out);
/* The same, for one request after the other: a client calls few methods, so the names that
 * come first are compared with those of the one before. `names` is zero at first. */
bool dm_ttrpc_request_reread(struct dm_slice body, struct dm_ttrpc_names *names,
                             struct dm_ttrpc_request *out);
bool dm_ttrpc_response_read(struct dm_slice body, struct dm_ttrpc_response *out);

/* Each appends one whole frame, header and body. false when there is no memory; the buffer
 * is then unchanged. The caller keeps the body under DM_MESSAGE_SIZE_MAX. */
bool dm_ttrpc_request_write(struct dm_buf *out, uint32_t stream, uint8_t flags,
                            const struct dm_ttrpc_request *request);
bool dm_ttrpc_response_write(struct dm_buf *out, uint32_t stream,
                             const struct dm_ttrpc_response *response);
bool dm_ttrpc_data_write(struct dm_buf *out, uint32_t stream, uint8_t flags,
                         struct dm_slice payload);

/* The body's size that the functions above would write. */
size_t dm_ttrpc_request_size(const struct dm_ttrpc_request *request);
size_t dm_ttrpc_response_size(const struct dm_ttrpc_response *response);

#endif
