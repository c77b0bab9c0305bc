#include "loop/wait.h"

#include "loop/state.h"

enum { NS_PER_MS = 1000000 };

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* being active is all: poll does not block */
}

void wait_not(struct dm_loop *loop)
{
    (void)uv_idle_start(&loop->idle, on_idle);
}

/* Formatted once a second. */
static void keep_date(struct dm_loop *loop)
{
    int64_t now_s = dm_clock_wall_ms(&loop->options.clock) / 1000;
    if (now_s != loop->date_s) {
        loop->date_s = now_s;
        dm_http_date(now_s, loop->date);
    }
}

void loop_turn_begins(struct dm_loop *loop)
{
    if (loop->turn_start_ns == 0) {
        loop->turn_start_ns = loop_now_ns(loop);
        keep_date(loop);
        /* Some callbacks come before poll: there libuv reports writes that it could end at once.
         * Then poll must not wait for anything else. */
        wait_not(loop);
    }
}

static void on_timer(uv_timer_t *timer)
{
    wait_not(timer->data); /* or this iteration would block */
}

void wait_until(struct dm_loop *loop, uint64_t due_ns)
{
    uint64_t now_ns = loop_now_ns(loop);
    if (due_ns == 0) {
        (void)uv_idle_stop(&loop->idle);
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    if (due_ns <= now_ns) {
        wait_not(loop);
        return;
    }
    uv_update_time(&loop->uv);
    (void)uv_idle_stop(&loop->idle);
    (void)uv_timer_start(&loop->timer, on_timer, (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}
