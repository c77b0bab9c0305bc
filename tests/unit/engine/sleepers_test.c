#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/sleepers.h"
#include "lib/colliding.h"

enum { DUE_MAX = 256 };

static struct dm_key key_of(uint32_t account, const char *contact)
{
    struct dm_key key;
    dm_key_make(&key, account, dm_slice_str(contact));
    return key;
}

static size_t expired(struct dm_sleepers *sleepers, int64_t now_ms, struct dm_sleeper *out)
{
    bool more = true;
    size_t count = 0;
    while (more) {
        count += dm_sleepers_expired(sleepers, now_ms, out + count, DUE_MAX - count, &more);
    }
    return count;
}

static void a_contact_has_one_timer(void **state)
{
    (void)state;
    struct dm_sleepers *sleepers = dm_sleepers_create(1000, 0);
    struct dm_key key = key_of(1, "c");
    struct dm_sleeper due[DUE_MAX];
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 100, 1));
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 300, 2));
    assert_int_equal(dm_sleepers_count(sleepers), 1);
    assert_int_equal(expired(sleepers, 299, due), 0);
    assert_int_equal(expired(sleepers, 300, due), 1);
    assert_true(dm_slice_equal(dm_key_slice(&due[0].key), dm_key_slice(&key)));
    assert_int_equal(due[0].fence, 2);
    assert_int_equal(dm_sleepers_count(sleepers), 0);
    dm_sleepers_destroy(sleepers);
}

static void the_same_id_of_another_account_is_another_contact(void **state)
{
    (void)state;
    struct dm_sleepers *sleepers = dm_sleepers_create(1000, 0);
    struct dm_key one = key_of(1, "c"), two = key_of(2, "c");
    struct dm_sleeper due[DUE_MAX];
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&one)), 100, 1));
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&two)), 100, 1));
    dm_sleepers_clear(sleepers, dm_key_hashed(dm_key_slice(&one)));
    assert_int_equal(expired(sleepers, 100, due), 1);
    assert_int_equal(dm_key_account(dm_key_slice(&due[0].key)), 2);
    dm_sleepers_destroy(sleepers);
}

static void long_ids_are_kept_and_given_back(void **state)
{
    (void)state;
    struct dm_sleepers *sleepers = dm_sleepers_create(1000, 0);
    const char *name = "0123456789012345678901234567890123456789012345678901234567890123";
    struct dm_key key = key_of(1, name);
    struct dm_sleeper due[DUE_MAX];
    size_t before = dm_sleepers_memory(sleepers);
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 100, 1));
    assert_true(dm_sleepers_memory(sleepers) >= before + 64);
    assert_int_equal(expired(sleepers, 100, due), 1);
    assert_true(dm_slice_equal(dm_key_slice(&due[0].key), dm_key_slice(&key)));
    assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 200, 2));
    dm_sleepers_destroy(sleepers);
}

static void it_refuses_more_than_it_may_hold(void **state)
{
    (void)state;
    struct dm_sleepers *sleepers = dm_sleepers_create(2, 0);
    char name[16];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "c%d", i);
        struct dm_key key = key_of(1, name);
        assert_int_equal(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 100, 1),
                         i < 2);
    }
    dm_sleepers_destroy(sleepers);
}

static void a_million_sleepers_take_at_most_64_bytes_each(void **state)
{
    (void)state;
    struct dm_sleepers *sleepers = dm_sleepers_create(1000000, 0);
    char name[24];
    for (int i = 0; i < 1000000; i++) {
        (void)snprintf(name, sizeof name, "contact-%012d", i);
        struct dm_key key = key_of(1, name);
        assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 1000 + i, 1));
    }
    assert_in_range(dm_sleepers_memory(sleepers), 1, 64 * 1000000);
    dm_sleepers_destroy(sleepers);
}

/* Counted, not timed: thousands of ids that somebody chose to share a hash are like any others. */
static void chosen_ids_cost_no_more_than_others(void **state)
{
    (void)state;
    enum { CONTACTS = 20000 };
    struct dm_sleepers *sleepers = dm_sleepers_create(CONTACTS, 0);
    struct colliding ids = colliding_make("\0\0\0\1", 4);
    for (uint32_t i = 0; i < CONTACTS; i++) {
        struct dm_key key;
        dm_key_make(&key, 1, colliding_id(&ids, i));
        assert_true(dm_sleepers_set(sleepers, dm_key_hashed(dm_key_slice(&key)), 100000, 1));
    }
    assert_in_range(dm_sleepers_longest(sleepers), 1, 24);
    dm_sleepers_destroy(sleepers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_contact_has_one_timer),
        cmocka_unit_test(the_same_id_of_another_account_is_another_contact),
        cmocka_unit_test(long_ids_are_kept_and_given_back),
        cmocka_unit_test(it_refuses_more_than_it_may_hold),
        cmocka_unit_test(a_million_sleepers_take_at_most_64_bytes_each),
        cmocka_unit_test(chosen_ids_cost_no_more_than_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
