#include "wire/h2_memory.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(DM_H2_MEMORY_STEP >= sizeof(void *), "a kept block has room for an address");

static void *counted(struct dm_h2_memory *memory, void *block)
{
    memory->bytes += malloc_usable_size(block);
    return block;
}

/* The first size that is enough. */
static size_t size_index(size_t size)
{
    return size == 0 ? 0 : (size - 1) / DM_H2_MEMORY_STEP;
}

static void *get(size_t size, void *user)
{
    struct dm_h2_memory *memory = user;
    size_t index = size_index(size);
    if (index >= DM_H2_MEMORY_SIZES) {
        return counted(memory, malloc(size));
    }
    void *block = memory->kept[index];
    if (block == NULL) {
        return counted(memory, malloc((index + 1) * DM_H2_MEMORY_STEP));
    }
    memcpy(&memory->kept[index], block, sizeof block);
    memory->kept_bytes -= (index + 1) * DM_H2_MEMORY_STEP;
    return block;
}

static void release(void *block, void *user)
{
    struct dm_h2_memory *memory = user;
    if (block == NULL) {
        return;
    }
    size_t usable = malloc_usable_size(block);
    size_t size = usable / DM_H2_MEMORY_STEP * DM_H2_MEMORY_STEP;
    size_t index = size_index(size);
    if (size == 0 || index >= DM_H2_MEMORY_SIZES || memory->kept_bytes + size > DM_H2_MEMORY_KEPT) {
        memory->bytes -= usable;
        free(block);
        return;
    }
    memcpy(block, &memory->kept[index], sizeof block);
    memory->kept[index] = block;
    memory->kept_bytes += size;
}

static void *get_zeroed(size_t count, size_t size, void *user)
{
    size_t bytes;
    void *block = __builtin_mul_overflow(count, size, &bytes) ? NULL : get(bytes, user);
    if (block != NULL) {
        dm_clear(block, bytes);
    }
    return block;
}

/* libnghttp2 1.52 loses track of a frame when a queue of streams cannot grow, and frees it
 * twice with the session; these queues, small and bounded by the streams, are what it
 * reallocates, so that must not fail. */
static void *grow(void *block, size_t size, void *user)
{
    struct dm_h2_memory *memory = user;
    memory->bytes -= malloc_usable_size(block);
    return counted(memory, dm_xrealloc(block, size));
}

nghttp2_mem dm_h2_memory_functions(struct dm_h2_memory *memory)
{
    return (nghttp2_mem){
        .mem_user_data = memory,
        .malloc = get,
        .free = release,
        .calloc = get_zeroed,
        .realloc = grow,
    };
}

void dm_h2_memory_finish(struct dm_h2_memory *memory)
{
    for (size_t i = 0; i < DM_H2_MEMORY_SIZES; i++) {
        while (memory->kept[i] != NULL) {
            void *block = memory->kept[i];
            memcpy(&memory->kept[i], block, sizeof block);
            memory->bytes -= malloc_usable_size(block);
            free(block);
        }
    }
    DM_ASSERT(memory->bytes == 0);
}
