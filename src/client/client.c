#include "client/client.h"

#include "client/calls.h"
#include "client/stream.h"

#include "base/assert.h"

#include <stdlib.h>

/* A client's life. It begins with a connection and a timer. Closing closes what the loop holds;
 * the last of it gone, calls and streams are told of their end, and the memory is freed. */

static struct dormouse_client *refuse(struct dormouse_result *result, int code, const char *message)
{
    if (result != NULL) {
        *result = dm_result(code, message);
    }
    return NULL;
}

/* The loop has let go of everything: the last words, then the memory. */
static void finish(struct dormouse_client *client)
{
    dm_client_calls_cancel(client);
    dm_streams_cancel(client);
    if (client->closed != NULL) {
        client->closed(client->closed_context);
    }
    DM_ASSERT(dm_list_empty(&client->streams));
    dm_client_calls_finish(client);
    dm_deadlines_finish(&client->deadlines);
    dm_buf_finish(&client->scratch);
    dm_buf_finish(&client->held);
    dm_arena_finish(&client->held_arena);
    free(client);
}

struct dormouse_client *dormouse_client_create(struct uv_loop_s *loop,
                                               const struct dormouse_options *options,
                                               struct dormouse_result *result)
{
    struct dm_address address;
    const char *wrong = dm_client_options_wrong(options);
    if (wrong == NULL) {
        wrong = dm_address_parse(options->address, DM_ADDRESS_CONNECT, &address);
    }
    if (wrong != NULL) {
        return refuse(result, DORMOUSE_INVALID_ARGUMENT, wrong);
    }
    struct dormouse_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return refuse(result, DORMOUSE_RESOURCE_EXHAUSTED, "no memory");
    }
    client->loop = loop;
    client->address = address;
    client->last_closed = finish;
    dm_client_set_options(client, options);
    dm_list_init(&client->streams);
    if (!dm_client_calls_init(client)) {
        free(client);
        return refuse(result, DORMOUSE_RESOURCE_EXHAUSTED, "no memory");
    }
    dm_client_timer_init(client);
    return client;
}

void dm_client_close(struct dormouse_client *client, void (*closed)(void *context), void *context)
{
    DM_ASSERT(!client->closing);
    client->closing = true;
    client->closed = closed;
    client->closed_context = context;
    dm_streams_let_go(client);
    dm_client_timer_close(client);
    dm_client_channel_close(client, client->channel);
}

int dormouse_client_close(struct dormouse_client *client, void (*closed)(void *context),
                          void *context)
{
    if (client->owns_loop) {
        return DORMOUSE_FAILED_PRECONDITION;
    }
    if (client->closing) {
        return DORMOUSE_CANCELLED;
    }
    dm_client_close(client, closed, context);
    return DORMOUSE_OK;
}
