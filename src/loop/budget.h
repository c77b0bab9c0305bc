#ifndef DM_LOOP_BUDGET_H
#define DM_LOOP_BUDGET_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What many holders of memory may hold together, and who holds most of it. Pure: each tells
 * what it holds whenever that has changed, which is O(1), and so is finding the largest.
 *
 * Of each holder the first `free_each` bytes do not count. Holders stand in lists by the
 * highest bit of what counts, so the largest is known up to a factor of two; among those of
 * one list the one that has been in it for longest comes first.
 *
 * A class of holders with a bound of its own (those without an identity, say) is one more
 * budget, in which they have one more account. */

enum { BUDGET_SIZES = 64 };

struct budget {
    size_t used; /* the sum of what counts */
    size_t max, high, free_each;
    uint64_t filled; /* bit i: by_size[i] has somebody */
    struct dm_list by_size[BUDGET_SIZES];
};

/* Zeroed: holds nothing, and is in no list. */
struct budget_account {
    struct dm_list link;
    size_t counted;
};

/* Past `high`, new burdens are to be refused; past `max`, there are too many. */
void budget_init(struct budget *budget, size_t max, size_t high, size_t free_each);
/* The account holds so many bytes now; 0 takes it out of the budget, before it goes. */
void budget_set(struct budget *budget, struct budget_account *account, size_t bytes);
/* NULL: nobody holds anything that counts. */
struct budget_account *budget_largest(const struct budget *budget);

static inline bool budget_is_high(const struct budget *budget)
{
    return budget->used > budget->high;
}
static inline bool budget_is_over(const struct budget *budget)
{
    return budget->used > budget->max;
}

#endif
