#ifndef DM_CLIENT_ARENA_H
#define DM_CLIENT_ARENA_H

#include <stddef.h>

/* Memory of one decoded message, all freed at once. A zeroed struct is empty. */
struct dm_arena {
    struct dm_arena_chunk *chunks;
    char *room; /* what is left of the newest chunk, or of the caller's */
    size_t room_size;
};

/* Begins with memory of the caller's, aligned for anything: small messages need no more. */
void dm_arena_init(struct dm_arena *arena, void *room, size_t size);
/* Zeroed, and aligned for anything. NULL: no memory. */
void *dm_arena_alloc(struct dm_arena *arena, size_t size);
/* Empty again. */
void dm_arena_finish(struct dm_arena *arena);

#endif
