#include "client/state.h"

#include "base/assert.h"
#include "base/code.h"
#include "base/limits.h"

#include <assert.h>

/* What a client is set to, and what it tells of itself. */

enum { TIMEOUT_MS = 10000, BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 5000 };
static_assert((int)DORMOUSE_CANCELLED == (int)DM_CANCELLED &&
                  (int)DORMOUSE_UNAUTHENTICATED == (int)DM_UNAUTHENTICATED &&
                  (int)DORMOUSE_UNAUTHENTICATED == DM_CODE_COUNT - 1,
              "codes are the same inside and outside");
static_assert((int)BACKOFF_MIN_MS <= (int)BACKOFF_MAX_MS, "pauses grow");
static_assert(DM_END_OF(struct dormouse_options, unused) % 8 == 0,
              "no padding where the first release's options end: it may hold anything");

static uint32_t or_default(uint32_t value, uint32_t preset)
{
    return value == 0 ? preset : value;
}

const char *dm_client_options_wrong(const struct dormouse_options *options)
{
    if (options->struct_size < DM_END_OF(struct dormouse_options, unused) || options->level == 0) {
        return "the options have no struct_size, or no level: DORMOUSE_OPTIONS() sets them";
    }
    if (options->struct_size > sizeof *options || options->level > DORMOUSE_LEVEL) {
        return "the program was compiled for a newer version of the library libdormouse";
    }
    return options->address == NULL ? "the options have no address" : NULL;
}

void dm_client_set_options(struct dormouse_client *client, const struct dormouse_options *given)
{
    struct dormouse_options options = {0}; /* the program may know fewer members */
    DM_ASSERT(given->struct_size <= sizeof options);
    memcpy(&options, given, given->struct_size);
    client->timeout_ms = or_default(options.timeout_ms, TIMEOUT_MS);
    client->calls_max = or_default(options.calls_max, DM_CALLS_PER_CONNECTION_MAX);
    if (client->calls_max > DM_CALLS_PER_CONNECTION_MAX) {
        client->calls_max = DM_CALLS_PER_CONNECTION_MAX;
    }
    client->backoff_min_ms = or_default(options.backoff_min_ms, BACKOFF_MIN_MS);
    client->backoff_max_ms = or_default(options.backoff_max_ms, BACKOFF_MAX_MS);
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
    return dormouse_text(client->failure);
}

struct dormouse_text dormouse_client_last_refusal(const struct dormouse_client *client)
{
    return dormouse_text(client->refusal.message);
}

bool dormouse_client_connected(const struct dormouse_client *client)
{
    return !client->closing && client->channel->state == DM_CHANNEL_UP;
}

uint32_t dormouse_client_calls(const struct dormouse_client *client)
{
    return client->calls;
}
