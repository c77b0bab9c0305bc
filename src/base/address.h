#ifndef DM_BASE_ADDRESS_H
#define DM_BASE_ADDRESS_H

#include <stdbool.h>

/* Where a server is: a host and a port, or the path of a unix socket. */
struct dm_address {
    bool unix_socket;
    char host[256]; /* or the path */
    char port[6];
};

/* Only who listens may leave the port to the kernel, by 0. */
enum dm_address_use { DM_ADDRESS_CONNECT, DM_ADDRESS_LISTEN };

/* Reads "HOST:PORT", "[V6]:PORT" or "unix:PATH". NULL when it is one of them, else what is
 * wrong, in static words. */
const char *dm_address_parse(const char *text, enum dm_address_use use, struct dm_address *out);

#endif
