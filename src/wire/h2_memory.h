#ifndef DM_WIRE_H2_MEMORY_H
#define DM_WIRE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#include <stddef.h>

/* Memory for one session of nghttp2, counted: its header tables, streams and queued frames are
 * what a connection costs beside our own buffers. nghttp2 asks for seven small blocks a call
 * and gives them back, so those are kept here for the next call, at most DM_H2_MEMORY_KEPT
 * bytes of them. */

enum {
    DM_H2_MEMORY_STEP = 32,  /* sizes of kept blocks: its multiples, */
    DM_H2_MEMORY_SIZES = 12, /* so many of them */
    DM_H2_MEMORY_KEPT = 8192,
};

/* A zeroed struct is in order. */
struct dm_h2_memory {
    size_t bytes;                   /* as the allocator rounds them, kept ones as well */
    size_t kept_bytes;              /* those that nghttp2 does not have */
    void *kept[DM_H2_MEMORY_SIZES]; /* by size; each block begins with the next one's address */
};

/* For nghttp2, as long as its session lives. */
nghttp2_mem dm_h2_memory_functions(struct dm_h2_memory *memory);
/* Frees what is kept. The session is gone. */
void dm_h2_memory_finish(struct dm_h2_memory *memory);

#endif
