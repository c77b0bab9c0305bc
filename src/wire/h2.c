#include "base/limits.h"
#include "wire/h2_answer.h"
#include "wire/h2_request.h"
#include "wire/request.h"

#include <stdlib.h>

/* Cleartext HTTP/2: gRPC, Connect, gRPC-Web and plain GETs, each on a stream of its own.
 *
 * When all goes well: feed hands the bytes to nghttp2, whose callbacks gather each stream's
 * request (h2_request.c) and put the stream on the ready list; next hands it out; the answer is
 * HEADERS, DATA and maybe trailers (h2_answer.c), which flush takes from nghttp2 into `out`.
 *
 * A stream's life, by its exchange's state:
 *
 *     GATHERING ──whole──▶ READY ──next──▶ OPEN ──answer──▶ ANSWERED ──closed──▶ pool
 *         │ refused                          │ reset by the client
 *         └──────────▶ ANSWERED              └──▶ closed ──next (CANCEL)──▶ pool
 *
 * How it can fail: a request that is wrong is answered, on its stream; a client that breaks
 * HTTP/2 gets nghttp2's GOAWAY; one that costs work for nothing gets ENHANCE_YOUR_CALM. */

/* ---- bytes ---------------------------------------------------------------------------- */

static void h2_flush(struct dm_session *s)
{
    struct dm_h2 *h = dm_h2_of(s);
    h->fresh = 0;
    while (dm_buf_size(&s->out) < h->output_high) {
        const uint8_t *data;
        ssize_t size = nghttp2_session_mem_send(h->ng, &data);
        if (size > 0 && dm_buf_append(&s->out, data, (size_t)size)) {
            continue;
        }
        s->closing = s->closing || size != 0;
        break;
    }
    bool sent_all = nghttp2_session_want_write(h->ng) == 0;
    if ((h->broken && sent_all) || (sent_all && nghttp2_session_want_read(h->ng) == 0)) {
        s->closing = true;
    }
}

static void receive(struct dm_h2 *h, struct dm_slice bytes)
{
    ssize_t used = nghttp2_session_mem_recv(h->ng, bytes.data, bytes.size);
    if (h->unconsumed != 0) {
        (void)nghttp2_session_consume_connection(h->ng, h->unconsumed);
        h->unconsumed = 0;
    }
    if (used < 0) {
        dm_h2_end_with(h, used == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                                      : NGHTTP2_PROTOCOL_ERROR);
    }
}

static void h2_feed(struct dm_session *s, struct dm_slice bytes)
{
    struct dm_h2 *h = dm_h2_of(s);
    dm_h2_request_shown(h);
    if (s->closing || h->broken) {
        return;
    }
    dm_h2_earn_idle_frames(h);
    for (size_t at = 0; at < bytes.size && !h->broken;) {
        struct dm_h2_fault fault;
        struct dm_slice rest = dm_slice((const uint8_t *)bytes.data + at, bytes.size - at);
        size_t size = dm_h2_guard_look(&h->guard, rest, &fault);
        receive(h, dm_slice(rest.data, size));
        at += size;
        if (fault.code != 0 && fault.stream == 0) {
            dm_h2_end_with(h, fault.code);
        } else if (fault.code != 0) {
            nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, (int32_t)fault.stream, fault.code);
        }
    }
    if (h->broken) {
        h2_flush(s);
    }
}

/* ---- events --------------------------------------------------------------------------- */

/* An answer may be a thousand times as long as the message that asks for it: more messages of
 * a stream of requests wait until the answers to the earlier ones have gone out. */
static bool is_held(const struct dm_h2 *h, const struct dm_h2_stream *st)
{
    return st->x.state == DM_EXCHANGE_OPEN && dm_h2_room(h, st) == 0;
}

/* What this turn has made is sent first, and then the others have their turn. */
static bool had_share(const struct dm_h2 *h)
{
    return h->fresh >= h->output_high || h->base.inputs >= DM_INPUTS_PER_TURN;
}

static void show_gone(struct dm_h2 *h, struct dm_session_event *event)
{
    struct dm_h2_stream *st = DM_CONTAINER_OF(h->gone.next, struct dm_h2_stream, link);
    event->kind = DM_EVENT_CANCEL;
    event->id = (uint64_t)st->id;
    st->cancelled = false;
    dm_list_remove(&st->link);
    if (st->closed) {
        dm_exchange_abandon(&st->x);
        dm_h2_stream_release(h, st);
    }
}

static bool h2_next(struct dm_session *s, struct dm_session_event *event)
{
    struct dm_h2 *h = dm_h2_of(s);
    dm_h2_request_shown(h);
    *event = (struct dm_session_event){0};
    if (!dm_list_empty(&h->gone)) {
        show_gone(h, event);
        return true;
    }
    bool share = had_share(h);
    s->more = share && s->unsent == 0; /* or it will be asked when the socket has taken it */
    if (dm_h2_output_is_full(h) || share) {
        s->inputs = 0;
        return false;
    }
    for (struct dm_list *at = h->ready.next; at != &h->ready; at = at->next) {
        struct dm_h2_stream *st = DM_CONTAINER_OF(at, struct dm_h2_stream, link);
        if (!is_held(h, st)) {
            dm_list_remove(&st->link);
            event->id = (uint64_t)st->id;
            h->lent = st;
            dm_request_show(&st->x, event);
            s->inputs += event->kind == DM_EVENT_HTTP ? DM_INPUTS_OF_PAGE : 1;
            return true;
        }
    }
    s->inputs = 0;
    return false;
}

/* ---- answers -------------------------------------------------------------------------- */

/* The open exchange of this id, or NULL. Most calls are answered as soon as they are shown. */
static struct dm_exchange *open_exchange(struct dm_session *s, uint64_t id)
{
    struct dm_h2 *h = dm_h2_of(s);
    struct dm_h2_stream *st = h->lent;
    if (id > INT32_MAX) {
        return NULL;
    }
    if (st == NULL || st->id != (int32_t)id || st->closed) {
        st = dm_h2_stream_find(h, (int32_t)id);
    }
    return st != NULL && st->x.state == DM_EXCHANGE_OPEN ? &st->x : NULL;
}

static void h2_fail(struct dm_session *s, uint64_t id, enum dm_code code, const char *message)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_fail(x, code, message);
    }
}

static void h2_stream_end(struct dm_session *s, uint64_t id)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_end(x);
    }
}

static void h2_reply(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_reply(x, payload);
    }
}

static void h2_stream_message(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_message(x, payload);
    }
}

static size_t h2_stream_room(struct dm_session *s, uint64_t id)
{
    struct dm_exchange *x = open_exchange(s, id);
    return x == NULL ? 0 : dm_h2_room(dm_h2_of(s), dm_h2_stream_of(x));
}

static void h2_answer(struct dm_session *s, uint64_t id, struct dm_http_answer *answer)
{
    struct dm_exchange *x = open_exchange(s, id);
    if (x != NULL) {
        dm_exchange_answer(x, answer);
    }
}

/* ---- the session ---------------------------------------------------------------------- */

/* First the notice that no new streams should be opened, then, when the client has seen it
 * (it answers a PING), the GOAWAY with the last stream that was taken. RFC 9113, 6.8. */
static void h2_drain(struct dm_session *s)
{
    struct dm_h2 *h = dm_h2_of(s);
    if (h->draining || h->broken) {
        return;
    }
    h->draining = s->announcing = true;
    if (nghttp2_submit_shutdown_notice(h->ng) != 0 ||
        nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL) != 0) {
        h->broken = true;
    }
}

static void h2_load(const struct dm_session *s, struct dm_load *load)
{
    const struct dm_h2 *h = DM_CONTAINER_OF(s, struct dm_h2, base);
    size_t library = h->library.bytes > h->library_base ? h->library.bytes - h->library_base : 0;
    *load = (struct dm_load){
        .memory = s->out.capacity + h->memory + library,
        .head = !h->settings_seen || h->heading != NULL,
        .body = !dm_list_empty(&h->half),
        .head_number = h->heads,
    };
}

static void h2_hurry(struct dm_session *s)
{
    dm_h2_request_hurry(dm_h2_of(s));
}

static void h2_give_up(struct dm_session *s)
{
    dm_h2_request_give_up(dm_h2_of(s));
}

static void h2_destroy(struct dm_session *s)
{
    struct dm_h2 *h = dm_h2_of(s);
    nghttp2_session_del(h->ng);
    dm_h2_head_reset(&h->head);
    dm_h2_streams_finish(h);
    dm_h2_memory_finish(&h->library);
    dm_buf_finish(&s->out);
    free(h);
}

static const struct dm_session_ops ops = {
    .feed = h2_feed,
    .next = h2_next,
    .reply = h2_reply,
    .fail = h2_fail,
    .stream_message = h2_stream_message,
    .stream_end = h2_stream_end,
    .stream_room = h2_stream_room,
    .answer = h2_answer,
    .flush = h2_flush,
    .drain = h2_drain,
    .load = h2_load,
    .give_up = h2_give_up,
    .hurry = h2_hurry,
    .destroy = h2_destroy,
};

static bool session_open(struct dm_h2 *h)
{
    nghttp2_mem memory = dm_h2_memory_functions(&h->library);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        return false;
    }
    dm_h2_request_callbacks(callbacks);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, dm_h2_send_data);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* Callers with deadlines reset many streams; we count what was wasted ourselves. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
    int failed = nghttp2_session_server_new3(&h->ng, callbacks, h, option, &memory);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return failed == 0;
}

static bool announce(struct dm_h2 *h)
{
    uint32_t calls_max =
        h->limits.calls_max != 0 ? h->limits.calls_max : DM_CALLS_PER_CONNECTION_MAX;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, calls_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, DM_H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, DM_HTTP_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof settings[0]) == 0 &&
           nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
                                                 DM_H2_CONNECTION_WINDOW) == 0;
}

struct dm_session *dm_h2_session(const struct dm_session_limits *limits)
{
    struct dm_h2 *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->base.ops = &ops;
    h->base.protocol = "grpc";
    h->transport = &dm_h2_transport;
    h->output_high = limits->output_high != 0 ? limits->output_high : DM_OUTPUT_HIGH;
    h->limits = *limits;
    dm_h2_guard_init(&h->guard);
    dm_h2_head_reset(&h->head);
    dm_list_init(&h->all);
    dm_list_init(&h->ready);
    dm_list_init(&h->gone);
    dm_list_init(&h->pool);
    dm_list_init(&h->half);
    if (!session_open(h)) {
        dm_h2_memory_finish(&h->library);
        free(h);
        return NULL;
    }
    if (!announce(h)) {
        h2_destroy(&h->base);
        return NULL;
    }
    h->library_base = h->library.bytes;
    h2_flush(&h->base); /* clients wait for SETTINGS before they send a request */
    return &h->base;
}
