#include "loop/conns.h"

#include "base/assert.h"
#include "loop/calls.h"
#include "loop/conn.h"
#include "loop/guard.h"

/* A turn touches only the connections to which something has happened: they are in loop->dirty.
 * All connections are walked only when the server stops, and when the disk becomes full or has
 * room again. */

enum { KEEPALIVE_S = 60 };

/* ---- accepting ---------------------------------------------------------------------------- */

/* When all places are taken, a connection that has never sent a byte gives up its place. */
static bool make_place(struct dm_loop *loop)
{
    struct conn *silent = guard_silent(loop, loop_now_ns(loop));
    if (silent != NULL) {
        conn_close(silent);
    }
    return silent != NULL;
}

/* Over the limit, a connection is accepted and closed, so that its client knows at once and does
 * not wait in the backlog. */
void conns_accept(struct dm_loop *loop, struct listener *listener)
{
    bool full = loop->conn_count >= loop->stats.connections_max && !make_place(loop);
    struct conn *c = conn_create(loop, listener->is_pipe);
    if (uv_accept(&listener->uv.stream, &c->uv.stream) != 0) {
        conn_close(c);
        return;
    }
    if (full) {
        loop->stats.refused++;
        conn_close(c);
        return;
    }
    DM_ASSERT(loop->conn_count <= loop->stats.connections_max);
    loop->stats.accepted++;
    if (!listener->is_pipe) {
        (void)uv_tcp_nodelay(&c->uv.tcp, 1);
        (void)uv_tcp_keepalive(&c->uv.tcp, 1, KEEPALIVE_S);
    }
    conn_pace(c);
}

/* ---- in a turn ----------------------------------------------------------------------------- */

void conns_pull(struct dm_loop *loop)
{
    struct dm_list aside;
    dm_list_init(&aside);
    dm_list_splice(&aside, &loop->dirty);
    while (!dm_list_empty(&aside)) {
        struct conn *c = DM_CONTAINER_OF(aside.next, struct conn, dirty);
        dm_list_remove(&c->dirty);
        conn_touch(c);
        if (c->answered && c->session != NULL && !c->dead) {
            calls_pull(c);
        }
    }
}

bool conns_settle(struct dm_loop *loop)
{
    struct dm_list later;
    uint64_t now_ns = loop_now_ns(loop);
    dm_list_init(&later);
    while (!dm_list_empty(&loop->dirty)) {
        struct conn *c = DM_CONTAINER_OF(loop->dirty.next, struct conn, dirty);
        dm_list_remove(&c->dirty);
        DM_ASSERT(c->state != CONN_CLOSED);
        conn_settle(c);
        if (c->state != CONN_CLOSED) {
            guard_settled(c, now_ns);
        }
        if (c->answered && c->state != CONN_CLOSED && c->session != NULL) {
            dm_list_remove(&c->dirty); /* settling may have put it there again */
            dm_list_push_back(&later, &c->dirty);
        }
    }
    dm_list_splice(&loop->dirty, &later);
    conn_relieve(loop);
    return !dm_list_empty(&loop->dirty);
}

uint64_t conns_linger(struct dm_loop *loop, uint64_t now_ns)
{
    while (!dm_list_empty(&loop->lingering)) {
        struct conn *c = DM_CONTAINER_OF(loop->lingering.next, struct conn, linger);
        DM_ASSERT(c->state == CONN_HALF || c->state == CONN_FAREWELL);
        if (c->linger_until_ns > now_ns) {
            return c->linger_until_ns;
        }
        conn_close(c);
    }
    return 0;
}

/* ---- all of them ------------------------------------------------------------------------ */

static struct conn *conn_at(const struct dm_loop *loop, struct dm_list *link)
{
    return link == &loop->conns ? NULL : DM_CONTAINER_OF(link, struct conn, link);
}

static struct conn *first_conn(const struct dm_loop *loop)
{
    return conn_at(loop, loop->conns.next);
}

/* A connection that was closed meanwhile is still there: it goes with its handle. */
static struct conn *next_conn(const struct conn *c)
{
    return conn_at(c->loop, c->link.next);
}

void conns_drain(struct dm_loop *loop)
{
    DM_ASSERT(loop->draining);
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->session != NULL) {
            dm_session_drain(c->session);
            conn_touch(c);
        }
    }
}

void conns_pace(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state != CONN_CLOSED) {
            conn_touch(c);
        }
    }
}

bool conns_all_sent(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state != CONN_CLOSED && conn_unsent(c) != 0) {
            return false;
        }
    }
    return true;
}

bool conns_announced(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN && c->session != NULL && c->session->announcing) {
            return false;
        }
    }
    return true;
}

bool conns_arriving(const struct dm_loop *loop)
{
    for (const struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        struct dm_load load = {.head = c->first_size != 0};
        if (c->session != NULL) {
            dm_session_load(c->session, &load);
        }
        if (c->state == CONN_OPEN && (load.head || load.body)) {
            return true;
        }
    }
    return false;
}

void conns_give_up(struct dm_loop *loop)
{
    DM_ASSERT(loop->refused);
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN && c->session != NULL && !c->session->closing) {
            dm_session_give_up(c->session);
            conn_touch(c);
        }
    }
}

void conns_part(struct dm_loop *loop)
{
    DM_ASSERT(loop->parting);
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        if (c->state == CONN_OPEN) {
            conn_part(c);
            conn_touch(c);
        } else if (c->state == CONN_HALF) {
            conn_close(c);
        }
    }
}

void conns_close(struct dm_loop *loop)
{
    for (struct conn *c = first_conn(loop); c != NULL; c = next_conn(c)) {
        conn_close(c);
    }
}
