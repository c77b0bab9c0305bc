#ifndef DM_CLIENT_CLIENT_H
#define DM_CLIENT_CLIENT_H

#include "client/state.h"

/* As dormouse_client_close, for a client of either kind that is not closing yet. */
void dm_client_close(struct dormouse_client *client, void (*closed)(void *context), void *context);

#endif
