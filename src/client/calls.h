#ifndef DM_CLIENT_CALLS_H
#define DM_CLIENT_CALLS_H

#include "client/state.h"

/* Calls with one answer, all of a client's on one connection. */

struct dm_call_end;

/* Tells whoever made the call how it ended; `payload` is empty unless OK, and valid until this
 * returns. */
typedef void (*dm_call_finish)(const struct dm_call_end *end, const struct dormouse_result *result,
                               struct dm_slice payload);

/* Who is told: the caller's own function with its context, and what finish needs of it. */
struct dm_call_end {
    dm_call_finish finish;
    void (*done)(void); /* cast back by finish */
    const struct dm_method *method;
    void *context;
};

struct dm_call_begin {
    struct dm_slice service, method, payload;
    uint32_t timeout_ms; /* 0: the client's own */
    struct dm_call_end end;
};

/* OK, and it will end once, later; otherwise as dormouse_call says. */
int dm_client_begin(struct dormouse_client *client, const struct dm_call_begin *begin);

/* The client's connection, and the end of all that is on it or waits for it. */
bool dm_client_calls_init(struct dormouse_client *client);
void dm_client_calls_cancel(struct dormouse_client *client);
void dm_client_calls_finish(struct dormouse_client *client);

#endif
