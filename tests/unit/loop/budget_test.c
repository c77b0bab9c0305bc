#include "loop/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { MAX = 1000, HIGH = 800, FREE = 10 };

static void what_is_free_does_not_count(void **state)
{
    (void)state;
    struct budget budget;
    struct budget_account one = {.counted = 0};
    dm_list_init(&one.link);
    budget_init(&budget, MAX, HIGH, FREE);
    budget_set(&budget, &one, FREE);
    assert_int_equal(budget.used, 0);
    assert_null(budget_largest(&budget));
    budget_set(&budget, &one, FREE + 1);
    assert_int_equal(budget.used, 1);
    assert_ptr_equal(budget_largest(&budget), &one);
    budget_set(&budget, &one, 3);
    assert_int_equal(budget.used, 0);
    assert_null(budget_largest(&budget));
}

static void it_is_high_then_over(void **state)
{
    (void)state;
    struct budget budget;
    struct budget_account one = {.counted = 0};
    dm_list_init(&one.link);
    budget_init(&budget, MAX, HIGH, FREE);
    static const struct {
        size_t bytes;
        bool high, over;
    } cases[] = {{HIGH + FREE, false, false},
                 {HIGH + FREE + 1, true, false},
                 {MAX + FREE, true, false},
                 {MAX + FREE + 1, true, true},
                 {0, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        budget_set(&budget, &one, cases[i].bytes);
        assert_int_equal(budget_is_high(&budget), cases[i].high);
        assert_int_equal(budget_is_over(&budget), cases[i].over);
    }
}

static void among_equals_the_one_that_has_held_for_longest_is_first(void **state)
{
    (void)state;
    struct budget budget;
    struct budget_account accounts[3];
    memset(accounts, 0, sizeof accounts);
    budget_init(&budget, MAX, HIGH, FREE);
    for (int i = 0; i < 3; i++) {
        dm_list_init(&accounts[i].link);
        budget_set(&budget, &accounts[i], FREE + 300 + (size_t)i);
    }
    assert_ptr_equal(budget_largest(&budget), &accounts[0]);
    budget_set(&budget, &accounts[0], FREE + 500); /* as large still: it keeps its place */
    assert_ptr_equal(budget_largest(&budget), &accounts[0]);
    budget_set(&budget, &accounts[0], FREE + 10);
    assert_ptr_equal(budget_largest(&budget), &accounts[1]);
    budget_set(&budget, &accounts[0], FREE + 300);
    assert_ptr_equal(budget_largest(&budget), &accounts[1]);
}

/* Against sums and maxima that are taken anew each time. */
static void it_is_exact_whatever_happens(void **state)
{
    (void)state;
    enum { ACCOUNTS = 50, STEPS = 20000 };
    struct budget budget;
    struct budget_account accounts[ACCOUNTS];
    size_t bytes[ACCOUNTS] = {0};
    memset(accounts, 0, sizeof accounts);
    for (int i = 0; i < ACCOUNTS; i++) {
        dm_list_init(&accounts[i].link);
    }
    budget_init(&budget, MAX, HIGH, FREE);
    uint32_t random = 7;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        size_t at = (random >> 8) % ACCOUNTS;
        random = random * 1664525u + 1013904223u;
        bytes[at] = ((size_t)random >> 4) >> (random % 28);
        budget_set(&budget, &accounts[at], bytes[at]);
        size_t sum = 0, most = 0;
        for (int i = 0; i < ACCOUNTS; i++) {
            size_t counted = bytes[i] > FREE ? bytes[i] - FREE : 0;
            sum += counted;
            most = counted > most ? counted : most;
        }
        assert_int_equal(budget.used, sum);
        const struct budget_account *largest = budget_largest(&budget);
        assert_int_equal(largest == NULL, most == 0);
        assert_true(largest == NULL || largest->counted > most / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_free_does_not_count),
        cmocka_unit_test(it_is_high_then_over),
        cmocka_unit_test(among_equals_the_one_that_has_held_for_longest_is_first),
        cmocka_unit_test(it_is_exact_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
