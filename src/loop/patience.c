#include "loop/patience.h"

#include "base/assert.h"
#include "base/limits.h"

#include <stddef.h>

#define NS_PER_MS 1000000ULL

_Static_assert(PATIENCE_WRITE + 1 == PATIENCE_KINDS, "an order for each kind");

void patience_init(struct patience *patience)
{
    *patience = (struct patience){
        .limit_ns =
            {
                [PATIENCE_SILENT] = DM_HEAD_MS * NS_PER_MS,
                [PATIENCE_HEAD] = DM_HEAD_MS * NS_PER_MS,
                [PATIENCE_BODY] = DM_BODY_WINDOW_MS * NS_PER_MS,
                [PATIENCE_WRITE] = DM_WRITE_WINDOW_MS * NS_PER_MS,
            },
    };
    for (int kind = 0; kind < PATIENCE_KINDS; kind++) {
        dm_list_init(&patience->order[kind]);
    }
}

void patience_timer_init(struct patience_timer *timer)
{
    dm_list_init(&timer->link);
}

void patience_start(struct patience *patience, enum patience_kind kind,
                    struct patience_timer *timer, uint64_t now_ns)
{
    const struct dm_list *order = &patience->order[kind];
    timer->since_ns = now_ns;
    dm_list_remove(&timer->link);
    DM_ASSERT(dm_list_empty(order) || /* in the order in which they were started */
              DM_CONTAINER_OF(order->prev, struct patience_timer, link)->since_ns <= now_ns);
    dm_list_push_back(&patience->order[kind], &timer->link);
}

void patience_stop(struct patience_timer *timer)
{
    dm_list_remove(&timer->link);
}

static struct patience_timer *first(const struct patience *patience, enum patience_kind kind)
{
    const struct dm_list *order = &patience->order[kind];
    return dm_list_empty(order) ? NULL : DM_CONTAINER_OF(order->next, struct patience_timer, link);
}

struct patience_timer *patience_due(const struct patience *patience, enum patience_kind kind,
                                    uint64_t now_ns)
{
    struct patience_timer *timer = first(patience, kind);
    bool due = timer != NULL && now_ns >= timer->since_ns + patience->limit_ns[kind];
    return due ? timer : NULL;
}

uint64_t patience_next_ns(const struct patience *patience, enum patience_kind kind)
{
    const struct patience_timer *timer = first(patience, kind);
    return timer == NULL ? 0 : timer->since_ns + patience->limit_ns[kind];
}
