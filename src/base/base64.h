#ifndef DM_BASE_BASE64_H
#define DM_BASE_BASE64_H

#include "base/buf.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/* Base64 (RFC 4648). Writers choose an alphabet; readers take both. */

enum dm_base64 {
    DM_BASE64_PADDED, /* the standard alphabet, filled up with '=' */
    DM_BASE64_URL,    /* the one for URLs and file names, without padding */
};

/* The bytes that `size` bytes become. */
size_t dm_base64_size(enum dm_base64 form, size_t size);
/* Writes that many bytes. */
void dm_base64_write(enum dm_base64 form, struct dm_slice bytes, uint8_t *to);
/* Appends them. false: no memory. */
bool dm_base64_append(struct dm_buf *to, enum dm_base64 form, struct dm_slice bytes);

/* Either alphabet, padded or not, into `room`, which has text.size bytes and may be the text
 * itself. The number of bytes, or -1 when malformed. */
ptrdiff_t dm_base64_read(struct dm_slice text, uint8_t *room);
/* The same for texts one behind the other, as gRPC-Web's bodies are: all but the last padded. */
ptrdiff_t dm_base64_read_segments(struct dm_slice text, uint8_t *room);

#endif
