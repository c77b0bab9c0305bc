#ifndef DM_RPC_FILTER_H
#define DM_RPC_FILTER_H

#include "base/slice.h"
#include "rpc/message.h"

/* Which contacts a Watch is about: a set of ids in one block of memory; NULL: all. */
struct dm_filter;

size_t dm_filter_memory(const struct dm_texts *ids);
/* Copies the ids; the block has dm_filter_memory bytes; freed with free(). */
struct dm_filter *dm_filter_create(const struct dm_texts *ids);
/* Ids that the worst lookup compares with. Walks all of it: for tests. */
uint32_t dm_filter_longest(const struct dm_filter *filter);
bool dm_filter_has(const struct dm_filter *filter, struct dm_slice id);

#endif
