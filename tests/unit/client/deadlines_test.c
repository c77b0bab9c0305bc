#include "client/deadlines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 1000 };

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return *seed >> 33;
}

static void the_soonest_comes_first_whatever_was_removed(void **state)
{
    (void)state;
    static struct dm_deadline links[COUNT];
    struct dm_deadlines deadlines = {0};
    uint64_t seed = 7;
    for (int i = 0; i < COUNT; i++) {
        assert_true(dm_deadlines_add(&deadlines, &links[i], next_random(&seed) % 500));
    }
    for (int i = 0; i < COUNT; i += 3) {
        dm_deadlines_remove(&deadlines, &links[i]);
        dm_deadlines_remove(&deadlines, &links[i]); /* ignored */
    }
    uint64_t last = 0;
    int seen = 0;
    for (struct dm_deadline *first; (first = dm_deadlines_first(&deadlines)) != NULL; seen++) {
        assert_true(first->at_ms >= last);
        assert_true((first - links) % 3 != 0);
        last = first->at_ms;
        dm_deadlines_remove(&deadlines, first);
    }
    assert_int_equal(seen, COUNT - (COUNT + 2) / 3);
    dm_deadlines_finish(&deadlines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_soonest_comes_first_whatever_was_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
