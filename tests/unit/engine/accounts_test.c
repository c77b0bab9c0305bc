#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/seal.h"
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

/* A row of version 1, which has no checksum, may say anything. */
static void more_contacts_than_there_can_be_are_damage(void **state)
{
    (void)state;
    struct dm_accounts accounts, loaded;
    uint8_t row[DM_ACCOUNT_ROW_MAX];
    const uint8_t key[] = {0, 0, 0, 1};
    assert_true(dm_accounts_init(&accounts));
    struct dm_account *account = dm_accounts_add(&accounts, dm_slice_str("acme"));
    const uint64_t counts[] = {UINT64_MAX, 1000000000};
    for (int i = 0; i < 2; i++) {
        account->counts[DM_STATUS_SNOOZED] = counts[i];
        size_t size = dm_account_row(account, row) - DM_SEAL_SIZE;
        row[0] = 1;
        assert_true(dm_accounts_init(&loaded));
        assert_int_equal(
            dm_accounts_load_account(&loaded, dm_slice(key, sizeof key), dm_slice(row, size)),
            i == 0 ? DM_DATA_LOSS : DM_OK);
        dm_accounts_finish(&loaded);
    }
    dm_accounts_finish(&accounts);
}

static void what_is_reserved_is_there(void **state)
{
    (void)state;
    struct dm_accounts accounts;
    assert_true(dm_accounts_init(&accounts));
    assert_true(dm_accounts_reserve(&accounts));
    struct dm_account *account = dm_accounts_add(&accounts, dm_slice_str("acme"));
    assert_non_null(account);
    assert_null(accounts.spare_bots); /* used up */
    while (dm_account_reserve_bot(account)) {
        const struct dm_bot *places = account->bots;
        char name[16];
        uint32_t number = account->bot_count;
        (void)snprintf(name, sizeof name, "bot %u", number);
        assert_int_equal(dm_accounts_add_bot(&accounts, account, dm_slice_str(name)), number);
        assert_ptr_equal(account->bots, places); /* it needed no more memory */
    }
    assert_int_equal(account->bot_count, DM_BOTS_MAX);
    assert_int_equal(dm_accounts_add_bot(&accounts, account, dm_slice_str("one more")), -1);
    dm_accounts_finish(&accounts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_cost_no_more_than_others),
        cmocka_unit_test(more_contacts_than_there_can_be_are_damage),
        cmocka_unit_test(what_is_reserved_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
