#include "client/state.h"

#include "base/code.h"
#include "base/limits.h"

/* What a client is set to, and what it tells of itself. */

enum { TIMEOUT_MS = 10000, BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 5000 };

static uint32_t or_default(uint32_t value, uint32_t preset)
{
    return value == 0 ? preset : value;
}

void dm_client_set_options(struct dormouse_client *client, const struct dormouse_options *options)
{
    client->timeout_ms = or_default(options->timeout_ms, TIMEOUT_MS);
    client->calls_max = or_default(options->calls_max, DM_CALLS_PER_CONNECTION_MAX);
    if (client->calls_max > DM_CALLS_PER_CONNECTION_MAX) {
        client->calls_max = DM_CALLS_PER_CONNECTION_MAX;
    }
    client->backoff_min_ms = or_default(options->backoff_min_ms, BACKOFF_MIN_MS);
    client->backoff_max_ms = or_default(options->backoff_max_ms, BACKOFF_MAX_MS);
    if (client->backoff_max_ms < client->backoff_min_ms) {
        client->backoff_max_ms = client->backoff_min_ms;
    }
}

const char *dormouse_code_name(int code)
{
    return dm_code_name(code);
}

struct dormouse_text dormouse_client_last_failure(const struct dormouse_client *client)
{
    return dormouse_text(client->why);
}

bool dormouse_client_connected(const struct dormouse_client *client)
{
    return !client->closing && client->channel->state == DM_CHANNEL_UP;
}

uint32_t dormouse_client_calls(const struct dormouse_client *client)
{
    return client->calls;
}
