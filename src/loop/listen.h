#ifndef DM_LOOP_LISTEN_H
#define DM_LOOP_LISTEN_H

#include "base/code.h"

struct dm_loop;

/* "HOST:PORT", "[IPV6]:PORT" (port 0: any free one, which the log names) or "unix:PATH". A name
 * means all its addresses that this machine has, on the same port.
 * A socket file that nobody listens on is replaced; it is removed when the loop ends.
 * INVALID_ARGUMENT for an address that makes no sense, UNAVAILABLE when it cannot be had. */
enum dm_code dm_loop_listen(struct dm_loop *loop, const char *address, struct dm_error *error);

/* No more connections come. libuv removes the file of a unix socket that it bound. */
void listeners_close(struct dm_loop *loop);

#endif
