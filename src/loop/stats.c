#include "loop/stats.h"

#include "base/assert.h"

const char *dm_protocol_name(int protocol)
{
    static const char *const names[DM_PROTOCOL_COUNT] = {"none", "ttrpc", "http2", "http1"};
    DM_ASSERT(protocol >= 0 && protocol < DM_PROTOCOL_COUNT);
    return names[protocol];
}

const char *dm_closed_name(int why)
{
    static const char *const names[DM_CLOSED_COUNT] = {"head", "body", "write", "memory", "silent"};
    DM_ASSERT(why >= 0 && why < DM_CLOSED_COUNT);
    return names[why];
}
