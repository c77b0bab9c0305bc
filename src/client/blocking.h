#ifndef DM_CLIENT_BLOCKING_H
#define DM_CLIENT_BLOCKING_H

#include "client/state.h"

/* OK where a call may wait; else FAILED_PRECONDITION, and *result (may be NULL) says why. */
int dm_client_may_wait(struct dormouse_client *client, struct dormouse_result *result);

/* The client's refusal, into *result (may be NULL). Returns its code. */
int dm_client_tell_refusal(const struct dormouse_client *client, struct dormouse_result *result);

#endif
