#include "client/stream.h"

#include "base/assert.h"

#include <assert.h>
#include <stddef.h>

/* The two streams of the service whose messages are structs: Watch, and BulkSetStatus with its
 * progress. A watch knows a cursor, the last event that it handed on; where it resumes, it asks
 * again from there. */

/* Room for a message with one event, and a little more. */
enum { ROOM_SIZE = 1024 };
static_assert(ROOM_SIZE >= 2 * sizeof(struct dormouse_event), "most events need no more memory");

static const char invalid[] = "a message of the stream is not valid";

/* The cursor stands after the rest of the request: of a field that comes twice, the last
 * one counts. */
static bool place_cursor(struct dormouse_stream *stream)
{
    const struct dormouse_watch cursor = {
        .after_seq = stream->cursor,
        /* After seq 0 comes everything; after_seq 0 alone would mean from now on. */
        .from_start = stream->has_cursor ? stream->cursor == 0 : stream->from_start,
    };
    DM_ASSERT(dm_buf_size(&stream->request) >= stream->request_base);
    stream->request.end = stream->request.start + stream->request_base;
    return dm_message_encode(&stream->request, &dm_watch_message, &cursor);
}

static void on_watch_message(struct dormouse_stream *stream, struct dm_slice bytes)
{
    max_align_t room[ROOM_SIZE / sizeof(max_align_t)];
    struct dm_arena arena;
    dm_arena_init(&arena, room, sizeof room);
    struct dormouse_watch_message message;
    if (!dm_message_decode(bytes, &dm_watch_message_message, &message, &arena)) {
        dm_arena_finish(&arena);
        dm_stream_end(stream, DORMOUSE_INTERNAL, dm_slice_str(invalid));
        return;
    }
    uint64_t seq = message.event != NULL ? message.event->seq : message.progress_seq;
    bool handed_on = stream->has_cursor && seq <= stream->cursor && message.event != NULL;
    if (!handed_on) {
        stream->cursor = stream->has_cursor && seq < stream->cursor ? stream->cursor : seq;
        stream->has_cursor = true;
        ((dormouse_watch_event)stream->typed_event)(stream->context, &message);
    }
    dm_arena_finish(&arena);
}

static void on_bulk_message(struct dormouse_stream *stream, struct dm_slice bytes)
{
    struct dormouse_bulk_progress progress;
    struct dm_arena arena = {0};
    bool valid = dm_message_decode(bytes, &dm_bulk_progress_message, &progress, &arena);
    if (valid) {
        ((dormouse_bulk_event)stream->typed_event)(stream->context, &progress);
    } else {
        dm_stream_end(stream, DORMOUSE_INTERNAL, dm_slice_str(invalid));
    }
    dm_arena_finish(&arena);
}

/* Encodes the request: a stream of `method` with it, not connected yet. */
static struct dormouse_stream *typed_new(struct dormouse_client *client, const char *method,
                                         const struct dm_message *message, const void *request)
{
    dm_buf_reset(&client->scratch, SIZE_MAX);
    if (client->closing) {
        (void)dm_client_refuse_closed(client);
        return NULL;
    }
    if (dm_message_check(message, request, &client->refusal) != DM_OK) {
        return NULL;
    }
    if (!dm_message_encode(&client->scratch, message, request)) {
        (void)dm_client_refuse_memory(client);
        return NULL;
    }
    return dm_stream_new(client, dm_slice_str(DM_CLIENT_SERVICE), dm_slice_str(method),
                         dm_buf_slice(&client->scratch));
}

struct dormouse_stream *dormouse_watch(struct dormouse_client *client,
                                       const struct dormouse_watch *request, bool resume,
                                       dormouse_watch_event event, dormouse_stream_end told,
                                       void *context)
{
    if (dm_message_check(&dm_watch_message, request, &client->refusal) != DM_OK) {
        return NULL;
    }
    struct dormouse_watch base = {0}; /* without its cursor; the program may know fewer members */
    memcpy(&base, request, request->struct_size);
    base.after_seq = 0;
    base.from_start = false;
    struct dormouse_stream *stream = typed_new(client, "Watch", &dm_watch_message, &base);
    if (stream == NULL) {
        return NULL;
    }
    stream->typed_message = on_watch_message;
    stream->typed_event = (void (*)(void))event;
    stream->place_cursor = place_cursor;
    stream->resume = resume;
    stream->cursor = request->after_seq;
    stream->has_cursor = request->after_seq != 0 && !request->from_start;
    stream->from_start = request->from_start;
    return dm_stream_start(stream, 0, told, context);
}

struct dormouse_stream *dormouse_bulk_set_status(struct dormouse_client *client,
                                                 const struct dormouse_bulk_set_status *request,
                                                 uint32_t timeout_ms, dormouse_bulk_event event,
                                                 dormouse_stream_end told, void *context)
{
    struct dormouse_stream *stream =
        typed_new(client, "BulkSetStatus", &dm_bulk_set_status_message, request);
    if (stream == NULL) {
        return NULL;
    }
    stream->typed_message = on_bulk_message;
    stream->typed_event = (void (*)(void))event;
    return dm_stream_start(stream, timeout_ms, told, context);
}
