#ifndef DM_RPC_STATE_H
#define DM_RPC_STATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/code.h"
#include "base/histogram.h"
#include "base/index.h"
#include "base/list.h"
#include "base/region.h"
#include "base/slice.h"
#include "engine/engine.h"
#include "rpc/method.h"
#include "rpc/sink.h"
#include "wheel/wheel.h"

/* Inside rpc only: the structs of the layer, of a new call, and of an open one. All other files
 * are functions on these. */

struct dm_inbound {
    struct dm_sink *sink;
    const struct dm_method *method; /* NULL: unknown; such a call never gets to a handler */
    struct dm_slice payload;        /* protobuf, whatever it came as; until the handler returns */
    uint64_t id, start_ns, deadline_ns; /* deadline 0: none */
    uint8_t protocol;                   /* for metrics */
    bool json, open, awaiting;          /* see struct dm_rpc_request */
};

enum dm_task_result {
    DM_TASK_MORE,    /* another step in a later turn */
    DM_TASK_ROOM,    /* when the reader has room */
    DM_TASK_STALLED, /* nothing can be done now; try again soon */
    DM_TASK_IDLE,    /* when there are new events */
    DM_TASK_QUIET,   /* when input comes, or the server's state changes */
    DM_TASK_DONE,    /* answered: the call may be gone, it is not touched again */
};

struct dm_call;
struct dm_task_ops {
    /* One bounded step; lowers *budget by what it cost (see task.c). Runs again at once
     * when rpc->draining or rpc->serving changes. */
    enum dm_task_result (*step)(struct dm_rpc *rpc, struct dm_call *call, size_t *budget);
    void (*destroy)(struct dm_rpc *rpc, void *task);
    /* Bidirectional methods; else NULL. What these read of the engine they answer at once. */
    void (*input)(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice payload);
    void (*input_end)(struct dm_rpc *rpc, struct dm_call *call);
};

struct dm_call {
    struct dm_call *sink_next, *sink_prev; /* the sink's open calls */
    struct dm_list run;                    /* in one of the lists of tasks, or alone */
    struct dm_sink *sink;                  /* NULL: a free slot */
    const struct dm_method *method;
    const struct dm_task_ops *ops; /* NULL: only its answer waits */
    void *task;
    uint64_t id, start_ns;
    uint64_t barrier;    /* of all that its steps have read and ordered */
    uint32_t generation; /* of the slot: tells entries of the queue that their call is gone */
    uint32_t queued;     /* its entries in the queue */
    uint32_t next_free;  /* slot + 1; 0: none */
    uint32_t link, hash; /* rpc->by_id's */
    uint8_t protocol;
    bool json;
    bool timed;   /* has a deadline */
    bool lasts;   /* counts among the streams */
    bool waiting; /* its last word is in the queue */
};

enum { DM_PROTOCOLS_MAX = 8 };

struct dm_rpc {
    struct dm_engine *engine;
    struct dm_clock clock;
    struct dm_method_table methods;
    bool leaving, draining;
    bool serving; /* ready, as of the last turn: whose tasks were woken by a change */

    uint64_t now_ns; /* the last reading of the clock */
    bool now_stale;  /* a turn has ended since, and the loop may have slept */

    struct dm_region pool; /* of dm_call */
    uint32_t pool_used, pool_free, open_calls;
    uint32_t open_streams;      /* of them, those that last as long as their client wants */
    struct dm_index by_id;      /* slots + 1, by sink and id */
    struct dm_wheel *deadlines; /* of slots, in milliseconds of the monotonic clock */

    struct dm_buf queue; /* see release.c */
    uint64_t queue_barrier;
    size_t task_bytes; /* held by tasks */

    struct dm_list runnable, blocked, idle, quiet; /* calls, by `run` */
    bool stalled, blocked_left;                    /* blocked ones want to be asked again soon */
    uint64_t seen_seq;                             /* newest event that idle tasks have seen */
    struct dm_list watches;                        /* see watch.c */
    uint32_t watch_count;

    struct dm_buf json_in, json_out;

    const char *protocols[DM_PROTOCOLS_MAX];
    uint8_t protocol_count;
    /* [method, the last row for unknown ones][protocol][code] */
    uint64_t (*counters)[DM_PROTOCOLS_MAX][DM_CODE_COUNT];
    struct dm_histogram *latency_us; /* by method */
};

/* Refreshes rpc->now_ns. */
static inline uint64_t dm_rpc_read_clock(struct dm_rpc *rpc)
{
    rpc->now_stale = false;
    rpc->now_ns = dm_clock_monotonic_ns(&rpc->clock);
    return rpc->now_ns;
}

#endif
