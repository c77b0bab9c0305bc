#ifndef DM_CLIENT_STREAM_H
#define DM_CLIENT_STREAM_H

#include "client/state.h"

/* Streams, each one request on a connection of its own. What they carry is bytes here; those
 * whose messages are structs are in watch.c. */

struct dormouse_stream {
    struct dormouse_client *client;
    struct dm_channel *channel; /* NULL: let go, the end is to be told */
    struct dm_list link;        /* client->streams */
    struct dm_deadline deadline;
    bool sent; /* the request, on this connection */
    uint32_t timeout_ms;
    struct dm_buf service, method, request;
    dormouse_stream_message message;
    dormouse_stream_end end;
    void *context;

    /* Of one whose messages are structs; zero otherwise. */
    void (*typed_message)(struct dormouse_stream *stream, struct dm_slice message);
    void (*typed_event)(void);                            /* cast back by typed_message */
    bool (*place_cursor)(struct dormouse_stream *stream); /* into the request, before it is sent */
    bool resume; /* a broken connection is made anew, and the request sent again */
    bool has_cursor, from_start;
    uint64_t cursor;
    size_t request_base; /* bytes of the request without its cursor */
};

/* A stream with its request's words, not connected yet. NULL when there is no memory, it is too
 * large, or the client is closed. */
struct dormouse_stream *dm_stream_new(struct dormouse_client *client, struct dm_slice service,
                                      struct dm_slice method, struct dm_slice request);
/* Connects it. NULL: no memory; the stream is void then. */
struct dormouse_stream *dm_stream_start(struct dormouse_stream *stream, uint32_t timeout_ms,
                                        dormouse_stream_end end, void *context);
/* Tells its end; the stream is void when this returns. */
void dm_stream_end(struct dormouse_stream *stream, int code, struct dm_slice message);

/* For the client's close: first all streams lose their connections, then, when the loop is
 * done with those, they are told of their end. */
void dm_streams_let_go(struct dormouse_client *client);
void dm_streams_cancel(struct dormouse_client *client);

#endif
