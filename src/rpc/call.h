#ifndef DM_RPC_CALL_H
#define DM_RPC_CALL_H

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
#include "rpc/rpc.h"
#include "wheel/wheel.h"

/* The life of a call. A handler gets it as a dm_inbound on the stack and either ends
 * it at once (dm_answer, dm_refuse), or goes on with it as a task (dm_call_begin). An
 * answer whose barrier is not durable yet waits in the release queue, linked to its
 * sink by a dm_call. So a call that is answered at once costs no allocation and no list.
 *
 * Who owns what: the pool owns every dm_call; a dm_call owns its task; bytes that are
 * answered are copied into the queue or given to the sink, and are the caller's after. */

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

/* ---- for handlers ------------------------------------------------------------ */

/* Whatever is said from here on, answers, messages and refusals alike, is said when all is
 * durable that the call has read or ordered in the engine until then. */

/* Ends a unary call with `message` (protobuf). */
void dm_answer(struct dm_rpc *rpc, const struct dm_inbound *in, struct dm_slice message);
void dm_refuse(struct dm_rpc *rpc, const struct dm_inbound *in, const struct dm_error *error);

/* Goes on with the call as a task, whose first step comes in the next turn. Takes over
 * `task`: ops->destroy frees it. */
struct dm_call *dm_call_begin(struct dm_rpc *rpc, const struct dm_inbound *in,
                              const struct dm_task_ops *ops, void *task);

/* A call whose first message is still to come; its handler is called with that. */
void dm_call_await(struct dm_rpc *rpc, const struct dm_inbound *in);

/* Memory of tasks, and of the answers that they gather, is counted: RESOURCE_EXHAUSTED past
 * DM_ANSWERS_PENDING_MAX, and past DM_TASKS_PER_CONNECTION_MAX of one sink. */
enum dm_code dm_task_reserve(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes,
                             struct dm_error *error);
void dm_task_release(struct dm_rpc *rpc, struct dm_sink *sink, size_t bytes);

/* ---- for tasks ---------------------------------------------------------------- */

/* Ends a unary call. The call may be gone when these return: `fail` and `end` always
 * end it. */
void dm_call_answer(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message);
void dm_call_fail(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error);
/* One message of a stream, in order. false: it could not be sent and the call has failed. */
bool dm_call_message(struct dm_rpc *rpc, struct dm_call *call, struct dm_slice message);
/* Ends a stream after its messages. */
void dm_call_end(struct dm_rpc *rpc, struct dm_call *call);
static inline size_t dm_call_room(const struct dm_call *call)
{
    return call->sink->ops->stream_room(call->sink, call->id);
}

/* ---- among the files of this layer --------------------------------------------- */

uint64_t dm_rpc_read_clock(struct dm_rpc *rpc); /* refreshes rpc->now_ns */

bool dm_calls_init(struct dm_rpc *rpc);
void dm_calls_finish(struct dm_rpc *rpc);
/* OK, or RESOURCE_EXHAUSTED when its sink may not have one more such call open. */
enum dm_code dm_calls_admit(const struct dm_rpc *rpc, const struct dm_inbound *in,
                            struct dm_error *error);
struct dm_call *dm_call_open(struct dm_rpc *rpc, const struct dm_inbound *in);
/* Fails it at once, for a reason that has nothing to do with what it read. */
void dm_call_abort(struct dm_rpc *rpc, struct dm_call *call, const struct dm_error *error);
/* Nothing is said to the sink any more. */
void dm_call_close(struct dm_rpc *rpc, struct dm_call *call);
struct dm_call *dm_call_find(const struct dm_rpc *rpc, const struct dm_sink *sink, uint64_t id);
static inline struct dm_call *dm_call_at(const struct dm_rpc *rpc, uint32_t slot)
{
    return (struct dm_call *)rpc->pool.base + slot;
}
static inline uint32_t dm_call_slot(const struct dm_rpc *rpc, const struct dm_call *call)
{
    return (uint32_t)(call - (const struct dm_call *)rpc->pool.base);
}
/* Ends calls past their deadline; true: more are due. */
bool dm_calls_expire(struct dm_rpc *rpc);

/* What an entry of the release queue says to the sink. */
enum dm_release_kind { DM_RELEASE_REPLY, DM_RELEASE_MESSAGE, DM_RELEASE_END, DM_RELEASE_FAIL };
bool dm_release_push(struct dm_rpc *rpc, struct dm_call *call, enum dm_release_kind kind,
                     enum dm_code code, struct dm_slice bytes, uint64_t barrier);
void dm_release_turn(struct dm_rpc *rpc);
/* The journal has failed: all that waits becomes UNAVAILABLE. */
void dm_release_abandon(struct dm_rpc *rpc, const struct dm_error *why);
/* Is the first one durable already? */
bool dm_release_ready(const struct dm_rpc *rpc);

/* Gives every task that can go on a step, within a turn's budget. True: one at least ran. */
bool dm_tasks_turn(struct dm_rpc *rpc);
void dm_tasks_wake_all(struct dm_rpc *rpc);
/* In how many milliseconds tasks want another turn; -1: when something happens. */
int dm_tasks_next_ms(const struct dm_rpc *rpc);

/* Watches whose progress is due become runnable. */
void dm_watches_turn(struct dm_rpc *rpc);
int dm_watches_next_ms(const struct dm_rpc *rpc);

uint8_t dm_metrics_protocol(struct dm_rpc *rpc, const char *protocol);
/* A call has ended. */
void dm_metrics_count(struct dm_rpc *rpc, const struct dm_method *method, uint8_t protocol,
                      enum dm_code code, uint64_t start_ns);

#endif
