#ifndef DM_BASE_LIST_H
#define DM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A circular doubly linked list, its links embedded in what it links. An
 * unlinked link points at itself, so removal is idempotent. */
struct dm_list {
    struct dm_list *next, *prev;
};

#define DM_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void dm_list_init(struct dm_list *list)
{
    list->next = list->prev = list;
}

static inline bool dm_list_empty(const struct dm_list *list)
{
    return list->next == list;
}

static inline void dm_list_push_back(struct dm_list *list, struct dm_list *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void dm_list_remove(struct dm_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    dm_list_init(link);
}

/* Moves all of `from` to the end of `to`: a list is moved aside before anything
 * is called from it. */
static inline void dm_list_splice(struct dm_list *to, struct dm_list *from)
{
    if (dm_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    dm_list_init(from);
}

#endif
