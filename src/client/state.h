#ifndef DM_CLIENT_STATE_H
#define DM_CLIENT_STATE_H

#include "base/list.h"
#include "client/channel.h"
#include "client/deadlines.h"
#include "client/message.h"

#include <dormouse/client.h>

/* What the files of the client share, and what nobody else sees. */

enum {
    DM_CLIENT_BUCKETS = 4096, /* as many as calls at most: chains stay short */
    /* Stream ids grow over a connection's life; past this one it is made anew as soon as
     * nothing is under way. */
    DM_CLIENT_STREAM_LAST = INT32_MAX,
    DM_CLIENT_UNSENT_MAX = 16 * 1024 * 1024, /* bytes of requests that wait, for either reason */
};

/* One method of the typed level. */
struct dm_method {
    const char *name;
    const struct dm_message *request, *answer;
    int change; /* offset of a struct dormouse_change in the request; -1: none */
    /* Calls `done`, cast back to its own type, with the decoded answer or NULL. */
    void (*finish)(void (*done)(void), void *context, const struct dormouse_result *result,
                   const void *answer);
};

struct dm_call {
    struct dm_deadline deadline;
    struct dm_list link;   /* in flying or waiting */
    struct dm_call *chain; /* of its bucket, while flying; of the free ones */
    struct dormouse_client *client;
    uint32_t stream;              /* 0: waiting */
    struct dm_request_copy *copy; /* while waiting */
    dormouse_call_done done;      /* raw level; NULL: typed */
    const struct dm_method *method;
    void (*typed_done)(void);
    void *context;
};

struct dormouse_client {
    uv_loop_t *loop;
    struct dm_address address;
    uint32_t timeout_ms, calls_max, backoff_min_ms, backoff_max_ms;
    struct dm_channel *channel;
    uv_timer_t timer;  /* armed to the first deadline, or earlier */
    uint64_t armed_ms; /* UINT64_MAX: not armed */
    struct dm_deadlines deadlines;
    struct dm_call *buckets[DM_CLIENT_BUCKETS]; /* flying calls by stream id */
    struct dm_list flying, waiting, streams;
    struct dm_call *free_calls;
    uint32_t calls;       /* open ones */
    uint32_t next_stream; /* odd */
    size_t waiting_bytes;
    struct dm_buf scratch; /* a request being encoded */
    char why[160];         /* why it, or a stream, was disconnected last; "": it never was */
    uint32_t handles;      /* what the loop has not let go of yet */
    bool closing;
    void (*closed)(void *context);
    void *closed_context;

    bool owns_loop; /* the blocking half */
    bool stopped;
    struct dm_deadline patience;
    struct dm_buf held; /* the last blocking answer, its message before it */
    struct dm_arena held_arena;
};

/* Of a call as it begins; `method` is set with the typed level's callback. */
struct dm_begin {
    struct dm_slice service, method, payload;
    uint32_t timeout_ms;
    dormouse_call_done done;
    const struct dm_method *typed;
    void (*typed_done)(void);
    void *context;
};
int dm_client_begin(struct dormouse_client *client, const struct dm_begin *begin);

/* The options, with the default where one is zero. */
void dm_client_set_options(struct dormouse_client *client, const struct dormouse_options *options);

/* Tells a typed call its result, with the answer decoded. */
void dm_client_finish_typed(const struct dm_call *call, const struct dormouse_result *result,
                            struct dm_slice payload);

/* Arms the timer for a deadline `timeout_ms` from now. false: no memory. */
bool dm_client_deadline(struct dormouse_client *client, struct dm_deadline *deadline,
                        uint32_t timeout_ms);

/* Of a channel that the client counted in `handles`. */
void dm_client_handle_closed(void *client);

/* For the client's close: first all streams lose their connections, then, when the loop is
 * done with those, they are told of their end. */
void dm_streams_let_go(struct dormouse_client *client);
void dm_streams_cancel(struct dormouse_client *client);

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

/* false: both times of the change are set, which the wire cannot carry. */
static inline bool dm_change_valid(const struct dormouse_change *change)
{
    return change->snooze_for_ms == 0 || change->snooze_until_ms == 0;
}

#define DM_CLIENT_SERVICE "dormouse.v1.BotStatus"

#endif
