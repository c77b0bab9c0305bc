#include "wire/h2_memory.h"

#include "base/assert.h"

#include <malloc.h>
#include <stdlib.h>

static void *counted(void *memory, size_t *bytes)
{
    *bytes += malloc_usable_size(memory);
    return memory;
}

static void *get(size_t size, void *user)
{
    return counted(malloc(size), user);
}

static void release(void *memory, void *user)
{
    size_t *bytes = user;
    *bytes -= malloc_usable_size(memory);
    free(memory);
}

static void *get_zeroed(size_t count, size_t size, void *user)
{
    return counted(calloc(count, size), user);
}

/* libnghttp2 1.52 loses track of a frame when a queue of streams cannot grow, and frees it
 * twice with the session; these queues, small and bounded by the streams, are what it
 * reallocates, so that must not fail. */
static void *grow(void *memory, size_t size, void *user)
{
    size_t *bytes = user;
    *bytes -= malloc_usable_size(memory);
    return counted(dm_xrealloc(memory, size), user);
}

nghttp2_mem dm_h2_memory(size_t *bytes)
{
    return (nghttp2_mem){
        .mem_user_data = bytes,
        .malloc = get,
        .free = release,
        .calloc = get_zeroed,
        .realloc = grow,
    };
}
