#ifndef DM_LOOP_STATS_H
#define DM_LOOP_STATS_H

#include "base/histogram.h"

#include <stdint.h>

/* What the loop counts, for /metrics. */

enum dm_protocol {
    DM_PROTOCOL_NONE, /* no byte has come yet */
    DM_PROTOCOL_TTRPC,
    DM_PROTOCOL_HTTP2,
    DM_PROTOCOL_HTTP1,
};
#define DM_PROTOCOL_COUNT 4
const char *dm_protocol_name(int protocol);

/* Why a connection was closed though its client had not finished (limits.h). */
enum dm_closed {
    DM_CLOSED_HEAD,   /* a head was not whole in time */
    DM_CLOSED_BODY,   /* a message came too slowly */
    DM_CLOSED_WRITE,  /* the client did not take what was sent */
    DM_CLOSED_MEMORY, /* all held too much together, and this one held most */
    DM_CLOSED_SILENT, /* it had not sent a byte, and its place was needed */
};
#define DM_CLOSED_COUNT 5
const char *dm_closed_name(int why);

struct dm_loop_stats {
    uint64_t accepted, refused; /* refused: over the limit of connections */
    uint64_t unknown;           /* closed for bytes that begin no protocol */
    uint64_t bytes_in, bytes_out;
    uint64_t clock_steps;
    uint64_t closed[DM_CLOSED_COUNT];
    uint64_t buffers, buffers_max; /* bytes that connections hold beyond DM_BUFFERS_FREE each */
    uint64_t crowded;              /* messages refused because all held too much together */
    uint32_t connections[DM_PROTOCOL_COUNT], connections_max;
    uint32_t waiting;            /* connections whose client does not take what is sent to it */
    struct dm_histogram turn_us; /* from the first callback of a turn to its end */
};

#endif
