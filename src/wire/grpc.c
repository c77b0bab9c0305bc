#include "wire/grpc.h"

#include "base/bytes.h"

bool dm_grpc_split_path(struct dm_slice path, struct dm_slice *service, struct dm_slice *method)
{
    const char *text = path.data;
    if (path.size < 4 || text[0] != '/') {
        return false;
    }
    const char *slash = memchr(text + 1, '/', path.size - 1);
    if (slash == NULL) {
        return false;
    }
    *service = dm_slice(text + 1, (size_t)(slash - text) - 1);
    *method = dm_slice(slash + 1, path.size - service->size - 2);
    return service->size != 0 && method->size != 0 &&
           memchr(method->data, '/', method->size) == NULL;
}

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

struct dm_slice dm_media_type(struct dm_slice content_type)
{
    const char *text = content_type.data;
    size_t size = 0;
    while (size < content_type.size && text[size] != ';' && text[size] != ' ' &&
           text[size] != '\t') {
        size++;
    }
    return dm_slice(text, size);
}

bool dm_text_equal(struct dm_slice text, const char *lower)
{
    const char *bytes = text.data;
    for (size_t i = 0; i < text.size; i++) {
        char c = bytes[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c | 0x20);
        }
        if (lower[i] == '\0' || c != lower[i]) {
            return false;
        }
    }
    return lower[text.size] == '\0';
}

void dm_envelope_write(uint8_t head[DM_ENVELOPE_HEAD], uint8_t flags, size_t size)
{
    head[0] = flags;
    dm_store_be32(head + 1, (uint32_t)size);
}

enum dm_code dm_envelope_read(struct dm_slice bytes, size_t size_max, bool *whole,
                              struct dm_slice *message, const char **why)
{
    const uint8_t *head = bytes.data;
    *whole = false;
    if (bytes.size == 0) {
        return DM_OK;
    }
    if (head[0] == DM_ENVELOPE_COMPRESSED) {
        *why = "a message is flagged as compressed, but no encoding was agreed";
        return DM_INTERNAL;
    }
    if (head[0] != 0) {
        *why = "a message has unknown flags";
        return DM_INTERNAL;
    }
    if (bytes.size < DM_ENVELOPE_HEAD) {
        return DM_OK;
    }
    size_t size = dm_load_be32(head + 1);
    if (size > size_max) {
        *why = "the message is larger than this server takes";
        return DM_RESOURCE_EXHAUSTED;
    }
    if (bytes.size - DM_ENVELOPE_HEAD >= size) {
        *whole = true;
        *message = dm_slice(head + DM_ENVELOPE_HEAD, size);
    }
    return DM_OK;
}
