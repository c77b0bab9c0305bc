#include "client/calls.h"

#include "base/assert.h"
#include "base/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A call while all goes well: dm_client_begin writes its frame behind those of the same
 * loop turn and files it under its stream id; the response finds it there, and its callback
 * is called. While there is no connection it waits with a copy of its request. A deadline
 * ends it in either place; a response that comes later finds nobody. */

enum {
    ENVELOPE_MAX = 64, /* keys, sizes and the timeout around a request */
};
static_assert(DM_CLIENT_BUCKETS >= DM_CALLS_PER_CONNECTION_MAX, "chains stay short");
static_assert(DM_CLIENT_UNSENT_MAX >= 2 * DM_MESSAGE_SIZE_MAX, "the largest requests fit");
static_assert(DM_CLIENT_STREAM_LAST % 2 == 1, "a client's stream ids are odd");

struct dm_call {
    struct dm_deadline deadline;
    struct dm_list link;   /* in sent or waiting */
    struct dm_call *chain; /* of its bucket, once it was sent; of the free ones */
    struct dormouse_client *client;
    uint32_t stream;              /* 0: waiting */
    struct dm_request_copy *copy; /* while waiting */
    struct dm_call_end end;
};

/* What a waiting call would send. */
struct dm_request_copy {
    struct dm_slice service, method, payload;
    uint8_t bytes[];
};

/* ---- calls under way ------------------------------------------------------- */

static struct dm_call **bucket_of(struct dormouse_client *client, uint32_t stream)
{
    return &client->buckets[stream / 2 % DM_CLIENT_BUCKETS];
}

static struct dm_call *find(struct dormouse_client *client, uint32_t stream)
{
    struct dm_call *call = *bucket_of(client, stream);
    while (call != NULL && call->stream != stream) {
        call = call->chain;
    }
    return call;
}

static void note_sent(struct dm_call *call, uint32_t stream)
{
    DM_ASSERT(call->copy == NULL && stream % 2 == 1 && stream <= DM_CLIENT_STREAM_LAST);
    struct dm_call **bucket = bucket_of(call->client, stream);
    call->stream = stream;
    call->chain = *bucket;
    *bucket = call;
    dm_list_push_back(&call->client->sent, &call->link);
}

static void forget_sent(struct dm_call *call)
{
    struct dm_call **place = bucket_of(call->client, call->stream);
    while (*place != call) {
        DM_ASSERT(*place != NULL);
        place = &(*place)->chain;
    }
    *place = call->chain;
}

/* Takes the call out of everything, then calls back: the callback finds a client in order. */
static void complete(struct dm_call *call, int code, struct dm_slice message,
                     struct dm_slice payload)
{
    struct dormouse_client *client = call->client;
    struct dm_call_end end = call->end;
    DM_ASSERT(client->calls > 0 && (call->stream != 0) == (call->copy == NULL));
    dm_deadlines_remove(&client->deadlines, &call->deadline);
    dm_list_remove(&call->link);
    if (call->stream != 0) {
        forget_sent(call);
    } else {
        DM_ASSERT(client->waiting_bytes >= call->copy->payload.size);
        client->waiting_bytes -= call->copy->payload.size;
        free(call->copy);
        call->copy = NULL;
    }
    call->chain = client->free_calls;
    client->free_calls = call;
    client->calls--;
    struct dormouse_result result = {.code = code, .message = dm_text_of(message)};
    end.finish(&end, &result, payload);
}

static void fail(struct dm_call *call, int code, const char *message)
{
    complete(call, code, dm_slice_str(message), dm_slice(NULL, 0));
}

/* Stream ids are used up and nothing is under way: begin again with a new connection. */
static void renew(struct dormouse_client *client)
{
    if (!client->closing && client->next_stream > DM_CLIENT_STREAM_LAST &&
        dm_list_empty(&client->sent) && client->channel->state == DM_CHANNEL_UP) {
        dm_channel_drop(client->channel, "stream ids used up");
    }
}

static void on_call_expired(struct dm_deadline *deadline)
{
    struct dm_call *call = DM_CONTAINER_OF(deadline, struct dm_call, deadline);
    char message[224];
    struct dormouse_client *client = call->client;
    if (call->stream != 0) {
        fail(call, DORMOUSE_DEADLINE_EXCEEDED, "no answer in time");
        renew(client);
        return;
    }
    const char *why = client->failure;
    (void)snprintf(message, sizeof message, "not connected in time (%s)",
                   why[0] != '\0' ? why : "no attempt has ended");
    fail(call, DORMOUSE_DEADLINE_EXCEEDED, message);
}

/* ---- beginning ------------------------------------------------------------- */

static struct dm_call *call_new(struct dormouse_client *client)
{
    struct dm_call *call = client->free_calls;
    if (call != NULL) {
        client->free_calls = call->chain;
        return call;
    }
    return malloc(sizeof *call);
}

static bool can_send(const struct dormouse_client *client)
{
    return client->channel->state == DM_CHANNEL_UP && client->next_stream <= DM_CLIENT_STREAM_LAST;
}

static bool send_now(struct dm_call *call, struct dm_ttrpc_request *request)
{
    struct dormouse_client *client = call->client;
    uint64_t now = uv_now(client->loop);
    uint64_t left = call->deadline.at_ms > now ? call->deadline.at_ms - now : 1;
    request->timeout_ns = (int64_t)left * 1000000;
    if (!dm_ttrpc_request_write(&client->channel->out, client->next_stream, DM_TTRPC_REMOTE_CLOSED,
                                request)) {
        return false;
    }
    note_sent(call, client->next_stream);
    client->next_stream += 2;
    dm_channel_flush_later(client->channel);
    return true;
}

static struct dm_slice keep(uint8_t **to, struct dm_slice from)
{
    struct dm_slice kept = dm_slice(*to, from.size);
    if (from.size != 0) {
        memcpy(*to, from.data, from.size);
    }
    *to += from.size;
    return kept;
}

static bool wait_for_connection(struct dm_call *call, const struct dm_call_begin *begin)
{
    struct dormouse_client *client = call->client;
    size_t size = begin->service.size + begin->method.size + begin->payload.size;
    struct dm_request_copy *copy = malloc(sizeof *copy + size);
    if (copy == NULL) {
        return false;
    }
    uint8_t *to = copy->bytes;
    copy->service = keep(&to, begin->service);
    copy->method = keep(&to, begin->method);
    copy->payload = keep(&to, begin->payload);
    call->copy = copy;
    call->stream = 0;
    client->waiting_bytes += copy->payload.size;
    dm_list_push_back(&client->waiting, &call->link);
    return true;
}

static enum dm_code admit(struct dormouse_client *client, const struct dm_call_begin *begin)
{
    size_t size = begin->service.size + begin->method.size + begin->payload.size;
    size_t unsent = dm_channel_unsent(client->channel) + client->waiting_bytes;
    if (client->closing) {
        return dm_client_refuse_closed(client);
    }
    if (client->calls >= client->calls_max) {
        return dm_fail(&client->refusal, DM_RESOURCE_EXHAUSTED,
                       "%" PRIu32 " calls are open, and calls_max of the options is that; wait "
                       "for some of them",
                       client->calls);
    }
    if (size > DM_MESSAGE_SIZE_MAX - ENVELOPE_MAX) {
        return dm_client_refuse_large(client, size);
    }
    if (unsent + size > DM_CLIENT_UNSENT_MAX) {
        return dm_fail(&client->refusal, DM_RESOURCE_EXHAUSTED,
                       "%zu bytes of requests wait to be sent, and at most %d may; wait for some "
                       "of them",
                       unsent, DM_CLIENT_UNSENT_MAX);
    }
    return DM_OK;
}

int dm_client_begin(struct dormouse_client *client, const struct dm_call_begin *begin)
{
    enum dm_code code = admit(client, begin);
    if (code != DM_OK) {
        return (int)code;
    }
    struct dm_call *call = call_new(client);
    if (call == NULL) {
        return (int)dm_client_refuse_memory(client);
    }
    *call = (struct dm_call){
        .client = client,
        .end = begin->end,
        .deadline.expired = on_call_expired,
    };
    if (dm_buf_size(&client->channel->out) == 0) {
        uv_update_time(client->loop); /* the loop's time may be old: once a turn is enough */
    }
    uint32_t timeout_ms = begin->timeout_ms == 0 ? client->timeout_ms : begin->timeout_ms;
    bool begun = dm_client_deadline(client, &call->deadline, timeout_ms);
    if (begun) {
        struct dm_ttrpc_request request = {
            .service = begin->service, .method = begin->method, .payload = begin->payload};
        begun = can_send(client) ? send_now(call, &request) : wait_for_connection(call, begin);
    }
    if (!begun) {
        dm_deadlines_remove(&client->deadlines, &call->deadline);
        call->chain = client->free_calls;
        client->free_calls = call;
        return (int)dm_client_refuse_memory(client);
    }
    client->calls++;
    return DORMOUSE_OK;
}

static void finish_raw(const struct dm_call_end *end, const struct dormouse_result *result,
                       struct dm_slice payload)
{
    ((dormouse_call_done)end->done)(end->context, result, dm_text_of(payload));
}

int dormouse_call(struct dormouse_client *client, struct dormouse_text service,
                  struct dormouse_text method, struct dormouse_text request, uint32_t timeout_ms,
                  dormouse_call_done done, void *context)
{
    return dm_client_begin(
        client, &(struct dm_call_begin){
                    .service = dm_slice_of(service),
                    .method = dm_slice_of(method),
                    .payload = dm_slice_of(request),
                    .timeout_ms = timeout_ms,
                    .end = {.finish = finish_raw, .done = (void (*)(void))done, .context = context},
                });
}

/* ---- the channel's news ---------------------------------------------------- */

static void on_up(void *owner)
{
    struct dormouse_client *client = owner;
    DM_ASSERT(dm_list_empty(&client->sent)); /* the connection before took them along */
    client->next_stream = 1;
    while (!dm_list_empty(&client->waiting)) {
        struct dm_call *call = DM_CONTAINER_OF(client->waiting.next, struct dm_call, link);
        struct dm_request_copy *copy = call->copy;
        DM_ASSERT(copy != NULL);
        struct dm_ttrpc_request request = {
            .service = copy->service, .method = copy->method, .payload = copy->payload};
        dm_list_remove(&call->link);
        call->copy = NULL;
        if (!send_now(call, &request)) {
            call->copy = copy;
            dm_list_push_back(&client->waiting, &call->link);
            return; /* no memory: their deadlines end them */
        }
        DM_ASSERT(client->waiting_bytes >= copy->payload.size);
        client->waiting_bytes -= copy->payload.size;
        free(copy);
    }
}

static void on_frame(void *owner, const struct dm_ttrpc_header *header, struct dm_slice body)
{
    struct dormouse_client *client = owner;
    struct dm_call *call = find(client, header->stream);
    if (call == NULL || header->type != DM_TTRPC_RESPONSE) {
        return; /* the answer to a call that its deadline ended */
    }
    struct dm_ttrpc_response response;
    if (!dm_ttrpc_response_read(body, &response)) {
        fail(call, DORMOUSE_INTERNAL, "the response is not a valid envelope");
    } else if (response.code != 0) {
        complete(call, response.code, response.message, dm_slice(NULL, 0));
    } else {
        complete(call, DORMOUSE_OK, dm_slice(NULL, 0), response.payload);
    }
    renew(client);
}

static void on_down(void *owner, const char *why)
{
    struct dormouse_client *client = owner;
    char message[224];
    (void)snprintf(client->failure, sizeof client->failure, "%s", why);
    (void)snprintf(message, sizeof message, "connection lost: %s", why);
    struct dm_list lost;
    dm_list_init(&lost);
    dm_list_splice(&lost, &client->sent);
    while (!dm_list_empty(&lost)) {
        fail(DM_CONTAINER_OF(lost.next, struct dm_call, link), DORMOUSE_UNAVAILABLE, message);
    }
}

/* ---- life ------------------------------------------------------------------ */

bool dm_client_calls_init(struct dormouse_client *client)
{
    static const struct dm_channel_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
    client->next_stream = 1;
    dm_list_init(&client->sent);
    dm_list_init(&client->waiting);
    client->channel = dm_client_channel(client, &ops, client);
    return client->channel != NULL;
}

static void cancel_all(struct dm_list *list)
{
    while (!dm_list_empty(list)) {
        fail(DM_CONTAINER_OF(list->next, struct dm_call, link), DORMOUSE_CANCELLED,
             "the client was closed");
    }
}

void dm_client_calls_cancel(struct dormouse_client *client)
{
    DM_ASSERT(client->closing);
    cancel_all(&client->sent);
    cancel_all(&client->waiting);
    DM_ASSERT(client->calls == 0 && client->waiting_bytes == 0);
}

void dm_client_calls_finish(struct dormouse_client *client)
{
    DM_ASSERT(client->calls == 0);
    while (client->free_calls != NULL) {
        struct dm_call *call = client->free_calls;
        client->free_calls = call->chain;
        free(call);
    }
}
