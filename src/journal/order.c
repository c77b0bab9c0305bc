#include "journal/order.h"

/* The port: every call goes to the implementation. */

uint64_t dm_order_append(struct dm_order *order, struct dm_slice payload, uint64_t seq)
{
    return order->ops->append(order, payload, seq);
}

void dm_order_flush(struct dm_order *order)
{
    order->ops->flush(order);
}

uint64_t dm_order_durable(struct dm_order *order)
{
    return order->ops->durable(order);
}

uint64_t dm_order_last(struct dm_order *order)
{
    return order->ops->last(order);
}

size_t dm_order_pending(struct dm_order *order)
{
    return order->ops->pending(order);
}

enum dm_order_state dm_order_state(struct dm_order *order, struct dm_error *error)
{
    return order->ops->state(order, error);
}

void dm_order_stats(struct dm_order *order, struct dm_order_stats *stats)
{
    order->ops->stats(order, stats);
}

int dm_order_event(struct dm_order *order)
{
    return order->ops->event(order);
}
