#ifndef DM_RPC_READY_H
#define DM_RPC_READY_H

#include "base/code.h"

/* Whether the server is there for its clients, and how it leaves. */

struct dm_rpc;

/* Should traffic be sent here? The one answer behind health and /readyz: not while the server
 * is leaving or draining, and not while the journal cannot be written (reads still work then:
 * see README). UNAVAILABLE with the reason. */
enum dm_code dm_rpc_ready(const struct dm_rpc *rpc, struct dm_error *error);
/* From now on it is not ready; calls are served as before. */
void dm_rpc_leave(struct dm_rpc *rpc);
/* From now on new calls are answered UNAVAILABLE, it is not ready, streams end. */
void dm_rpc_drain(struct dm_rpc *rpc);

#endif
