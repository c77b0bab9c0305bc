#ifndef DORMOUSE_CLIENT_H
#define DORMOUSE_CLIENT_H

#include <dormouse/code.h>
#include <dormouse/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The client of dormouse.v1.BotStatus, over ttrpc.
 *
 *   asynchronous    dormouse_client_create(loop, ...), dormouse_check(..., callback): any
 *                   number of calls on one connection, on your own libuv loop
 *   blocking        dormouse_client_open(...), dormouse_check_wait(...)
 *
 * Nothing here is thread-safe: a client belongs to its loop's thread. A callback is never
 * called from within the function that began the call. It may call anything here; but what
 * would wait on the loop that calls it (each function that ends in _wait, dormouse_client_run,
 * dormouse_client_free) does nothing and returns FAILED_PRECONDITION.
 *
 * A broken connection is made anew, with growing pauses; they are short again after one that
 * lasted as long as the longest pause. Calls that were under way end with UNAVAILABLE; calls
 * made meanwhile wait for the connection until their deadline.
 *
 * What the process does with signals is left alone: a server that goes away causes no SIGPIPE.
 *
 * What may be relied upon: a program that was compiled with these headers works with each later
 * library of the same soname. Functions stay, members of structs and values of enums keep their
 * places and meanings; new ones come at the end (see <dormouse/message.h>). Structs that you pass
 * say by their size how much of them you know. A library that is older than your headers refuses
 * to make a client, rather than to misread it. Nothing beyond these headers is part of it. */

struct uv_loop_s; /* uv_loop_t; include <uv.h> only to run it */

struct dormouse_client;
struct dormouse_stream;

/* Made by DORMOUSE_OPTIONS(.address = "127.0.0.1:7400"). Zero in a member: its default. New members
 * come at the end, with DORMOUSE_LATER. */
struct dormouse_options {
    size_t struct_size;
    const char *address;     /* "HOST:PORT", "[V6]:PORT" or "unix:PATH"; required */
    uint32_t level;          /* DORMOUSE_LEVEL */
    uint32_t timeout_ms;     /* of a call that sets none; default 10,000 */
    uint32_t calls_max;      /* open at once; default and most 4,096, the server's own limit */
    uint32_t backoff_min_ms; /* the first pause before connecting again; default 50 */
    uint32_t backoff_max_ms; /* the longest one; default 5,000 */
    uint32_t unused;         /* 0 */
};

#define DORMOUSE_OPTIONS(...)   \
    ((struct dormouse_options){ \
        .struct_size = sizeof(struct dormouse_options), .level = DORMOUSE_LEVEL, __VA_ARGS__})

/* How a call ended. The message is "" with OK, else a sentence. This struct never grows. */
struct dormouse_result {
    int code; /* enum dormouse_code */
    struct dormouse_text message;
};

/* ---- life ---------------------------------------------------------------------- */

/* Begins to connect; needs no server yet. The loop is kept alive until the client is
 * closed. NULL: the address is not one, the program was compiled for a newer library than this
 * one (*result says so, when not NULL; its message is static), or there is no memory. */
struct dormouse_client *dormouse_client_create(struct uv_loop_s *loop,
                                               const struct dormouse_options *options,
                                               struct dormouse_result *result);

/* Ends all open calls and streams with CANCELLED, then calls `closed` (may be NULL) as the
 * client's last word. All of it later, on the loop. The client must not be used again. Only for a
 * client of dormouse_client_create: FAILED_PRECONDITION otherwise. CANCELLED: it is closing. */
int dormouse_client_close(struct dormouse_client *client, void (*closed)(void *context),
                          void *context);

/* A client with a loop of its own, for the functions that end in _wait. Connects and waits
 * for it, at most options->timeout_ms; NULL when that fails: *result says why ("connecting:
 * connection refused"), when not NULL, in words that are valid until this thread's next
 * dormouse_client_open. */
struct dormouse_client *dormouse_client_open(const struct dormouse_options *options,
                                             struct dormouse_result *result);
/* Only for a client of dormouse_client_open, and not in a callback: FAILED_PRECONDITION otherwise,
 * and the client lives on. NULL is allowed. */
int dormouse_client_free(struct dormouse_client *client);

bool dormouse_client_connected(const struct dormouse_client *client);
/* Why a connection of the client, or of one of its streams, failed last; "" when none ever did.
 * Valid until the loop runs again. For a watch that resumes, which does not end by that. */
struct dormouse_text dormouse_client_last_failure(const struct dormouse_client *client);
/* Why a function of this client last began nothing: what is wrong with the request, or which limit
 * it met. "" when none ever did. Valid until the next one does. */
struct dormouse_text dormouse_client_last_refusal(const struct dormouse_client *client);
/* Calls begun whose callback has not been called. */
uint32_t dormouse_client_calls(const struct dormouse_client *client);

/* ---- calls --------------------------------------------------------------------- */

/* Begins a call of any service and any method. The bytes are copied or sent before this
 * returns. timeout_ms: 0 is the client's own. OK: `done` will be called once, with the
 * answer's bytes (valid until it returns; empty unless OK). Otherwise nothing was begun:
 * RESOURCE_EXHAUSTED (calls_max, or a request over 4 MiB), CANCELLED (closed); in words:
 * dormouse_client_last_refusal. */
typedef void (*dormouse_call_done)(void *context, const struct dormouse_result *result,
                                   struct dormouse_text answer);
int dormouse_call(struct dormouse_client *client, struct dormouse_text service,
                  struct dormouse_text method, struct dormouse_text request, uint32_t timeout_ms,
                  dormouse_call_done done, void *context);

/* Blocking: fills *answer (empty unless OK), valid until the next blocking call of this client.
 * Returns result->code; `result` may be NULL. */
int dormouse_call_wait(struct dormouse_client *client, struct dormouse_text service,
                       struct dormouse_text method, struct dormouse_text request,
                       uint32_t timeout_ms, struct dormouse_result *result,
                       struct dormouse_text *answer);

/* The same for one method each, with its messages. `answer` is NULL unless OK, and the client's: of
 * a callback's until it returns, of a blocking call's until the next one of this client. Beginning
 * can also fail with INVALID_ARGUMENT: a struct of the request has no struct_size, or two members
 * are set of which the server takes only one. */
#define DORMOUSE_METHOD(name, request_type, answer_type)                                           \
    typedef void (*dormouse_##name##_done)(void *context, const struct dormouse_result *result,    \
                                           const struct answer_type *answer);                      \
    int dormouse_##name(struct dormouse_client *client, const struct request_type *request,        \
                        uint32_t timeout_ms, dormouse_##name##_done done, void *context);          \
    int dormouse_##name##_wait(struct dormouse_client *client, const struct request_type *request, \
                               uint32_t timeout_ms, struct dormouse_result *result,                \
                               const struct answer_type **answer)

DORMOUSE_METHOD(check, dormouse_check, dormouse_check_answer);
DORMOUSE_METHOD(commit_reply, dormouse_commit_reply, dormouse_commit_reply_answer);
DORMOUSE_METHOD(record_activity, dormouse_record_activity, dormouse_record_activity_answer);
DORMOUSE_METHOD(get_contact, dormouse_get_contact, dormouse_contact);
DORMOUSE_METHOD(batch_get_contacts, dormouse_batch_get, dormouse_batch_get_answer);
DORMOUSE_METHOD(list_contacts, dormouse_list, dormouse_list_answer);
DORMOUSE_METHOD(set_status, dormouse_set_status, dormouse_set_status_answer);
DORMOUSE_METHOD(batch_set_status, dormouse_batch_set_status, dormouse_batch_set_status_answer);
DORMOUSE_METHOD(delete_contact, dormouse_delete_contact, dormouse_delete_contact_answer);
DORMOUSE_METHOD(get_history, dormouse_history, dormouse_history_answer);
DORMOUSE_METHOD(get_policy, dormouse_get_policy, dormouse_policy);
DORMOUSE_METHOD(set_policy, dormouse_set_policy, dormouse_policy);
DORMOUSE_METHOD(get_stats, dormouse_get_stats, dormouse_stats);

/* ---- streams ------------------------------------------------------------------- */

/* Each stream has a connection of its own: a paused or slow one holds up nothing else, and
 * closing it really ends it at the server (ttrpc knows no cancel). */

/* One message's bytes, valid until the callback returns. */
typedef void (*dormouse_stream_message)(void *context, struct dormouse_text message);
/* The stream is over, and void when this returns. OK: the server ended it. Not called after
 * dormouse_stream_close. */
typedef void (*dormouse_stream_end)(void *context, const struct dormouse_result *result);

/* NULL: no memory, too large, or the client is closed; with a request as a struct, also what
 * INVALID_ARGUMENT is for a call: dormouse_client_last_refusal. timeout_ms: 0 is none. A stream
 * whose connection breaks ends with UNAVAILABLE. */
struct dormouse_stream *
dormouse_stream_open(struct dormouse_client *client, struct dormouse_text service,
                     struct dormouse_text method, struct dormouse_text request, uint32_t timeout_ms,
                     dormouse_stream_message message, dormouse_stream_end end, void *context);

/* Stops reading its socket: the server then holds back. Messages already read are kept. */
void dormouse_stream_pause(struct dormouse_stream *stream);
void dormouse_stream_resume(struct dormouse_stream *stream);
/* Ends it without a further callback; void when this returns. */
void dormouse_stream_close(struct dormouse_stream *stream);

typedef void (*dormouse_watch_event)(void *context, const struct dormouse_watch_message *message);
/* With resume, a broken connection is made anew and the watch goes on after the last message
 * delivered, so each event comes exactly once; it then ends only by an error of the server
 * (OUT_OF_RANGE: what comes next is no longer kept). */
struct dormouse_stream *dormouse_watch(struct dormouse_client *client,
                                       const struct dormouse_watch *request, bool resume,
                                       dormouse_watch_event event, dormouse_stream_end end,
                                       void *context);

typedef void (*dormouse_bulk_event)(void *context, const struct dormouse_bulk_progress *progress);
struct dormouse_stream *dormouse_bulk_set_status(struct dormouse_client *client,
                                                 const struct dormouse_bulk_set_status *request,
                                                 uint32_t timeout_ms, dormouse_bulk_event event,
                                                 dormouse_stream_end end, void *context);

/* Blocking: runs a client of dormouse_client_open until no call is open and every stream has
 * ended, or until dormouse_client_stop is called from a callback; what came in with the same read
 * is still called back. */
int dormouse_client_run(struct dormouse_client *client);
void dormouse_client_stop(struct dormouse_client *client);

#ifdef __cplusplus
}
#endif

#endif
