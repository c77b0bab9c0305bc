#include "wire/h2_request.h"

#include "base/assert.h"
#include "base/limits.h"
#include "wire/request.h"
#include "wire/route.h"

enum { HURRIED_PER_WINDOW = 256 }; /* streams looked at for how fast they come */
_Static_assert(DM_H2_STREAM_WINDOW <= DM_H2_CONNECTION_WINDOW, "one stream fits the connection");
_Static_assert(DM_HTTP_URL_MAX < DM_HTTP_HEAD_MAX, "a head has room for the longest URL");
_Static_assert(DM_H2_GATHERED_MESSAGES_MAX > 1, "one message at least can be gathered");

/* ---- judging -------------------------------------------------------------------------- */

/* Answers a request that turned out to be wrong. Its call may be open already. */
static void finish(struct dm_h2 *h, struct dm_h2_stream *st)
{
    bool open = st->x.state == DM_EXCHANGE_OPEN;
    dm_exchange_finish(&st->x);
    if (open) {
        st->cancelled = true;
        dm_list_push_back(&h->gone, &st->link);
    }
}

static void fail(struct dm_h2 *h, struct dm_h2_stream *st, enum dm_code code, const char *why)
{
    (void)dm_request_over(&st->x, code, why);
    finish(h, st);
}

/* The same for a request that may not be a call: it gets `status`, unless it was refused before. */
static void refuse(struct dm_h2 *h, struct dm_h2_stream *st, int status, enum dm_code code,
                   const char *why)
{
    if (dm_exchange_is_page(&st->x) && st->x.route.status == 0) {
        dm_exchange_refuse(&st->x, status, why);
    } else {
        fail(h, st, code, why);
    }
}

void dm_h2_request_judge(struct dm_h2 *h, struct dm_h2_stream *st)
{
    enum dm_request_step step;
    if (st->x.route.text) {
        size_t before = dm_buf_size(&st->x.input);
        step = dm_request_judge(&st->x);
        DM_ASSERT(before >= dm_buf_size(&st->x.input));
        h->gathered -= before - dm_buf_size(&st->x.input); /* it may have been decoded */
    } else {
        step = dm_request_judge(&st->x);
    }
    if (step == DM_REQUEST_OVER) {
        finish(h, st);
    } else if (step == DM_REQUEST_SHOWS && dm_list_empty(&st->link)) {
        dm_list_push_back(&h->ready, &st->link);
    }
}

/* Lets the client send more on this stream: as long as a message is being gathered, but
 * not while whole ones of a stream of requests wait here. */
static void give_window(struct dm_h2 *h, struct dm_h2_stream *st)
{
    const struct dm_exchange *x = &st->x;
    if (st->unconsumed == 0 || x->input_ended || x->state == DM_EXCHANGE_ANSWERED ||
        (x->input_streaming && dm_request_has_message(x))) {
        return;
    }
    (void)nghttp2_session_consume_stream(h->ng, st->id, st->unconsumed);
    st->unconsumed = 0;
}

/* From now on more of its request is waited for. */
static void await_input(struct dm_h2 *h, struct dm_h2_stream *st)
{
    if (dm_list_empty(&st->half) && st->x.state <= DM_EXCHANGE_OPEN) {
        st->looked_ns = h->base.now_ns;
        st->received = 0;
        dm_list_push_back(&h->half, &st->half);
    }
}

void dm_h2_request_shown(struct dm_h2 *h)
{
    struct dm_h2_stream *st = h->lent;
    if (st == NULL) {
        return;
    }
    h->lent = NULL;
    if (st->dead) {
        dm_h2_stream_release(h, st);
        return;
    }
    if (st->x.state != DM_EXCHANGE_OPEN || st->closed) {
        dm_h2_stream_drop_input(h, st, dm_buf_size(&st->x.input));
        return;
    }
    dm_h2_stream_drop_input(h, st, st->x.shown);
    if (dm_buf_size(&st->x.input) == 0) {
        dm_list_remove(&st->half);
    }
    if (st->x.input_streaming) {
        dm_h2_request_judge(h, st);
        give_window(h, st);
    }
}

/* ---- heads ---------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct dm_h2 *h = user;
    h->heading = NULL;
    h->heads++;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct dm_h2_stream *st = dm_h2_stream_take(h, frame->hd.stream_id);
    if (st == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h->heading = st;
    if (h->head.count != 0) { /* of one that never ended */
        dm_h2_head_reset(&h->head);
    }
    return nghttp2_session_set_stream_user_data(ng, st->id, st) == 0 ? 0
                                                                     : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)ng;
    (void)frame;
    (void)flags;
    struct dm_h2 *h = user;
    bool noted = h->heading == NULL || dm_h2_head_note(&h->head, name, value);
    return noted ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
}

/* A call that is wrong is refused at once, because its client may have much to send. Any other
 * request is answered when it is whole, as HTTP clients expect. */
static void end_of_head(struct dm_h2 *h, struct dm_h2_stream *st)
{
    h->heading = NULL;
    dm_h2_head_end(&h->head);
    dm_route(&st->x, &h->head.request);
    dm_request_begin(&st->x, h->base.now_ns);
    st->kept[0] = dm_h2_head_take(&h->head, DM_H2_HELD_PATH);
    if (dm_exchange_is_page(&st->x)) {
        st->kept[1] = dm_h2_head_take(&h->head, DM_HTTP_IF_NONE_MATCH);
        st->kept[2] = dm_h2_head_take(&h->head, DM_HTTP_ACCEPT_ENCODING);
    }
    dm_h2_head_reset(&h->head);
    h->gathered += dm_buf_size(&st->x.input); /* of a GET: its message */
    if (!dm_exchange_is_page(&st->x) && st->x.route.code != DM_OK) {
        dm_h2_request_judge(h, st);
    } else if (!st->x.input_streaming) {
        await_input(h, st);
    }
}

/* ---- bodies --------------------------------------------------------------------------- */

/* A body that nobody reads: of a page, of a GET, or of what was refused or has failed. */
static void drop_data(struct dm_h2 *h, struct dm_h2_stream *st, size_t size)
{
    st->received += size;
    st->dropped += size;
    if (st->x.state == DM_EXCHANGE_GATHERING && st->dropped > DM_HTTP_DISCARD_MAX) {
        refuse(h, st, 413, DM_RESOURCE_EXHAUSTED, "the request body is too large");
    }
}

/* Does a message begin that is not to be gathered while all hold too much together? */
static bool is_crowded_out(struct dm_h2 *h, const struct dm_h2_stream *st, size_t before)
{
    if (!dm_crowd_full(h->limits.crowd) || !dm_request_is_long(&st->x, before)) {
        return false;
    }
    h->limits.crowd->refused++;
    return true;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    (void)ng;
    (void)flags;
    struct dm_h2 *h = user;
    struct dm_h2_stream *st = dm_h2_stream_find(h, id);
    h->unconsumed += size;
    if (st == NULL) {
        return 0;
    }
    st->unconsumed += size;
    if (!dm_request_wants_input(&st->x)) {
        drop_data(h, st, size);
        return 0;
    }
    size_t before = dm_buf_size(&st->x.input);
    size_t gathered_max = dm_message_size_max(&h->limits) * DM_H2_GATHERED_MESSAGES_MAX;
    if (h->gathered + size > gathered_max || !dm_buf_append(&st->x.input, data, size)) {
        fail(h, st, DM_RESOURCE_EXHAUSTED, "too many request bytes on this connection at once");
        return 0;
    }
    h->gathered += size;
    await_input(h, st);
    st->received += size;
    dm_h2_stream_recount(h, st);
    if (is_crowded_out(h, st, before)) {
        fail(h, st, DM_RESOURCE_EXHAUSTED, DM_CROWDED_SENTENCE);
        return 0;
    }
    dm_h2_request_judge(h, st);
    return 0;
}

static void end_of_input(struct dm_h2 *h, struct dm_h2_stream *st)
{
    st->x.input_ended = true;
    dm_list_remove(&st->half);
    if (st->x.state <= DM_EXCHANGE_OPEN) {
        dm_h2_request_judge(h, st);
    }
}

/* ---- other frames --------------------------------------------------------------------- */

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *head, void *user)
{
    (void)ng;
    bool carries = head->type == NGHTTP2_HEADERS ||
                   (head->type == NGHTTP2_DATA &&
                    (head->length != 0 || (head->flags & NGHTTP2_FLAG_END_STREAM) != 0));
    if (!carries) {
        dm_h2_count_idle_frame(user);
    }
    return 0;
}

/* The client has seen that the server stops: the last stream that was taken (RFC 9113, 6.8). */
static void on_ping_answer(struct dm_h2 *h)
{
    if (h->draining && h->base.announcing) {
        h->base.announcing = false;
        nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
                              NULL, 0);
    }
}

/* How much padding a DATA frame has is known when it is whole. */
static bool is_padding_alone(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_DATA && frame->hd.length != 0 &&
           frame->hd.length == frame->data.padlen &&
           (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    struct dm_h2 *h = user;
    if (frame->hd.type == NGHTTP2_PING) {
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            on_ping_answer(h);
        }
        return 0;
    }
    h->settings_seen = h->settings_seen || frame->hd.type == NGHTTP2_SETTINGS;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    if (is_padding_alone(frame)) {
        dm_h2_count_idle_frame(h);
    }
    struct dm_h2_stream *st = dm_h2_stream_find(h, frame->hd.stream_id);
    if (st == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        end_of_head(h, st);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        end_of_input(h, st);
    } else if (frame->hd.type == NGHTTP2_DATA) {
        give_window(h, st);
    }
    return 0;
}

/* ---- what nghttp2 tells of a stream's end --------------------------------------------- */

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct dm_h2 *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
            dm_h2_count_wasted(h);
        }
        return 0;
    }
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!ends) {
        return 0;
    }
    const struct dm_h2_stream *st = dm_h2_stream_find(h, frame->hd.stream_id);
    if (st != NULL && !st->x.input_ended) {
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *user)
{
    struct dm_h2 *h = user;
    struct dm_h2_stream *st = dm_h2_stream_find(h, id);
    if (st == NULL) {
        return 0;
    }
    if (h->heading == st) {
        h->heading = NULL;
    }
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    st->closed = true;
    dm_list_remove(&st->half);
    if (st->x.state != DM_EXCHANGE_ANSWERED) {
        if (!st->submitted) {
            dm_h2_count_wasted(h);
        }
    } else if (error_code == NGHTTP2_NO_ERROR) {
        dm_h2_count_answered(h);
    }
    if (st->x.state != DM_EXCHANGE_OPEN && !st->cancelled) {
        dm_h2_stream_release(h, st);
        return 0;
    }
    dm_list_remove(&st->link);
    dm_list_push_back(&h->gone, &st->link);
    return 0;
}

void dm_h2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* ---- time ----------------------------------------------------------------------------- */

/* Has the client kept this stream waiting? Not as long as whole messages of it lie here. */
static bool is_slow(const struct dm_h2_stream *st)
{
    return st->received < DM_BODY_WINDOW_BYTES &&
           !(st->x.input_streaming && dm_request_has_message(&st->x));
}

void dm_h2_request_hurry(struct dm_h2 *h)
{
    for (int i = 0; i < HURRIED_PER_WINDOW && !dm_list_empty(&h->half); i++) {
        struct dm_h2_stream *st = DM_CONTAINER_OF(h->half.next, struct dm_h2_stream, half);
        if (h->base.now_ns - st->looked_ns < DM_BODY_WINDOW_MS * 1000000ULL) {
            return;
        }
        dm_list_remove(&st->half);
        if (!is_slow(st)) {
            await_input(h, st);
        } else {
            refuse(h, st, 408, DM_DEADLINE_EXCEEDED, "the request's message came too slowly");
        }
    }
}

void dm_h2_request_give_up(struct dm_h2 *h)
{
    while (!dm_list_empty(&h->half)) {
        struct dm_h2_stream *st = DM_CONTAINER_OF(h->half.next, struct dm_h2_stream, half);
        dm_list_remove(&st->half);
        refuse(h, st, dm_http_status(DM_UNAVAILABLE), DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
    }
}
