#ifndef DM_RPC_METHOD_H
#define DM_RPC_METHOD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* What can be called: one entry for each method of the proto files, generated from
 * them. A new method is a line in the proto and a handler of the generated name. */

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

extern const struct dm_method dm_methods[];
extern const uint32_t dm_method_count;

static inline uint32_t dm_method_index(const struct dm_method *method)
{
    return (uint32_t)(method - dm_methods);
}

/* Finds methods without asking them one by one. */
enum { DM_METHOD_SLOTS = 128 };
struct dm_method_table {
    uint8_t slots[DM_METHOD_SLOTS]; /* method index + 1 */
};
void dm_method_table_init(struct dm_method_table *table);
/* NULL: unknown. */
const struct dm_method *dm_method_find(const struct dm_method_table *table, struct dm_slice service,
                                       struct dm_slice name);

/* Is there a service of this full name? */
bool dm_method_service_known(struct dm_slice service);

/* Is there a method of these names that takes a stream of requests? Asked of every HTTP
 * request, so names are compared only with the few that do. */
bool dm_method_client_streaming(struct dm_slice service, struct dm_slice name);

/* Every handler, declared. */
#define DM_METHOD(service, name, client_stream, server_stream, no_side_effects, handler, request, \
                  response)                                                                       \
    void handler(struct dm_rpc *rpc, const struct dm_inbound *in);
#include "dm_methods.inc"
#undef DM_METHOD

#endif
