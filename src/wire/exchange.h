#ifndef DM_WIRE_EXCHANGE_H
#define DM_WIRE_EXCHANGE_H

#include "base/assert.h"
#include "base/buf.h"
#include "wire/browser.h"
#include "wire/http.h"
#include "wire/session.h"

/* One request over HTTP and its answer, between a protocol of calls (Connect, gRPC-Web, gRPC),
 * which knows what the bytes mean, and a transport (HTTP/1.1, HTTP/2), which knows how they
 * travel. Neither knows the other.
 *
 *     transport: gathers a head; dm_route judges it; dm_request_begin
 *     transport: puts the body into `input`; dm_request_judge, until it says SHOWS or OVER
 *     transport: dm_request_show makes the session's event
 *     owner:     dm_exchange_reply and the like ─▶ the protocol ─▶ the transport
 *
 *     GATHERING ──whole──▶ READY ──shown──▶ OPEN ──answered──▶ ANSWERED
 *         └────── OVER: refused, or failed by its own bytes ──────▲
 */

struct dm_exchange;

/* How a call and its answer look in HTTP. */
struct dm_call_protocol {
    const char *name;      /* for metrics */
    bool unary, streaming; /* the answers that it can carry */
    bool envelopes;        /* its messages come in envelopes; else the body is the message */
    bool starts_at_once;   /* an answer's head goes out before its first message */
    bool no_date;          /* its answers tell none */
    enum dm_http_name timeout, encoding;         /* the headers of a request that tell of them, */
    const char *bad_timeout, *bad_encoding;      /* and sentences for when they are wrong */
    int64_t (*timeout_ns)(struct dm_slice text); /* -1: malformed */
    struct dm_http_header accept_encoding;       /* tells which ones are taken */

    /* One message of an answer whose head is out. false: no memory. NULL: it carries none. */
    bool (*message)(struct dm_exchange *, struct dm_slice payload);
    /* The answer of one message, and its end. NULL: as a stream of one. */
    void (*reply)(struct dm_exchange *, struct dm_slice payload);
    /* The end, with or without a head before it. `message` may be NULL. */
    void (*end)(struct dm_exchange *, enum dm_code code, const char *message);
    /* Trailers of HTTP: their number, at most DM_CALL_TRAILERS_MAX. NULL: none. */
    size_t (*trailers)(const struct dm_exchange *, struct dm_http_header *list);
};
enum { DM_CALL_TRAILERS_MAX = 2 };

/* How bytes travel. Nothing here calls back. */
struct dm_http_transport {
    /* A whole answer, with all its headers. */
    void (*answer)(struct dm_exchange *, const struct dm_http_answer *);
    /* The head, with status 200, of one whose body follows. */
    void (*begin)(struct dm_exchange *, const struct dm_http_headers *);
    /* A piece of the body, in two parts. false: no memory. */
    bool (*data)(struct dm_exchange *, struct dm_slice head, struct dm_slice rest);
    void (*end)(struct dm_exchange *);
};

/* What a head leads to: decided from it alone, by dm_route. */
struct dm_route {
    const struct dm_call_protocol *protocol; /* NULL: a page, or a refusal */
    enum dm_http_class class;
    enum dm_http_verb verb;
    enum dm_codec codec;
    bool text; /* gRPC-Web in base64 */
    bool get;  /* Connect: the message is in the query */
    struct dm_slice path, query;
    struct dm_slice if_none_match, accept_encoding; /* of a page; data NULL: absent */
    struct dm_slice service, method;
    int64_t timeout_ns;
    const struct dm_http_header *content_type; /* of the answer */
    const char *cors_origin;                   /* the allowed origin that asks, or NULL */

    /* A refusal, unless 0: an answer without a protocol. */
    int status;
    const char *why;
    const char *allow; /* header, or NULL */
    bool accept_post;  /* header: what may be posted, */
    bool grpc;         /* and that is gRPC as well */
    bool preflight;

    /* A call that has failed already, unless DM_OK; to be told in its own protocol. */
    enum dm_code code;
    const char *message;
    bool tell_encodings; /* tell which encodings are taken */
};

enum dm_exchange_state {
    DM_EXCHANGE_GATHERING,
    DM_EXCHANGE_READY,
    DM_EXCHANGE_OPEN,
    DM_EXCHANGE_ANSWERED,
};

struct dm_exchange {
    const struct dm_http_transport *transport;
    struct dm_session *session;
    const struct dm_session_limits *limits;
    struct dm_buf input; /* of the request's body, as it came; later decoded */
    struct dm_buf tail;  /* what ends the answer, while it is made or waits */

    /* From here on zero at the beginning. */
    enum dm_exchange_state state;
    bool input_streaming; /* the method takes a stream of requests */
    bool input_any;       /* a message of them has come */
    bool input_ended;     /* the request is whole */
    bool started;         /* the head of its answer is out */
    enum dm_code code;    /* how it ended */
    const char *why;      /* judged to be over: a sentence, or NULL */
    uint64_t head_ns;     /* when its head was whole */
    size_t shown;         /* bytes of `input` that the last event has shown */
    struct dm_route route;
};

size_t dm_message_size_max(const struct dm_session_limits *limits);

/* ---- its life: called by the transport ------------------------------------------------ */

/* Back to the beginning, with the transport, the limits and the buffers that it has. */
void dm_exchange_reset(struct dm_exchange *x);
/* Empties its buffers; each keeps at most `keep` bytes of its memory. */
void dm_exchange_shrink(struct dm_exchange *x, size_t keep);
/* Frees its memory. */
void dm_exchange_release(struct dm_exchange *x);
/* Of its buffers, as allocated. */
static inline size_t dm_exchange_memory(const struct dm_exchange *x)
{
    return x->input.capacity + x->tail.capacity;
}
/* The state changes here only, and never back: another request is another exchange. */
static inline void dm_exchange_set_state(struct dm_exchange *x, enum dm_exchange_state state)
{
    DM_ASSERT(state > x->state);
    x->state = state;
}
static inline bool dm_exchange_is_page(const struct dm_exchange *x)
{
    return x->route.protocol == NULL;
}
/* Nobody waits for the answer any more. */
void dm_exchange_abandon(struct dm_exchange *x);
/* Answers a request that is over: refuses it, or ends its call with x->code. */
void dm_exchange_finish(struct dm_exchange *x);
/* Answers a request that is not a call. */
void dm_exchange_refuse(struct dm_exchange *x, int status, const char *why);

/* ---- the answer: called for the owner ------------------------------------------------- */

void dm_exchange_reply(struct dm_exchange *x, struct dm_slice payload);
void dm_exchange_fail(struct dm_exchange *x, enum dm_code code, const char *message);
void dm_exchange_message(struct dm_exchange *x, struct dm_slice payload);
void dm_exchange_end(struct dm_exchange *x);

/* ---- the answer: called by protocols -------------------------------------------------- */

/* A whole answer. What every answer has is added to its headers: nosniff, no-store, date, what
 * CORS wants, and content-length where HTTP wants one. */
void dm_exchange_answer(struct dm_exchange *x, struct dm_http_answer *answer);
/* The head of an answer in pieces, unless it is out. */
void dm_exchange_start(struct dm_exchange *x);
/* A piece of it, in two parts. false: no memory. */
bool dm_exchange_data(struct dm_exchange *x, struct dm_slice head, struct dm_slice rest);
/* Its end. */
void dm_exchange_stop(struct dm_exchange *x);

#endif
