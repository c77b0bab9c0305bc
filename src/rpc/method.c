#include "rpc/method.h"

#include "base/assert.h"

#define TEXT(text)                               \
    {                                            \
        .data = (text), .size = sizeof(text) - 1 \
    }

const struct dm_method dm_methods[] = {
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

const uint32_t dm_method_count = sizeof dm_methods / sizeof dm_methods[0];

_Static_assert(sizeof dm_methods / sizeof dm_methods[0] <= DM_METHOD_SLOTS / 2,
               "the table of methods is sparse, so that a search is short");

/* Lengths and the first and last letters tell our methods apart nearly always. */
static uint32_t slot_of(struct dm_slice service, struct dm_slice name)
{
    if (name.size == 0) {
        return 0;
    }
    const uint8_t *letters = name.data;
    size_t first = letters[0], last = letters[name.size - 1];
    return (uint32_t)((service.size * 31 + name.size * 7 + first * 3 + last * 5) % DM_METHOD_SLOTS);
}

void dm_method_table_init(struct dm_method_table *table)
{
    memset(table, 0, sizeof *table);
    for (uint32_t i = 0; i < dm_method_count; i++) {
        uint32_t slot = slot_of(dm_methods[i].service, dm_methods[i].name);
        while (table->slots[slot] != 0) {
            slot = (slot + 1) % DM_METHOD_SLOTS;
        }
        table->slots[slot] = (uint8_t)(i + 1);
    }
}

const struct dm_method *dm_method_find(const struct dm_method_table *table, struct dm_slice service,
                                       struct dm_slice name)
{
    uint32_t slot = slot_of(service, name);
    for (; table->slots[slot] != 0; slot = (slot + 1) % DM_METHOD_SLOTS) {
        const struct dm_method *method = &dm_methods[table->slots[slot] - 1];
        if (dm_slice_equal(method->name, name) && dm_slice_equal(method->service, service)) {
            return method;
        }
    }
    return NULL;
}

bool dm_method_service_known(struct dm_slice service)
{
    for (uint32_t i = 0; i < dm_method_count; i++) {
        if (dm_slice_equal(dm_methods[i].service, service)) {
            return true;
        }
    }
    return false;
}

bool dm_method_client_streaming(struct dm_slice service, struct dm_slice name)
{
    for (uint32_t i = 0; i < dm_method_count; i++) {
        const struct dm_method *method = &dm_methods[i];
        if (method->client_stream && dm_slice_equal(method->name, name) &&
            dm_slice_equal(method->service, service)) {
            return true;
        }
    }
    return false;
}
