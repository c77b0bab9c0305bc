#include "rpc/methods.h"

#include "rpc/handlers.h"

#define TEXT(text)                               \
    {                                            \
        .data = (text), .size = sizeof(text) - 1 \
    }

static const struct dm_method items[] = {
#define DM_METHOD(service_, name_, client_stream_, server_stream_, no_side_effects_, handler_, \
                  request_, response_)                                                         \
    {.service = TEXT(service_),                                                                \
     .name = TEXT(name_),                                                                      \
     .client_stream = (client_stream_),                                                        \
     .server_stream = (server_stream_),                                                        \
     .no_side_effects = (no_side_effects_),                                                    \
     .handler = (handler_),                                                                    \
     .request = (request_),                                                                    \
     .response = (response_)},
#include "dm_methods.inc"
#undef DM_METHOD
};

enum { COUNT = sizeof items / sizeof *items };

_Static_assert(COUNT <= DM_METHOD_SLOTS / 2, "the table of methods is sparse");

const struct dm_method_list dm_methods = {.items = items, .count = COUNT};
