#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/met.h"
#include "lib/colliding.h"

enum { CONTACTS = 100000 };

static struct dm_slice key_of(char text[16], uint32_t number)
{
    return dm_slice(text, (size_t)snprintf(text, 16, "contact-%u", number));
}

static void who_was_met_is_known_and_nobody_else(void **state)
{
    (void)state;
    struct dm_met met = {0};
    char text[16];
    assert_false(dm_met_has(&met, key_of(text, 1)));
    assert_true(dm_met_init(&met, CONTACTS));
    for (uint32_t i = 0; i < CONTACTS; i++) {
        assert_int_equal(dm_met_add(&met, key_of(text, i)), DM_MET_NEW);
        assert_int_equal(dm_met_add(&met, key_of(text, i / 2)), DM_MET_BEFORE);
    }
    assert_int_equal(dm_met_add(&met, key_of(text, CONTACTS)), DM_MET_FULL);
    for (uint32_t i = 0; i < 2 * CONTACTS; i++) {
        assert_int_equal(dm_met_has(&met, key_of(text, i)), i < CONTACTS);
    }
    dm_met_finish(&met);
}

/* Counted, not timed: no step deals with more than the one bucket that it splits, however many
 * were met; and ids that somebody chose to share a hash are like any others. */
static void no_step_costs_more_than_another(void **state)
{
    (void)state;
    struct dm_met met;
    struct colliding ids = colliding_make("\0\0\0\1", 4);
    assert_true(dm_met_init(&met, CONTACTS));
    for (uint32_t i = 0; i < CONTACTS; i++) {
        uint32_t buckets = met.index.low + met.index.split;
        (void)colliding_id(&ids, i);
        assert_int_equal(dm_met_add(&met, dm_slice(ids.bytes, COLLIDING_SIZE)), DM_MET_NEW);
        assert_in_range(met.index.low + met.index.split - buckets, 0, 1);
    }
    assert_in_range(dm_index_longest(&met.index), 1, 24);
    dm_met_finish(&met);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_met_is_known_and_nobody_else),
        cmocka_unit_test(no_step_costs_more_than_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
