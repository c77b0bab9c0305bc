#ifndef DM_WIRE_SESSION_H
#define DM_WIRE_SESSION_H

#include "base/buf.h"
#include "base/code.h"
#include "base/slice.h"
#include "wire/http.h"

#include <stdbool.h>
#include <stdint.h>

/* One connection's protocol, without its socket: bytes in, requests out, and bytes
 * back. The owner (loop/) feeds what it read, pulls events until there are none, hands
 * answers in at any later time, and sends what is in `out`. A session calls nobody.
 *
 *     dm_session_feed(s, bytes);
 *     while (dm_session_next(s, &event)) ...
 *     dm_session_flush(s);
 *     send and consume s->out; close when s->closing and out is empty
 *
 * An answer, or output that went out, can make the next event ready (a pipelined request,
 * a call that was held back from a client that does not read): pull again after both.
 */

enum dm_codec { DM_CODEC_PROTO, DM_CODEC_JSON };

enum dm_session_event_kind {
    DM_EVENT_CALL,   /* a whole request of an RPC */
    DM_EVENT_CANCEL, /* the caller has given this call up */
    DM_EVENT_HTTP,   /* an HTTP GET or HEAD outside the RPC paths: answer with dm_session_answer */
    DM_EVENT_INPUT,  /* bidirectional only: one more request message of an open call */
    DM_EVENT_INPUT_END,
};

/* Slices are valid until the next dm_session_next or dm_session_feed. */
struct dm_session_event {
    enum dm_session_event_kind kind;
    uint64_t id;                                    /* of the call, unique in the session */
    struct dm_slice service;                        /* "dormouse.v1.BotStatus" */
    struct dm_slice method;                         /* "Check"; HTTP: the path */
    struct dm_slice payload;                        /* one message in `codec`; HTTP: the query */
    struct dm_slice if_none_match, accept_encoding; /* HTTP: what caches said; data NULL: absent */
    enum dm_codec codec;
    int64_t timeout_ns; /* 0: none; negative: it has passed */
    bool streaming;     /* the protocol would carry a stream back (Connect and gRPC-Web say so by
                           content type, ttrpc by its flags; gRPC: true) */
    bool unary;         /* the protocol would carry a single answer back */
    bool open;          /* more INPUT follows (bidirectional) */
    bool awaiting;      /* `open`, and no message has come yet: the first one is an INPUT */
    bool get;           /* came by HTTP GET: methods without side effects only */
};

struct dm_session {
    const struct dm_session_ops *ops;
    struct dm_buf out; /* to be sent, in order */
    bool closing;      /* send `out`, then close; feed nothing more */
    bool announcing;   /* drain: the client has not said yet that it has seen the notice */
    bool paused;       /* enough is fed: read no more from the socket until this is false again */
    bool more;       /* next has returned false for the others' sake: ask again in the next turn */
    uint32_t inputs; /* the session's: see DM_INPUTS_PER_TURN */
    /* Set by the owner: the monotonic clock, before feed and next (0 always: deadlines then
     * count from when a request is whole), and what was taken out of `out` and waits still. */
    uint64_t now_ns;
    size_t unsent;
    uint32_t calls;       /* open calls: handed out by next, not yet answered */
    const char *protocol; /* "ttrpc", "grpc", "connect", ... for metrics; set by the session */
};

/* What a session holds, for whoever has to answer for all of them. */
struct dm_load {
    size_t memory; /* of its buffers and tables, as allocated */
    /* What has begun to come and is not whole: a head (also the first bytes of anything), and
     * a message's body; and the number of each, to tell it from the one before. */
    bool head, body;
    uint32_t head_number, body_number;
};

struct dm_session_ops {
    void (*feed)(struct dm_session *, struct dm_slice);
    bool (*next)(struct dm_session *, struct dm_session_event *);
    /* Optional (NULL): see dm_session_peek. */
    size_t (*peek)(struct dm_session *, struct dm_slice *payloads, size_t max);
    void (*reply)(struct dm_session *, uint64_t id, struct dm_slice payload);
    void (*fail)(struct dm_session *, uint64_t id, enum dm_code, const char *message);
    void (*stream_message)(struct dm_session *, uint64_t id, struct dm_slice payload);
    void (*stream_end)(struct dm_session *, uint64_t id);
    size_t (*stream_room)(struct dm_session *, uint64_t id);
    void (*answer)(struct dm_session *, uint64_t id, struct dm_http_answer *);
    void (*flush)(struct dm_session *);
    void (*drain)(struct dm_session *);
    void (*load)(const struct dm_session *, struct dm_load *);
    void (*give_up)(struct dm_session *);
    /* Optional (NULL): see dm_session_hurry. */
    void (*hurry)(struct dm_session *);
    void (*destroy)(struct dm_session *);
};

/* Takes all of `bytes` (keeps what is half a request). They must stay where they are until
 * dm_session_next has returned false. */
static inline void dm_session_feed(struct dm_session *s, struct dm_slice bytes)
{
    s->ops->feed(s, bytes);
}
/* The next event of what was fed; false: feed more. Or `out` holds too much: then there may
 * be events again when it was sent, as there may be after an answer (pipelined requests). An
 * INPUT comes only while its call has room (dm_session_stream_room). */
static inline bool dm_session_next(struct dm_session *s, struct dm_session_event *event)
{
    return s->ops->next(s, event);
}
/* The payloads of up to `max` calls that the next events will bring, as far as that is
 * cheap to tell; for prefetching only. 0: unknown. */
static inline size_t dm_session_peek(struct dm_session *s, struct dm_slice *payloads, size_t max)
{
    return s->ops->peek == NULL ? 0 : s->ops->peek(s, payloads, max);
}
/* Ends a unary call with its answer (bytes in the call's codec). An id that is not open
 * any more is ignored, here and below. */
static inline void dm_session_reply(struct dm_session *s, uint64_t id, struct dm_slice payload)
{
    s->ops->reply(s, id, payload);
}
/* Ends any call with a status that is not OK. */
static inline void dm_session_fail(struct dm_session *s, uint64_t id, enum dm_code code,
                                   const char *message)
{
    (s->ops->fail)(s, id, code, message); /* cmocka has a macro of that name */
}
/* One message of a stream; the first one opens it. */
static inline void dm_session_stream_message(struct dm_session *s, uint64_t id,
                                             struct dm_slice payload)
{
    s->ops->stream_message(s, id, payload);
}
static inline void dm_session_stream_end(struct dm_session *s, uint64_t id)
{
    s->ops->stream_end(s, id);
}
/* How many bytes of stream messages make sense now; 0: the reader is slow, come back. */
static inline size_t dm_session_stream_room(struct dm_session *s, uint64_t id)
{
    return s->ops->stream_room(s, id);
}
/* Answers an HTTP event. What every answer has is added to its headers. A HEAD is answered like
 * its GET: the body is left out on the way. */
static inline void dm_session_answer(struct dm_session *s, uint64_t id,
                                     struct dm_http_answer *answer)
{
    s->ops->answer(s, id, answer);
}
/* The same, with no header of its own but the content type (static text; NULL: none). */
static inline void dm_session_http_reply(struct dm_session *s, uint64_t id, int status,
                                         const char *content_type, struct dm_slice body)
{
    struct dm_http_answer answer;
    dm_http_answer_init(&answer, status);
    if (content_type != NULL) {
        dm_http_answer_type(&answer, content_type);
    }
    answer.body = body;
    s->ops->answer(s, id, &answer);
}
/* Before `out` is sent: lets a protocol with frames of its own (HTTP/2) write them. */
static inline void dm_session_flush(struct dm_session *s)
{
    s->ops->flush(s);
}
/* The server stops: announce it (GOAWAY, Connection: close); open calls go on. */
static inline void dm_session_drain(struct dm_session *s)
{
    s->ops->drain(s);
}
/* The server stops now: calls whose request is still coming in are answered UNAVAILABLE. The
 * owner feeds nothing more, and sends what is in `out`. */
static inline void dm_session_give_up(struct dm_session *s)
{
    s->ops->give_up(s);
}
#define DM_STOPPING_SENTENCE "the server is stopping, and the request was not whole in time"
/* O(1). */
static inline void dm_session_load(const struct dm_session *s, struct dm_load *load)
{
    s->ops->load(s, load);
}
/* Several messages can be on their way at once here, each at its own pace. Once every
 * DM_BODY_WINDOW_MS: those that came too slowly are refused, the connection lives. False:
 * there is but one at a time, and the owner has to judge it. */
static inline bool dm_session_hurry(struct dm_session *s)
{
    if (s->ops->hurry == NULL) {
        return false;
    }
    s->ops->hurry(s);
    return true;
}
/* Bytes for the client that no socket has taken yet. */
static inline size_t dm_session_unsent(const struct dm_session *s)
{
    return s->unsent + dm_buf_size(&s->out);
}
/* What is left of a call's time when its head came at since_ns: a timeout for its event. */
static inline int64_t dm_session_time_left(const struct dm_session *s, int64_t timeout_ns,
                                           uint64_t since_ns)
{
    int64_t passed_ns = (int64_t)(s->now_ns - since_ns);
    return timeout_ns <= 0 ? timeout_ns : timeout_ns > passed_ns ? timeout_ns - passed_ns : -1;
}
static inline void dm_session_destroy(struct dm_session *s)
{
    if (s != NULL) {
        s->ops->destroy(s);
    }
}

/* ---- the protocols -------------------------------------------------------------------- */

/* Do all connections together hold so much that messages over DM_SMALL_BODY are refused before
 * they are gathered (RESOURCE_EXHAUSTED)? One for all sessions. */
struct dm_crowd {
    bool full;
    uint64_t refused; /* messages so far */
};

struct dm_session_limits {
    uint32_t message_size_max; /* 0: DM_MESSAGE_SIZE_MAX */
    uint32_t calls_max;        /* 0: DM_CALLS_PER_CONNECTION_MAX */
    uint32_t output_high;      /* 0: DM_OUTPUT_HIGH */
    /* Lists of names, NULL-terminated; NULL: none. See wire/browser.h. */
    const char *const *hosts;        /* what Host may say beside IP literals and localhost */
    const char *const *cors_origins; /* origins of pages that may call */
    bool any_host;                   /* no browser comes this way, or no page has what it takes */
    /* Is this path an RPC: "/service/Method"? HTTP only. NULL: every path with a dot in its
     * first segment. */
    bool (*known_service)(struct dm_slice service);
    /* Does this method take a stream of requests? They then come as CALL (open), INPUT ...,
     * INPUT_END. NULL: no method does. */
    bool (*client_streaming)(struct dm_slice service, struct dm_slice method);
    struct dm_crowd *crowd; /* the owner's; NULL: never full */
    /* What the date header says, DM_HTTP_DATE_SIZE bytes that the owner keeps true; NULL: no such
     * header (RFC 9110, 6.6.1, wants one of whoever has a clock). */
    const char *date;
};

static inline bool dm_crowd_full(const struct dm_crowd *crowd)
{
    return crowd != NULL && crowd->full;
}
#define DM_CROWDED_SENTENCE \
    "the server holds too many unfinished requests for one of this size; try again later"

/* NULL when there is no memory. */
struct dm_session *dm_ttrpc_session(const struct dm_session_limits *limits);
struct dm_session *dm_h2_session(const struct dm_session_limits *limits);
struct dm_session *dm_http1_session(const struct dm_session_limits *limits);

/* By a connection's first bytes. */
enum dm_sniff { DM_SNIFF_MORE, DM_SNIFF_TTRPC, DM_SNIFF_H2, DM_SNIFF_HTTP1, DM_SNIFF_REFUSE };
enum dm_sniff dm_sniff(struct dm_slice first);

#endif
