#ifndef DM_WIRE_H2_MEMORY_H
#define DM_WIRE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#include <stddef.h>

/* Memory for nghttp2 that is counted, as the allocator rounds it, in *bytes: its header
 * tables, streams and queued frames are what a connection costs beside our own buffers. */
nghttp2_mem dm_h2_memory(size_t *bytes);

#endif
