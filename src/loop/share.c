#include "loop/share.h"

_Static_assert(DM_READ_LATE < DM_READ_SIZE, "a late turn reads less");

void share_init(struct dm_loop *loop)
{
    loop->share_round = 1;
}

static bool turn_is_late(const struct dm_loop *loop)
{
    return loop->turn_start_ns != 0 &&
           loop_now_ns(loop) - loop->turn_start_ns >= DM_TURN_READ_MS * 1000000ULL;
}

/* Its client did nothing wrong: what it has sent lies with us. */
static size_t leave_out(struct conn *c)
{
    c->paused_in_head = true;
    c->paused_in_body = true;
    return 0;
}

size_t share_of(struct conn *c)
{
    struct dm_loop *loop = c->loop;
    if (c->had_share) { /* libuv asks again at once after a whole read */
        c->had_share = false;
        return 0;
    }
    bool late = turn_is_late(loop);
    if (!c->greedy) {
        c->share = late ? (size_t)DM_READ_LATE : (size_t)DM_READ_SIZE;
        return c->share;
    }
    if (c->share_round == loop->share_round) {
        return leave_out(c);
    }
    if (late) {
        loop->share_left = true;
        return leave_out(c);
    }
    c->share_round = loop->share_round;
    c->share = (size_t)DM_READ_SIZE;
    return c->share;
}

void share_had(struct conn *c, size_t size)
{
    DM_ASSERT(size <= c->share);
    c->had_share = size == c->share;
    c->greedy = c->had_share || c->account.counted != 0;
}

void share_turn_ends(struct dm_loop *loop)
{
    if (!loop->share_left) {
        loop->share_round++;
    }
    loop->share_left = false;
}
