#include "loop/budget.h"

#include "base/assert.h"

void budget_init(struct budget *budget, size_t max, size_t high, size_t free_each)
{
    DM_ASSERT(high <= max);
    *budget = (struct budget){.max = max, .high = high, .free_each = free_each};
    for (int i = 0; i < BUDGET_SIZES; i++) {
        dm_list_init(&budget->by_size[i]);
    }
}

static int size_of(size_t counted)
{
    DM_ASSERT(counted != 0);
    return BUDGET_SIZES - 1 - __builtin_clzll(counted);
}

static void leave(struct budget *budget, struct budget_account *account)
{
    int size = size_of(account->counted);
    DM_ASSERT(!dm_list_empty(&account->link) && (budget->filled >> size & 1) != 0);
    dm_list_remove(&account->link);
    if (dm_list_empty(&budget->by_size[size])) {
        budget->filled &= ~(1ULL << size);
    }
}

static void enter(struct budget *budget, struct budget_account *account, size_t counted)
{
    int size = size_of(counted);
    dm_list_push_back(&budget->by_size[size], &account->link);
    budget->filled |= 1ULL << size;
}

void budget_set(struct budget *budget, struct budget_account *account, size_t bytes)
{
    size_t before = account->counted;
    size_t counted = bytes > budget->free_each ? bytes - budget->free_each : 0;
    if (counted == before) {
        return;
    }
    DM_ASSERT(budget->used >= before);
    budget->used += counted - before;
    if (before == 0) {
        enter(budget, account, counted);
    } else if (counted == 0) {
        leave(budget, account);
    } else if (size_of(counted) != size_of(before)) {
        leave(budget, account);
        enter(budget, account, counted);
    }
    account->counted = counted;
    DM_ASSERT((budget->used == 0) == (budget->filled == 0));
}

struct budget_account *budget_largest(const struct budget *budget)
{
    if (budget->filled == 0) {
        return NULL;
    }
    DM_ASSERT(!dm_list_empty(&budget->by_size[size_of(budget->filled)]));
    struct dm_list *first = budget->by_size[size_of(budget->filled)].next;
    return DM_CONTAINER_OF(first, struct budget_account, link);
}
