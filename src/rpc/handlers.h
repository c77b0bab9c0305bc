#ifndef DM_RPC_HANDLERS_H
#define DM_RPC_HANDLERS_H

#include "rpc/method.h"

/* Every handler, declared: one for each method of the proto files. */
#define DM_METHOD(service, name, client_stream, server_stream, no_side_effects, handler, request, \
                  response)                                                                       \
    void handler(struct dm_rpc *rpc, const struct dm_inbound *in);
#include "dm_methods.inc"
#undef DM_METHOD

#endif
