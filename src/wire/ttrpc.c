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
    NAME_SIZE_MAX = 255,
    STATUS_TEXT_MAX = 1024,
};

enum call_state {
    CALL_CLOSED,    /* the client has sent all: unary, or one request and a stream back */
    CALL_OPEN,      /* bidirectional: data frames may come */
    CALL_WAITING,   /* bidirectional without a first message yet: not handed out */
    CALL_CANCELLED, /* ended by us, and the owner does not know yet */
};

struct ttrpc {
    struct dm_session session;
    size_t frame_max, output_high;
    uint32_t calls_max;

    struct dm_slice input; /* fed and not looked at yet; the owner's memory */
    struct dm_buf held;    /* what comes before `input` */
    uint64_t discard;      /* bytes of a body that was too long, still to come */

    struct dm_ttrpc_names names; /* of the call before */

    uint32_t highest;             /* stream id that was used */
    struct dm_ttrpc_call current; /* handed out by the last next; id 0: answered since */
    struct dm_ttrpc_calls calls;  /* open ids; with names: those that wait */
    uint32_t cancelled;           /* of them CALL_CANCELLED */
    uint32_t input_end;           /* id whose INPUT_END is the next event */
    char *names_spent;            /* names of the event handed out last */
};

struct frame {
    struct dm_ttrpc_header header;
    struct dm_slice body; /* empty when its size is over the limit */
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
    bool open = call->state != CALL_WAITING;
    dm_ttrpc_calls_remove(&t->calls, call);
    if (open) {
        t->session.calls--;
    }
    if (t->input_end == id) {
        t->input_end = 0;
    }
    return open;
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

/* How many bytes the frame at the start of `bytes` has, as far as they tell. A body over
 * the limit is not waited for. */
static size_t frame_size(const struct ttrpc *t, struct dm_slice bytes)
{
    if (bytes.size < DM_TTRPC_HEADER_SIZE) {
        return DM_TTRPC_HEADER_SIZE;
    }
    uint32_t length = dm_load_be32(bytes.data);
    return length > t->frame_max ? DM_TTRPC_HEADER_SIZE : DM_TTRPC_HEADER_SIZE + (size_t)length;
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
        size_t size = frame_size(t, bytes);
        if (bytes.size < size) {
            if (!from_held || !top_up(t, size - bytes.size)) {
                return false;
            }
            continue;
        }
        const uint8_t *at = bytes.data;
        dm_ttrpc_header_load(at, &frame->header);
        frame->body = dm_slice(at + DM_TTRPC_HEADER_SIZE, size - DM_TTRPC_HEADER_SIZE);
        drop(t, from_held, size);
        return true;
    }
}

/* A bidirectional call that sends its first message as data: its names are kept until then. */
static bool await_message(struct ttrpc *t, struct dm_session_event *event, uint32_t id,
                          const struct dm_ttrpc_request *request)
{
    struct dm_slice service = request->service;
    struct dm_slice method = request->method;
    if (service.size > NAME_SIZE_MAX || method.size > NAME_SIZE_MAX) {
        return refuse(t, event, id, DM_UNIMPLEMENTED, "no service or method has so long a name");
    }
    struct dm_ttrpc_call call = {.id = id,
                                 .state = CALL_WAITING,
                                 .service_size = (uint8_t)service.size,
                                 .method_size = (uint8_t)method.size,
                                 .names = malloc(service.size + method.size)};
    if (call.names == NULL || !dm_ttrpc_calls_add(&t->calls, call)) {
        free(call.names);
        return refuse(t, event, id, DM_RESOURCE_EXHAUSTED, "no memory for another call");
    }
    memcpy(call.names, service.data, service.size);
    memcpy(call.names + service.size, method.data, method.size);
    return false;
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
    if (open && request.payload.size == 0) {
        return await_message(t, event, frame->header.stream, &request);
    }
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
                                  .open = open};
    return true;
}

/* The first message of a call that waited for it. */
static void hand_out(struct ttrpc *t, struct dm_ttrpc_call *call, const struct frame *frame,
                     struct dm_session_event *event)
{
    bool closed = (frame->header.flags & DM_TTRPC_REMOTE_CLOSED) != 0;
    t->names_spent = call->names;
    call->names = NULL;
    call->state = closed ? CALL_CLOSED : CALL_OPEN;
    t->session.calls++;
    *event = (struct dm_session_event){
        .kind = DM_EVENT_CALL,
        .id = frame->header.stream,
        .service = dm_slice(t->names_spent, call->service_size),
        .method = dm_slice(t->names_spent + call->service_size, call->method_size),
        .payload = frame->body,
        .codec = DM_CODEC_PROTO,
        .streaming = true,
        .unary = true,
        .open = !closed};
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
    if (call->state == CALL_WAITING) {
        if (message) {
            hand_out(t, call, frame, event);
            return true;
        }
        return closed && refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                                "the call ended without a message");
    }
    if (closed) {
        call->state = CALL_CLOSED;
    }
    if (message) {
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
    if (frame->header.size > t->frame_max) {
        t->discard = frame->header.size;
        if (frame->header.type == DM_TTRPC_REQUEST && frame->header.stream % 2 != 0 &&
            frame->header.stream > t->highest) {
            t->highest = frame->header.stream;
        }
        return refuse(t, event, frame->header.stream, DM_RESOURCE_EXHAUSTED,
                      "this frame is too long");
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
    free(t->names_spent);
    t->names_spent = NULL;
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
    if (settle_current(t, event) || next_cancelled(t, event)) {
        return true;
    }
    if (t->input_end != 0) {
        *event = (struct dm_session_event){.kind = DM_EVENT_INPUT_END, .id = t->input_end};
        t->input_end = 0;
        return true;
    }
    /* A client that does not read its answers is not asked for more requests. */
    while (!session->closing && dm_buf_size(&session->out) <= t->output_high &&
           take_frame(t, &frame)) {
        if (on_frame(t, &frame, event)) {
            return true;
        }
    }
    keep_rest(t);
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
    size_t unsent = dm_buf_size(&session->out);
    return !is_open(t, id) || unsent >= t->output_high ? 0 : t->output_high - unsent;
}

/* There is no HTTP here, and nothing that could announce a shutdown: new calls are
 * answered UNAVAILABLE, then the connection ends. */
static void ttrpc_http_reply(struct dm_session *session, uint64_t id, int status,
                             const char *content_type, struct dm_slice body)
{
    (void)session, (void)id, (void)status, (void)content_type, (void)body;
}

static void ttrpc_nothing(struct dm_session *session)
{
    (void)session;
}

static void ttrpc_destroy(struct dm_session *session)
{
    struct ttrpc *t = ttrpc_of(session);
    dm_ttrpc_calls_finish(&t->calls);
    free(t->names_spent);
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
        .http_reply = ttrpc_http_reply,
        .flush = ttrpc_nothing,
        .drain = ttrpc_nothing,
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
    t->output_high = limits->output_high != 0 ? limits->output_high : DM_OUTPUT_HIGH;
    return &t->session;
}
