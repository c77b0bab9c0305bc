#include "wire/h2_stream.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"

#include <stdlib.h>

enum {
    POOL_MAX = 16,         /* streams kept for the next ones */
    POOL_BUFFER_MAX = 256, /* bytes that each buffer of a pooled stream keeps */
    BUFFER_KEEP = 16384,   /* bytes that an empty buffer of an open stream keeps */
};
_Static_assert(POOL_MAX *(sizeof(struct dm_h2_stream) + (size_t)3 * POOL_BUFFER_MAX) +
                       DM_H2_MEMORY_KEPT <=
                   DM_BUFFERS_FREE,
               "what is kept for the next calls does not count as much held");

void dm_h2_stream_recount(struct dm_h2 *h, struct dm_h2_stream *st)
{
    size_t memory = sizeof *st + dm_exchange_memory(&st->x) + st->output.capacity;
    h->memory += memory - st->memory;
    st->memory = memory;
}

struct dm_h2_stream *dm_h2_stream_take(struct dm_h2 *h, int32_t id)
{
    struct dm_h2_stream *st;
    if (dm_list_empty(&h->pool)) {
        st = calloc(1, sizeof *st);
        if (st == NULL) {
            return NULL;
        }
        dm_list_init(&st->link);
        dm_list_init(&st->half);
        dm_list_init(&st->all);
        dm_list_push_back(&h->all, &st->all);
        dm_h2_stream_recount(h, st);
        st->x = (struct dm_exchange){
            .transport = h->transport, .session = &h->base, .limits = &h->limits};
    } else {
        st = DM_CONTAINER_OF(h->pool.prev, struct dm_h2_stream, link);
        dm_list_remove(&st->link);
        DM_ASSERT(h->pool_count > 0);
        h->pool_count--;
        size_t rest = offsetof(struct dm_h2_stream, asset);
        dm_clear((char *)st + rest, sizeof *st - rest);
        dm_exchange_reset(&st->x);
    }
    st->id = id;
    return st;
}

static void let_go(struct dm_h2_stream *st)
{
    for (size_t i = 0; i < DM_H2_KEPT; i++) {
        if (st->kept[i] != NULL) {
            nghttp2_rcbuf_decref(st->kept[i]);
            st->kept[i] = NULL;
        }
    }
}

static void stream_free(struct dm_h2 *h, struct dm_h2_stream *st)
{
    h->memory -= st->memory;
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    dm_list_remove(&st->all);
    let_go(st);
    dm_exchange_release(&st->x);
    dm_buf_finish(&st->output);
    free(st);
}

void dm_h2_stream_release(struct dm_h2 *h, struct dm_h2_stream *st)
{
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    if (h->lent == st) {
        st->dead = true;
        return;
    }
    DM_ASSERT(h->heading != st);
    DM_ASSERT(h->gathered >= dm_buf_size(&st->x.input) && h->queued >= dm_buf_size(&st->output));
    h->gathered -= dm_buf_size(&st->x.input);
    h->queued -= dm_buf_size(&st->output);
    if (h->pool_count >= POOL_MAX) {
        stream_free(h, st);
        return;
    }
    let_go(st);
    dm_exchange_shrink(&st->x, POOL_BUFFER_MAX);
    dm_buf_reset(&st->output, POOL_BUFFER_MAX);
    dm_h2_stream_recount(h, st);
    dm_list_push_back(&h->pool, &st->link);
    h->pool_count++;
}

void dm_h2_streams_finish(struct dm_h2 *h)
{
    for (struct dm_list *at = h->all.next; at != &h->all;) {
        struct dm_h2_stream *st = DM_CONTAINER_OF(at, struct dm_h2_stream, all);
        at = at->next;
        stream_free(h, st);
    }
    DM_ASSERT(h->memory == 0);
}

static void drop(struct dm_h2 *h, struct dm_h2_stream *st, struct dm_buf *buf, size_t size,
                 size_t *sum)
{
    DM_ASSERT(*sum >= size);
    dm_buf_consume(buf, size);
    *sum -= size;
    if (dm_buf_size(buf) == 0) {
        dm_buf_reset(buf, BUFFER_KEEP);
        dm_h2_stream_recount(h, st);
    }
}

void dm_h2_stream_drop_input(struct dm_h2 *h, struct dm_h2_stream *st, size_t size)
{
    drop(h, st, &st->x.input, size, &h->gathered);
}

void dm_h2_stream_drop_output(struct dm_h2 *h, struct dm_h2_stream *st, size_t size)
{
    drop(h, st, &st->output, size, &h->queued);
}

/* ---- abuse ---------------------------------------------------------------------------- */

void dm_h2_end_with(struct dm_h2 *h, uint32_t code)
{
    if (!h->broken) {
        h->broken = true;
        (void)nghttp2_session_terminate_session(h->ng, code);
    }
}

void dm_h2_count_wasted(struct dm_h2 *h)
{
    if (++h->wasted > DM_H2_WASTED_CALLS_MAX) {
        dm_h2_end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

void dm_h2_count_idle_frame(struct dm_h2 *h)
{
    if (++h->idle_frames > DM_H2_IDLE_FRAMES_MAX) {
        dm_h2_end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

void dm_h2_earn_idle_frames(struct dm_h2 *h)
{
    h->idle_frames -=
        h->idle_frames < DM_H2_IDLE_FRAMES_EARNED ? h->idle_frames : DM_H2_IDLE_FRAMES_EARNED;
}

void dm_h2_count_answered(struct dm_h2 *h)
{
    h->wasted -= h->wasted != 0;
    dm_h2_earn_idle_frames(h);
}
