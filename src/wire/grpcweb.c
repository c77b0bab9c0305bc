#include "wire/grpcweb.h"

#include "base/base64.h"
#include "wire/envelope.h"
#include "wire/grpc.h"

#include <stdio.h>

enum { FLAG_TRAILERS = 0x80 };

/* One piece of the body, in base64 if the client wants that: a segment, padded at its end. */
static bool put_piece(struct dm_exchange *x, struct dm_slice head, struct dm_slice rest)
{
    if (!x->route.text) {
        return dm_exchange_data(x, head, rest);
    }
    struct dm_buf whole = {0};
    struct dm_buf text = {0};
    bool fine = dm_buf_append(&whole, head.data, head.size) &&
                dm_buf_append(&whole, rest.data, rest.size) &&
                dm_base64_append(&text, DM_BASE64_PADDED, dm_buf_slice(&whole)) &&
                dm_exchange_data(x, dm_buf_slice(&text), dm_slice(NULL, 0));
    dm_buf_finish(&whole);
    dm_buf_finish(&text);
    return fine;
}

static bool put_message(struct dm_exchange *x, struct dm_slice payload)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    dm_envelope_write(head, 0, payload.size);
    return put_piece(x, dm_slice(head, sizeof head), payload);
}

static bool make_trailers(struct dm_buf *to, enum dm_code code, const char *message)
{
    char status[32];
    int size = snprintf(status, sizeof status, "grpc-status: %d\r\n", (int)code);
    bool fine = dm_buf_append(to, status, (size_t)size);
    if (fine && message != NULL && message[0] != '\0') {
        static const char name[] = "grpc-message: ";
        fine = dm_buf_append(to, name, sizeof name - 1) &&
               dm_grpc_percent_encode(to, dm_slice_str(message)) && dm_buf_append(to, "\r\n", 2);
    }
    return fine;
}

/* Without memory for it the last frame is missing, which clients take for a broken stream. */
static void end(struct dm_exchange *x, enum dm_code code, const char *message)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    x->code = code;
    dm_exchange_start(x);
    if (make_trailers(&x->tail, code, message)) {
        dm_envelope_write(head, FLAG_TRAILERS, dm_buf_size(&x->tail));
        (void)put_piece(x, dm_slice(head, sizeof head), dm_buf_slice(&x->tail));
    }
    dm_exchange_stop(x);
}

const struct dm_call_protocol dm_grpcweb_protocol = {
    .name = "grpc-web",
    .unary = true,
    .streaming = true,
    .envelopes = true,
    .timeout = DM_HTTP_GRPC_TIMEOUT,
    .bad_timeout = "grpc-timeout is malformed",
    .timeout_ns = dm_grpc_timeout_ns,
    .encoding = DM_HTTP_GRPC_ENCODING,
    .bad_encoding = "unknown compression: the only encoding here is identity",
    .accept_encoding = DM_HTTP_HEADER_INIT("grpc-accept-encoding", "identity"),
    .message = put_message,
    .end = end,
};
