#include "loop/drain.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "loop/conns.h"
#include "loop/listen.h"
#include "loop/state.h"
#include "rpc/ready.h"

#include <signal.h>
#include <unistd.h>

/* How a server ends when it is told to.
 *
 *     SERVING ──signal──▶ LEAVING ──drain_delay, or another signal──▶ DRAINING ──▶ PARTING
 *
 * LEAVING: not ready, so that load balancers go elsewhere; else as ever. DRAINING: nothing is
 * accepted, new calls are refused, open ones end; it waits for those, for clients to see the
 * notice, and for requests of which the beginning has come. Who is not done with his request
 * a little before the end gets an answer all the same. PARTING: answers are fetched. */

enum { NS_PER_MS = 1000000 };

static uint64_t after_ms(uint64_t now_ns, int64_t ms)
{
    return now_ns + (uint64_t)ms * NS_PER_MS;
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static void begin(struct dm_loop *loop)
{
    uint64_t now_ns = loop_now_ns(loop);
    int64_t timeout_ms = loop->options.drain_timeout_ms;
    int64_t farewell_ms = timeout_ms / 2 < DM_LINGER_MS ? timeout_ms / 2 : DM_LINGER_MS;
    DM_ASSERT(loop->leaving && !loop->draining);
    loop->draining = true;
    loop->drain_due_ns = after_ms(now_ns, timeout_ms);
    loop->refuse_due_ns = after_ms(now_ns, timeout_ms - farewell_ms);
    loop->notice_due_ns = sooner(loop->refuse_due_ns, after_ms(now_ns, DM_LINGER_MS));
    DM_ASSERT(loop->notice_due_ns <= loop->refuse_due_ns &&
              loop->refuse_due_ns <= loop->drain_due_ns);
    dm_log(DM_LOG_INFO, "draining", DM_LOG_NUMBER("connections", loop->conn_count),
           DM_LOG_NUMBER("open_calls", dm_rpc_open_calls(loop->rpc)));
    listeners_close(loop);
    dm_rpc_drain(loop->rpc);
    conns_drain(loop);
}

void dm_loop_drain(struct dm_loop *loop)
{
    if (loop->leaving) {
        return;
    }
    loop->leaving = true;
    loop->leave_due_ns = after_ms(loop_now_ns(loop), loop->options.drain_delay_ms);
    if (loop->options.drain_delay_ms == 0) {
        begin(loop);
        return;
    }
    dm_log(DM_LOG_INFO, "leaving", DM_LOG_NUMBER("drain_delay_ms", loop->options.drain_delay_ms));
    dm_rpc_leave(loop->rpc);
}

bool dm_loop_draining(const struct dm_loop *loop)
{
    return loop->leaving;
}

/* Has everyone who may expect an answer got it? */
static bool all_answered(struct dm_loop *loop, uint64_t now_ns)
{
    if (now_ns < loop->notice_due_ns && !conns_announced(loop)) {
        return false;
    }
    if (!loop->refused && conns_arriving(loop)) {
        if (now_ns < loop->refuse_due_ns) {
            return false;
        }
        loop->refused = true;
        conns_give_up(loop);
        (void)conns_settle(loop);
    }
    return dm_rpc_open_calls(loop->rpc) == 0 && conns_all_sent(loop);
}

void drain_begin_due(struct dm_loop *loop)
{
    if (loop->leaving && !loop->draining && loop_now_ns(loop) >= loop->leave_due_ns) {
        begin(loop);
    }
}

bool drain_step(struct dm_loop *loop, uint64_t now_ns)
{
    if (!loop->draining) {
        return false;
    }
    DM_ASSERT(loop->leaving && loop->listener_count == 0);
    if (!loop->parting) {
        bool done = all_answered(loop, now_ns);
        if (!done && now_ns < loop->drain_due_ns) {
            return false;
        }
        if (!done) {
            dm_log(DM_LOG_WARN, "drain timed out",
                   DM_LOG_NUMBER("open_calls", dm_rpc_open_calls(loop->rpc)));
            return true;
        }
        loop->parting = true;
        conns_part(loop);
        (void)conns_settle(loop);
    }
    return loop->conn_count == 0 || now_ns >= loop->drain_due_ns;
}

uint64_t drain_due(const struct dm_loop *loop, uint64_t now_ns)
{
    if (!loop->draining) {
        return loop->leaving ? loop->leave_due_ns : 0;
    }
    uint64_t due_ns = loop->drain_due_ns;
    if (now_ns < loop->refuse_due_ns) {
        due_ns = loop->refuse_due_ns;
    }
    return now_ns < loop->notice_due_ns ? loop->notice_due_ns : due_ns;
}

/* ---- signals ------------------------------------------------------------------------------ */

static void on_signal(uv_signal_t *handle, int number)
{
    struct dm_loop *loop = handle->data;
    if (loop->draining) {
        dm_log(DM_LOG_WARN, "signal while draining, exiting at once",
               DM_LOG_NUMBER("signal", number));
        dm_log_flush();
        _exit(128 + number);
    }
    dm_log(DM_LOG_INFO, "told to stop", DM_LOG_NUMBER("signal", number));
    if (loop->leaving) {
        loop->leave_due_ns = loop_now_ns(loop);
    }
    dm_loop_drain(loop);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    const struct dm_loop *loop = handle->data;
    (void)number;
    if (loop->options.hangup != NULL) {
        loop->options.hangup();
    }
}

void drain_signals_start(struct dm_loop *loop)
{
    (void)uv_signal_start(&loop->sigterm, on_signal, SIGTERM);
    (void)uv_signal_start(&loop->sigint, on_signal, SIGINT);
    (void)uv_signal_start(&loop->sighup, on_hangup, SIGHUP);
}

/* A hangup still ends nothing, as long as the loop is there. */
void drain_signals_stop(struct dm_loop *loop)
{
    (void)uv_signal_stop(&loop->sigterm);
    (void)uv_signal_stop(&loop->sigint);
}
