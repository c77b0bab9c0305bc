#include "rpc/metrics.h"

#include "base/assert.h"
#include "rpc/state.h"

#include <string.h>

/* Calls by method, protocol and code; latency by method. */

uint8_t dm_metrics_protocol(struct dm_rpc *rpc, const char *protocol)
{
    for (uint8_t i = 0; i < rpc->protocol_count; i++) {
        if (rpc->protocols[i] == protocol || strcmp(rpc->protocols[i], protocol) == 0) {
            return i;
        }
    }
    if (rpc->protocol_count == DM_PROTOCOLS_MAX) {
        return DM_PROTOCOLS_MAX - 1;
    }
    rpc->protocols[rpc->protocol_count] = protocol;
    return rpc->protocol_count++;
}

void dm_metrics_count(struct dm_rpc *rpc, const struct dm_method *method, uint8_t protocol,
                      enum dm_code code, uint64_t start_ns)
{
    uint32_t row =
        method != NULL ? dm_method_index(&rpc->methods, method) : rpc->methods.all->count;
    DM_ASSERT(protocol < DM_PROTOCOLS_MAX && (unsigned)code < DM_CODE_COUNT);
    rpc->counters[row][protocol][code]++;
    /* how long a stream was open does not say how fast we are */
    if (method != NULL && !method->server_stream) {
        dm_histogram_add(&rpc->latency_us[row], (rpc->now_ns - start_ns) / 1000);
    }
}

void dm_rpc_metrics(const struct dm_rpc *rpc,
                    void (*each)(void *context, const struct dm_rpc_cell *cell), void *context)
{
    const struct dm_method_list *methods = rpc->methods.all;
    for (uint32_t i = 0; i < (methods->count + 1) * DM_PROTOCOLS_MAX * DM_CODE_COUNT; i++) {
        uint32_t row = i / (DM_PROTOCOLS_MAX * DM_CODE_COUNT);
        uint32_t protocol = i / DM_CODE_COUNT % DM_PROTOCOLS_MAX, code = i % DM_CODE_COUNT;
        uint64_t calls = rpc->counters[row][protocol][code];
        if (calls == 0) {
            continue;
        }
        bool known = row < methods->count;
        struct dm_rpc_cell cell = {
            .service = known ? methods->items[row].service.data : "unknown",
            .method = known ? methods->items[row].name.data : "unknown",
            .protocol = rpc->protocols[protocol],
            .code = (enum dm_code)code,
            .calls = calls,
        };
        each(context, &cell);
    }
}

struct dm_rpc_latency dm_rpc_latency(const struct dm_rpc *rpc, uint32_t method)
{
    const struct dm_method_list *methods = rpc->methods.all;
    if (method >= methods->count) {
        return (struct dm_rpc_latency){.values = NULL};
    }
    return (struct dm_rpc_latency){
        .service = methods->items[method].service.data,
        .method = methods->items[method].name.data,
        .values = &rpc->latency_us[method],
    };
}
