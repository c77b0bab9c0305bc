#ifndef DM_RPC_ADMIT_H
#define DM_RPC_ADMIT_H

#include "rpc/request.h"
#include "rpc/state.h"

/* May this call begin: in this way, at this time, with so many others open? `in` is what
 * `request` became. OK, or why not. */
enum dm_code dm_admit(const struct dm_rpc *rpc, const struct dm_inbound *in,
                      const struct dm_rpc_request *request, struct dm_error *error);

#endif
