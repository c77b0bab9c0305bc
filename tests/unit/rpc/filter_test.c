#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/colliding.h"
#include "rpc/filter.h"

/* Counted, not timed: a Watch of ids that somebody chose to share a hash is like any other. */
static void chosen_ids_cost_no_more_than_others(void **state)
{
    (void)state;
    static char texts[DM_BATCH_MAX][COLLIDING_SIZE];
    static struct dm_texts ids;
    struct colliding made = colliding_make("", 0);
    for (uint32_t i = 0; i < DM_BATCH_MAX; i++) {
        memcpy(texts[i], colliding_id(&made, i).data, COLLIDING_SIZE);
        ids.items[ids.count++] = dm_slice(texts[i], COLLIDING_SIZE);
    }
    struct dm_filter *filter = dm_filter_create(&ids);
    assert_in_range(dm_filter_longest(filter), 1, 200);
    for (uint32_t i = 0; i < 2 * DM_BATCH_MAX; i++) {
        assert_int_equal(dm_filter_has(filter, colliding_id(&made, i)), i < DM_BATCH_MAX);
    }
    free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_cost_no_more_than_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
