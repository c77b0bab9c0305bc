#include "client/state.h"

#include "base/assert.h"
#include "base/limits.h"

/* ---- deadlines ------------------------------------------------------------- */

static void arm(struct dormouse_client *client);

static void on_timer(uv_timer_t *timer)
{
    struct dormouse_client *client = timer->data;
    client->armed_ms = UINT64_MAX;
    uint64_t now = uv_now(client->loop);
    struct dm_deadline *first = dm_deadlines_first(&client->deadlines);
    while (!client->closing && first != NULL && first->at_ms <= now) {
        dm_deadlines_remove(&client->deadlines, first);
        first->expired(first);
        first = dm_deadlines_first(&client->deadlines);
    }
    if (!client->closing) {
        arm(client);
    }
}

/* Never moved later: most deadlines are not met, and one wake too many costs less than a
 * timer changed with each call. */
static void arm(struct dormouse_client *client)
{
    const struct dm_deadline *first = dm_deadlines_first(&client->deadlines);
    if (first == NULL || first->at_ms >= client->armed_ms) {
        return;
    }
    uint64_t now = uv_now(client->loop);
    client->armed_ms = first->at_ms;
    (void)uv_timer_start(&client->timer, on_timer, first->at_ms > now ? first->at_ms - now : 0, 0);
}

bool dm_client_deadline(struct dormouse_client *client, struct dm_deadline *deadline,
                        uint32_t timeout_ms)
{
    DM_ASSERT(!client->closing && deadline->expired != NULL);
    if (!dm_deadlines_add(&client->deadlines, deadline, uv_now(client->loop) + timeout_ms)) {
        return false;
    }
    arm(client);
    return true;
}

/* ---- what the loop holds --------------------------------------------------- */

static void let_go(void *context)
{
    struct dormouse_client *client = context;
    DM_ASSERT(client->handles > 0);
    if (--client->handles == 0) {
        DM_ASSERT(client->closing);
        client->last_closed(client);
    }
}

struct dm_channel *dm_client_channel(struct dormouse_client *client,
                                     const struct dm_channel_ops *ops, void *owner)
{
    DM_ASSERT(!client->closing);
    struct dm_channel *channel = dm_channel_create(
        client->loop, &client->address, client->backoff_min_ms, client->backoff_max_ms, ops, owner);
    client->handles += channel != NULL;
    return channel;
}

void dm_client_channel_close(struct dormouse_client *client, struct dm_channel *channel)
{
    dm_channel_close(channel, let_go, client);
}

void dm_client_timer_init(struct dormouse_client *client)
{
    client->armed_ms = UINT64_MAX;
    client->timer.data = client;
    (void)uv_timer_init(client->loop, &client->timer);
    client->handles++;
}

static void on_timer_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void dm_client_timer_close(struct dormouse_client *client)
{
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

/* ---- what is not begun ----------------------------------------------------- */

enum dm_code dm_client_refuse_closed(struct dormouse_client *client)
{
    return dm_fail(&client->refusal, DM_CANCELLED, "the client was closed");
}

enum dm_code dm_client_refuse_large(struct dormouse_client *client, size_t size)
{
    return dm_fail(&client->refusal, DM_RESOURCE_EXHAUSTED,
                   "a request of %zu bytes is too large: with its envelope it may have %d", size,
                   DM_MESSAGE_SIZE_MAX);
}

enum dm_code dm_client_refuse_memory(struct dormouse_client *client)
{
    return dm_fail(&client->refusal, DM_RESOURCE_EXHAUSTED, "no memory");
}
