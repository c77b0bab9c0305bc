#include "wire/grpc.h"

#include "wire/envelope.h"

_Static_assert(DM_CODE_COUNT <= 100, "a code has one digit, or two");

static int64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return 3600LL * 1000000000;
    case 'M':
        return 60LL * 1000000000;
    case 'S':
        return 1000000000;
    case 'm':
        return 1000000;
    case 'u':
        return 1000;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

int64_t dm_grpc_timeout_ns(struct dm_slice text)
{
    const char *digits = text.data;
    if (text.size < 2 || text.size > 9) {
        return -1;
    }
    int64_t unit = unit_ns(digits[text.size - 1]);
    int64_t count = 0;
    for (size_t i = 0; i < text.size - 1; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return -1;
        }
        count = count * 10 + (digits[i] - '0');
    }
    if (unit == 0) {
        return -1;
    }
    if (count > DM_GRPC_TIMEOUT_NS_MAX / unit) {
        return DM_GRPC_TIMEOUT_NS_MAX;
    }
    return count == 0 ? 1 : count * unit;
}

bool dm_grpc_percent_encode(struct dm_buf *to, struct dm_slice message)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *bytes = message.data;
    uint8_t *room = dm_buf_reserve(to, message.size * 3);
    if (room == NULL) {
        return false;
    }
    size_t size = 0;
    for (size_t i = 0; i < message.size; i++) {
        if (bytes[i] >= 0x20 && bytes[i] <= 0x7e && bytes[i] != '%') {
            room[size++] = bytes[i];
            continue;
        }
        room[size++] = '%';
        room[size++] = (uint8_t)hex[bytes[i] >> 4];
        room[size++] = (uint8_t)hex[bytes[i] & 15];
    }
    dm_buf_commit(to, size);
    return true;
}

/* ---- the protocol --------------------------------------------------------------------- */

static bool put_message(struct dm_exchange *x, struct dm_slice payload)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    dm_envelope_write(head, 0, payload.size);
    return dm_exchange_data(x, dm_slice(head, sizeof head), payload);
}

static size_t trailers(const struct dm_exchange *x, struct dm_http_header *list)
{
    static const char *const digits[DM_CODE_COUNT] = {
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
    list[0] = DM_HTTP_HEADER("grpc-status", "");
    list[0].value = dm_slice(digits[x->code], x->code < 10 ? 1 : 2);
    if (dm_buf_size(&x->tail) == 0) {
        return 1;
    }
    list[1] = DM_HTTP_HEADER("grpc-message", "");
    list[1].value = dm_buf_slice(&x->tail);
    list[1].lasting = false;
    return 2;
}

/* "Trailers-Only": a head that ends the stream. */
static void fail_at_once(struct dm_exchange *x)
{
    struct dm_http_answer answer;
    struct dm_http_header list[DM_CALL_TRAILERS_MAX];
    size_t count = trailers(x, list);
    dm_http_answer_init(&answer, 200);
    answer.no_length = true;
    dm_http_headers_add(&answer.headers, *x->route.content_type);
    for (size_t i = 0; i < count; i++) {
        dm_http_headers_add(&answer.headers, list[i]);
    }
    if (x->route.tell_encodings) {
        dm_http_headers_add(&answer.headers, x->route.protocol->accept_encoding);
    }
    dm_exchange_answer(x, &answer);
}

static void end(struct dm_exchange *x, enum dm_code code, const char *message)
{
    x->code = code;
    if (message != NULL) {
        (void)dm_grpc_percent_encode(&x->tail, dm_slice_str(message));
    }
    if (code != DM_OK && !x->started) {
        fail_at_once(x);
        return;
    }
    dm_exchange_start(x);
    dm_exchange_stop(x);
}

const struct dm_call_protocol dm_grpc_protocol = {
    .name = "grpc",
    .unary = true,
    .streaming = true,
    .envelopes = true,
    .no_date = true, /* no cache keeps its answers, and another field costs a call 3 % */
    .timeout = DM_HTTP_GRPC_TIMEOUT,
    .bad_timeout = "grpc-timeout is malformed",
    .timeout_ns = dm_grpc_timeout_ns,
    .encoding = DM_HTTP_GRPC_ENCODING,
    .bad_encoding = "this server takes no compressed messages",
    .accept_encoding = DM_HTTP_HEADER_INIT("grpc-accept-encoding", "identity"),
    .message = put_message,
    .end = end,
    .trailers = trailers,
};
