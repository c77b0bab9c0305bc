#ifndef DM_WIRE_REQUEST_H
#define DM_WIRE_REQUEST_H

#include "wire/exchange.h"

/* The request of an exchange, once its head has a route: what has come of its body, judged as it
 * comes, and the events that it becomes. Called by the transport. */

/* The head is whole, and `route` is set. */
void dm_request_begin(struct dm_exchange *x, uint64_t now_ns);

/* Is its body to be put into `input`? */
static inline bool dm_request_wants_input(const struct dm_exchange *x)
{
    return x->route.protocol != NULL && !x->route.get && x->state <= DM_EXCHANGE_OPEN;
}
/* How long a body of one message may be; 0: nobody reads it. */
size_t dm_request_body_max(const struct dm_exchange *x);
/* Do the bytes that have come, `before` of them looked at earlier, belong to a message over
 * DM_SMALL_BODY? Told once of each. */
bool dm_request_is_long(const struct dm_exchange *x, size_t before);

enum dm_request_step {
    DM_REQUEST_WAITS, /* for more of the request */
    DM_REQUEST_SHOWS, /* dm_request_show has something */
    DM_REQUEST_OVER,  /* call dm_exchange_finish */
};
/* After each change of `input` or input_ended. */
enum dm_request_step dm_request_judge(struct dm_exchange *x);
/* The same, when something else ends it. */
enum dm_request_step dm_request_over(struct dm_exchange *x, enum dm_code code, const char *why);

/* Fills the event, which is zeroed but for its id. */
void dm_request_show(struct dm_exchange *x, struct dm_session_event *event);
/* Is a whole message of an open call's stream in `input`? */
bool dm_request_has_message(const struct dm_exchange *x);

#endif
