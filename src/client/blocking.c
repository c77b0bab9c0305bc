#include "client/blocking.h"

#include "client/client.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* The blocking half: a loop that runs only while its owner waits. A callback that the loop calls
 * must not run it again, so nothing that waits does anything there. */

static void on_patience(struct dm_deadline *deadline)
{
    DM_CONTAINER_OF(deadline, struct dormouse_client, patience)->stopped = true;
}

static struct dormouse_client *refuse(struct dormouse_result *result, int code, const char *message)
{
    if (result != NULL) {
        *result = dm_result(code, message);
    }
    return NULL;
}

int dm_client_tell_refusal(const struct dormouse_client *client, struct dormouse_result *result)
{
    (void)refuse(result, (int)client->refusal.code, client->refusal.message);
    return (int)client->refusal.code;
}

int dm_client_may_wait(struct dormouse_client *client, struct dormouse_result *result)
{
    const char *why = client->running ? "a blocking function was called from within a callback"
                      : client->owns_loop
                          ? NULL
                          : "only a client of dormouse_client_open can wait: this one has no "
                            "loop of its own";
    if (why == NULL) {
        return DORMOUSE_OK;
    }
    (void)dm_fail(&client->refusal, DM_FAILED_PRECONDITION, "%s", why);
    return dm_client_tell_refusal(client, result);
}

static void run_once(struct dormouse_client *client)
{
    DM_ASSERT(client->owns_loop && !client->running && !client->closing);
    client->running = true;
    (void)uv_run(client->loop, UV_RUN_ONCE);
    client->running = false;
}

static void loop_free(uv_loop_t *loop)
{
    (void)uv_run(loop, UV_RUN_DEFAULT);
    int error = uv_loop_close(loop);
    DM_ASSERT(error == 0);
    free(loop);
}

/* Why opening failed: outlives the client that it was about. */
static _Thread_local char open_failed[sizeof((struct dormouse_client *)0)->failure];

struct dormouse_client *dormouse_client_open(const struct dormouse_options *options,
                                             struct dormouse_result *result)
{
    uv_loop_t *loop = malloc(sizeof *loop);
    if (loop == NULL || uv_loop_init(loop) != 0) {
        free(loop);
        return refuse(result, DORMOUSE_RESOURCE_EXHAUSTED, "no memory or no descriptors");
    }
    struct dormouse_client *client = dormouse_client_create(loop, options, result);
    if (client == NULL) {
        loop_free(loop);
        return NULL;
    }
    client->owns_loop = true;
    client->patience.expired = on_patience;
    client->stopped = !dm_client_deadline(client, &client->patience, client->timeout_ms);
    while (!client->stopped && client->channel->state != DM_CHANNEL_UP) {
        run_once(client);
    }
    dm_deadlines_remove(&client->deadlines, &client->patience);
    if (client->channel->state != DM_CHANNEL_UP) {
        (void)snprintf(open_failed, sizeof open_failed, "%s",
                       client->failure[0] != '\0' ? client->failure : "no answer in time");
        (void)dormouse_client_free(client);
        return refuse(result, DORMOUSE_UNAVAILABLE, open_failed);
    }
    client->stopped = false;
    return client;
}

int dormouse_client_free(struct dormouse_client *client)
{
    int code = client == NULL ? DORMOUSE_OK : dm_client_may_wait(client, NULL);
    if (client == NULL || code != DORMOUSE_OK) {
        return code;
    }
    uv_loop_t *loop = client->loop;
    client->running = true; /* the last callbacks come now, and the client ends in there */
    dm_client_close(client, NULL, NULL);
    loop_free(loop);
    return DORMOUSE_OK;
}

int dormouse_client_run(struct dormouse_client *client)
{
    int code = dm_client_may_wait(client, NULL);
    if (code != DORMOUSE_OK) {
        return code;
    }
    client->stopped = false;
    while (!client->stopped && (client->calls > 0 || !dm_list_empty(&client->streams))) {
        run_once(client);
    }
    return DORMOUSE_OK;
}

void dormouse_client_stop(struct dormouse_client *client)
{
    client->stopped = true;
}

struct waiter {
    struct dormouse_client *client;
    bool done;
    int code;
    size_t message_size;
};

/* Keeps the message and the answer, one behind the other, until the next blocking call. */
static void on_done(void *context, const struct dormouse_result *result,
                    struct dormouse_text answer)
{
    struct waiter *waiter = context;
    struct dm_buf *held = &waiter->client->held;
    waiter->done = true;
    waiter->code = result->code;
    waiter->message_size = result->message.size;
    dm_buf_reset(held, SIZE_MAX);
    if (!dm_buf_append(held, result->message.data, result->message.size) ||
        !dm_buf_append(held, answer.data, answer.size)) {
        dm_buf_reset(held, SIZE_MAX);
        waiter->code = DORMOUSE_RESOURCE_EXHAUSTED;
        waiter->message_size = 0;
    }
}

int dormouse_call_wait(struct dormouse_client *client, struct dormouse_text service,
                       struct dormouse_text method, struct dormouse_text request,
                       uint32_t timeout_ms, struct dormouse_result *result,
                       struct dormouse_text *answer)
{
    struct waiter waiter = {.client = client};
    *answer = (struct dormouse_text){.data = NULL};
    int code = dm_client_may_wait(client, result);
    if (code != DORMOUSE_OK) {
        return code;
    }
    code = dormouse_call(client, service, method, request, timeout_ms, on_done, &waiter);
    if (code != DORMOUSE_OK) {
        return dm_client_tell_refusal(client, result);
    }
    while (!waiter.done) {
        run_once(client);
    }
    struct dm_slice held = dm_buf_slice(&client->held);
    const char *text = held.data;
    if (result != NULL) {
        result->code = waiter.code;
        result->message = (struct dormouse_text){.data = text, .size = waiter.message_size};
    }
    *answer = (struct dormouse_text){.data = held.size == 0 ? NULL : text + waiter.message_size,
                                     .size = held.size - waiter.message_size};
    return waiter.code;
}
