#include "rpc/ready.h"

#include "rpc/state.h"
#include "rpc/task.h"

enum dm_code dm_rpc_ready(const struct dm_rpc *rpc, struct dm_error *error)
{
    if (rpc->leaving || rpc->draining) {
        return dm_fail(error, DM_UNAVAILABLE, "draining");
    }
    return dm_engine_writable(rpc->engine, error);
}

void dm_rpc_leave(struct dm_rpc *rpc)
{
    rpc->leaving = true;
    rpc->serving = false;
    dm_tasks_wake_all(rpc);
}

void dm_rpc_drain(struct dm_rpc *rpc)
{
    rpc->draining = true;
    dm_rpc_leave(rpc);
}
