#include "wire/session.h"

#include "base/assert.h"
#include "base/limits.h"
#include "wire/ttrpc_calls.h"
#include "wire/ttrpc_input.h"

#include <stdlib.h>

/* containerd's ttrpc (its PROTOCOL.md): a 10-byte header, then a protobuf envelope.
 *
 *     u32 BE length of the body, u32 BE stream id, u8 type, u8 flags
 *
 * All goes well: whole frames are read where they were fed (ttrpc_input.c), their envelope by
 * hand (it is half of the cost of a Check otherwise), and one event is handed out for each.
 * A call that is answered before the next event is asked for leaves no trace but the
 * highest id; others stand in a table of open ids until their last frame is sent.
 *
 * It can fail: a request is wrong (answered on its id, the connection lives), a frame is
 * too long (discarded, answered), or so long that it cannot be ttrpc (closed). Whatever
 * answers an id for good also closes it: a client sees one last frame for each. */

enum { STATUS_TEXT_MAX = 1024 };
_Static_assert(DM_CALLS_PER_CONNECTION_MAX <= UINT32_MAX / 4,
               "a table at most half full is counted");
_Static_assert(STATUS_TEXT_MAX < DM_SMALL_BODY, "a refusal always fits a frame");

struct ttrpc {
    struct dm_session session;
    size_t output_high;
    uint32_t calls_max;
    struct dm_ttrpc_input input;
    bool held_back; /* the next frame has to wait until its call has room */

    struct dm_ttrpc_names names; /* of the call before */

    uint32_t highest;            /* stream id that was used */
    struct dm_ttrpc_calls calls; /* open ids */
    uint32_t input_end;          /* id whose INPUT_END is the next event */
};

/* ---- open calls ----------------------------------------------------------------------- */

/* Forgets an id. True when it was open: its owner counts on an end. */
static bool close_call(struct ttrpc *t, uint64_t id)
{
    if (!dm_ttrpc_calls_close(&t->calls, id)) {
        return false;
    }
    DM_ASSERT(t->session.calls > 0);
    t->session.calls--;
    if (t->input_end == id) {
        t->input_end = 0;
    }
    return true;
}

/* ---- frames out ----------------------------------------------------------------------- */

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

/* ---- frames in ------------------------------------------------------------------------ */

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
    if (call == NULL || call->state != DM_TTRPC_CALL_OPEN) {
        return false;
    }
    t->session.more = t->session.inputs >= DM_INPUTS_PER_TURN;
    t->held_back = t->session.more || !has_room(t);
    return t->held_back;
}

/* The next whole frame, unless it has to wait. */
static bool take_frame(struct ttrpc *t, struct dm_ttrpc_frame *frame)
{
    if (!dm_ttrpc_input_look(&t->input, frame) || must_wait(t, &frame->header)) {
        t->session.closing = t->session.closing || t->input.no_memory;
        return false;
    }
    dm_ttrpc_input_take(&t->input, frame);
    return true;
}

/* What is wrong with a request before its envelope is read; NULL: nothing. */
static const char *request_fault(struct ttrpc *t, const struct dm_ttrpc_frame *frame)
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

static bool on_request(struct ttrpc *t, const struct dm_ttrpc_frame *frame,
                       struct dm_session_event *event)
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
    dm_ttrpc_calls_begin(&t->calls, (struct dm_ttrpc_call){.id = frame->header.stream,
                                                           .state = open ? DM_TTRPC_CALL_OPEN
                                                                         : DM_TTRPC_CALL_CLOSED});
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

static bool on_data(struct ttrpc *t, const struct dm_ttrpc_frame *frame,
                    struct dm_session_event *event)
{
    struct dm_ttrpc_call *call = dm_ttrpc_calls_find(&t->calls, frame->header.stream);
    if (call == NULL || call->state == DM_TTRPC_CALL_CANCELLED) {
        return refuse(t, event, frame->header.stream, DM_INVALID_ARGUMENT,
                      "no open call has this stream id");
    }
    if (call->state == DM_TTRPC_CALL_CLOSED) {
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
        call->state = DM_TTRPC_CALL_CLOSED;
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

static bool on_frame(struct ttrpc *t, const struct dm_ttrpc_frame *frame,
                     struct dm_session_event *event)
{
    if (frame->header.size > DM_TTRPC_DISCARD_MAX) {
        t->session.closing = true;
        return false;
    }
    if (frame->too_long) {
        if (frame->header.type == DM_TTRPC_REQUEST && frame->header.stream % 2 != 0 &&
            frame->header.stream > t->highest) {
            t->highest = frame->header.stream;
        }
        bool crowded = frame->header.size <= t->input.frame_max;
        if (crowded) {
            t->input.crowd->refused++;
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

/* ---- the session ---------------------------------------------------------------------- */

static struct ttrpc *ttrpc_of(struct dm_session *session)
{
    return (struct ttrpc *)(void *)session;
}

static void ttrpc_feed(struct dm_session *session, struct dm_slice bytes)
{
    struct ttrpc *t = ttrpc_of(session);
    if (!session->closing) {
        dm_ttrpc_input_feed(&t->input, bytes);
        session->closing = t->input.no_memory;
    }
}

/* What is to be said of earlier calls before more frames are looked at. */
static bool next_of_calls(struct ttrpc *t, struct dm_session_event *event)
{
    if (!dm_ttrpc_calls_settle(&t->calls)) {
        return refuse(t, event, t->calls.current.id, DM_RESOURCE_EXHAUSTED,
                      "no memory for another call");
    }
    uint32_t cancelled = dm_ttrpc_calls_next_cancelled(&t->calls);
    if (cancelled != 0) {
        *event = (struct dm_session_event){.kind = DM_EVENT_CANCEL, .id = cancelled};
        return true;
    }
    if (t->input_end != 0) {
        *event = (struct dm_session_event){.kind = DM_EVENT_INPUT_END, .id = t->input_end};
        t->input_end = 0;
        return true;
    }
    return false;
}

static bool ttrpc_next(struct dm_session *session, struct dm_session_event *event)
{
    struct ttrpc *t = ttrpc_of(session);
    struct dm_ttrpc_frame frame;
    session->more = t->held_back = false;
    if (next_of_calls(t, event)) {
        return true;
    }
    /* A client that does not read its answers is not asked for more requests. */
    while (!session->closing && dm_session_unsent(session) <= t->output_high &&
           take_frame(t, &frame)) {
        if (on_frame(t, &frame, event)) {
            return true;
        }
    }
    dm_ttrpc_input_keep(&t->input);
    session->closing = session->closing || t->input.no_memory;
    session->inputs = 0;
    session->paused = t->held_back || dm_session_unsent(session) > t->output_high;
    return false;
}

static size_t ttrpc_peek(struct dm_session *session, struct dm_slice *payloads, size_t max)
{
    struct ttrpc *t = ttrpc_of(session);
    return dm_ttrpc_input_payloads(&t->input, &t->names, payloads, max);
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
    if (dm_ttrpc_response_size(&response) > t->input.frame_max) {
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
    if (!dm_ttrpc_calls_cancel(&t->calls, (uint32_t)id)) {
        t->session.closing = true;
    }
}

static void ttrpc_stream_message(struct dm_session *session, uint64_t id, struct dm_slice payload)
{
    struct ttrpc *t = ttrpc_of(session);
    if (payload.size > t->input.frame_max) {
        cancel_stream(t, id);
        return;
    }
    if (dm_ttrpc_calls_is_open(&t->calls, id)) {
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
    return dm_ttrpc_calls_is_open(&t->calls, id) && has_room(t)
               ? t->output_high - dm_buf_size(&session->out)
               : 0;
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
    dm_ttrpc_input_load(&t->input, load);
    load->memory += session->out.capacity + t->calls.size * sizeof *t->calls.places;
}

static void ttrpc_give_up(struct dm_session *session)
{
    struct ttrpc *t = ttrpc_of(session);
    struct dm_load load;
    ttrpc_load(session, &load);
    if (!session->closing && load.body && t->input.discard == 0) {
        struct dm_ttrpc_header header;
        dm_ttrpc_header_load(dm_buf_head(&t->input.held), &header);
        put_status(t, header.stream, DM_UNAVAILABLE, DM_STOPPING_SENTENCE);
    }
    session->closing = true;
}

static void ttrpc_destroy(struct dm_session *session)
{
    struct ttrpc *t = ttrpc_of(session);
    dm_ttrpc_calls_finish(&t->calls);
    dm_ttrpc_input_finish(&t->input);
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
    t->input.frame_max =
        limits->message_size_max != 0 ? limits->message_size_max : DM_MESSAGE_SIZE_MAX;
    t->calls_max = limits->calls_max != 0 ? limits->calls_max : DM_CALLS_PER_CONNECTION_MAX;
    t->input.crowd = limits->crowd;
    t->output_high = limits->output_high != 0 ? limits->output_high : DM_OUTPUT_HIGH;
    return &t->session;
}
