#include "wire/connect.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "wire/envelope.h"

static const char *const code_names[DM_CODE_COUNT] = {
    [DM_OK] = "ok",
    [DM_CANCELLED] = "canceled",
    [DM_UNKNOWN] = "unknown",
    [DM_INVALID_ARGUMENT] = "invalid_argument",
    [DM_DEADLINE_EXCEEDED] = "deadline_exceeded",
    [DM_NOT_FOUND] = "not_found",
    [DM_ALREADY_EXISTS] = "already_exists",
    [DM_PERMISSION_DENIED] = "permission_denied",
    [DM_RESOURCE_EXHAUSTED] = "resource_exhausted",
    [DM_FAILED_PRECONDITION] = "failed_precondition",
    [DM_ABORTED] = "aborted",
    [DM_OUT_OF_RANGE] = "out_of_range",
    [DM_UNIMPLEMENTED] = "unimplemented",
    [DM_INTERNAL] = "internal",
    [DM_UNAVAILABLE] = "unavailable",
    [DM_DATA_LOSS] = "data_loss",
    [DM_UNAUTHENTICATED] = "unauthenticated",
};

static bool put(struct dm_buf *to, const char *text)
{
    return dm_buf_append(to, text, strlen(text));
}

/* A JSON string; what is not UTF-8 becomes a question mark. */
static bool put_json_string(struct dm_buf *to, const char *text)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
    bool fine = put(to, "\"");
    while (fine && at != end) {
        char quoted[DM_QUOTED_MAX];
        size_t taken, size = dm_utf8_quote(at, end, DM_QUOTE_JSON, quoted, &taken);
        fine = size == 0 ? put(to, "?") : dm_buf_append(to, quoted, size);
        at += taken;
    }
    return fine && put(to, "\"");
}

/* {"code":"not_found","message":"..."} */
static bool put_error(struct dm_buf *to, enum dm_code code, const char *message)
{
    bool fine = put(to, "{\"code\":\"") && put(to, code_names[code]) && put(to, "\"");
    if (fine && message != NULL && message[0] != '\0') {
        fine = put(to, ",\"message\":") && put_json_string(to, message);
    }
    return fine && put(to, "}");
}

/* What ends a stream: {} or {"error":...}. */
static bool put_end_of_stream(struct dm_buf *to, enum dm_code code, const char *message)
{
    if (code == DM_OK) {
        return put(to, "{}");
    }
    return put(to, "{\"error\":") && put_error(to, code, message) && put(to, "}");
}

/* Clamped as dm_grpc_timeout_ns does; -1: malformed. */
static int64_t timeout_ns(struct dm_slice text)
{
    enum { DIGITS_MAX = 10, NS_PER_MS = 1000000 };
    const char *digits = text.data;
    if (text.size == 0 || text.size > DIGITS_MAX) {
        return -1;
    }
    int64_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return -1;
        }
        count = count * 10 + (digits[i] - '0');
    }
    /* 10 digits of milliseconds are 116 days. */
    return count == 0 ? 1 : count * NS_PER_MS;
}

/* ---- GET ------------------------------------------------------------------------------ */

enum { MESSAGE, ENCODING, BASE64, COMPRESSION, CONNECT, PARAMETERS };
static const struct {
    const char *name, *twice;
} parameters[PARAMETERS] = {
    [MESSAGE] = {"message", "the parameter message is there twice"},
    [ENCODING] = {"encoding", "the parameter encoding is there twice"},
    [BASE64] = {"base64", "the parameter base64 is there twice"},
    [COMPRESSION] = {"compression", "the parameter compression is there twice"},
    [CONNECT] = {"connect", "the parameter connect is there twice"},
};

/* `seen` has a bit for each of those before it: what stands in front of us, a cache say, may read
 * the first of two, so none of them counts. */
static void read_parameter(struct dm_slice name, struct dm_slice value, unsigned *seen,
                           struct dm_connect_query *out)
{
    unsigned which = 0;
    while (which < PARAMETERS && !dm_slice_equal(name, dm_slice_str(parameters[which].name))) {
        which++;
    }
    if (which != PARAMETERS && (*seen & 1U << which) != 0) {
        out->twice = parameters[which].twice;
    }
    *seen |= 1U << which;
    switch (which) {
    case MESSAGE:
        out->has_message = true;
        out->message = value;
        break;
    case ENCODING:
        out->encoding = value;
        break;
    case BASE64:
        out->base64 = dm_slice_equal(value, dm_slice_str("1"));
        out->bad = !out->base64 && !dm_slice_equal(value, dm_slice_str("0"));
        break;
    case COMPRESSION:
        out->compressed = value.size != 0 && !dm_slice_equal(value, dm_slice_str("identity"));
        break;
    case CONNECT:
        out->version_1 = dm_slice_equal(value, dm_slice_str("v1"));
        break;
    default:
        break;
    }
}

void dm_connect_query_read(struct dm_slice query, struct dm_connect_query *out)
{
    *out = (struct dm_connect_query){.version_1 = true};
    const char *text = query.data;
    unsigned seen = 0;
    for (size_t at = 0; at < query.size;) {
        const char *amp = memchr(text + at, '&', query.size - at);
        size_t size = amp == NULL ? query.size - at : (size_t)(amp - text) - at;
        const char *equals = memchr(text + at, '=', size);
        size_t name = equals == NULL ? size : (size_t)(equals - text) - at;
        size_t value = equals == NULL ? size : name + 1;
        read_parameter(dm_slice(text + at, name), dm_slice(text + at + value, size - value), &seen,
                       out);
        at += size + 1;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Into `room`, which has as many bytes as `text`. -1: a malformed escape. */
static ptrdiff_t percent_decode(struct dm_slice text, uint8_t *room)
{
    const char *from = text.data;
    ptrdiff_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (from[i] != '%') {
            room[size++] = from[i] == '+' ? ' ' : (uint8_t)from[i];
            continue;
        }
        int high = i + 2 < text.size ? hex_digit(from[i + 1]) : -1;
        int low = i + 2 < text.size ? hex_digit(from[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return -1;
        }
        room[size++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return size;
}

enum dm_connect_decoded dm_connect_query_message(const struct dm_connect_query *query,
                                                 struct dm_buf *to)
{
    if (query->message.size == 0) {
        return DM_CONNECT_DECODED;
    }
    uint8_t *room = dm_buf_reserve(to, query->message.size);
    if (room == NULL) {
        return DM_CONNECT_NO_MEMORY;
    }
    ptrdiff_t size = percent_decode(query->message, room);
    if (size < 0) {
        return DM_CONNECT_MALFORMED;
    }
    if (query->base64) {
        size = dm_base64_read(dm_slice(room, (size_t)size), room);
        if (size < 0) {
            return DM_CONNECT_MALFORMED;
        }
    }
    dm_buf_commit(to, (size_t)size);
    return DM_CONNECT_DECODED;
}

/* ---- the protocols -------------------------------------------------------------------- */

static void reply(struct dm_exchange *x, struct dm_slice payload)
{
    struct dm_http_answer answer;
    dm_http_answer_init(&answer, 200);
    dm_http_headers_add(&answer.headers, *x->route.content_type);
    answer.body = payload;
    dm_exchange_answer(x, &answer);
}

/* Without memory for it the sentence is missing. */
static void end(struct dm_exchange *x, enum dm_code code, const char *message)
{
    struct dm_http_answer answer;
    x->code = code;
    dm_http_answer_init(&answer, dm_http_status(code));
    if (!put_error(&x->tail, code, message)) {
        dm_buf_finish(&x->tail);
    }
    answer.body = dm_buf_slice(&x->tail);
    dm_http_headers_add(&answer.headers, DM_HTTP_HEADER("content-type", "application/json"));
    if (x->route.tell_encodings) {
        dm_http_headers_add(&answer.headers, x->route.protocol->accept_encoding);
    }
    dm_exchange_answer(x, &answer);
}

static bool put_message(struct dm_exchange *x, struct dm_slice payload)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    dm_envelope_write(head, 0, payload.size);
    return dm_exchange_data(x, dm_slice(head, sizeof head), payload);
}

/* Without memory for it the last message is missing, which clients take for a broken stream. */
static void end_stream(struct dm_exchange *x, enum dm_code code, const char *message)
{
    uint8_t head[DM_ENVELOPE_HEAD];
    x->code = code;
    dm_exchange_start(x);
    if (put_end_of_stream(&x->tail, code, message)) {
        dm_envelope_write(head, DM_ENVELOPE_END, dm_buf_size(&x->tail));
        (void)dm_exchange_data(x, dm_slice(head, sizeof head), dm_buf_slice(&x->tail));
    }
    dm_exchange_stop(x);
}

const struct dm_call_protocol dm_connect_protocol = {
    .name = "connect",
    .unary = true,
    .timeout = DM_HTTP_CONNECT_TIMEOUT,
    .bad_timeout = "connect-timeout-ms is malformed",
    .timeout_ns = timeout_ns,
    .encoding = DM_HTTP_CONTENT_ENCODING,
    .bad_encoding = "unknown compression: the only encoding here is identity",
    .accept_encoding = DM_HTTP_HEADER_INIT("accept-encoding", "identity"),
    .reply = reply,
    .end = end,
};

const struct dm_call_protocol dm_connect_stream_protocol = {
    .name = "connect",
    .streaming = true,
    .envelopes = true,
    .starts_at_once = true,
    .timeout = DM_HTTP_CONNECT_TIMEOUT,
    .bad_timeout = "connect-timeout-ms is malformed",
    .timeout_ns = timeout_ns,
    .encoding = DM_HTTP_CONNECT_ENCODING,
    .bad_encoding = "unknown compression: the only encoding here is identity",
    .accept_encoding = DM_HTTP_HEADER_INIT("connect-accept-encoding", "identity"),
    .message = put_message,
    .end = end_stream,
};
