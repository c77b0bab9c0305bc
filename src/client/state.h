#ifndef DM_CLIENT_STATE_H
#define DM_CLIENT_STATE_H

#include "base/list.h"
#include "client/channel.h"
#include "client/deadlines.h"
#include "client/message.h"

#include <dormouse/client.h>

/* The client itself, and what calls and streams both need of it: their deadlines, and that it
 * outlives what the loop still holds. Nobody outside of this folder sees it. */

enum {
    DM_CLIENT_BUCKETS = 4096, /* as many as calls at most: chains stay short */
    /* Stream ids grow over a connection's life; past this one it is made anew as soon as
     * nothing is under way. */
    DM_CLIENT_STREAM_LAST = INT32_MAX,
    DM_CLIENT_UNSENT_MAX = 16 * 1024 * 1024, /* bytes of requests that wait, for either reason */
};

struct dm_call;

struct dormouse_client {
    uv_loop_t *loop;
    struct dm_address address;
    uint32_t timeout_ms, calls_max, backoff_min_ms, backoff_max_ms;
    struct dm_channel *channel;
    uv_timer_t timer;  /* armed to the first deadline, or earlier */
    uint64_t armed_ms; /* UINT64_MAX: not armed */
    struct dm_deadlines deadlines;
    struct dm_call *buckets[DM_CLIENT_BUCKETS]; /* calls that were sent, by stream id */
    struct dm_list sent, waiting, streams;
    struct dm_call *free_calls;
    uint32_t calls;       /* open ones */
    uint32_t next_stream; /* odd */
    size_t waiting_bytes;
    struct dm_buf scratch;   /* a request being encoded */
    char failure[160];       /* why it, or a stream, was disconnected last; "": it never was */
    struct dm_error refusal; /* why something was not begun last; DM_OK: it never was so */
    uint32_t handles;        /* what the loop has not let go of yet */
    void (*last_closed)(struct dormouse_client *client); /* frees it: none is left */
    bool closing;
    void (*closed)(void *context);
    void *closed_context;

    bool owns_loop; /* the blocking half */
    bool running;   /* its loop: a callback is being called, which must not block */
    bool stopped;
    struct dm_deadline patience;
    struct dm_buf held; /* the last blocking answer, its message before it */
    struct dm_arena held_arena;
};

/* Arms the timer for a deadline `timeout_ms` from now. false: no memory. */
bool dm_client_deadline(struct dormouse_client *client, struct dm_deadline *deadline,
                        uint32_t timeout_ms);

/* A channel for a call or a stream, or NULL. The client counts it in `handles`. */
struct dm_channel *dm_client_channel(struct dormouse_client *client,
                                     const struct dm_channel_ops *ops, void *owner);
void dm_client_channel_close(struct dormouse_client *client, struct dm_channel *channel);

/* What keeps calls and streams alike from beginning; *refusal of the client says it in words. */
enum dm_code dm_client_refuse_closed(struct dormouse_client *client);
enum dm_code dm_client_refuse_large(struct dormouse_client *client, size_t size);
enum dm_code dm_client_refuse_memory(struct dormouse_client *client);

/* Makes and ends what is above: its timer, and the list of its deadlines. */
void dm_client_timer_init(struct dormouse_client *client);
void dm_client_timer_close(struct dormouse_client *client);

/* What is wrong with the options, in static words; NULL: nothing. */
const char *dm_client_options_wrong(const struct dormouse_options *options);
/* The options, with the default where one is zero. */
void dm_client_set_options(struct dormouse_client *client, const struct dormouse_options *options);

static inline struct dm_slice dm_slice_of(struct dormouse_text text)
{
    return dm_slice(text.data, text.size);
}

static inline struct dormouse_text dm_text_of(struct dm_slice slice)
{
    return (struct dormouse_text){.data = slice.data, .size = slice.size};
}

static inline struct dormouse_result dm_result(int code, const char *message)
{
    return (struct dormouse_result){.code = code, .message = dormouse_text(message)};
}

#define DM_CLIENT_SERVICE "dormouse.v1.BotStatus"

#endif
