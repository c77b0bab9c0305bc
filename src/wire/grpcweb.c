#include "wire/grpcweb.h"

#include "wire/grpc.h"

#include <stdio.h>

bool dm_grpcweb_trailers(struct dm_buf *to, enum dm_code code, const char *message)
{
    enum { TRAILERS = 0x80 };
    size_t before = dm_buf_size(to);
    uint8_t head[DM_ENVELOPE_HEAD] = {0};
    char status[32];
    int size = snprintf(status, sizeof status, "grpc-status: %d\r\n", (int)code);
    bool fine = dm_buf_append(to, head, sizeof head) && dm_buf_append(to, status, (size_t)size);
    if (fine && message != NULL && message[0] != '\0') {
        static const char name[] = "grpc-message: ";
        fine = dm_buf_append(to, name, sizeof name - 1) &&
               dm_grpc_percent_encode(to, dm_slice_str(message)) && dm_buf_append(to, "\r\n", 2);
    }
    if (fine) {
        dm_envelope_write(dm_buf_head(to) + before, TRAILERS,
                          dm_buf_size(to) - before - DM_ENVELOPE_HEAD);
    }
    return fine;
}
