#include "rpc/method.h"

#include "base/assert.h"

_Static_assert(DM_METHOD_SLOTS / 2 <= UINT8_MAX, "a slot holds any method's number");

/* The lengths and the first and last letters nearly always tell our methods apart. */
static uint32_t slot_of(struct dm_slice service, struct dm_slice name)
{
    if (name.size == 0) {
        return 0;
    }
    const uint8_t *letters = name.data;
    size_t first = letters[0], last = letters[name.size - 1];
    return (uint32_t)((service.size * 31 + name.size * 7 + first * 3 + last * 5) % DM_METHOD_SLOTS);
}

void dm_method_table_init(struct dm_method_table *table, const struct dm_method_list *all)
{
    DM_ASSERT(all->count <= DM_METHOD_SLOTS / 2); /* sparse, so that a search is short */
    *table = (struct dm_method_table){.all = all};
    for (uint32_t i = 0; i < all->count; i++) {
        const struct dm_method *method = &all->items[i];
        DM_ASSERT(method->handler != NULL && method->name.size != 0);
        DM_ASSERT(dm_method_find(table, method->service, method->name) == NULL);
        uint32_t slot = slot_of(method->service, method->name);
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
        const struct dm_method *method = &table->all->items[table->slots[slot] - 1];
        if (dm_slice_equal(method->name, name) && dm_slice_equal(method->service, service)) {
            return method;
        }
    }
    return NULL;
}

bool dm_method_service_known(const struct dm_method_list *all, struct dm_slice service)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (dm_slice_equal(all->items[i].service, service)) {
            return true;
        }
    }
    return false;
}

bool dm_method_client_streaming(const struct dm_method_list *all, struct dm_slice service,
                                struct dm_slice name)
{
    for (uint32_t i = 0; i < all->count; i++) {
        const struct dm_method *method = &all->items[i];
        if (method->client_stream && dm_slice_equal(method->name, name) &&
            dm_slice_equal(method->service, service)) {
            return true;
        }
    }
    return false;
}
