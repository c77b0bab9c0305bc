#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/accounts.h"
#include "lib/colliding.h"

/* Counted, not timed: thousands of ids that somebody chose to share a hash are like any others. */
static void chosen_ids_cost_no_more_than_others(void **state)
{
    (void)state;
    enum { ACCOUNTS = 20000 };
    struct dm_accounts accounts;
    assert_true(dm_accounts_init(&accounts));
    struct colliding ids = colliding_make("", 0);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        assert_non_null(dm_accounts_add(&accounts, colliding_id(&ids, i)));
    }
    assert_in_range(dm_index_longest(&accounts.index), 1, 24);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        const struct dm_account *account = dm_accounts_find(&accounts, colliding_id(&ids, i));
        assert_non_null(account);
        assert_int_equal(account->number, i + 1);
    }
    dm_accounts_finish(&accounts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_cost_no_more_than_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
