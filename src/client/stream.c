#include "client/state.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* A stream is one request on a connection of its own. It begins when the connection is up;
 * then data frames come, until one says that it was the last or a response gives an error.
 * A broken connection ends it, unless it is a watch that resumes: that asks again on the next
 * connection, from where it was. */

struct dormouse_stream {
    struct dormouse_client *client;
    struct dm_channel *channel; /* NULL: let go, the end is to be told */
    struct dm_list link;        /* client->streams */
    struct dm_deadline deadline;
    bool sent; /* the request, on this connection */
    uint32_t timeout_ms;
    struct dm_buf service, method, request;
    dormouse_stream_message message;
    void *message_context; /* the stream itself, for the typed ones below */
    dormouse_stream_end end;
    void *context;

    dormouse_watch_event on_event;   /* of a watch */
    dormouse_bulk_event on_progress; /* of a bulk change */
    bool resume;
    bool has_cursor;
    uint64_t cursor;
    size_t request_base; /* the request without its cursor */
    bool from_start;
};

enum { STREAM_ID = 1 };

static void let_go(struct dormouse_stream *stream)
{
    dm_deadlines_remove(&stream->client->deadlines, &stream->deadline);
    if (stream->channel != NULL) {
        dm_channel_close(stream->channel, dm_client_handle_closed, stream->client);
        stream->channel = NULL;
    }
}

static void stream_free(struct dormouse_stream *stream)
{
    let_go(stream);
    dm_list_remove(&stream->link);
    dm_buf_finish(&stream->service);
    dm_buf_finish(&stream->method);
    dm_buf_finish(&stream->request);
    free(stream);
}

static void end(struct dormouse_stream *stream, int code, struct dm_slice message)
{
    /* The analyzer does not see that stream_free takes it out of the list it was found in. */
    dormouse_stream_end told = stream->end; // NOLINT(clang-analyzer-unix.Malloc)
    void *context = stream->context;
    stream_free(stream);
    struct dormouse_result result = {.code = code, .message = dm_text_of(message)};
    told(context, &result);
}

static void on_expired(struct dm_deadline *deadline)
{
    end(DM_CONTAINER_OF(deadline, struct dormouse_stream, deadline), DORMOUSE_DEADLINE_EXCEEDED,
        dm_slice_str("the stream did not end in time"));
}

/* ---- the channel's news ---------------------------------------------------- */

/* The cursor stands after the rest of the request: of a field that comes twice, the last
 * one counts. */
static bool append_cursor(struct dormouse_stream *stream)
{
    const struct dormouse_watch cursor = {
        .after_seq = stream->cursor,
        /* After seq 0 comes everything; after_seq 0 alone would mean from now on. */
        .from_start = stream->has_cursor ? stream->cursor == 0 : stream->from_start,
    };
    stream->request.end = stream->request.start + stream->request_base;
    return dm_message_encode(&stream->request, &dm_watch_message, &cursor);
}

static void on_up(void *owner)
{
    struct dormouse_stream *stream = owner;
    uint64_t now = uv_now(stream->client->loop);
    uint64_t left = 0;
    if (stream->timeout_ms != 0) {
        left = stream->deadline.at_ms > now ? stream->deadline.at_ms - now : 1;
    }
    bool ready = stream->on_event == NULL || append_cursor(stream);
    struct dm_ttrpc_request request = {
        .service = dm_buf_slice(&stream->service),
        .method = dm_buf_slice(&stream->method),
        .payload = dm_buf_slice(&stream->request),
        .timeout_ns = (int64_t)left * 1000000,
    };
    if (!ready || !dm_ttrpc_request_write(&stream->channel->out, STREAM_ID, DM_TTRPC_REMOTE_CLOSED,
                                          &request)) {
        end(stream, DORMOUSE_RESOURCE_EXHAUSTED, dm_slice_str("no memory"));
        return;
    }
    stream->sent = true;
    dm_channel_flush_later(stream->channel);
}

static void on_down(void *owner, const char *why)
{
    struct dormouse_stream *stream = owner;
    bool was_sent = stream->sent;
    stream->sent = false;
    (void)snprintf(stream->client->why, sizeof stream->client->why, "%s", why);
    if (was_sent && !stream->resume) {
        char message[224];
        (void)snprintf(message, sizeof message, "connection lost: %s", why);
        end(stream, DORMOUSE_UNAVAILABLE, dm_slice_str(message));
    }
}

/* What the server says at the end of a stream. A watch that resumes goes on elsewhere when
 * the server only stops. */
static void ended_by_server(struct dormouse_stream *stream, int code, struct dm_slice message)
{
    if (stream->resume && (code == DORMOUSE_OK || code == DORMOUSE_UNAVAILABLE)) {
        dm_channel_drop(stream->channel, "the server ended the watch");
        return;
    }
    end(stream, code, message);
}

static void on_response(struct dormouse_stream *stream, struct dm_slice body)
{
    struct dm_ttrpc_response response;
    if (!dm_ttrpc_response_read(body, &response)) {
        end(stream, DORMOUSE_INTERNAL, dm_slice_str("the response is not a valid envelope"));
        return;
    }
    if (response.code == 0 && response.payload.size != 0) {
        const struct dm_channel *channel = stream->channel;
        stream->message(stream->message_context, dm_text_of(response.payload));
        if (channel->state == DM_CHANNEL_CLOSED) {
            return;
        }
    }
    ended_by_server(stream, response.code, response.message);
}

static void on_frame(void *owner, const struct dm_ttrpc_header *header, struct dm_slice body)
{
    struct dormouse_stream *stream = owner;
    if (header->stream != STREAM_ID) {
        return;
    }
    if (header->type == DM_TTRPC_RESPONSE) {
        on_response(stream, body);
        return;
    }
    if (header->type != DM_TTRPC_DATA) {
        return;
    }
    /* The channel outlives the callback, the stream may not. */
    const struct dm_channel *channel = stream->channel;
    if ((header->flags & DM_TTRPC_NO_DATA) == 0) {
        stream->message(stream->message_context, dm_text_of(body));
    }
    if ((header->flags & DM_TTRPC_REMOTE_CLOSED) != 0 && channel->state != DM_CHANNEL_CLOSED) {
        ended_by_server(stream, DORMOUSE_OK, dm_slice(NULL, 0));
    }
}

/* ---- life ------------------------------------------------------------------ */

/* A stream with its request's words, not connected yet. NULL when there is no memory, it is too
 * large, or the client is closed. */
static struct dormouse_stream *prepare(struct dormouse_client *client, struct dormouse_text service,
                                       struct dormouse_text method, struct dm_slice request)
{
    if (client->closing ||
        service.size + method.size + request.size > DM_MESSAGE_SIZE_MAX - DM_ID_SIZE_MAX) {
        return NULL;
    }
    struct dormouse_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->client = client;
    stream->deadline.expired = on_expired;
    stream->request_base = request.size;
    dm_list_init(&stream->link);
    if (!dm_buf_append(&stream->service, service.data, service.size) ||
        !dm_buf_append(&stream->method, method.data, method.size) ||
        !dm_buf_append(&stream->request, request.data, request.size)) {
        stream_free(stream);
        return NULL;
    }
    return stream;
}

static struct dormouse_stream *start(struct dormouse_stream *stream, uint32_t timeout_ms,
                                     dormouse_stream_message message, dormouse_stream_end told,
                                     void *context)
{
    static const struct dm_channel_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
    struct dormouse_client *client = stream->client;
    stream->message = message;
    stream->message_context =
        stream->on_event != NULL || stream->on_progress != NULL ? stream : context;
    stream->end = told;
    stream->context = context;
    stream->timeout_ms = timeout_ms;
    uv_update_time(client->loop);
    bool ok = timeout_ms == 0 || dm_client_deadline(client, &stream->deadline, timeout_ms);
    if (ok) {
        stream->channel = dm_channel_create(client->loop, &client->address, client->backoff_min_ms,
                                            client->backoff_max_ms, &ops, stream);
    }
    if (stream->channel == NULL) {
        stream_free(stream);
        return NULL;
    }
    client->handles++;
    dm_list_push_back(&client->streams, &stream->link);
    return stream;
}

struct dormouse_stream *
dormouse_stream_open(struct dormouse_client *client, struct dormouse_text service,
                     struct dormouse_text method, struct dormouse_text request, uint32_t timeout_ms,
                     dormouse_stream_message message, dormouse_stream_end told, void *context)
{
    struct dormouse_stream *stream = prepare(client, service, method, dm_slice_of(request));
    return stream == NULL ? NULL : start(stream, timeout_ms, message, told, context);
}

void dormouse_stream_pause(struct dormouse_stream *stream)
{
    if (stream->channel != NULL) {
        dm_channel_pause(stream->channel);
    }
}

void dormouse_stream_resume(struct dormouse_stream *stream)
{
    if (stream->channel != NULL) {
        dm_channel_resume(stream->channel);
    }
}

void dormouse_stream_close(struct dormouse_stream *stream)
{
    stream_free(stream);
}

void dm_streams_let_go(struct dormouse_client *client)
{
    for (struct dm_list *link = client->streams.next; link != &client->streams; link = link->next) {
        let_go(DM_CONTAINER_OF(link, struct dormouse_stream, link));
    }
}

void dm_streams_cancel(struct dormouse_client *client)
{
    while (!dm_list_empty(&client->streams)) {
        end(DM_CONTAINER_OF(client->streams.next, struct dormouse_stream, link), DORMOUSE_CANCELLED,
            dm_slice_str("the client was closed"));
    }
}

/* ---- the two streams of the service ---------------------------------------- */

static const char invalid[] = "a message of the stream is not valid";

static void on_watch_message(void *context, struct dormouse_text bytes)
{
    struct dormouse_stream *stream = context;
    struct dormouse_watch_message message;
    struct dm_arena arena = {0};
    if (!dm_message_decode(dm_slice_of(bytes), &dm_watch_message_message, &message, &arena)) {
        end(stream, DORMOUSE_INTERNAL, dm_slice_str(invalid));
        return;
    }
    uint64_t seq = message.has_event ? message.event.seq : message.progress_seq;
    if (stream->has_cursor && seq <= stream->cursor && message.has_event) {
        return; /* handed on already */
    }
    stream->cursor = stream->has_cursor && seq < stream->cursor ? stream->cursor : seq;
    stream->has_cursor = true;
    stream->on_event(stream->context, &message);
}

static void on_bulk_message(void *context, struct dormouse_text bytes)
{
    struct dormouse_stream *stream = context;
    struct dormouse_bulk_progress progress;
    struct dm_arena arena = {0};
    if (!dm_message_decode(dm_slice_of(bytes), &dm_bulk_progress_message, &progress, &arena)) {
        end(stream, DORMOUSE_INTERNAL, dm_slice_str(invalid));
        return;
    }
    stream->on_progress(stream->context, &progress);
}

/* Encodes the request and prepares a stream of `method` with it. */
static struct dormouse_stream *prepare_typed(struct dormouse_client *client, const char *method,
                                             const struct dm_message *message, const void *request)
{
    dm_buf_reset(&client->scratch, SIZE_MAX);
    if (client->closing || !dm_message_encode(&client->scratch, message, request)) {
        return NULL;
    }
    return prepare(client, dormouse_text(DM_CLIENT_SERVICE), dormouse_text(method),
                   dm_buf_slice(&client->scratch));
}

struct dormouse_stream *dormouse_watch(struct dormouse_client *client,
                                       const struct dormouse_watch *request, bool resume,
                                       dormouse_watch_event event, dormouse_stream_end told,
                                       void *context)
{
    struct dormouse_watch base = *request;
    base.after_seq = 0;
    base.from_start = false;
    struct dormouse_stream *stream = prepare_typed(client, "Watch", &dm_watch_message, &base);
    if (stream == NULL) {
        return NULL;
    }
    stream->on_event = event;
    stream->resume = resume;
    stream->cursor = request->after_seq;
    stream->has_cursor = request->after_seq != 0 && !request->from_start;
    stream->from_start = request->from_start;
    return start(stream, 0, on_watch_message, told, context);
}

struct dormouse_stream *dormouse_bulk_set_status(struct dormouse_client *client,
                                                 const struct dormouse_bulk_set_status *request,
                                                 uint32_t timeout_ms, dormouse_bulk_event event,
                                                 dormouse_stream_end told, void *context)
{
    if (!dm_change_valid(&request->change)) {
        return NULL;
    }
    struct dormouse_stream *stream =
        prepare_typed(client, "BulkSetStatus", &dm_bulk_set_status_message, request);
    if (stream == NULL) {
        return NULL;
    }
    stream->on_progress = event;
    return start(stream, timeout_ms, on_bulk_message, told, context);
}
