#ifndef DM_RPC_METRICS_H
#define DM_RPC_METRICS_H

#include "base/code.h"
#include "base/histogram.h"

#include <stdint.h>

struct dm_rpc;
struct dm_method;

/* For /metrics: walks the counters; `cell` per (method, protocol, code) with calls > 0. */
struct dm_rpc_cell {
    const char *service, *method, *protocol;
    enum dm_code code;
    uint64_t calls;
};
void dm_rpc_metrics(const struct dm_rpc *rpc,
                    void (*each)(void *context, const struct dm_rpc_cell *cell), void *context);
/* Time from dm_rpc_call to the answer, in microseconds, by method index. Some methods have the
 * same name (BotStatus and Health both have a Check), so service and method are given together.
 * values is NULL past the last. */
struct dm_rpc_latency {
    const char *service, *method;
    const struct dm_histogram *values;
};
struct dm_rpc_latency dm_rpc_latency(const struct dm_rpc *rpc, uint32_t method);

/* ---- among the files of this layer --------------------------------------------- */

/* The number of a protocol, by the name that its sink gives. */
uint8_t dm_metrics_protocol(struct dm_rpc *rpc, const char *protocol);
/* A call has ended. `method` NULL: an unknown one. */
void dm_metrics_count(struct dm_rpc *rpc, const struct dm_method *method, uint8_t protocol,
                      enum dm_code code, uint64_t start_ns);

#endif
