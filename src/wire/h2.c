#include "wire/session.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/list.h"
#include "wire/grpc.h"
#include "wire/h2_browser.h"
#include "wire/h2_guard.h"
#include "wire/h2_head.h"
#include "wire/h2_memory.h"
#include "wire/h2_request.h"

#include <nghttp2/nghttp2.h>

#include <stdlib.h>

/* gRPC over cleartext HTTP/2, and plain GET and HEAD beside it.
 *
 * When all goes well: feed hands the bytes to nghttp2, whose callbacks gather each
 * stream's request and put the stream on the ready list; next hands it out; the answer is
 * HEADERS, DATA and trailers, which flush takes from nghttp2 into `out`.
 *
 * A stream's life (`state`):
 *
 *     GATHERING ──whole──▶ QUEUED ──next──▶ OPEN ──answer──▶ ANSWERED ──closed──▶ pool
 *         │ refused                           │ reset by the client
 *         └──────────▶ ANSWERED               └──▶ GONE ──next (CANCEL)──▶ pool
 *
 * How it can fail: a request that is wrong is answered, on its stream; a client that breaks
 * HTTP/2 gets nghttp2's GOAWAY; one that costs work for nothing gets ENHANCE_YOUR_CALM.
 * Callbacks only note and submit: they never receive, send or free the session. */

enum {
    POOL_MAX = 16,             /* streams kept for the next ones */
    POOL_BUFFER_MAX = 512,     /* bytes that each buffer of a pooled stream keeps */
    BUFFER_KEEP = 16384,       /* bytes that an empty buffer of an open stream keeps */
    HURRIED_PER_WINDOW = 256,  /* streams looked at for how fast they come */
    QUEUED_OUTPUT_FACTOR = 16, /* output_high times this may wait for the client's windows */
};

enum state { STATE_GATHERING, STATE_QUEUED, STATE_OPEN, STATE_ANSWERED, STATE_GONE };
enum kind { KIND_GRPC, KIND_HTTP };

struct stream {
    struct dm_list all;  /* in h2.all */
    struct dm_list link; /* in h2.ready, h2.gone or h2.pool */
    struct dm_list half; /* in h2.half */
    size_t memory;       /* as it is counted in h2.memory */
    int32_t id;
    enum state state;
    enum kind kind;
    bool input_streaming; /* the method takes a stream of requests */
    bool input_any;       /* a message has come */
    bool input_ended;     /* END_STREAM has come */
    bool started;         /* response headers are submitted */
    bool deferred;        /* nghttp2 waits for resume_data */
    bool ended;           /* nothing will be added to `output` */
    bool cancelled;       /* the owner of this open call is to hear of its end */
    bool dead;            /* closed while its bytes were lent out */
    int refusal;          /* HTTP status to answer with when the request is whole; 0: none */
    size_t dropped;       /* bytes of a body that nobody reads */
    enum dm_code code;    /* for the trailers */
    size_t unconsumed;    /* received and not given back to the stream's window */
    uint64_t head_ns;     /* when its headers were whole */
    uint64_t looked_ns;   /* when its pace was last looked at, */
    size_t received;      /* and the bytes that came since */
    struct dm_h2_request request;
    struct dm_buf input;   /* enveloped request messages */
    struct dm_buf output;  /* enveloped answers, or an HTTP body */
    struct dm_buf message; /* grpc-message, encoded */
};

struct h2 {
    struct dm_session base;
    nghttp2_session *ng;
    struct dm_h2_guard guard;
    uint32_t message_size_max, output_high, calls_max;
    struct dm_list all, ready, gone, pool;
    struct dm_list half; /* streams whose request is on its way, by looked_ns */
    uint32_t pool_count;
    struct stream *headers;       /* whose request headers are being received */
    struct dm_h2_browser browser; /* of those */
    struct dm_session_limits limits;
    struct stream *lent;   /* whose bytes the last event showed */
    size_t lent_size;      /* how much of its input is done with after that */
    size_t unconsumed;     /* of the connection's window */
    size_t gathered;       /* bytes in all streams' input */
    size_t queued;         /* bytes in all streams' output */
    size_t fresh;          /* of them, since the last flush */
    size_t memory;         /* of all streams */
    size_t library_memory; /* nghttp2's, */
    size_t library_base;   /* and what of it every session has, idle ones too */
    uint32_t heads;        /* header blocks that have begun */
    bool settings_seen;
    uint32_t wasted;      /* see DM_H2_WASTED_CALLS_MAX */
    uint32_t idle_frames; /* see DM_H2_IDLE_FRAMES_MAX */
    bool draining;
    bool broken; /* after what is to be sent, close */
};

static struct h2 *h2_of(struct dm_session *s)
{
    return DM_CONTAINER_OF(s, struct h2, base);
}

/* ---- streams and their pool --------------------------------------------------------- */

/* After each change of a buffer. */
static void recount(struct h2 *h, struct stream *st)
{
    size_t memory = sizeof *st + st->input.capacity + st->output.capacity + st->message.capacity;
    h->memory += memory - st->memory;
    st->memory = memory;
}

static struct stream *stream_take(struct h2 *h, int32_t id)
{
    struct stream *st;
    if (dm_list_empty(&h->pool)) {
        st = calloc(1, sizeof *st);
        if (st == NULL) {
            return NULL;
        }
        dm_list_init(&st->link);
        dm_list_init(&st->half);
        dm_list_init(&st->all);
        dm_list_push_back(&h->all, &st->all);
        recount(h, st);
    } else {
        st = DM_CONTAINER_OF(h->pool.prev, struct stream, link);
        dm_list_remove(&st->link);
        h->pool_count--;
        size_t from = offsetof(struct stream, state);
        memset((char *)st + from, 0, offsetof(struct stream, request.path) - from);
    }
    st->id = id;
    return st;
}

static void stream_free(struct h2 *h, struct stream *st)
{
    h->memory -= st->memory;
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    dm_list_remove(&st->all);
    dm_buf_finish(&st->input);
    dm_buf_finish(&st->output);
    dm_buf_finish(&st->message);
    free(st);
}

/* Back to the pool; not before the owner is done with the bytes that an event showed. */
static void stream_release(struct h2 *h, struct stream *st)
{
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    if (h->lent == st) {
        st->dead = true;
        return;
    }
    h->gathered -= dm_buf_size(&st->input);
    h->queued -= dm_buf_size(&st->output);
    if (h->pool_count >= POOL_MAX) {
        stream_free(h, st);
        return;
    }
    dm_buf_reset(&st->input, POOL_BUFFER_MAX);
    dm_buf_reset(&st->output, POOL_BUFFER_MAX);
    dm_buf_reset(&st->message, POOL_BUFFER_MAX);
    recount(h, st);
    dm_list_push_back(&h->pool, &st->link);
    h->pool_count++;
}

static void make_ready(struct h2 *h, struct stream *st)
{
    if (dm_list_empty(&st->link)) {
        dm_list_push_back(&h->ready, &st->link);
    }
}

static void drop_input(struct h2 *h, struct stream *st, size_t size)
{
    dm_buf_consume(&st->input, size);
    h->gathered -= size;
    if (dm_buf_size(&st->input) == 0) {
        dm_buf_reset(&st->input, BUFFER_KEEP);
        recount(h, st);
    }
}

/* ---- abuse ---------------------------------------------------------------------------- */

/* Ends the connection when what is to be sent is out. */
static void end_with(struct h2 *h, uint32_t code)
{
    if (!h->broken) {
        h->broken = true;
        (void)nghttp2_session_terminate_session(h->ng, code);
    }
}

static void count_wasted(struct h2 *h)
{
    if (++h->wasted > DM_H2_WASTED_CALLS_MAX) {
        end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static void count_idle_frame(struct h2 *h)
{
    if (++h->idle_frames > DM_H2_IDLE_FRAMES_MAX) {
        end_with(h, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static void earn_idle_frames(struct h2 *h)
{
    h->idle_frames -=
        h->idle_frames < DM_H2_IDLE_FRAMES_EARNED ? h->idle_frames : DM_H2_IDLE_FRAMES_EARNED;
}

/* ---- answering ------------------------------------------------------------------------ */

static ssize_t read_output(nghttp2_session *ng, int32_t id, uint8_t *room, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)room;
    (void)user;
    struct stream *st = source->ptr;
    size_t size = dm_buf_size(&st->output);
    if (size == 0 && !st->ended) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size > length) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        return (ssize_t)length;
    }
    if (size != 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    }
    if (!st->ended) {
        return (ssize_t)size;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->kind == KIND_GRPC) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_nv trailers[2] = {dm_h2_nv_status(st->code)};
        size_t count = 1;
        if (dm_buf_size(&st->message) != 0) {
            trailers[count++] = dm_h2_nv_copied("grpc-message", dm_buf_slice(&st->message));
        }
        if (nghttp2_submit_trailer(ng, id, trailers, count) != 0) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)size;
}

static int send_output(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head,
                       size_t length, nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)frame;
    struct h2 *h = user;
    struct stream *st = source->ptr;
    enum { FRAME_HEAD = 9 };
    if (dm_buf_size(&h->base.out) >= h->output_high) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    uint8_t *room = dm_buf_reserve(&h->base.out, FRAME_HEAD + length);
    if (room == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(room, head, FRAME_HEAD);
    memcpy(room + FRAME_HEAD, dm_buf_head(&st->output), length);
    dm_buf_commit(&h->base.out, FRAME_HEAD + length);
    dm_buf_consume(&st->output, length);
    h->queued -= length;
    if (dm_buf_size(&st->output) == 0) {
        dm_buf_reset(&st->output, BUFFER_KEEP);
        recount(h, st);
    }
    return 0;
}

/* Submits the response's headers, whose DATA will be `output`; or wakes the stream. */
static void start_or_resume(struct h2 *h, struct stream *st)
{
    if (st->started) {
        if (st->deferred) {
            st->deferred = false;
            nghttp2_session_resume_data(h->ng, st->id);
        }
        return;
    }
    st->started = true;
    nghttp2_nv headers[DM_H2_GRPC_HEAD];
    dm_h2_grpc_head(headers, st->request.content == DM_H2_CONTENT_GRPC_JSON);
    nghttp2_data_provider provider = {.source.ptr = st, .read_callback = read_output};
    if (nghttp2_submit_response(h->ng, st->id, headers, DM_H2_GRPC_HEAD, &provider) != 0) {
        h->broken = true;
    }
}

static bool put_message(struct h2 *h, struct stream *st, struct dm_slice payload)
{
    uint8_t *room = dm_buf_reserve(&st->output, DM_ENVELOPE_HEAD + payload.size);
    if (room == NULL) {
        return false;
    }
    dm_envelope_write(room, 0, payload.size);
    if (payload.size != 0) {
        memcpy(room + DM_ENVELOPE_HEAD, payload.data, payload.size);
    }
    dm_buf_commit(&st->output, DM_ENVELOPE_HEAD + payload.size);
    h->queued += DM_ENVELOPE_HEAD + payload.size;
    h->fresh += DM_ENVELOPE_HEAD + payload.size;
    recount(h, st);
    return true;
}

static void submit_trailers_only(struct h2 *h, struct stream *st)
{
    nghttp2_nv headers[DM_H2_GRPC_HEAD + 3];
    size_t count = DM_H2_GRPC_HEAD;
    dm_h2_grpc_head(headers, st->request.content == DM_H2_CONTENT_GRPC_JSON);
    headers[count++] = dm_h2_nv_status(st->code);
    if (dm_buf_size(&st->message) != 0) {
        headers[count++] = dm_h2_nv_copied("grpc-message", dm_buf_slice(&st->message));
    }
    if (st->request.unknown_encoding) {
        headers[count++] = dm_h2_nv_static("grpc-accept-encoding", "identity");
    }
    st->started = true;
    if (nghttp2_submit_response(h->ng, st->id, headers, count, NULL) != 0) {
        h->broken = true;
    }
}

/* The stream will carry nothing but what is in `output` and this status. */
static void finish(struct h2 *h, struct stream *st, enum dm_code code, const char *message)
{
    st->state = STATE_ANSWERED;
    st->ended = true;
    st->code = code;
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    if (h->lent != st) {
        drop_input(h, st, dm_buf_size(&st->input));
    }
    if (message != NULL) {
        (void)dm_grpc_percent_encode(&st->message, dm_slice_str(message));
        recount(h, st);
    }
    if (code != DM_OK && !st->started) {
        submit_trailers_only(h, st);
    } else {
        start_or_resume(h, st);
    }
}

/* An HTTP answer; a body is there when the content type is. */
static void finish_http(struct h2 *h, struct stream *st, int status, const char *content_type,
                        struct dm_slice body)
{
    struct dm_h2_page_head head;
    bool stored = dm_h2_request_class(&st->request) == DM_HTTP_FILE;
    st->state = STATE_ANSWERED;
    st->ended = st->started = true;
    st->kind = KIND_HTTP;
    dm_list_remove(&st->link);
    dm_list_remove(&st->half);
    dm_h2_page_head_init(&head, status, content_type, body.size, stored);
    nghttp2_data_provider provider = {.source.ptr = st, .read_callback = read_output};
    bool with_body = head.has_body && body.size != 0 && st->request.verb != DM_H2_VERB_HEAD;
    if (with_body) {
        with_body = dm_buf_append(&st->output, body.data, body.size);
        h->queued += with_body ? body.size : 0;
        h->fresh += with_body ? body.size : 0;
        recount(h, st);
        h->broken = h->broken || !with_body;
    }
    if (nghttp2_submit_response(h->ng, st->id, head.headers, head.count,
                                with_body ? &provider : NULL) != 0) {
        h->broken = true;
    }
}

/* Ends a stream whose request turned out to be wrong. Its call may be open already. */
static void reject(struct h2 *h, struct stream *st, enum dm_code code, const char *message)
{
    bool open = st->state == STATE_OPEN;
    finish(h, st, code, message);
    if (open) {
        st->cancelled = true;
        dm_list_push_back(&h->gone, &st->link);
    }
}

/* ---- receiving ------------------------------------------------------------------------ */

/* The request's headers are complete. A call that is wrong is refused at once, for its client may
 * have much to send; what is no call is answered when it is whole, as HTTP clients expect. */
static void judge_headers(struct h2 *h, struct stream *st)
{
    struct dm_h2_verdict verdict = dm_h2_request_judge(&st->request);
    int refused = dm_h2_browser_judge(&h->browser, dm_h2_request_class(&st->request), &h->limits);
    st->refusal = refused != 0 ? refused : verdict.status;
    if (st->refusal != 0 || verdict.page) {
        st->kind = KIND_HTTP;
    } else if (verdict.code != DM_OK) {
        finish(h, st, verdict.code, verdict.message);
    } else {
        st->input_streaming = h->limits.client_streaming != NULL &&
                              h->limits.client_streaming(verdict.service, verdict.method);
    }
}

static bool front_message(struct h2 *h, struct stream *st, struct dm_slice *message)
{
    bool whole = false;
    const char *why;
    enum dm_code code =
        dm_envelope_read(dm_buf_slice(&st->input), h->message_size_max, &whole, message, &why);
    return code == DM_OK && whole;
}

/* Judges what has come of a request so far. */
static void judge_input(struct h2 *h, struct stream *st)
{
    bool whole = false;
    const char *why = NULL;
    struct dm_slice message;
    struct dm_slice bytes = dm_buf_slice(&st->input);
    enum dm_code code = dm_envelope_read(bytes, h->message_size_max, &whole, &message, &why);
    if (code == DM_OK && whole && !st->input_streaming &&
        bytes.size > DM_ENVELOPE_HEAD + message.size) {
        code = DM_UNIMPLEMENTED;
        why = "this method takes one request message";
    }
    if (code == DM_OK && st->input_ended && !whole && bytes.size != 0) {
        code = DM_INTERNAL;
        why = "the request ends inside a message";
    }
    if (code == DM_OK && st->input_ended && bytes.size == 0 && !st->input_streaming) {
        code = DM_UNIMPLEMENTED;
        why = "this method takes one request message";
    }
    if (code != DM_OK) {
        reject(h, st, code, why);
        return;
    }
    st->input_any = st->input_any || whole;
    if (!st->input_streaming) {
        if (st->input_ended) {
            st->state = STATE_QUEUED;
            make_ready(h, st);
        }
        return;
    }
    if (!st->input_any) {
        if (st->input_ended) {
            finish(h, st, DM_OK, NULL);
        }
        return;
    }
    if (st->state == STATE_GATHERING) {
        st->state = STATE_QUEUED;
    }
    if (whole || st->input_ended) {
        make_ready(h, st);
    }
}

static bool wants_input(const struct stream *st)
{
    return st->kind == KIND_GRPC && st->state <= STATE_OPEN;
}

/* Lets the client send more on this stream: as long as a message is being gathered, but
 * not while whole ones of a stream of requests wait here. */
static void give_window(struct h2 *h, struct stream *st)
{
    struct dm_slice message;
    if (st->unconsumed == 0 || st->input_ended || st->state >= STATE_ANSWERED) {
        return;
    }
    if (st->input_streaming && front_message(h, st, &message)) {
        return;
    }
    (void)nghttp2_session_consume_stream(h->ng, st->id, st->unconsumed);
    st->unconsumed = 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    h->headers = NULL;
    h->heads++;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct stream *st = stream_take(h, frame->hd.stream_id);
    if (st == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h->headers = st;
    dm_h2_browser_reset(&h->browser);
    return nghttp2_session_set_stream_user_data(ng, st->id, st) == 0 ? 0
                                                                     : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    (void)ng;
    (void)frame;
    (void)flags;
    struct h2 *h = user;
    struct stream *st = h->headers;
    if (st == NULL) {
        return 0;
    }
    dm_h2_browser_note(&h->browser, dm_slice(name, name_size), dm_slice(value, value_size));
    bool noted =
        dm_h2_request_note(&st->request, dm_slice(name, name_size), dm_slice(value, value_size));
    return noted ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *head, void *user)
{
    (void)ng;
    struct h2 *h = user;
    bool carries = head->type == NGHTTP2_HEADERS ||
                   (head->type == NGHTTP2_DATA &&
                    (head->length != 0 || (head->flags & NGHTTP2_FLAG_END_STREAM) != 0));
    if (!carries) {
        count_idle_frame(h);
    }
    return 0;
}

/* From now on more of its request is waited for. */
static void await_input(struct h2 *h, struct stream *st)
{
    if (dm_list_empty(&st->half) && st->state <= STATE_OPEN) {
        st->looked_ns = h->base.now_ns;
        st->received = 0;
        dm_list_push_back(&h->half, &st->half);
    }
}

static void end_of_input(struct h2 *h, struct stream *st)
{
    st->input_ended = true;
    dm_list_remove(&st->half);
    if (wants_input(st)) {
        judge_input(h, st);
    } else if (st->state == STATE_GATHERING && st->refusal != 0) {
        finish_http(h, st, st->refusal, NULL, dm_slice(NULL, 0));
    } else if (st->state == STATE_GATHERING) {
        st->state = STATE_QUEUED;
        make_ready(h, st);
    }
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type == NGHTTP2_PING) {
        bool answer = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
        if (answer && h->draining && h->base.announcing) {
            h->base.announcing = false;
            nghttp2_submit_goaway(ng, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(ng), NGHTTP2_NO_ERROR,
                                  NULL, 0);
        }
        return 0;
    }
    h->settings_seen = h->settings_seen || frame->hd.type == NGHTTP2_SETTINGS;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h->headers = NULL;
        st->head_ns = h->base.now_ns;
        judge_headers(h, st);
        if (st->state == STATE_GATHERING && !st->input_streaming) {
            await_input(h, st);
        }
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        end_of_input(h, st);
    } else if (frame->hd.type == NGHTTP2_DATA) {
        give_window(h, st);
    }
    return 0;
}

/* Does a message begin that is not to be gathered while all hold too much together? */
static bool too_long_now(const struct h2 *h, const struct stream *st)
{
    struct dm_slice bytes = dm_buf_slice(&st->input);
    return dm_crowd_full(h->limits.crowd) && bytes.size >= DM_ENVELOPE_HEAD &&
           dm_load_be32((const uint8_t *)bytes.data + 1) > DM_SMALL_BODY;
}

/* Of the body of what is no call. */
static void drop_data(struct h2 *h, struct stream *st, size_t size)
{
    st->received += size;
    st->dropped += size;
    if (st->state == STATE_GATHERING && st->dropped > DM_HTTP_DISCARD_MAX) {
        finish_http(h, st, st->refusal != 0 ? st->refusal : 413, NULL, dm_slice(NULL, 0));
    }
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    (void)flags;
    struct h2 *h = user;
    struct stream *st = nghttp2_session_get_stream_user_data(ng, id);
    h->unconsumed += size;
    if (st == NULL) {
        return 0;
    }
    st->unconsumed += size;
    if (!wants_input(st)) {
        drop_data(h, st, size);
        return 0;
    }
    bool first = dm_buf_size(&st->input) < DM_ENVELOPE_HEAD;
    size_t gathered_max = (size_t)h->message_size_max * DM_H2_GATHERED_MESSAGES_MAX;
    if (h->gathered + size > gathered_max || !dm_buf_append(&st->input, data, size)) {
        reject(h, st, DM_RESOURCE_EXHAUSTED, "too many request bytes on this connection at once");
        return 0;
    }
    h->gathered += size;
    await_input(h, st);
    st->received += size;
    recount(h, st);
    if (first && too_long_now(h, st)) {
        h->limits.crowd->refused++;
        reject(h, st, DM_RESOURCE_EXHAUSTED, DM_CROWDED_SENTENCE);
        return 0;
    }
    judge_input(h, st);
    return 0;
}

/* ---- what nghttp2 tells of the stream's end ------------------------------------------- */

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
            count_wasted(h);
        }
        return 0;
    }
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!ends) {
        return 0;
    }
    struct stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st != NULL && !st->input_ended) {
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *user)
{
    struct h2 *h = user;
    struct stream *st = nghttp2_session_get_stream_user_data(ng, id);
    if (st == NULL) {
        return 0;
    }
    if (h->headers == st) {
        h->headers = NULL;
    }
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    dm_list_remove(&st->half);
    if (st->state == STATE_ANSWERED) {
        if (error_code == NGHTTP2_NO_ERROR) {
            h->wasted -= h->wasted != 0;
            earn_idle_frames(h);
        }
    } else if (!st->started) {
        count_wasted(h);
    }
    if (st->state != STATE_OPEN && !st->cancelled) {
        stream_release(h, st);
        return 0;
    }
    st->state = STATE_GONE;
    dm_list_remove(&st->link);
    dm_list_push_back(&h->gone, &st->link);
    return 0;
}

/* ---- the session ---------------------------------------------------------------------- */

static void release_lent(struct h2 *h)
{
    struct stream *st = h->lent;
    if (st == NULL) {
        return;
    }
    h->lent = NULL;
    if (st->dead) {
        stream_release(h, st);
        return;
    }
    if (st->state != STATE_OPEN) {
        drop_input(h, st, dm_buf_size(&st->input));
        return;
    }
    drop_input(h, st, h->lent_size);
    if (dm_buf_size(&st->input) == 0) {
        dm_list_remove(&st->half);
    }
    if (st->input_streaming) {
        judge_input(h, st);
        give_window(h, st);
    }
}

static void h2_flush(struct dm_session *s)
{
    struct h2 *h = h2_of(s);
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

static void receive(struct h2 *h, struct dm_slice bytes)
{
    ssize_t used = nghttp2_session_mem_recv(h->ng, bytes.data, bytes.size);
    if (h->unconsumed != 0) {
        (void)nghttp2_session_consume_connection(h->ng, h->unconsumed);
        h->unconsumed = 0;
    }
    if (used < 0) {
        end_with(h,
                 used == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    }
}

static void h2_feed(struct dm_session *s, struct dm_slice bytes)
{
    struct h2 *h = h2_of(s);
    release_lent(h);
    if (s->closing || h->broken) {
        return;
    }
    earn_idle_frames(h);
    for (size_t at = 0; at < bytes.size && !h->broken;) {
        struct dm_h2_fault fault;
        struct dm_slice rest = dm_slice((const uint8_t *)bytes.data + at, bytes.size - at);
        size_t size = dm_h2_guard_look(&h->guard, rest, &fault);
        receive(h, dm_slice(rest.data, size));
        at += size;
        if (fault.code != 0 && fault.stream == 0) {
            end_with(h, fault.code);
        } else if (fault.code != 0) {
            nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, (int32_t)fault.stream, fault.code);
        }
    }
    if (h->broken) {
        h2_flush(s);
    }
}

static void show_http(struct stream *st, struct dm_session_event *event)
{
    event->kind = DM_EVENT_HTTP;
    event->get = true;
    dm_h2_request_split(&st->request, &event->method, &event->payload);
}

static void show_input(struct h2 *h, struct stream *st, struct dm_session_event *event)
{
    if (front_message(h, st, &event->payload)) {
        h->lent_size = DM_ENVELOPE_HEAD + event->payload.size;
        event->open = true;
        return;
    }
    event->kind = DM_EVENT_INPUT_END;
    h->lent_size = 0;
    st->input_streaming = false;
}

static void show(struct h2 *h, struct stream *st, struct dm_session_event *event)
{
    h->lent = st;
    event->codec = st->request.content == DM_H2_CONTENT_GRPC_JSON ? DM_CODEC_JSON : DM_CODEC_PROTO;
    if (st->state == STATE_OPEN) {
        event->kind = DM_EVENT_INPUT;
        show_input(h, st, event);
        return;
    }
    st->state = STATE_OPEN;
    h->base.calls++;
    if (st->kind == KIND_HTTP) {
        h->lent_size = 0;
        show_http(st, event);
        return;
    }
    event->kind = DM_EVENT_CALL;
    event->timeout_ns = dm_session_time_left(&h->base, st->request.timeout_ns, st->head_ns);
    event->streaming = event->unary = true;
    bool split =
        dm_grpc_split_path(dm_h2_request_path(&st->request), &event->service, &event->method);
    bool whole = front_message(h, st, &event->payload);
    DM_ASSERT(split && whole);
    event->open = st->input_streaming;
    h->lent_size = DM_ENVELOPE_HEAD + event->payload.size;
}

/* A client that does not take its answers is given no more calls. */
static bool output_is_full(const struct h2 *h)
{
    return dm_session_unsent(&h->base) >= h->output_high ||
           h->queued >= (size_t)h->output_high * QUEUED_OUTPUT_FACTOR;
}

static size_t room_of(const struct h2 *h, const struct stream *st)
{
    size_t room = h->output_high / 4;
    size_t size = dm_buf_size(&st->output);
    return h->base.unsent != 0 || output_is_full(h) || size >= room ? 0 : room - size;
}

/* An answer may be a thousand times as long as the message that asks for it: more messages of
 * a stream of requests wait until the answers to the earlier ones have gone out. */
static bool is_held(const struct h2 *h, const struct stream *st)
{
    return st->state == STATE_OPEN && room_of(h, st) == 0;
}

/* What this turn has made is sent first, and then the others have their turn. */
static bool had_share(const struct h2 *h)
{
    return h->fresh >= h->output_high || h->base.inputs >= DM_INPUTS_PER_TURN;
}

static bool h2_next(struct dm_session *s, struct dm_session_event *event)
{
    struct h2 *h = h2_of(s);
    release_lent(h);
    *event = (struct dm_session_event){0};
    if (!dm_list_empty(&h->gone)) {
        struct stream *st = DM_CONTAINER_OF(h->gone.next, struct stream, link);
        event->kind = DM_EVENT_CANCEL;
        event->id = (uint64_t)st->id;
        s->calls--;
        st->cancelled = false;
        dm_list_remove(&st->link);
        if (st->state == STATE_GONE) {
            stream_release(h, st);
        }
        return true;
    }
    bool share = had_share(h);
    s->more = share && s->unsent == 0; /* or it will be asked when the socket has taken it */
    if (output_is_full(h) || share) {
        s->inputs = 0;
        return false;
    }
    for (struct dm_list *at = h->ready.next; at != &h->ready; at = at->next) {
        struct stream *st = DM_CONTAINER_OF(at, struct stream, link);
        if (!is_held(h, st)) {
            dm_list_remove(&st->link);
            event->id = (uint64_t)st->id;
            s->inputs += st->kind == KIND_HTTP ? DM_INPUTS_OF_PAGE : 1;
            show(h, st, event);
            return true;
        }
    }
    s->inputs = 0;
    return false;
}

/* The open call of this id, or NULL. */
static struct stream *open_call(struct h2 *h, uint64_t id)
{
    struct stream *st =
        id <= INT32_MAX ? nghttp2_session_get_stream_user_data(h->ng, (int32_t)id) : NULL;
    return st != NULL && st->state == STATE_OPEN ? st : NULL;
}

static void h2_fail(struct dm_session *s, uint64_t id, enum dm_code code, const char *message)
{
    struct h2 *h = h2_of(s);
    struct stream *st = open_call(h, id);
    if (st == NULL) {
        return;
    }
    s->calls--;
    if (st->kind == KIND_HTTP) {
        finish_http(h, st, code == DM_UNAVAILABLE ? 503 : 500, NULL, dm_slice(NULL, 0));
        return;
    }
    finish(h, st, code, message);
}

static void h2_stream_end(struct dm_session *s, uint64_t id)
{
    struct h2 *h = h2_of(s);
    struct stream *st = open_call(h, id);
    if (st != NULL) {
        s->calls--;
        finish(h, st, DM_OK, NULL);
    }
}

/* false: the call has failed instead. */
static bool queue_answer(struct h2 *h, struct stream *st, struct dm_slice payload)
{
    if (payload.size > h->message_size_max || !put_message(h, st, payload)) {
        h2_fail(&h->base, (uint64_t)st->id, DM_RESOURCE_EXHAUSTED,
                "the answer is larger than one message may be");
        return false;
    }
    return true;
}

static void h2_reply(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct h2 *h = h2_of(s);
    struct stream *st = open_call(h, id);
    if (st != NULL && queue_answer(h, st, payload)) {
        s->calls--;
        finish(h, st, DM_OK, NULL);
    }
}

static void h2_stream_message(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    struct h2 *h = h2_of(s);
    struct stream *st = open_call(h, id);
    if (st != NULL && queue_answer(h, st, payload)) {
        start_or_resume(h, st);
    }
}

static size_t h2_stream_room(struct dm_session *s, uint64_t id)
{
    struct h2 *h = h2_of(s);
    const struct stream *st = open_call(h, id);
    return st == NULL ? 0 : room_of(h, st);
}

static void h2_http_reply(struct dm_session *s, uint64_t id, int status, const char *content_type,
                          struct dm_slice body)
{
    struct h2 *h = h2_of(s);
    struct stream *st = open_call(h, id);
    if (st != NULL) {
        s->calls--;
        finish_http(h, st, status, content_type, body);
    }
}

/* First the notice that no new streams should be opened, then, when the client has seen it
 * (it answers a PING), the GOAWAY with the last stream that was taken. RFC 9113, 6.8. */
static void h2_drain(struct dm_session *s)
{
    struct h2 *h = h2_of(s);
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
    const struct h2 *h = DM_CONTAINER_OF(s, struct h2, base);
    size_t library = h->library_memory > h->library_base ? h->library_memory - h->library_base : 0;
    *load = (struct dm_load){
        .memory = s->out.capacity + h->memory + library,
        .head = !h->settings_seen || h->headers != NULL,
        .body = !dm_list_empty(&h->half),
        .head_number = h->heads,
    };
}

/* Has its client kept this stream waiting? Not while whole messages of a stream of requests
 * lie here. */
static bool is_slow(struct h2 *h, struct stream *st)
{
    struct dm_slice message;
    return st->received < DM_BODY_WINDOW_BYTES &&
           !(st->input_streaming && front_message(h, st, &message));
}

static void h2_hurry(struct dm_session *s)
{
    struct h2 *h = h2_of(s);
    for (int i = 0; i < HURRIED_PER_WINDOW && !dm_list_empty(&h->half); i++) {
        struct stream *st = DM_CONTAINER_OF(h->half.next, struct stream, half);
        if (s->now_ns - st->looked_ns < DM_BODY_WINDOW_MS * 1000000ULL) {
            return;
        }
        dm_list_remove(&st->half);
        if (!is_slow(h, st)) {
            await_input(h, st);
        } else if (st->kind == KIND_HTTP) {
            finish_http(h, st, st->refusal != 0 ? st->refusal : 408, NULL, dm_slice(NULL, 0));
        } else {
            reject(h, st, DM_DEADLINE_EXCEEDED, "the request's message came too slowly");
        }
    }
}

static void h2_give_up(struct dm_session *s)
{
    struct h2 *h = h2_of(s);
    while (!dm_list_empty(&h->half)) {
        struct stream *st = DM_CONTAINER_OF(h->half.next, struct stream, half);
        dm_list_remove(&st->half);
        reject(h, st, DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
    }
}

static void h2_destroy(struct dm_session *s)
{
    struct h2 *h = h2_of(s);
    nghttp2_session_del(h->ng);
    for (struct dm_list *at = h->all.next; at != &h->all;) {
        struct stream *st = DM_CONTAINER_OF(at, struct stream, all);
        at = at->next;
        stream_free(h, st);
    }
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
    .http_reply = h2_http_reply,
    .flush = h2_flush,
    .drain = h2_drain,
    .load = h2_load,
    .give_up = h2_give_up,
    .hurry = h2_hurry,
    .destroy = h2_destroy,
};

static bool session_open(struct h2 *h)
{
    nghttp2_mem memory = dm_h2_memory(&h->library_memory);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        return false;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_output);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* Callers with deadlines reset many streams; we count what was wasted ourselves. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
    int failed = nghttp2_session_server_new3(&h->ng, callbacks, h, option, &memory);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return failed == 0;
}

static bool announce(struct h2 *h)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->calls_max},
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
    struct h2 *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->base.ops = &ops;
    h->base.protocol = "grpc";
    h->message_size_max =
        limits->message_size_max != 0 ? limits->message_size_max : DM_MESSAGE_SIZE_MAX;
    h->calls_max = limits->calls_max != 0 ? limits->calls_max : DM_CALLS_PER_CONNECTION_MAX;
    h->output_high = limits->output_high != 0 ? limits->output_high : DM_OUTPUT_HIGH;
    h->limits = *limits;
    dm_h2_guard_init(&h->guard);
    dm_list_init(&h->all);
    dm_list_init(&h->ready);
    dm_list_init(&h->gone);
    dm_list_init(&h->pool);
    dm_list_init(&h->half);
    if (!session_open(h)) {
        free(h);
        return NULL;
    }
    if (!announce(h)) {
        h2_destroy(&h->base);
        return NULL;
    }
    h->library_base = h->library_memory;
    h2_flush(&h->base); /* clients wait for SETTINGS before they send a request */
    return &h->base;
}
