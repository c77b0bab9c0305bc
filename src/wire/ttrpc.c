#include "wire/session.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "wire/ttrpc_calls.h"
#include "wire/ttrpc_frame.h"

#include <stdlib.h>

/* containerd's ttrpc (its PROTOCOL.md): a 10-byte header, then a protobuf envelope.
 *
 *     u32 BE length of the body, u32 BE stream id, u8 type, u8 flags
 *
 * All goes well: whole frames are read where they were fed, their envelope by hand (it
 * is half of the cost of a Check otherwise), and one event is handed out for each. Only
 * a half frame at the end, and what is left when the output is full, is copied and kept.
 * A call that is answered before the next event is asked for leaves no trace but the
 * highest id; others stand in a table of open ids until their last frame is sent.
 *
 * It can fail: a request is wrong (answered on its id, the connection lives), a frame is
 * too long (discarded, answered), or so long that it is no ttrpc (closed). Whatever
 * answers an id for good also closes it: a client sees one last frame for each. */

enum {
    HELD_KEEP = 4096,
    STATUS_TEXT_MAX = 1024,
};

enum call_state {
    CALL_CLOSED,    /* the client has sent all: unary, or one request and a stream back */
    CALL_OPEN,      /* data frames may come */
    CALL_CANCELLED, /* ended by us, and the owner does not know yet */
};

struct ttrpc {
    struct dm_session session;
    size_t frame_max, output_high;
    uint32_t calls_max;
    struct dm_crowd *crowd;

    struct dm_slice input; /* fed and not looked at yet; the owner's memory */
    struct dm_buf held;    /* what comes before `input` */
    uint64_t discard;      /* bytes of a body that was refused, still to come */
    uint32_t frames;       /* taken so far */
    bool held_back;        /* the next frame has to wait until its call has room */

    struct dm_ttrpc_names names; /* of the call before */

    uint32_t highest;             /* stream id that was used */
    struct dm_ttrpc_call current; /* handed out by the last next; id 0: answered since */
    struct dm_ttrpc_calls calls;  /* open ids */
    uint32_t cancelled;           /* of them CALL_CANCELLED */
    uint32_t input_end;           /* id whose INPUT_END is the next event */
};

struct frame {
    struct dm_ttrpc_header header;
    bool too_long;        /* the body is refused, and to be thrown away */
    struct dm_slice body; /* empty then */
};

/* ---- open calls --------------------------------------------------------------- */

/* A call that was handed out and has no last frame yet? */
static bool is_open(struct ttrpc *t, uint64_t id)
{
    if (id != 0 && t->current.id == id) {
        return true;
    }
    const struct dm_ttrpc_call *call = dm_ttrpc_calls_find(&t->calls, id);
    return call != NULL && (call->state == CALL_CLOSED || call->state == CALL_OPEN);
}

/* Forgets an id. True when it was open: its owner counts on an end. */
static bool close_call(struct ttrpc *t, uint64_t id)
{
    if (id != 0 && t->current.id == id) {
        t->current.id = 0;
        t->session.calls--;
        return true;
    }
    struct dm_ttrpc_call *call = dm_ttrpc_calls_find(&t->calls, id);
    if (call == NULL || call->state == CALL_CANCELLED) {
        return false;
    }
    dm_ttrpc_calls_remove(&t->calls, call);
    t->session.calls--;
    if (t->input_end == id) {
        t->input_end = 0;
    }
    return true;
}

/* ---- frames out --------------------------------------------------------------- */

/* A connection that misses a frame, for lack of memory, cannot go on. */
static void put_response(struct ttrpc *t, uint32_t id, const struct dm_ttrpc_response *response)
{
    if (!dm_ttrpc_response_write(&t->session.out, id, response)) {
        t->session.closing = true;
    }
}

static void put_data(struct ttrpc *t, uint32_t id, uint8_t flags, struct dm_slice payload)
{
    if (!dm_ttrpc_data_write(&t->session.out, id, flags, payload)) {
        t->session.closing = true;
    }
}

static void put_status(struct ttrpc *t, uint32_t id, enum dm_code code, const char *message)
{
    const struct dm_ttrpc_response response = {
        .code = (int32_t)code, .message = dm_slice(message, strnlen(message, STATUS_TEXT_MAX))};
    put_response(t, id, &response);
}

/* Answers an id for good with what was wrong. True when that ended an open call, of which
 * *event then tells. */
static bool refuse(struct ttrpc *t, struct dm_session_event *event, uint32_t id, enum dm_code code,
                   const char *message)
{
    put_status(t, id, code, message);
    if (!close_call(t, id)) {
        return false;
    }
    *event = (struct dm_session_event){.kind = DM_EVENT_CANCEL, .id = id};
    return true;
}

/* ---- frames in -------------------------------------------------------------------- */

static void drop(struct ttrpc *t, bool from_held, size_t size)
{
    if (from_held) {
        dm_buf_consume(&t->held, size);
    } else {
        t->input = dm_slice((const uint8_t *)t->input.data + size, t->input.size - size);
    }
}

/* The longest body that the frame at the start of `bytes` may have. While all connections
 * hold too much together, no long one is begun. */
static size_t body_max(const struct ttrpc *t, struct dm_slice bytes, bool from_held)
{
    bool begun = from_held && bytes.size > DM_TTRPC_HEADER_SIZE;
    bool small = !begun && t->frame_max > DM_SMALL_BODY && dm_crowd_full(t->crowd);
    return small ? DM_SMALL_BODY : t->frame_max;
}

/* How many bytes the frame at the start of `bytes` has, as far as they tell. A body over
 * the limit is not waited for. */
static size_t frame_size(const struct ttrpc *t, struct dm_slice bytes, bool from_held)
{
    if (bytes.size < DM_TTRPC_HEADER_SIZE) {
        return DM_TTRPC_HEADER_SIZE;
    }
    uint32_t length = dm_load_be32(bytes.data);
    return DM_TTRPC_HEADER_SIZE + (length > body_max(t, bytes, from_held) ? 0 : (size_t)length);
}

/* Moves to the half frame that is held what it lacks. False when nothing is there. */
static bool top_up(struct ttrpc *t, size_t lacking)
{
    size_t size = lacking < t->input.size ? lacking : t->input.size;
    if (size == 0) {
        return false;
    }
    if (!dm_buf_append(&t->held, t->input.data, size)) {
        t->session.closing = true;
        return false;
    }
    drop(t, false, size);
    return true;
}

static bool has_room(const struct ttrpc *t)
{
    return t->session.unsent == 0 && dm_buf_size(&t->session.out) < t->output_high;
}

/* An answer may be a thousand times as long as the message that asks for it: see
 * dm_session_next. */
static bool must_wait(struct ttrpc *t, const struct dm_ttrpc_header *header)
{
    const struct dm_ttrpc_call *call =
        header->type == DM_TTRPC_DATA ? dm_ttrpc_calls_find(&t->calls, header->stream) : NULL;
    if (call == NULL || call->state != CALL_OPEN) {
        return false;
    }
    t->session.more = t->session.inputs >= DM_INPUTS_PER_TURN;
    t->held_back = t->session.more || !has_room(t);
    return t->held_back;
}

/* The next whole frame; its body stands where it came until the next call. */
static bool take_frame(struct ttrpc *t, struct frame *frame)
{
    for (;;) {
        bool from_held = dm_buf_size(&t->held) != 0;
        struct dm_slice bytes = from_held ? dm_buf_slice(&t->held) : t->input;
        if (t->discard != 0 && bytes.size != 0) {
            size_t size = t->discard < bytes.size ? (size_t)t->discard : bytes.size;
            t->discard -= size;
            drop(t, from_held, size);
            continue;
        }
        size_t size = frame_size(t, bytes, from_held);
        if (bytes.size < size) {
            if (!from_held || !top_up(t, size - bytes.size)) {
                return false;
            }
            continue;
        }
        const uint8_t *at = bytes.data;
        dm_ttrpc_header_load(at, &frame->header);
        if (must_wait(t, &frame->header)) {
            return false;
        }
        t->frames++;
        frame->too_long = frame->header.size > size - DM_TTRPC_HEADER_SIZE;
        frame->body = dm_slice(at + DM_TTRPC_HEADER_SIZE, size - DM_TTRPC_HEADER_SIZE);
        drop(t, from_held, size);
        return true;
    }
}

/* What is wrong with a request before its envelope is read; NULL: nothing. */
static const char *request_fault(struct ttrpc *t, const struct frame *frame)
{
    if (frame->header.stream % 2 == 0) {
        return "stream ids of a client are odd";
    }
    if (frame->header.stream <= t->highest) {
        return "stream ids must grow: this one, or a higher one, was used already";
    }
    t->highest = frame->header.stream;
    if (frame->header.flags > DM_TTRPC_REMOTE_OPEN) {
        return "flags of a request are 0, 1 (remote closed) or 2 (remote open)";
    }
    return NULL;
}

static bool on_request(struct ttrpc *t, const struct frame *frame, struct dm_session_event *event)
{
    struct dm_ttrpc_request request;
    const char *fault = request_fault(t, frame);
    if (fault != NULL) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT, fault);
    }
    if (t->calls.used >= t->calls_max) {
        return refuse(t, event, frame->header.stream, DM_RESOURCE_EXHAUSTED,
                      "too many open calls on this connection");
    }
    if (!dm_ttrpc_request_reread(frame->body, &t->names, &request) || request.service.size == 0 ||
        request.method.size == 0) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "the body of this frame is not a ttrpc Request with a service and a method");
    }
    bool open = frame->header.flags == DM_TTRPC_REMOTE_OPEN;
    t->current =
        (struct dm_ttrpc_call){.id = frame->header.stream, .state = open ? CALL_OPEN : CALL_CLOSED};
    t->session.calls++;
    *event =
        (struct dm_session_event){.kind = DM_EVENT_CALL,
                                  .id = frame->header.stream,
                                  .service = request.service,
                                  .method = request.method,
                                  .payload = request.payload,
                                  .codec = DM_CODEC_PROTO,
                                  .timeout_ns = request.timeout_ns > 0 ? request.timeout_ns : 0,
                                  .streaming = frame->header.flags != 0,
                                  .unary = true,
                                  .open = open,
                                  .awaiting = open && request.payload.size == 0};
    return true;
}

static bool on_data(struct ttrpc *t, const struct frame *frame, struct dm_session_event *event)
{
    struct dm_ttrpc_call *call = dm_ttrpc_calls_find(&t->calls, frame->header.stream);
    if (call == NULL || call->state == CALL_CANCELLED) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "no open call has this stream id");
    }
    if (call->state == CALL_CLOSED) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "this call takes no more data");
    }
    if ((frame->header.flags & ~(DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA)) != 0) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "flags of data are 1 (remote closed) and 4 (no data)");
    }
    bool closed = (frame->header.flags & DM_TTRPC_REMOTE_CLOSED) != 0;
    bool message = (frame->header.flags & DM_TTRPC_NO_DATA) == 0;
    if (closed) {
        call->state = CALL_CLOSED;
    }
    if (message) {
        t->session.inputs++;
        t->input_end = closed ? frame->header.stream : 0;
        *event = (struct dm_session_event){
            .kind = DM_EVENT_INPUT, .id = frame->header.stream, .payload = frame->body};
        return true;
    }
    *event = (struct dm_session_event){.kind = DM_EVENT_INPUT_END, .id = frame->header.stream};
    return closed;
}

static bool on_frame(struct ttrpc *t, const struct frame *frame, struct dm_session_event *event)
{
    if (frame->header.size > DM_TTRPC_DISCARD_MAX) {
        t->session.closing = true;
        return false;
    }
    if (frame->too_long) {
        t->discard = frame->header.size;
        if (frame->header.type == DM_TTRPC_REQUEST && frame->header.stream % 2 != 0 &&
            frame->header.stream > t->highest) {
            t->highest = frame->header.stream;
        }
        bool crowded = frame->header.size <= t->frame_max;
        if (crowded) {
            t->crowd->refused++;
        }
        return refuse(t, event, frame->header.stream, DM_RESOURCE_EXHAUSTED,
                      crowded ? DM_CROWDED_SENTENCE : "this frame is too long");
    }
    switch (frame->header.type) {
    case DM_TTRPC_REQUEST:
        return on_request(t, frame, event);
    case DM_TTRPC_DATA:
        return on_data(t, frame, event);
    default:
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "a client sends frames of type 1 (request) and 3 (data)");
    }
}

/* ---- the session -------------------------------------------------------------------- */

static struct ttrpc *ttrpc_of(struct dm_session *session)
{
    return (struct ttrpc *)(void *)session;
}

/* The fed bytes belong to the owner: what was not taken is copied. */
static void keep_rest(struct ttrpc *t)
{
    if (t->input.size != 0 && !t->session.closing &&
        !dm_buf_append(&t->held, t->input.data, t->input.size)) {
        t->session.closing = true;
    }
    t->input = dm_slice(NULL, 0);
    if (dm_buf_size(&t->held) == 0) {
        dm_buf_reset(&t->held, HELD_KEEP);
    }
}

static void ttrpc_feed(struct dm_session *session, struct dm_slice bytes)
{
    struct ttrpc *t = ttrpc_of(session);
    if (t->input.size != 0) {
        keep_rest(t);
    }
    if (!session->closing) {
        t->input = bytes;
    }
}

/* The call handed out last was not answered at once: it goes into the table. */
static bool settle_current(struct ttrpc *t, struct dm_session_event *event)
{
    struct dm_ttrpc_call call = t->current;
    if (call.id == 0) {
        return false;
    }
    if (dm_ttrpc_calls_add(&t->calls, call)) {
        t->current.id = 0;
        return false;
    }
    return refuse(t, event, call.id, DM_RESOURCE_EXHAUSTED, "no memory for another call");
}

static bool next_cancelled(struct ttrpc *t, struct dm_session_event *event)
{
    for (uint32_t at = 0; t->cancelled != 0 && at < t->calls.size; at++) {
        if (t->calls.places[at].id != 0 && t->calls.places[at].state == CALL_CANCELLED) {
            *event =
                (struct dm_session_event){.kind = DM_EVENT_CANCEL, .id = t->calls.places[at].id};
            dm_ttrpc_calls_remove(&t->calls, &t->calls.places[at]);
            t->cancelled--;
            return true;
        }
    }
    return false;
}

static bool ttrpc_next(struct dm_session *session, struct dm_session_event *event)
{
    struct ttrpc *t = ttrpc_of(session);
    struct frame frame;
    session->more = t->held_back = false;
    if (settle_current(t, event) || next_cancelled(t, event)) {
        return true;
    }
    if (t->input_end != 0) {
        *event = (struct dm_session_event){.kind = DM_EVENT_INPUT_END, .id = t->input_end};
        t->input_end = 0;
        return true;
    }
    /* A client that does not read its answers is not asked for more requests. */
    while (!session->closing && dm_session_unsent(session) <= t->output_high &&
           take_frame(t, &frame)) {
        if (on_frame(t, &frame, event)) {
            return true;
        }
    }
    keep_rest(t);
    session->inputs = 0;
    session->paused = t->held_back || dm_session_unsent(session) > t->output_high;
    return false;
}

static size_t ttrpc_peek(struct dm_session *session, struct dm_slice *payloads, size_t max)
{
    struct ttrpc *t = ttrpc_of(session);
    size_t count = 0;
    const uint8_t *at = t->input.data;
    size_t left = dm_buf_size(&t->held) != 0 || t->discard != 0 ? 0 : t->input.size;
    while (count < max && left > DM_TTRPC_HEADER_SIZE) {
        struct dm_ttrpc_header header;
        struct dm_ttrpc_request request;
        dm_ttrpc_header_load(at, &header);
        size_t body = left - DM_TTRPC_HEADER_SIZE;
        if (header.size > body || header.type != DM_TTRPC_REQUEST ||
            !dm_ttrpc_request_reread(dm_slice(at + DM_TTRPC_HEADER_SIZE, header.size), &t->names,
                                     &request)) {
            break;
        }
        payloads[count++] = request.payload;
        at += DM_TTRPC_HEADER_SIZE + header.size;
        left -= DM_TTRPC_HEADER_SIZE + header.size;
    }
    return count;
}

static void ttrpc_fail(struct dm_session *session, uint64_t id, enum dm_code code,
                       const char *message)
{
    struct ttrpc *t = ttrpc_of(session);
    if (close_call(t, id)) {
        put_status(t, (uint32_t)id, code, message);
    }
}

static void ttrpc_reply(struct dm_session *session, uint64_t id, struct dm_slice payload)
{
    struct ttrpc *t = ttrpc_of(session);
    const struct dm_ttrpc_response response = {.payload = payload};
    if (dm_ttrpc_response_size(&response) > t->frame_max) {
        ttrpc_fail(session, id, DM_RESOURCE_EXHAUSTED, "the answer is longer than a frame may be");
        return;
    }
    if (close_call(t, id)) {
        put_response(t, (uint32_t)id, &response);
    }
}

/* Ends a stream from within: its owner hears of it by the next event. */
static void cancel_stream(struct ttrpc *t, uint64_t id)
{
    if (!close_call(t, id)) {
        return;
    }
    put_status(t, (uint32_t)id, DM_RESOURCE_EXHAUSTED,
               "a message of the stream is longer than a frame may be");
    if (dm_ttrpc_calls_add(&t->calls,
                           (struct dm_ttrpc_call){.id = (uint32_t)id, .state = CALL_CANCELLED})) {
        t->cancelled++;
    } else {
        t->session.closing = true;
    }
}

static void ttrpc_stream_message(struct dm_session *session, uint64_t id, struct dm_slice payload)
{
    struct ttrpc *t = ttrpc_of(session);
    if (payload.size > t->frame_max) {
        cancel_stream(t, id);
        return;
    }
    if (is_open(t, id)) {
        put_data(t, (uint32_t)id, 0, payload);
    }
}

static void ttrpc_stream_end(struct dm_session *session, uint64_t id)
{
    struct ttrpc *t = ttrpc_of(session);
    if (close_call(t, id)) {
        put_data(t, (uint32_t)id, DM_TTRPC_REMOTE_CLOSED | DM_TTRPC_NO_DATA, dm_slice(NULL, 0));
    }
}

static size_t ttrpc_stream_room(struct dm_session *session, uint64_t id)
{
    struct ttrpc *t = ttrpc_of(session);
    return is_open(t, id) && has_room(t) ? t->output_high - dm_buf_size(&session->out) : 0;
}

/* There is no HTTP here, and nothing that could announce a shutdown: new calls are
 * answered UNAVAILABLE, then the connection ends. */
static void ttrpc_answer(struct dm_session *session, uint64_t id, struct dm_http_answer *answer)
{
    (void)session;
    (void)id;
    (void)answer;
}

static void ttrpc_nothing(struct dm_session *session)
{
    (void)session;
}

static void ttrpc_load(const struct dm_session *session, struct dm_load *load)
{
    const struct ttrpc *t = (const struct ttrpc *)(const void *)session;
    size_t held = dm_buf_size(&t->held);
    bool half = held != 0 && held < frame_size(t, dm_buf_slice(&t->held), true);
    *load = (struct dm_load){
        .memory =
            session->out.capacity + t->held.capacity + t->calls.size * sizeof *t->calls.places,
        .head = half && held < DM_TTRPC_HEADER_SIZE,
        .body = (half && held >= DM_TTRPC_HEADER_SIZE) || t->discard != 0,
        .head_number = t->frames,
        .body_number = t->frames,
    };
}

static void ttrpc_give_up(struct dm_session *session)
{
    struct ttrpc *t = ttrpc_of(session);
    struct dm_load load;
    ttrpc_load(session, &load);
    if (!session->closing && load.body && t->discard == 0) {
        struct dm_ttrpc_header header;
        dm_ttrpc_header_load(dm_buf_head(&t->held), &header);
        put_status(t, header.stream, DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
    }
    session->closing = true;
}

static void ttrpc_destroy(struct dm_session *session)
{
    struct ttrpc *t = ttrpc_of(session);
    dm_ttrpc_calls_finish(&t->calls);
    dm_buf_finish(&t->held);
    dm_buf_finish(&session->out);
    free(t);
}

struct dm_session *dm_ttrpc_session(const struct dm_session_limits *limits)
{
    static const struct dm_session_ops ops = {
        .feed = ttrpc_feed,
        .next = ttrpc_next,
        .peek = ttrpc_peek,
        .reply = ttrpc_reply,
        .fail = ttrpc_fail,
        .stream_message = ttrpc_stream_message,
        .stream_end = ttrpc_stream_end,
        .stream_room = ttrpc_stream_room,
        .answer = ttrpc_answer,
        .flush = ttrpc_nothing,
        .drain = ttrpc_nothing,
        .load = ttrpc_load,
        .give_up = ttrpc_give_up,
        .destroy = ttrpc_destroy,
    };
    struct ttrpc *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->session.ops = &ops;
    t->session.protocol = "ttrpc";
    t->frame_max = limits->message_size_max != 0 ? limits->message_size_max : DM_MESSAGE_SIZE_MAX;
    t->calls_max = limits->calls_max != 0 ? limits->calls_max : DM_CALLS_PER_CONNECTION_MAX;
    t->crowd = limits->crowd;
    t->output_high = limits->output_high != 0 ? limits->output_high : DM_OUTPUT_HIGH;
    return &t->session;
}
