#include "wire/exchange.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/limits.h"

#include <stdio.h>

size_t dm_message_size_max(const struct dm_session_limits *limits)
{
    return limits->message_size_max != 0 ? limits->message_size_max : (size_t)DM_MESSAGE_SIZE_MAX;
}

void dm_exchange_reset(struct dm_exchange *x)
{
    dm_clear(&x->state, sizeof *x - offsetof(struct dm_exchange, state));
}

void dm_exchange_shrink(struct dm_exchange *x, size_t keep)
{
    dm_buf_reset(&x->input, keep);
    dm_buf_reset(&x->tail, keep);
}

void dm_exchange_release(struct dm_exchange *x)
{
    dm_buf_finish(&x->input);
    dm_buf_finish(&x->tail);
}

/* ---- the head of an answer ------------------------------------------------------------ */

static void put(struct dm_http_headers *headers, const char *name, const char *value)
{
    dm_http_headers_add(headers, (struct dm_http_header){.name = dm_slice_str(name),
                                                         .value = dm_slice_str(value),
                                                         .lasting = true});
}

static void put_common(const struct dm_exchange *x, struct dm_http_headers *headers, bool stored)
{
    static const struct dm_http_header nosniff =
        DM_HTTP_HEADER_INIT("x-content-type-options", "nosniff");
    static const struct dm_http_header no_store = DM_HTTP_HEADER_INIT("cache-control", "no-store");
    const struct dm_session_limits *limits = x->limits;
    dm_http_headers_add(headers, nosniff);
    if (!stored) {
        dm_http_headers_add(headers, no_store);
    }
    if (limits->date != NULL && (x->route.protocol == NULL || !x->route.protocol->no_date)) {
        struct dm_http_header date = DM_HTTP_HEADER("date", "");
        date.value = dm_slice(limits->date, DM_HTTP_DATE_SIZE);
        date.lasting = false;
        dm_http_headers_add(headers, date);
    }
    if (limits->cors_origins != NULL) {
        dm_http_headers_add(headers, DM_HTTP_HEADER("vary", "origin"));
    }
    if (x->route.cors_origin != NULL) {
        put(headers, "access-control-allow-origin", x->route.cors_origin);
        dm_http_headers_add(
            headers,
            DM_HTTP_HEADER("access-control-expose-headers",
                           "grpc-status, grpc-message, grpc-accept-encoding, accept-encoding, "
                           "connect-accept-encoding"));
    }
}

static void set_answered(struct dm_exchange *x)
{
    if (x->state == DM_EXCHANGE_OPEN) {
        DM_ASSERT(x->session->calls > 0);
        x->session->calls--;
    }
    dm_exchange_set_state(x, DM_EXCHANGE_ANSWERED);
}

void dm_exchange_abandon(struct dm_exchange *x)
{
    if (x->state != DM_EXCHANGE_ANSWERED) {
        set_answered(x);
    }
}

void dm_exchange_answer(struct dm_exchange *x, struct dm_http_answer *answer)
{
    char length[DM_DECIMAL_MAX];
    bool stored =
        x->route.class == DM_HTTP_FILE ||
        (dm_exchange_is_page(x) && dm_http_headers_find(&answer->headers, "cache-control") != NULL);
    DM_ASSERT(!x->started);
    put_common(x, &answer->headers, stored);
    if (dm_http_has_body(answer->status) && !answer->no_length) {
        struct dm_http_header header = DM_HTTP_HEADER("content-length", "");
        header.value = dm_decimal(answer->body.size, length);
        header.lasting = false;
        dm_http_headers_add(&answer->headers, header);
    }
    if (!dm_http_has_body(answer->status) || x->route.verb == DM_HTTP_VERB_HEAD) {
        answer->body = dm_slice(NULL, 0);
    }
    set_answered(x);
    x->started = true;
    x->transport->answer(x, answer);
}

void dm_exchange_start(struct dm_exchange *x)
{
    struct dm_http_headers headers;
    if (x->started) {
        return;
    }
    headers.count = 0;
    dm_http_headers_add(&headers, *x->route.content_type);
    put_common(x, &headers, false);
    if (x->route.tell_encodings) {
        dm_http_headers_add(&headers, x->route.protocol->accept_encoding);
    }
    x->started = true;
    x->transport->begin(x, &headers);
}

bool dm_exchange_data(struct dm_exchange *x, struct dm_slice head, struct dm_slice rest)
{
    DM_ASSERT(x->started && x->state != DM_EXCHANGE_ANSWERED);
    return x->transport->data(x, head, rest);
}

void dm_exchange_stop(struct dm_exchange *x)
{
    DM_ASSERT(x->started);
    set_answered(x);
    x->transport->end(x);
}

/* ---- answers -------------------------------------------------------------------------- */

#define ACCEPT_POST                                                                \
    "application/json, application/proto, application/connect+json, "              \
    "application/connect+proto, application/grpc-web, application/grpc-web+json, " \
    "application/grpc-web+proto, application/grpc-web-text, "                      \
    "application/grpc-web-text+proto"

static void put_refusal_headers(const struct dm_route *route, struct dm_http_headers *headers)
{
    if (route->allow != NULL) {
        put(headers, "allow", route->allow);
    }
    if (route->accept_post) {
        put(headers, "accept-post", route->grpc ? ACCEPT_POST ", application/grpc" : ACCEPT_POST);
    }
    if (route->preflight) {
        dm_http_headers_add(headers, DM_HTTP_HEADER("access-control-allow-methods", "GET, POST"));
        dm_http_headers_add(
            headers,
            DM_HTTP_HEADER("access-control-allow-headers",
                           "content-type, connect-protocol-version, connect-timeout-ms, "
                           "connect-accept-encoding, connect-content-encoding, grpc-timeout, "
                           "grpc-accept-encoding, x-grpc-web, x-user-agent, user-agent"));
        dm_http_headers_add(headers, DM_HTTP_HEADER("access-control-max-age", "7200"));
    }
}

/* For people: a sentence. */
void dm_exchange_refuse(struct dm_exchange *x, int status, const char *why)
{
    char body[256];
    struct dm_http_answer answer;
    dm_http_answer_init(&answer, status);
    if (dm_http_has_body(status)) {
        int size = snprintf(body, sizeof body, "%s\n", why == NULL ? "" : why);
        size = size < (int)sizeof body ? size : (int)sizeof body - 1;
        answer.body = dm_slice(body, (size_t)size);
        dm_http_answer_type(&answer, "text/plain; charset=utf-8");
    }
    put_refusal_headers(&x->route, &answer.headers);
    dm_exchange_answer(x, &answer);
}

void dm_exchange_fail(struct dm_exchange *x, enum dm_code code, const char *message)
{
    if (dm_exchange_is_page(x)) {
        dm_exchange_refuse(x, dm_http_status(code), message);
    } else {
        x->route.protocol->end(x, code, message);
    }
}

void dm_exchange_finish(struct dm_exchange *x)
{
    if (x->route.status != 0) {
        dm_exchange_refuse(x, x->route.status, x->route.why);
    } else {
        dm_exchange_fail(x, x->code, x->why);
    }
}

/* false: the answer does not fit the request, and the call has failed instead. */
static bool can_say(struct dm_exchange *x, bool stream, struct dm_slice payload)
{
    const struct dm_call_protocol *protocol = x->route.protocol;
    if (protocol == NULL) {
        dm_exchange_fail(x, DM_INTERNAL, "a page was answered as a call");
    } else if (payload.size > dm_message_size_max(x->limits)) {
        dm_exchange_fail(x, DM_RESOURCE_EXHAUSTED, "the answer is larger than one message may be");
    } else if (stream && !protocol->streaming) {
        dm_exchange_fail(x, DM_UNIMPLEMENTED, "this content type cannot carry a stream");
    } else {
        return true;
    }
    return false;
}

/* false: there was no memory, and the call has failed instead. */
static bool say(struct dm_exchange *x, struct dm_slice payload)
{
    const struct dm_call_protocol *protocol = x->route.protocol;
    dm_exchange_start(x);
    if (!protocol->message(x, payload)) {
        protocol->end(x, DM_RESOURCE_EXHAUSTED, "the server has no memory for the answer");
        return false;
    }
    return true;
}

void dm_exchange_reply(struct dm_exchange *x, struct dm_slice payload)
{
    const struct dm_call_protocol *protocol = x->route.protocol;
    if (!can_say(x, false, payload)) {
        return;
    }
    if (protocol->reply != NULL) {
        protocol->reply(x, payload);
    } else if (say(x, payload)) {
        protocol->end(x, DM_OK, NULL);
    }
}

void dm_exchange_message(struct dm_exchange *x, struct dm_slice payload)
{
    if (can_say(x, true, payload)) {
        (void)say(x, payload);
    }
}

void dm_exchange_end(struct dm_exchange *x)
{
    if (can_say(x, true, dm_slice(NULL, 0))) {
        x->route.protocol->end(x, DM_OK, NULL);
    }
}
