#include "client/stream.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* A stream is one request on a connection of its own. It begins when the connection is up;
 * then data frames come, until one says that it was the last or a response gives an error.
 * A broken connection ends it, unless it is a watch that resumes: that asks again on the next
 * connection, from where it was. */

enum { STREAM_ID = 1 };

static void let_go(struct dormouse_stream *stream)
{
    dm_deadlines_remove(&stream->client->deadlines, &stream->deadline);
    if (stream->channel != NULL) {
        dm_client_channel_close(stream->client, stream->channel);
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

void dm_stream_end(struct dormouse_stream *stream, int code, struct dm_slice message)
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
    dm_stream_end(DM_CONTAINER_OF(deadline, struct dormouse_stream, deadline),
                  DORMOUSE_DEADLINE_EXCEEDED, dm_slice_str("the stream did not end in time"));
}

/* ---- the channel's news ---------------------------------------------------- */

static void on_up(void *owner)
{
    struct dormouse_stream *stream = owner;
    DM_ASSERT(!stream->sent);
    uint64_t now = uv_now(stream->client->loop);
    uint64_t left = 0;
    if (stream->timeout_ms != 0) {
        left = stream->deadline.at_ms > now ? stream->deadline.at_ms - now : 1;
    }
    bool ready = stream->place_cursor == NULL || stream->place_cursor(stream);
    struct dm_ttrpc_request request = {
        .service = dm_buf_slice(&stream->service),
        .method = dm_buf_slice(&stream->method),
        .payload = dm_buf_slice(&stream->request),
        .timeout_ns = (int64_t)left * 1000000,
    };
    if (!ready || !dm_ttrpc_request_write(&stream->channel->out, STREAM_ID, DM_TTRPC_REMOTE_CLOSED,
                                          &request)) {
        dm_stream_end(stream, DORMOUSE_RESOURCE_EXHAUSTED, dm_slice_str("no memory"));
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
    (void)snprintf(stream->client->failure, sizeof stream->client->failure, "%s", why);
    if (was_sent && !stream->resume) {
        char message[224];
        (void)snprintf(message, sizeof message, "connection lost: %s", why);
        dm_stream_end(stream, DORMOUSE_UNAVAILABLE, dm_slice_str(message));
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
    dm_stream_end(stream, code, message);
}

/* Hands on one message. The stream may be void afterwards. */
static void give(struct dormouse_stream *stream, struct dm_slice message)
{
    if (stream->typed_message != NULL) {
        stream->typed_message(stream, message);
    } else {
        stream->message(stream->context, dm_text_of(message));
    }
}

static void on_response(struct dormouse_stream *stream, struct dm_slice body)
{
    struct dm_ttrpc_response response;
    if (!dm_ttrpc_response_read(body, &response)) {
        dm_stream_end(stream, DORMOUSE_INTERNAL,
                      dm_slice_str("the response is not a valid envelope"));
        return;
    }
    if (response.code == 0 && response.payload.size != 0) {
        const struct dm_channel *channel = stream->channel;
        give(stream, response.payload);
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
        give(stream, body);
    }
    if ((header->flags & DM_TTRPC_REMOTE_CLOSED) != 0 && channel->state != DM_CHANNEL_CLOSED) {
        ended_by_server(stream, DORMOUSE_OK, dm_slice(NULL, 0));
    }
}

/* ---- life ------------------------------------------------------------------ */

struct dormouse_stream *dm_stream_new(struct dormouse_client *client, struct dm_slice service,
                                      struct dm_slice method, struct dm_slice request)
{
    size_t size = service.size + method.size + request.size;
    if (client->closing) {
        (void)dm_client_refuse_closed(client);
        return NULL;
    }
    if (size > DM_MESSAGE_SIZE_MAX - DM_ID_SIZE_MAX) {
        (void)dm_client_refuse_large(client, size);
        return NULL;
    }
    struct dormouse_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        (void)dm_client_refuse_memory(client);
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
        (void)dm_client_refuse_memory(client);
        return NULL;
    }
    return stream;
}

struct dormouse_stream *dm_stream_start(struct dormouse_stream *stream, uint32_t timeout_ms,
                                        dormouse_stream_end told, void *context)
{
    static const struct dm_channel_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
    struct dormouse_client *client = stream->client;
    DM_ASSERT(stream->channel == NULL && !client->closing);
    DM_ASSERT((stream->message != NULL) != (stream->typed_message != NULL));
    DM_ASSERT(!stream->resume || stream->place_cursor != NULL);
    stream->end = told;
    stream->context = context;
    stream->timeout_ms = timeout_ms;
    uv_update_time(client->loop);
    if (timeout_ms == 0 || dm_client_deadline(client, &stream->deadline, timeout_ms)) {
        stream->channel = dm_client_channel(client, &ops, stream);
    }
    if (stream->channel == NULL) {
        stream_free(stream);
        (void)dm_client_refuse_memory(client);
        return NULL;
    }
    dm_list_push_back(&client->streams, &stream->link);
    return stream;
}

struct dormouse_stream *
dormouse_stream_open(struct dormouse_client *client, struct dormouse_text service,
                     struct dormouse_text method, struct dormouse_text request, uint32_t timeout_ms,
                     dormouse_stream_message message, dormouse_stream_end told, void *context)
{
    struct dormouse_stream *stream =
        dm_stream_new(client, dm_slice_of(service), dm_slice_of(method), dm_slice_of(request));
    if (stream == NULL) {
        return NULL;
    }
    stream->message = message;
    return dm_stream_start(stream, timeout_ms, told, context);
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
    DM_ASSERT(client->closing && client->handles == 0);
    while (!dm_list_empty(&client->streams)) {
        dm_stream_end(DM_CONTAINER_OF(client->streams.next, struct dormouse_stream, link),
                      DORMOUSE_CANCELLED, dm_slice_str("the client was closed"));
    }
}
