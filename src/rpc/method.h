#ifndef DM_RPC_METHOD_H
#define DM_RPC_METHOD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* A method, and how to find one among many. methods.h has all of them. */

struct dm_rpc;
struct dm_inbound;

typedef void (*dm_handler)(struct dm_rpc *rpc, const struct dm_inbound *in);

struct dm_method {
    struct dm_slice service, name;
    bool client_stream, server_stream;
    bool no_side_effects;
    dm_handler handler;
    const char *request, *response; /* full names of the messages */
};

/* All that there are; those of a service stand together. */
struct dm_method_list {
    const struct dm_method *items;
    uint32_t count;
};

/* Finds methods without asking them one by one. */
enum { DM_METHOD_SLOTS = 128 };
struct dm_method_table {
    const struct dm_method_list *all;
    uint8_t slots[DM_METHOD_SLOTS]; /* position in the list + 1 */
};
/* `all` is borrowed, and fills at most half of the slots. */
void dm_method_table_init(struct dm_method_table *table, const struct dm_method_list *all);
/* NULL: unknown. */
const struct dm_method *dm_method_find(const struct dm_method_table *table, struct dm_slice service,
                                       struct dm_slice name);
static inline uint32_t dm_method_index(const struct dm_method_table *table,
                                       const struct dm_method *method)
{
    return (uint32_t)(method - table->all->items);
}

/* Is there a service of this full name? */
bool dm_method_service_known(const struct dm_method_list *all, struct dm_slice service);

/* Is there a method of these names that takes a stream of requests? Asked of every HTTP
 * request, so names are compared only with the few that do. */
bool dm_method_client_streaming(const struct dm_method_list *all, struct dm_slice service,
                                struct dm_slice name);

#endif
