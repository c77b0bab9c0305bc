#include "wire/http.h"

#include "base/assert.h"
#include "base/calendar.h"

#define KNOWN(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }

static const struct {
    const char *text;
    size_t size;
} names[DM_HTTP_NAMES] = {
    [DM_HTTP_HOST] = KNOWN("host"),
    [DM_HTTP_TRANSFER_ENCODING] = KNOWN("transfer-encoding"),
    [DM_HTTP_CONTENT_LENGTH] = KNOWN("content-length"),
    [DM_HTTP_CONTENT_TYPE] = KNOWN("content-type"),
    [DM_HTTP_CONTENT_ENCODING] = KNOWN("content-encoding"),
    [DM_HTTP_EXPECT] = KNOWN("expect"),
    [DM_HTTP_ORIGIN] = KNOWN("origin"),
    [DM_HTTP_FETCH_SITE] = KNOWN("sec-fetch-site"),
    [DM_HTTP_PREFLIGHT_METHOD] = KNOWN("access-control-request-method"),
    [DM_HTTP_ACCEPT_ENCODING] = KNOWN("accept-encoding"),
    [DM_HTTP_IF_NONE_MATCH] = KNOWN("if-none-match"),
    [DM_HTTP_CONNECT_VERSION] = KNOWN("connect-protocol-version"),
    [DM_HTTP_CONNECT_TIMEOUT] = KNOWN("connect-timeout-ms"),
    [DM_HTTP_CONNECT_ENCODING] = KNOWN("connect-content-encoding"),
    [DM_HTTP_GRPC_TIMEOUT] = KNOWN("grpc-timeout"),
    [DM_HTTP_GRPC_ENCODING] = KNOWN("grpc-encoding"),
};

static bool is_name(struct dm_slice text, enum dm_http_name name)
{
    return dm_text_is(text, names[name].text, names[name].size);
}

static enum dm_http_name either(struct dm_slice text, enum dm_http_name one,
                                enum dm_http_name other)
{
    return is_name(text, one) ? one : is_name(text, other) ? other : DM_HTTP_NAMES;
}

/* By size, for every header of every request comes here. */
enum dm_http_name dm_http_name(struct dm_slice text)
{
    switch (text.size) {
    case sizeof "host" - 1:
        return either(text, DM_HTTP_HOST, DM_HTTP_HOST);
    case sizeof "expect" - 1:
        return either(text, DM_HTTP_EXPECT, DM_HTTP_ORIGIN);
    case sizeof "content-type" - 1:
        return either(text, DM_HTTP_CONTENT_TYPE, DM_HTTP_GRPC_TIMEOUT);
    case sizeof "grpc-encoding" - 1:
        return either(text, DM_HTTP_GRPC_ENCODING, DM_HTTP_IF_NONE_MATCH);
    case sizeof "content-length" - 1:
        return either(text, DM_HTTP_CONTENT_LENGTH, DM_HTTP_FETCH_SITE);
    case sizeof "accept-encoding" - 1:
        return either(text, DM_HTTP_ACCEPT_ENCODING, DM_HTTP_ACCEPT_ENCODING);
    case sizeof "content-encoding" - 1:
        return either(text, DM_HTTP_CONTENT_ENCODING, DM_HTTP_CONTENT_ENCODING);
    case sizeof "transfer-encoding" - 1:
        return either(text, DM_HTTP_TRANSFER_ENCODING, DM_HTTP_TRANSFER_ENCODING);
    case sizeof "connect-timeout-ms" - 1:
        return either(text, DM_HTTP_CONNECT_TIMEOUT, DM_HTTP_CONNECT_TIMEOUT);
    case sizeof "connect-protocol-version" - 1:
        return either(text, DM_HTTP_CONNECT_VERSION, DM_HTTP_CONNECT_ENCODING);
    case sizeof "access-control-request-method" - 1:
        return either(text, DM_HTTP_PREFLIGHT_METHOD, DM_HTTP_PREFLIGHT_METHOD);
    default:
        return DM_HTTP_NAMES;
    }
}

void dm_http_split_target(struct dm_http_request *request, struct dm_slice target)
{
    const char *text = target.data;
    const char *mark = target.size == 0 ? NULL : memchr(text, '?', target.size);
    size_t size = mark == NULL ? target.size : (size_t)(mark - text);
    request->path = dm_slice(text, size);
    request->query = mark == NULL ? dm_slice(NULL, 0) : dm_slice(mark + 1, target.size - size - 1);
}

static void put_digits(char *to, int64_t number, size_t count)
{
    while (count-- != 0) {
        to[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

void dm_http_date(int64_t unix_s, char to[DM_HTTP_DATE_SIZE])
{
    enum { DAY_S = 24 * 3600, LAST_DAY = 2932896 /* of 9999-12-31 */ };
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began with a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t last_s = (int64_t)(LAST_DAY + 1) * DAY_S - 1;
    unix_s = unix_s < 0 ? 0 : unix_s > last_s ? last_s : unix_s;
    int64_t day = unix_s / DAY_S;
    int64_t second = unix_s % DAY_S;
    struct dm_date date = dm_date_of_days(day);
    memcpy(to, "Day, 00 Mon 0000 00:00:00 GMT", DM_HTTP_DATE_SIZE);
    memcpy(to, days + day % 7 * 3, 3);
    put_digits(to + 5, date.day, 2);
    memcpy(to + 8, months + (size_t)(date.month - 1) * 3, 3);
    put_digits(to + 12, date.year, 4);
    put_digits(to + 17, second / 3600, 2);
    put_digits(to + 20, second / 60 % 60, 2);
    put_digits(to + 23, second % 60, 2);
}

/* ---- answers -------------------------------------------------------------------------- */

void dm_http_headers_add(struct dm_http_headers *headers, struct dm_http_header header)
{
    DM_ASSERT(headers->count < DM_HTTP_HEADERS_ANSWERED_MAX);
    headers->list[headers->count++] = header;
}

const struct dm_http_header *dm_http_headers_find(const struct dm_http_headers *headers,
                                                  const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (dm_slice_equal(headers->list[i].name, dm_slice_str(name))) {
            return &headers->list[i];
        }
    }
    return NULL;
}

void dm_http_answer_init(struct dm_http_answer *answer, int status)
{
    answer->status = status;
    answer->headers.count = 0;
    answer->body = dm_slice(NULL, 0);
    answer->body_lasting = answer->no_length = false;
}

void dm_http_answer_type(struct dm_http_answer *answer, const char *content_type)
{
    struct dm_http_header header = DM_HTTP_HEADER("content-type", "");
    header.value = dm_slice_str(content_type);
    dm_http_headers_add(&answer->headers, header);
}

bool dm_http_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

int dm_http_status(enum dm_code code)
{
    static const int statuses[DM_CODE_COUNT] = {
        [DM_OK] = 200,
        [DM_CANCELLED] = 499,
        [DM_UNKNOWN] = 500,
        [DM_INVALID_ARGUMENT] = 400,
        [DM_DEADLINE_EXCEEDED] = 504,
        [DM_NOT_FOUND] = 404,
        [DM_ALREADY_EXISTS] = 409,
        [DM_PERMISSION_DENIED] = 403,
        [DM_RESOURCE_EXHAUSTED] = 429,
        [DM_FAILED_PRECONDITION] = 400,
        [DM_ABORTED] = 409,
        [DM_OUT_OF_RANGE] = 400,
        [DM_UNIMPLEMENTED] = 501,
        [DM_INTERNAL] = 500,
        [DM_UNAVAILABLE] = 503,
        [DM_DATA_LOSS] = 500,
        [DM_UNAUTHENTICATED] = 401,
    };
    return statuses[code];
}

/* ---- text ----------------------------------------------------------------------------- */

struct dm_slice dm_media_type(struct dm_slice content_type)
{
    const char *text = content_type.data;
    const char *end = content_type.size == 0 ? NULL : memchr(text, ';', content_type.size);
    size_t size = end == NULL ? content_type.size : (size_t)(end - text);
    while (size != 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    return dm_slice(text, size);
}

bool dm_text_equal(struct dm_slice text, const char *lower)
{
    return dm_text_is(text, lower, strlen(lower));
}

struct dm_slice dm_decimal(uint64_t number, char room[DM_DECIMAL_MAX])
{
    size_t at = DM_DECIMAL_MAX;
    do {
        room[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return dm_slice(room + at, DM_DECIMAL_MAX - at);
}
