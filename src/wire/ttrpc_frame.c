#include "wire/ttrpc_frame.h"

#include "base/bytes.h"
#include "base/varint.h"

/* Keys of the fields in the envelopes: number << 3 | wire type. */
enum {
    KEY_REQUEST_SERVICE = 1 << 3 | 2,
    KEY_REQUEST_METHOD = 2 << 3 | 2,
    KEY_REQUEST_PAYLOAD = 3 << 3 | 2,
    KEY_REQUEST_TIMEOUT = 4 << 3 | 0,
    KEY_RESPONSE_STATUS = 1 << 3 | 2,
    KEY_RESPONSE_PAYLOAD = 2 << 3 | 2,
    KEY_STATUS_CODE = 1 << 3 | 0,
    KEY_STATUS_MESSAGE = 2 << 3 | 2,
};

void dm_ttrpc_header_load(const uint8_t *from, struct dm_ttrpc_header *header)
{
    header->size = dm_load_be32(from);
    header->stream = dm_load_be32(from + 4);
    header->type = from[8];
    header->flags = from[9];
}

void dm_ttrpc_header_store(uint8_t *to, const struct dm_ttrpc_header *header)
{
    dm_store_be32(to, header->size);
    dm_store_be32(to + 4, header->stream);
    to[8] = header->type;
    to[9] = header->flags;
}

/* ---- reading -------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end;
};

static bool read_bytes(struct reader *reader, struct dm_slice *out)
{
    uint64_t size;
    if (!dm_varint_get(&reader->at, reader->end, &size) ||
        size > (uint64_t)(reader->end - reader->at)) {
        return false;
    }
    *out = dm_slice(reader->at, (size_t)size);
    reader->at += size;
    return true;
}

static bool skip(struct reader *reader, uint64_t key)
{
    struct dm_slice bytes;
    uint64_t number;
    size_t fixed = (key & 7) == 1 ? 8 : 4;
    switch (key & 7) {
    case 0:
        return dm_varint_get(&reader->at, reader->end, &number);
    case 2:
        return read_bytes(reader, &bytes);
    case 1:
    case 5:
        if ((size_t)(reader->end - reader->at) < fixed) {
            return false;
        }
        reader->at += fixed;
        return true;
    default:
        return false; /* proto3 has no groups */
    }
}

/* The key of the next field; 0 is none, so it is a mistake here. */
static bool read_key(struct reader *reader, uint64_t *key)
{
    return dm_varint_get(&reader->at, reader->end, key) && *key >> 3 != 0 && *key >> 3 < 1U << 29;
}

static struct reader reader_of(struct dm_slice body)
{
    const uint8_t *data = body.data;
    return (struct reader){.at = data, .end = body.size == 0 ? data : data + body.size};
}

static bool read_request(struct reader *reader, struct dm_ttrpc_request *out)
{
    while (reader->at < reader->end) {
        uint64_t key, number;
        if (!read_key(reader, &key)) {
            return false;
        }
        bool ok;
        switch (key) {
        case KEY_REQUEST_SERVICE:
            ok = read_bytes(reader, &out->service);
            break;
        case KEY_REQUEST_METHOD:
            ok = read_bytes(reader, &out->method);
            break;
        case KEY_REQUEST_PAYLOAD:
            ok = read_bytes(reader, &out->payload);
            break;
        case KEY_REQUEST_TIMEOUT:
            ok = dm_varint_get(&reader->at, reader->end, &number);
            out->timeout_ns = ok ? (int64_t)number : 0;
            break;
        default:
            ok = skip(reader, key);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool dm_ttrpc_request_read(struct dm_slice body, struct dm_ttrpc_request *out)
{
    struct reader reader = reader_of(body);
    *out = (struct dm_ttrpc_request){0};
    return read_request(&reader, out);
}

/* Of a request that was read: when it begins with its two names, of usual lengths, they are
 * remembered. */
static void remember_names(struct dm_ttrpc_names *names, struct dm_slice body,
                           const struct dm_ttrpc_request *request)
{
    const uint8_t *begin = body.data;
    size_t size = 2 + request->service.size + 2 + request->method.size;
    if (size <= sizeof names->bytes && request->service.data == begin + 2 &&
        request->method.data == begin + 2 + request->service.size + 2) {
        names->size = (uint8_t)size;
        names->service_size = (uint8_t)request->service.size;
        names->method_size = (uint8_t)request->method.size;
        memcpy(names->bytes, begin, size);
    }
}

bool dm_ttrpc_request_reread(struct dm_slice body, struct dm_ttrpc_names *names,
                             struct dm_ttrpc_request *out)
{
    if (names->size == 0 || body.size < names->size ||
        memcmp(body.data, names->bytes, names->size) != 0) {
        if (!dm_ttrpc_request_read(body, out)) {
            return false;
        }
        remember_names(names, body, out);
        return true;
    }
    struct reader reader = reader_of(body);
    *out = (struct dm_ttrpc_request){
        .service = dm_slice(reader.at + 2, names->service_size),
        .method = dm_slice(reader.at + 2 + names->service_size + 2, names->method_size),
    };
    reader.at += names->size;
    return read_request(&reader, out);
}

static bool read_status(struct dm_slice body, struct dm_ttrpc_response *out)
{
    struct reader reader = reader_of(body);
    while (reader.at < reader.end) {
        uint64_t key, number;
        if (!read_key(&reader, &key)) {
            return false;
        }
        bool ok;
        switch (key) {
        case KEY_STATUS_CODE:
            ok = dm_varint_get(&reader.at, reader.end, &number);
            out->code = ok ? (int32_t)(uint32_t)number : 0;
            break;
        case KEY_STATUS_MESSAGE:
            ok = read_bytes(&reader, &out->message);
            break;
        default:
            ok = skip(&reader, key);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool dm_ttrpc_response_read(struct dm_slice body, struct dm_ttrpc_response *out)
{
    struct reader reader = reader_of(body);
    *out = (struct dm_ttrpc_response){0};
    while (reader.at < reader.end) {
        uint64_t key;
        struct dm_slice status;
        if (!read_key(&reader, &key)) {
            return false;
        }
        bool ok;
        switch (key) {
        case KEY_RESPONSE_STATUS:
            ok = read_bytes(&reader, &status) && read_status(status, out);
            break;
        case KEY_RESPONSE_PAYLOAD:
            ok = read_bytes(&reader, &out->payload);
            break;
        default:
            ok = skip(&reader, key);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- writing -------------------------------------------------------------------------- */

static size_t bytes_size(struct dm_slice bytes)
{
    return bytes.size == 0 ? 0 : 1 + dm_varint_size(bytes.size) + bytes.size;
}

static uint8_t *put_bytes(uint8_t *to, uint8_t key, struct dm_slice bytes)
{
    if (bytes.size == 0) {
        return to;
    }
    *to++ = key;
    to = dm_varint_put(to, bytes.size);
    memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

/* Room for a frame with its header in it; NULL when there is no memory. */
static uint8_t *begin_frame(struct dm_buf *out, struct dm_ttrpc_header header)
{
    uint8_t *to = dm_buf_reserve(out, DM_TTRPC_HEADER_SIZE + (size_t)header.size);
    if (to == NULL) {
        return NULL;
    }
    dm_ttrpc_header_store(to, &header);
    dm_buf_commit(out, DM_TTRPC_HEADER_SIZE + (size_t)header.size);
    return to + DM_TTRPC_HEADER_SIZE;
}

size_t dm_ttrpc_request_size(const struct dm_ttrpc_request *request)
{
    size_t timeout =
        request->timeout_ns > 0 ? 1 + dm_varint_size((uint64_t)request->timeout_ns) : 0;
    return bytes_size(request->service) + bytes_size(request->method) +
           bytes_size(request->payload) + timeout;
}

bool dm_ttrpc_request_write(struct dm_buf *out, uint32_t stream, uint8_t flags,
                            const struct dm_ttrpc_request *request)
{
    uint8_t *to = begin_frame(out, (struct dm_ttrpc_header){
                                       .size = (uint32_t)dm_ttrpc_request_size(request),
                                       .stream = stream,
                                       .type = DM_TTRPC_REQUEST,
                                       .flags = flags,
                                   });
    if (to == NULL) {
        return false;
    }
    to = put_bytes(to, KEY_REQUEST_SERVICE, request->service);
    to = put_bytes(to, KEY_REQUEST_METHOD, request->method);
    to = put_bytes(to, KEY_REQUEST_PAYLOAD, request->payload);
    if (request->timeout_ns > 0) {
        *to++ = KEY_REQUEST_TIMEOUT;
        (void)dm_varint_put(to, (uint64_t)request->timeout_ns);
    }
    return true;
}

static size_t status_size(const struct dm_ttrpc_response *response)
{
    size_t code = response->code == 0 ? 0 : 1 + dm_varint_size((uint64_t)(int64_t)response->code);
    return code + bytes_size(response->message);
}

size_t dm_ttrpc_response_size(const struct dm_ttrpc_response *response)
{
    size_t status = status_size(response);
    return (status == 0 ? 0 : 1 + dm_varint_size(status) + status) + bytes_size(response->payload);
}

bool dm_ttrpc_response_write(struct dm_buf *out, uint32_t stream,
                             const struct dm_ttrpc_response *response)
{
    uint8_t *to = begin_frame(out, (struct dm_ttrpc_header){
                                       .size = (uint32_t)dm_ttrpc_response_size(response),
                                       .stream = stream,
                                       .type = DM_TTRPC_RESPONSE,
                                   });
    if (to == NULL) {
        return false;
    }
    size_t status = status_size(response);
    if (status != 0) {
        *to++ = KEY_RESPONSE_STATUS;
        to = dm_varint_put(to, status);
        if (response->code != 0) {
            *to++ = KEY_STATUS_CODE;
            to = dm_varint_put(to, (uint64_t)(int64_t)response->code);
        }
        to = put_bytes(to, KEY_STATUS_MESSAGE, response->message);
    }
    (void)put_bytes(to, KEY_RESPONSE_PAYLOAD, response->payload);
    return true;
}

bool dm_ttrpc_data_write(struct dm_buf *out, uint32_t stream, uint8_t flags,
                         struct dm_slice payload)
{
    uint8_t *to = begin_frame(out, (struct dm_ttrpc_header){
                                       .size = (uint32_t)payload.size,
                                       .stream = stream,
                                       .type = DM_TTRPC_DATA,
                                       .flags = flags,
                                   });
    if (to == NULL) {
        return false;
    }
    if (payload.size != 0) {
        memcpy(to, payload.data, payload.size);
    }
    return true;
}
