#include "wire/request.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "wire/envelope.h"

_Static_assert((DM_MESSAGE_SIZE_MAX + DM_ENVELOPE_HEAD) / 3 * 4 + 8 <= DM_HTTP_DISCARD_MAX,
               "the longest body that is taken, in base64, is not too long to be read");
_Static_assert(DM_ENVELOPE_HEAD < DM_SMALL_BODY, "an envelope's head is never a long message");

void dm_request_begin(struct dm_exchange *x, uint64_t now_ns)
{
    const struct dm_route *route = &x->route;
    x->head_ns = now_ns;
    x->input_streaming = route->protocol != NULL && route->protocol->envelopes &&
                         x->limits->client_streaming != NULL &&
                         x->limits->client_streaming(route->service, route->method);
}

size_t dm_request_body_max(const struct dm_exchange *x)
{
    if (!dm_request_wants_input(x)) {
        return 0;
    }
    size_t size = dm_message_size_max(x->limits);
    size += x->route.protocol->envelopes ? DM_ENVELOPE_HEAD : 0;
    return x->route.text ? size / 3 * 4 + 8 : size;
}

bool dm_request_is_long(const struct dm_exchange *x, size_t before)
{
    struct dm_slice bytes = dm_buf_slice(&x->input);
    if (!x->route.protocol->envelopes || x->route.text) {
        return before <= DM_SMALL_BODY && bytes.size > DM_SMALL_BODY;
    }
    return before < DM_ENVELOPE_HEAD && bytes.size >= DM_ENVELOPE_HEAD &&
           dm_load_be32((const uint8_t *)bytes.data + 1) > DM_SMALL_BODY;
}

enum dm_request_step dm_request_over(struct dm_exchange *x, enum dm_code code, const char *why)
{
    x->code = code;
    x->why = why;
    return DM_REQUEST_OVER;
}

static enum dm_request_step shows(struct dm_exchange *x)
{
    if (x->state == DM_EXCHANGE_GATHERING) {
        dm_exchange_set_state(x, DM_EXCHANGE_READY);
    }
    return DM_REQUEST_SHOWS;
}

static enum dm_request_step judge_plain(struct dm_exchange *x)
{
    if (dm_buf_size(&x->input) > dm_message_size_max(x->limits)) {
        return dm_request_over(x, DM_RESOURCE_EXHAUSTED, DM_TOO_LARGE_SENTENCE);
    }
    return x->input_ended ? shows(x) : DM_REQUEST_WAITS;
}

/* A stream that is over before its first message has nothing to say. */
static enum dm_request_step judge_streaming(struct dm_exchange *x, bool whole)
{
    x->input_any = x->input_any || whole;
    if (!x->input_any) {
        return x->input_ended ? dm_request_over(x, DM_OK, NULL) : DM_REQUEST_WAITS;
    }
    if (whole || x->input_ended) {
        return shows(x);
    }
    return DM_REQUEST_WAITS;
}

static enum dm_request_step judge_envelopes(struct dm_exchange *x)
{
    bool whole = false;
    const char *why = NULL;
    struct dm_slice message;
    struct dm_slice bytes = dm_buf_slice(&x->input);
    enum dm_code code =
        dm_envelope_read(bytes, dm_message_size_max(x->limits), &whole, &message, &why);
    if (code != DM_OK) {
        return dm_request_over(x, code, why);
    }
    if (x->input_ended && !whole && bytes.size != 0) {
        return dm_request_over(x, DM_INTERNAL, "the request ends inside a message");
    }
    if (x->input_streaming) {
        return judge_streaming(x, whole);
    }
    bool more = whole && bytes.size > DM_ENVELOPE_HEAD + message.size;
    if (more || (x->input_ended && !whole)) {
        return dm_request_over(x, DM_UNIMPLEMENTED, "this method takes one request message");
    }
    return x->input_ended ? shows(x) : DM_REQUEST_WAITS;
}

/* Base64 is decoded in its place when all of it is there. */
static enum dm_request_step judge_text(struct dm_exchange *x)
{
    if (dm_buf_size(&x->input) > dm_request_body_max(x)) {
        return dm_request_over(x, DM_RESOURCE_EXHAUSTED, DM_TOO_LARGE_SENTENCE);
    }
    if (!x->input_ended) {
        return DM_REQUEST_WAITS;
    }
    if (x->state == DM_EXCHANGE_GATHERING && dm_buf_size(&x->input) != 0) {
        ptrdiff_t size = dm_base64_read_segments(dm_buf_slice(&x->input), dm_buf_head(&x->input));
        if (size < 0) {
            return dm_request_over(x, DM_INVALID_ARGUMENT, "the body is no base64");
        }
        x->input.end = x->input.start + (size_t)size;
    }
    return judge_envelopes(x);
}

enum dm_request_step dm_request_judge(struct dm_exchange *x)
{
    const struct dm_route *route = &x->route;
    DM_ASSERT(x->state <= DM_EXCHANGE_OPEN);
    if (route->code != DM_OK) {
        return dm_request_over(x, route->code, route->message);
    }
    if (!dm_request_wants_input(x)) {
        return !x->input_ended ? DM_REQUEST_WAITS : route->status != 0 ? DM_REQUEST_OVER : shows(x);
    }
    if (!route->protocol->envelopes) {
        return judge_plain(x);
    }
    return route->text ? judge_text(x) : judge_envelopes(x);
}

bool dm_request_has_message(const struct dm_exchange *x)
{
    bool whole = false;
    const char *why;
    struct dm_slice message;
    enum dm_code code = dm_envelope_read(dm_buf_slice(&x->input), dm_message_size_max(x->limits),
                                         &whole, &message, &why);
    return code == DM_OK && whole;
}

/* ---- events --------------------------------------------------------------------------- */

/* The message at the front, and how much of `input` is done with after it. */
static struct dm_slice take_message(struct dm_exchange *x)
{
    bool whole = false;
    const char *why;
    struct dm_slice message = dm_buf_slice(&x->input);
    x->shown = message.size;
    if (x->route.protocol->envelopes) {
        enum dm_code code =
            dm_envelope_read(message, dm_message_size_max(x->limits), &whole, &message, &why);
        DM_ASSERT(code == DM_OK && whole);
        x->shown = DM_ENVELOPE_HEAD + message.size;
    }
    return message;
}

static void show_input(struct dm_exchange *x, struct dm_session_event *event)
{
    event->kind = DM_EVENT_INPUT;
    event->codec = x->route.codec;
    if (dm_request_has_message(x)) {
        event->open = true;
        event->payload = take_message(x);
        return;
    }
    event->kind = DM_EVENT_INPUT_END;
    x->shown = 0;
    x->input_streaming = false;
}

static void show_page(struct dm_exchange *x, struct dm_session_event *event)
{
    event->kind = DM_EVENT_HTTP;
    event->method = x->route.path;
    event->payload = x->route.query;
    event->if_none_match = x->route.if_none_match;
    event->accept_encoding = x->route.accept_encoding;
    event->get = true;
    x->shown = 0;
}

static void show_call(struct dm_exchange *x, struct dm_session_event *event)
{
    const struct dm_route *route = &x->route;
    event->kind = DM_EVENT_CALL;
    event->service = route->service;
    event->method = route->method;
    event->payload = take_message(x);
    event->codec = route->codec;
    event->timeout_ns = dm_session_time_left(x->session, route->timeout_ns, x->head_ns);
    event->streaming = route->protocol->streaming;
    event->unary = route->protocol->unary;
    event->open = x->input_streaming;
    event->get = route->get;
}

void dm_request_show(struct dm_exchange *x, struct dm_session_event *event)
{
    struct dm_session *session = x->session;
    if (x->state == DM_EXCHANGE_OPEN) {
        show_input(x, event);
        return;
    }
    dm_exchange_set_state(x, DM_EXCHANGE_OPEN);
    session->calls++;
    if (dm_exchange_is_page(x)) {
        session->protocol = "http";
        show_page(x, event);
        return;
    }
    session->protocol = x->route.protocol->name;
    show_call(x, event);
    if (x->route.protocol->starts_at_once) {
        dm_exchange_start(x);
    }
}
