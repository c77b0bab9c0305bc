#ifndef DM_WIRE_H2_STREAM_H
#define DM_WIRE_H2_STREAM_H

#include "base/list.h"
#include "wire/exchange.h"
#include "wire/h2_guard.h"
#include "wire/h2_head.h"
#include "wire/h2_memory.h"

/* The streams of one connection over HTTP/2, each with the exchange that it carries, and what the
 * connection knows of all of them. A stream is in use from its first header until it is closed and
 * the owner knows; then it waits in a pool for the next one. */

enum { DM_H2_KEPT = 3 };

struct dm_h2_stream {
    struct dm_list all;   /* in h2.all */
    struct dm_list link;  /* in h2.ready, h2.gone or h2.pool */
    struct dm_list half;  /* in h2.half */
    size_t memory;        /* as it is counted in h2.memory */
    struct dm_buf output; /* of the answer's body */
    struct dm_exchange x;

    /* From here on zero at the beginning. */
    struct dm_slice asset; /* the answer's body, if it lies in the program itself */
    /* Where the slices of the exchange's route are: its path and query, and a page's headers.
     * NULL: none. */
    nghttp2_rcbuf *kept[DM_H2_KEPT];
    int32_t id;
    bool submitted;     /* response headers are with nghttp2 */
    bool deferred;      /* nghttp2 waits for resume_data */
    bool ended;         /* nothing will be added to the answer */
    bool cancelled;     /* ended while it was open: the owner is to hear of it */
    bool closed;        /* nghttp2 has forgotten it */
    bool dead;          /* and its bytes were lent out when it should have been released */
    size_t dropped;     /* bytes of a body that nobody reads */
    size_t unconsumed;  /* received and not given back to the stream's window */
    uint64_t looked_ns; /* when its pace was last looked at, */
    size_t received;    /* and the bytes that came since */
};

struct dm_h2 {
    struct dm_session base;
    struct dm_session_limits limits;
    const struct dm_http_transport *transport; /* of all its exchanges */
    nghttp2_session *ng;
    struct dm_h2_guard guard;
    uint32_t output_high;
    struct dm_list all, ready, gone, pool;
    struct dm_list half; /* streams whose request is on its way, by looked_ns */
    uint32_t pool_count;
    struct dm_h2_stream *heading; /* whose request's head is being received, */
    struct dm_h2_head head;       /* and that head */
    struct dm_h2_stream *lent;    /* whose bytes the last event showed */
    size_t unconsumed;            /* of the connection's window */
    size_t gathered;              /* bytes in all streams' input */
    size_t queued;                /* bytes in all streams' output */
    size_t fresh;                 /* of them, since the last flush */
    size_t memory;                /* of all streams */
    struct dm_h2_memory library;  /* nghttp2's, */
    size_t library_base;          /* and what of it every session has, idle ones too */
    uint32_t heads;               /* header blocks that have begun */
    bool settings_seen;
    uint32_t wasted;      /* see DM_H2_WASTED_CALLS_MAX */
    uint32_t idle_frames; /* see DM_H2_IDLE_FRAMES_MAX */
    bool draining;
    bool broken; /* after what is to be sent, close */
};

static inline struct dm_h2 *dm_h2_of(struct dm_session *s)
{
    return DM_CONTAINER_OF(s, struct dm_h2, base);
}
static inline struct dm_h2_stream *dm_h2_stream_of(struct dm_exchange *x)
{
    return DM_CONTAINER_OF(x, struct dm_h2_stream, x);
}

/* The one that nghttp2 has under this id; NULL: none. */
static inline struct dm_h2_stream *dm_h2_stream_find(struct dm_h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->ng, id);
}
/* A fresh stream for this id. NULL when there is no memory. */
struct dm_h2_stream *dm_h2_stream_take(struct dm_h2 *h, int32_t id);
/* Back to the pool; not before the owner is done with the bytes that an event showed. */
void dm_h2_stream_release(struct dm_h2 *h, struct dm_h2_stream *st);
/* At the end of the session. */
void dm_h2_streams_finish(struct dm_h2 *h);
/* After each change of a buffer. */
void dm_h2_stream_recount(struct dm_h2 *h, struct dm_h2_stream *st);
/* Drops `size` bytes at the front of its request's body, */
void dm_h2_stream_drop_input(struct dm_h2 *h, struct dm_h2_stream *st, size_t size);
/* and of its answer's. */
void dm_h2_stream_drop_output(struct dm_h2 *h, struct dm_h2_stream *st, size_t size);

/* ---- abuse: too much of it ends the connection  --------------------------------------- */

/* Ends the connection, with a code of HTTP/2, when what is to be sent is out. */
void dm_h2_end_with(struct dm_h2 *h, uint32_t code);
void dm_h2_count_wasted(struct dm_h2 *h);
void dm_h2_count_idle_frame(struct dm_h2 *h);
void dm_h2_earn_idle_frames(struct dm_h2 *h);
/* A call was answered to its end. */
void dm_h2_count_answered(struct dm_h2 *h);

#endif
