#ifndef DM_RPC_SINK_H
#define DM_RPC_SINK_H

#include "base/code.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>

/* Where the answers of one connection go. Embedded in its owner, who calls dm_sink_init.
 * Its functions may be called from within dm_rpc_call and its like. None of them may call
 * back into rpc. */
struct dm_sink {
    const struct dm_sink_ops *ops;
    const char *protocol; /* for metrics; static text */
    void *private_calls;  /* rpc's */
    uint32_t private_count;
    uint32_t private_streams; /* of them, those that last */
    uint32_t waiting;     /* rpc's: calls whose answers wait for the disk; for the owner to read */
    size_t private_bytes; /* rpc's */
};
/* `reply` and `fail` end a call, `stream_end` ends a stream well; nothing is said of a
 * call after that. stream_room: how many bytes of stream messages make sense now; 0: the
 * reader is slow. The owner calls dm_rpc_turn when there may be room again. */
struct dm_sink_ops {
    void (*reply)(struct dm_sink *, uint64_t id, struct dm_slice payload);
    void (*fail)(struct dm_sink *, uint64_t id, enum dm_code, const char *message);
    void (*stream_message)(struct dm_sink *, uint64_t id, struct dm_slice payload);
    void (*stream_end)(struct dm_sink *, uint64_t id);
    size_t (*stream_room)(struct dm_sink *, uint64_t id);
};
static inline void dm_sink_init(struct dm_sink *sink, const struct dm_sink_ops *ops,
                                const char *protocol)
{
    *sink = (struct dm_sink){.ops = ops, .protocol = protocol};
}

#endif
