#ifndef DM_RPC_WATCH_H
#define DM_RPC_WATCH_H

#include <stdint.h>

struct dm_rpc;

/* For /metrics. */
struct dm_rpc_watchers {
    uint32_t count;
    uint64_t slowest_behind; /* events */
};
void dm_rpc_watchers(const struct dm_rpc *rpc, struct dm_rpc_watchers *out);

/* ---- among the files of this layer --------------------------------------------- */

/* Watches whose progress is due become runnable. */
void dm_watches_turn(struct dm_rpc *rpc);
/* In how many milliseconds the next one will be due; -1: there is none. */
int dm_watches_next_ms(const struct dm_rpc *rpc);

#endif
