#include "client/arena.h"

#include "base/assert.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_SIZE = 8192, /* at the least: a page of contacts takes few of them */
    ALIGNMENT = _Alignof(max_align_t),
};
static_assert((ALIGNMENT & (ALIGNMENT - 1)) == 0, "sizes are rounded up by a mask");

struct dm_arena_chunk {
    struct dm_arena_chunk *next;
    max_align_t data[];
};

void dm_arena_init(struct dm_arena *arena, void *room, size_t size)
{
    DM_ASSERT((uintptr_t)room % ALIGNMENT == 0);
    *arena = (struct dm_arena){.room = room, .room_size = size};
}

static void *add_chunk(struct dm_arena *arena, size_t size)
{
    size_t whole = size > CHUNK_SIZE ? size : CHUNK_SIZE;
    struct dm_arena_chunk *chunk = malloc(sizeof *chunk + whole);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    /* What is larger than a chunk has one of its own; the rest of the one before goes on. */
    if (whole - size > arena->room_size) {
        arena->room = (char *)chunk->data + size;
        arena->room_size = whole - size;
    }
    return memset(chunk->data, 0, size);
}

void *dm_arena_alloc(struct dm_arena *arena, size_t size)
{
    DM_ASSERT(size <= SIZE_MAX / 2);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > arena->room_size) {
        return add_chunk(arena, size);
    }
    void *taken = arena->room;
    arena->room += size;
    arena->room_size -= size;
    return memset(taken, 0, size);
}

void dm_arena_finish(struct dm_arena *arena)
{
    while (arena->chunks != NULL) {
        struct dm_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    *arena = (struct dm_arena){0};
}
