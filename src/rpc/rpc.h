#ifndef DM_RPC_RPC_H
#define DM_RPC_RPC_H

#include "base/clock.h"
#include "base/code.h"
#include "base/histogram.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Calls: from a method's name and a message's bytes to an answer that may be shown.
 * Knows nothing of protocols and sockets; answers go to a sink. All calls on the loop. */

struct dm_rpc;
struct dm_engine; /* engine/engine.h */

/* Where the answers of one connection go. Embedded in its owner, who fills ops and
 * calls dm_rpc_sink_init. No function of a sink is called from within dm_rpc_call's
 * caller's own session pull other than as a plain answer; none may call back into rpc. */
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
void dm_sink_init(struct dm_sink *sink, const struct dm_sink_ops *ops, const char *protocol);

struct dm_rpc_request {
    uint64_t id; /* the caller's, unique among the sink's open calls */
    struct dm_slice service, method, payload;
    bool json;          /* payload and answers in ProtoJSON */
    int64_t timeout_ns; /* 0: none */
    bool open;          /* more input follows */
    bool awaiting;      /* `open`, and no message has come yet: the first is an input */
    bool unary_only;  /* the protocol cannot carry a stream back: such methods are UNIMPLEMENTED */
    bool stream_only; /* likewise the other way */
    bool get;         /* methods without side effects only */
};

/* NULL when there is no address space for the calls. `engine` is borrowed. */
struct dm_rpc *dm_rpc_create(struct dm_engine *engine, struct dm_clock clock);
/* Open calls are dropped without a word to their sinks, which must still be there. */
void dm_rpc_destroy(struct dm_rpc *rpc); /* NULL: no effect */

/* Payloads of calls that are about to come, as far as they are known: a hint for the
 * processor's caches. */
void dm_rpc_prefetch(struct dm_rpc *rpc, const struct dm_slice *payloads, size_t count);

/* Begins a call; the answer may come before this returns, or later. */
void dm_rpc_call(struct dm_rpc *rpc, struct dm_sink *sink, const struct dm_rpc_request *request);
void dm_rpc_input(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id, struct dm_slice payload);
void dm_rpc_input_end(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id);
void dm_rpc_cancel(struct dm_rpc *rpc, struct dm_sink *sink, uint64_t id);
/* The connection is gone: all its calls are dropped, no function of it is called again. */
void dm_rpc_sink_gone(struct dm_rpc *rpc, struct dm_sink *sink);

/* Once a loop turn, after the sockets: releases what became durable, ends calls past their
 * deadline, gives every stream and long call a bounded step. Returns in how many
 * milliseconds it wants to be called again (0: at once; -1: when something happens). */
int dm_rpc_turn(struct dm_rpc *rpc);

/* Should traffic be sent here? The one answer behind health and /readyz: not while the server
 * is leaving or draining, and not while the journal cannot be written (reads still work then:
 * see README). UNAVAILABLE with the reason. */
enum dm_code dm_rpc_ready(const struct dm_rpc *rpc, struct dm_error *error);
/* From now on it is not ready; calls are served as before. */
void dm_rpc_leave(struct dm_rpc *rpc);
/* From now on new calls are answered UNAVAILABLE, it is not ready, streams end. */
void dm_rpc_drain(struct dm_rpc *rpc);
uint32_t dm_rpc_open_calls(const struct dm_rpc *rpc);

/* A known service ("dormouse.v1.BotStatus", health, reflection)? */
bool dm_rpc_known_service(struct dm_slice service);
/* A known method that takes a stream of requests (reflection)? */
bool dm_rpc_client_streaming(struct dm_slice service, struct dm_slice method);

/* For /metrics: walks the counters; `cell` per (method, protocol, code) with calls > 0. */
struct dm_rpc_cell {
    const char *service, *method, *protocol;
    enum dm_code code;
    uint64_t calls;
};
void dm_rpc_metrics(const struct dm_rpc *rpc,
                    void (*each)(void *context, const struct dm_rpc_cell *cell), void *context);
/* Time from dm_rpc_call to the answer, in microseconds, by method index. Names of methods come
 * more than once (BotStatus and Health both have a Check): service and method together tell one.
 * values is NULL past the last. */
struct dm_rpc_latency {
    const char *service, *method;
    const struct dm_histogram *values;
};
struct dm_rpc_latency dm_rpc_latency(const struct dm_rpc *rpc, uint32_t method);
struct dm_rpc_watchers {
    uint32_t count;
    uint64_t slowest_behind; /* events */
};
void dm_rpc_watchers(const struct dm_rpc *rpc, struct dm_rpc_watchers *out);

#endif
