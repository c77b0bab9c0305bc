#include "wire/h2_head.h"

#include <stdio.h>

nghttp2_nv dm_h2_nv_static(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

nghttp2_nv dm_h2_nv_copied(const char *name, struct dm_slice value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value.data, strlen(name), value.size,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

nghttp2_nv dm_h2_nv_status(enum dm_code code)
{
    static const char *const digits[DM_CODE_COUNT] = {
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
    return dm_h2_nv_static("grpc-status", digits[code]);
}

void dm_h2_grpc_head(nghttp2_nv headers[DM_H2_GRPC_HEAD], bool json)
{
    headers[0] = dm_h2_nv_static(":status", "200");
    headers[1] =
        dm_h2_nv_static("content-type", json ? "application/grpc+json" : "application/grpc");
    headers[2] = dm_h2_nv_static("x-content-type-options", "nosniff");
    headers[3] = dm_h2_nv_static("cache-control", "no-store");
}

void dm_h2_page_head_init(struct dm_h2_page_head *head, int status, const char *content_type,
                          size_t body_size, bool stored)
{
    head->status[0] = (char)('0' + status / 100 % 10);
    head->status[1] = (char)('0' + status / 10 % 10);
    head->status[2] = (char)('0' + status % 10);
    head->has_body = status != 204 && status != 304; /* RFC 9110, 8.6 */
    head->count = 0;
    head->headers[head->count++] =
        dm_h2_nv_copied(":status", dm_slice(head->status, sizeof head->status));
    head->headers[head->count++] = dm_h2_nv_static("x-content-type-options", "nosniff");
    if (head->has_body) {
        int size = snprintf(head->length, sizeof head->length, "%zu", body_size);
        head->headers[head->count++] =
            dm_h2_nv_copied("content-length", dm_slice(head->length, (size_t)size));
    }
    if (!stored) {
        head->headers[head->count++] = dm_h2_nv_static("cache-control", "no-store");
    }
    if (content_type != NULL) {
        head->headers[head->count++] = dm_h2_nv_copied("content-type", dm_slice_str(content_type));
    }
}
