#include "loop/loop.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "loop/conns.h"
#include "loop/drain.h"
#include "loop/guard.h"
#include "loop/listen.h"
#include "loop/share.h"
#include "loop/state.h"
#include "loop/wait.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* One iteration of libuv is one turn: poll runs the callbacks of sockets, doorbell and
 * signals, which begin calls and note what happened; then `check` takes the turn's second
 * half (see take_turn), and says how long the next poll may block (wait.c).
 *
 * It ends in two ways: drained (a signal; see drain.c), or because the engine failed:
 * then nothing more is sent at all. */

enum { NS_PER_MS = 1000000, DESCRIPTORS_OF_A_START = 16 };
#define FAR_FUTURE_S (1LL << 33)

_Static_assert(DM_DESCRIPTORS_RESERVED > DM_LISTENERS_MAX + DM_SEGMENT_FILES_MAX,
               "what connections leave is more than what is held");
_Static_assert(DM_READ_SIZE <= DM_UNREAD_SIZE, "a share is there to be read");

/* ---- the turn ------------------------------------------------------------------------- */

static void earlier(uint64_t *due_ns, uint64_t other_ns)
{
    if (other_ns != 0 && (*due_ns == 0 || other_ns < *due_ns)) {
        *due_ns = other_ns;
    }
}

static void stop(struct dm_loop *loop)
{
    loop->ended = true;
    uv_stop(&loop->uv);
}

/* The engine's share. False: it failed, and nothing may be sent any more. */
static bool engine_step(struct dm_loop *loop)
{
    bool rung = loop->rung;
    loop->rung = false;
    if (loop->called) {
        loop->called = false;
        dm_engine_flush(loop->engine);
    }
    if (rung || loop_now_ns(loop) >= loop->engine_due_ns) {
        int delay_ms = dm_engine_turn(loop->engine);
        DM_ASSERT(delay_ms >= 0);
        loop->engine_due_ns = loop_now_ns(loop) + (uint64_t)delay_ms * NS_PER_MS;
        if (dm_engine_failed(loop->engine, &loop->error)) {
            loop->result = DM_INTERNAL;
            stop(loop);
            return false;
        }
    }
    return true;
}

static void look_at_disk(struct dm_loop *loop)
{
    bool stuck = dm_engine_writable(loop->engine, NULL) != DM_OK;
    if (stuck != loop->stuck) {
        loop->stuck = stuck;
        conns_pace(loop);
    }
}

static void take_turn(struct dm_loop *loop)
{
    DM_ASSERT(!loop->ended && loop->turn_start_ns != 0);
    drain_begin_due(loop);
    conns_pull(loop);
    if (!engine_step(loop)) {
        return;
    }
    look_at_disk(loop);
    int rpc_delay_ms = dm_rpc_turn(loop->rpc);
    conns_pull(loop); /* pipelined requests whose turn has come by an answer */
    guard_judge(loop, loop_now_ns(loop));
    bool again = conns_settle(loop) || loop->called;
    uint64_t now_ns = loop_now_ns(loop);
    uint64_t due_ns = loop->engine_due_ns;
    earlier(&due_ns, conns_linger(loop, now_ns));
    earlier(&due_ns, guard_judge_next(loop));
    if (drain_step(loop, now_ns)) {
        stop(loop);
    }
    earlier(&due_ns, drain_due(loop, now_ns));
    if (rpc_delay_ms >= 0) {
        earlier(&due_ns, now_ns + (uint64_t)rpc_delay_ms * NS_PER_MS);
    }
    wait_until(loop, again ? now_ns : due_ns);
}

static void on_check(uv_check_t *check)
{
    struct dm_loop *loop = check->data;
    if (loop->ended) {
        return;
    }
    loop_turn_begins(loop);
    take_turn(loop);
    dm_histogram_add(&loop->stats.turn_us, (loop_now_ns(loop) - loop->turn_start_ns) / 1000);
    loop->turn_start_ns = 0;
    share_turn_ends(loop);
}

/* ---- what wakes it ------------------------------------------------------------------- */

static void on_doorbell(uv_async_t *doorbell)
{
    struct dm_loop *loop = doorbell->data;
    loop_turn_begins(loop);
    loop->rung = true;
}

static void on_durable(uv_poll_t *poll, int status, int events)
{
    struct dm_loop *loop = poll->data;
    eventfd_t count;
    (void)status, (void)events;
    loop_turn_begins(loop);
    (void)eventfd_read(dm_engine_event(loop->engine), &count);
    loop->rung = true;
}

static void watch_durable(struct dm_loop *loop)
{
    int event = dm_engine_event(loop->engine);
    if (event >= 0) {
        int status = uv_poll_init(&loop->uv, &loop->durable_poll, event);
        DM_ASSERT(status == 0);
        loop->durable_poll.data = loop;
        (void)uv_poll_start(&loop->durable_poll, UV_READABLE, on_durable);
    }
}

void dm_loop_ring(void *loop)
{
    struct dm_loop *it = loop;
    (void)uv_async_send(&it->doorbell);
}

/* ---- steps of the wall clock ------------------------------------------------------------ */

/* A timer that is never due, but that the kernel cancels when somebody sets the clock. */
static bool watch_clock(struct dm_loop *loop)
{
    const struct itimerspec never = {.it_value = {.tv_sec = FAR_FUTURE_S}};
    return timerfd_settime(loop->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                           NULL) == 0;
}

static void on_clock_step(uv_poll_t *poll, int status, int events)
{
    struct dm_loop *loop = poll->data;
    uint64_t expirations;
    (void)status, (void)events;
    loop_turn_begins(loop);
    if (read(loop->clock_fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED) {
        loop->stats.clock_steps++;
        dm_log(DM_LOG_INFO, "the wall clock was set");
    }
    loop->rung = true;
    if (!watch_clock(loop)) {
        (void)uv_poll_stop(poll);
    }
}

/* Without it a step is seen by the engine's next turn, within a second. */
static void begin_clock_watch(struct dm_loop *loop)
{
    loop->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->clock_fd < 0) {
        return;
    }
    if (!watch_clock(loop) || uv_poll_init(&loop->uv, &loop->clock_poll, loop->clock_fd) != 0) {
        (void)close(loop->clock_fd);
        loop->clock_fd = -1;
        return;
    }
    loop->clock_poll.data = loop;
    (void)uv_poll_start(&loop->clock_poll, UV_READABLE, on_clock_step);
}

/* ---- life --------------------------------------------------------------------------------- */

/* Descriptors that are open now, inherited ones too. */
static rlim_t open_descriptors(void)
{
    rlim_t count = 0;
    DIR *entries = opendir("/proc/self/fd");
    if (entries == NULL) {
        return DESCRIPTORS_OF_A_START;
    }
    while (readdir(entries) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        count++;
    }
    (void)closedir(entries);
    return count; /* counts ., .. and the listing's own descriptor, too: some three too many */
}

/* Every connection needs a descriptor. The soft limit is raised to the hard one; if that is
 * still too low, there are fewer connections. */
static uint32_t connections_max(uint32_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return wanted;
    }
    rlim_t reserved = open_descriptors() + DM_DESCRIPTORS_RESERVED;
    rlim_t needed = wanted + reserved;
    if (files.rlim_cur < needed) {
        files.rlim_cur = needed < files.rlim_max ? needed : files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur >= needed) {
        return wanted;
    }
    rlim_t room = files.rlim_cur > reserved ? files.rlim_cur - reserved : 1;
    dm_log(DM_LOG_WARN, "fewer descriptors than connections",
           DM_LOG_NUMBER("descriptors", files.rlim_cur), DM_LOG_NUMBER("connections_max", room));
    return (uint32_t)room;
}

static void init_handles(struct dm_loop *loop)
{
    /* These fail only for lack of descriptors, and then the process cannot go on. */
    int status = uv_check_init(&loop->uv, &loop->check);
    status |= uv_idle_init(&loop->uv, &loop->idle);
    status |= uv_timer_init(&loop->uv, &loop->timer);
    status |= uv_async_init(&loop->uv, &loop->doorbell, on_doorbell);
    status |= uv_signal_init(&loop->uv, &loop->sigterm);
    status |= uv_signal_init(&loop->uv, &loop->sigint);
    status |= uv_signal_init(&loop->uv, &loop->sighup);
    DM_ASSERT(status == 0);
    loop->check.data = loop->idle.data = loop->timer.data = loop;
    loop->doorbell.data = loop->sigterm.data = loop->sigint.data = loop;
    loop->sighup.data = loop;
    (void)uv_check_start(&loop->check, on_check);
}

enum dm_code dm_loop_create(struct dm_loop **out, const struct dm_loop_options *options,
                            struct dm_error *error)
{
    struct dm_loop *loop = dm_xcalloc(1, sizeof *loop);
    loop->options = *options;
    loop->calls_clock.base = options->clock;
    loop->limits.hosts = options->hosts;
    loop->limits.cors_origins = options->cors_origins;
    loop->limits.date = loop->date;
    loop->date_s = -1;
    loop->limits.known_service = dm_rpc_known_service;
    loop->limits.client_streaming = dm_rpc_client_streaming;
    dm_list_init(&loop->conns);
    dm_list_init(&loop->dirty);
    dm_list_init(&loop->lingering);
    guard_init(loop, (size_t)options->buffers_max);
    share_init(loop);
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        free(loop);
        return dm_fail(error, DM_UNAVAILABLE, "cannot create the event loop: %s",
                       uv_strerror(status));
    }
    init_handles(loop);
    begin_clock_watch(loop);
    loop->read_buf = dm_xmalloc((size_t)DM_READ_SIZE);
    uint32_t wanted = options->connections_max;
    loop->stats.connections_max = connections_max(wanted != 0 ? wanted : DM_CONNECTIONS_MAX);
    *out = loop;
    return DM_OK;
}

struct dm_clock dm_loop_calls_clock(struct dm_loop *loop)
{
    return dm_clock_held(&loop->calls_clock);
}

void dm_loop_attach(struct dm_loop *loop, struct dm_engine *engine, struct dm_rpc *rpc)
{
    DM_ASSERT(loop->engine == NULL);
    loop->engine = engine;
    loop->rpc = rpc;
    watch_durable(loop);
}

/* Runs the callbacks of everything that is closed. The doorbell stays, for threads that still
 * ring it. */
static void close_sockets(struct dm_loop *loop)
{
    listeners_close(loop);
    conns_close(loop);
    (void)uv_check_stop(&loop->check);
    (void)uv_idle_stop(&loop->idle);
    (void)uv_timer_stop(&loop->timer);
    if (loop->durable_poll.data != NULL) {
        (void)uv_poll_stop(&loop->durable_poll);
    }
    while (!dm_list_empty(&loop->conns)) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
}

enum dm_code dm_loop_run(struct dm_loop *loop, struct dm_error *error)
{
    DM_ASSERT(loop->engine != NULL && !loop->ended);
    drain_signals_start(loop);
    wait_not(loop); /* the first turn is at once */
    while (!loop->ended) {
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    drain_signals_stop(loop);
    if (loop->result != DM_OK) {
        return dm_fail(error, loop->result, "%s", loop->error.message);
    }
    close_sockets(loop);
    return DM_OK;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void dm_loop_destroy(struct dm_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    close_sockets(loop);
    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    DM_ASSERT(loop->conn_count == 0 && loop->listener_count == 0);
    int status = uv_loop_close(&loop->uv);
    DM_ASSERT(status == 0);
    if (loop->clock_fd >= 0) {
        (void)close(loop->clock_fd);
    }
    free(loop->read_buf);
    free(loop);
}

const struct dm_loop_stats *dm_loop_stats(const struct dm_loop *loop)
{
    return &loop->stats;
}
