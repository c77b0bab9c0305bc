#include "loop/guard.h"

#include "base/assert.h"
#include "base/limits.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* We wait for three things, each for a limited time (limits.h): a head that has begun must
 * become whole, a message that has begun must come at some pace or end, and the client must take
 * what is sent.
 *
 * A client that is silent between requests holds nothing and may stay. Clients keep connections
 * for later, and some open them long before the first call (ttrpc). So there is no limit to the
 * wait for the first byte. But when all places are taken, a client that has not sent a byte
 * within DM_HEAD_MS gives up its place.
 *
 * A client is not blamed for our delays. When we did not read from it (it had to fetch its
 * answers first, or waited for the disk), or when the loop itself was late, its window begins
 * anew. */

#define LATE_NS 1000000000ULL

_Static_assert(DM_BUFFERS_HIGH > 0 && DM_BUFFERS_HIGH < 8, "parts in 8 of DM_BUFFERS_MAX");
_Static_assert(DM_SMALL_BODY <= DM_BUFFERS_FREE, "a small body never counts");
_Static_assert(DM_BODY_WINDOW_BYTES > DM_SMALL_BODY, "a window is not for one small body");
_Static_assert(DM_HEAD_MS * 1000000ULL > LATE_NS, "a late loop is told from a late client");

void guard_init(struct dm_loop *loop, size_t buffers_max)
{
    size_t max = buffers_max != 0 ? buffers_max : (size_t)DM_BUFFERS_MAX;
    budget_init(&loop->budget, max, max / 8 * DM_BUFFERS_HIGH, DM_BUFFERS_FREE);
    patience_init(&loop->patience);
    loop->limits.crowd = &loop->crowd;
    loop->stats.buffers_max = max;
}

void guard_accepted(struct conn *c, uint64_t now_ns)
{
    patience_timer_init(&c->silent);
    patience_timer_init(&c->head);
    patience_timer_init(&c->body);
    patience_timer_init(&c->sent);
    dm_list_init(&c->account.link);
    patience_start(&c->loop->patience, PATIENCE_SILENT, &c->silent, now_ns);
}

/* ---- what it holds ------------------------------------------------------------------------ */

static void count(struct conn *c, size_t bytes)
{
    struct dm_loop *loop = c->loop;
    DM_ASSERT(c->state != CONN_CLOSED || bytes == 0);
    budget_set(&loop->budget, &c->account, bytes);
    loop->crowd.full = budget_is_high(&loop->budget);
    loop->stats.buffers = loop->budget.used;
    loop->stats.crowded = loop->crowd.refused;
}

static void load_of(const struct conn *c, struct dm_load *load)
{
    *load = (struct dm_load){.head = c->first_size != 0};
    if (c->session != NULL) {
        dm_session_load(c->session, load);
    }
}

void guard_count(struct conn *c)
{
    struct dm_load load;
    load_of(c, &load);
    count(c, load.memory + c->sending.capacity);
}

struct conn *guard_largest(struct dm_loop *loop)
{
    struct budget_account *account =
        budget_is_over(&loop->budget) ? budget_largest(&loop->budget) : NULL;
    if (account == NULL) {
        return NULL;
    }
    loop->stats.closed[DM_CLOSED_MEMORY]++;
    return DM_CONTAINER_OF(account, struct conn, account);
}

/* ---- what it is waited for ---------------------------------------------------------------- */

/* Bytes that the client's machine has acknowledged: what the kernel has taken, without what it
 * still keeps. (Of a unix socket it tells a little more than that, but evenly.) */
static int64_t acknowledged(const struct conn *c)
{
    uv_os_fd_t fd;
    int kept = 0;
    if (uv_fileno(&c->uv.handle, &fd) == 0) {
        (void)ioctl(fd, SIOCOUTQ, &kept);
    }
    size_t left = c->writing ? uv_stream_get_write_queue_size(&c->uv.stream) : 0;
    size_t gone = dm_buf_size(&c->sending) > left ? dm_buf_size(&c->sending) - left : 0;
    return (int64_t)(c->bytes_out + (c->writing ? gone : 0)) - kept;
}

static void start_head(struct conn *c, uint64_t now_ns)
{
    c->paused_in_head = !c->reading;
    patience_start(&c->loop->patience, PATIENCE_HEAD, &c->head, now_ns);
}

static void start_body(struct conn *c, uint64_t now_ns)
{
    c->body.bytes = (int64_t)c->bytes_in;
    c->paused_in_body = !c->reading;
    patience_start(&c->loop->patience, PATIENCE_BODY, &c->body, now_ns);
}

static void start_sent(struct conn *c, uint64_t now_ns)
{
    c->sent.bytes = acknowledged(c);
    patience_start(&c->loop->patience, PATIENCE_WRITE, &c->sent, now_ns);
}

/* Does the timer wait for this already? */
static bool waits(const struct patience_timer *timer, uint32_t number)
{
    return patience_runs(timer) && timer->number == number;
}

static void await(struct conn *c, const struct dm_load *load, uint64_t now_ns)
{
    bool open = c->state == CONN_OPEN;
    if (!open || !load->head) {
        patience_stop(&c->head);
    } else if (!waits(&c->head, load->head_number)) {
        c->head.number = load->head_number;
        start_head(c, now_ns);
    }
    if (!open || !load->body) {
        patience_stop(&c->body);
    } else if (!waits(&c->body, load->body_number)) {
        c->body.number = load->body_number;
        start_body(c, now_ns);
    }
    if (!c->writing) {
        patience_stop(&c->sent);
    } else if (!patience_runs(&c->sent)) {
        start_sent(c, now_ns);
    }
    c->paused_in_head = c->paused_in_head || !c->reading;
    c->paused_in_body = c->paused_in_body || !c->reading;
}

void guard_settled(struct conn *c, uint64_t now_ns)
{
    struct dm_load load;
    load_of(c, &load);
    count(c, load.memory + c->sending.capacity);
    await(c, &load, now_ns);
    if (c->bytes_in != 0) {
        patience_stop(&c->silent);
    }
}

void guard_forget(struct conn *c)
{
    patience_stop(&c->silent);
    patience_stop(&c->head);
    patience_stop(&c->body);
    patience_stop(&c->sent);
    count(c, 0);
}

/* ---- time is over ------------------------------------------------------------------------- */

struct conn *guard_silent(struct dm_loop *loop, uint64_t now_ns)
{
    struct patience_timer *timer = patience_due(&loop->patience, PATIENCE_SILENT, now_ns);
    if (timer == NULL) {
        return NULL;
    }
    loop->stats.closed[DM_CLOSED_SILENT]++;
    return DM_CONTAINER_OF(timer, struct conn, silent);
}

static void end(struct conn *c, struct patience_timer *timer, enum dm_closed why)
{
    DM_ASSERT(c->state != CONN_CLOSED);
    patience_stop(timer);
    c->loop->stats.closed[why]++;
    c->dead = true;
    conn_touch(c);
}

static void judge_head(struct conn *c, bool ours, uint64_t now_ns)
{
    if (ours || c->paused_in_head) {
        start_head(c, now_ns);
        return;
    }
    end(c, &c->head, DM_CLOSED_HEAD);
}

static void judge_body(struct conn *c, bool ours, uint64_t now_ns)
{
    DM_ASSERT(c->bytes_in >= (uint64_t)c->body.bytes);
    bool fast = (int64_t)c->bytes_in - c->body.bytes >= (int64_t)DM_BODY_WINDOW_BYTES;
    if (!ours && !c->paused_in_body && c->session != NULL) {
        c->session->now_ns = now_ns;
        if (dm_session_hurry(c->session)) {
            c->answered = true;
            conn_touch(c);
        } else if (!fast) {
            end(c, &c->body, DM_CLOSED_BODY);
            return;
        }
    }
    start_body(c, now_ns);
}

static void judge_sent(struct conn *c, bool ours, uint64_t now_ns)
{
    if (ours || acknowledged(c) - c->sent.bytes >= (int64_t)DM_WRITE_WINDOW_BYTES) {
        start_sent(c, now_ns);
        return;
    }
    end(c, &c->sent, DM_CLOSED_WRITE);
}

static bool judge(struct dm_loop *loop, enum patience_kind kind, uint64_t now_ns)
{
    struct patience_timer *timer = patience_due(&loop->patience, kind, now_ns);
    if (timer == NULL) {
        return false;
    }
    DM_ASSERT(now_ns >= timer->since_ns);
    bool ours = now_ns - timer->since_ns > loop->patience.limit_ns[kind] + LATE_NS;
    switch (kind) {
    case PATIENCE_HEAD:
        judge_head(DM_CONTAINER_OF(timer, struct conn, head), ours, now_ns);
        return true;
    case PATIENCE_BODY:
        judge_body(DM_CONTAINER_OF(timer, struct conn, body), ours, now_ns);
        return true;
    case PATIENCE_WRITE:
        judge_sent(DM_CONTAINER_OF(timer, struct conn, sent), ours, now_ns);
        return true;
    default:
        return false;
    }
}

void guard_judge(struct dm_loop *loop, uint64_t now_ns)
{
    for (enum patience_kind kind = PATIENCE_HEAD; kind <= PATIENCE_WRITE; kind++) {
        for (int i = 0; i < DM_LATE_PER_TURN && judge(loop, kind, now_ns);) {
            i++;
        }
    }
}

uint64_t guard_judge_next(const struct dm_loop *loop)
{
    uint64_t next_ns = 0;
    for (enum patience_kind kind = PATIENCE_HEAD; kind <= PATIENCE_WRITE; kind++) {
        uint64_t due_ns = patience_next_ns(&loop->patience, kind);
        if (due_ns != 0 && (next_ns == 0 || due_ns < next_ns)) {
            next_ns = due_ns;
        }
    }
    return next_ns;
}
