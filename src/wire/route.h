#ifndef DM_WIRE_ROUTE_H
#define DM_WIRE_ROUTE_H

#include "wire/exchange.h"

/* Which protocol a request speaks, and what is wrong with it: judged from its head, in one way for
 * all versions of HTTP. */

/* Sets x->route, and of a GET with its message in the query also x->input. The route's slices are
 * the request's. */
void dm_route(struct dm_exchange *x, const struct dm_http_request *request);

#endif
