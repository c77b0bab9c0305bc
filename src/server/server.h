#ifndef DM_SERVER_SERVER_H
#define DM_SERVER_SERVER_H

#include "server/options.h"

#define DM_VERSION "0.1.0"

/* Opens everything (lock, view, journal, engine, rpc, sockets, in this order), serves until
 * a signal, drains, and closes it again. Returns the exit status: 0, or 1 with a line in
 * the log that says why. */
int dm_server_run(const struct dm_options *options);

#endif
