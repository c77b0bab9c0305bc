#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct dm_list link;
};

static void assert_numbers(const struct dm_list *list, int first, int last)
{
    const struct dm_list *link = list->next;
    for (int number = first; number <= last; number++, link = link->next) {
        assert_int_equal(DM_CONTAINER_OF(link, struct item, link)->number, number);
        assert_ptr_equal(link->next->prev, link);
    }
    assert_ptr_equal(link, list);
    assert_ptr_equal(list->next->prev, list);
}

static void fill(struct dm_list *list, struct item *items, int first, int last)
{
    dm_list_init(list);
    for (int number = first; number <= last; number++) {
        items[number].number = number;
        dm_list_push_back(list, &items[number].link);
    }
}

static void links_stay_in_the_order_of_pushing(void **state)
{
    (void)state;
    struct item items[5];
    struct dm_list list;
    fill(&list, items, 0, 4);
    assert_false(dm_list_empty(&list));
    assert_numbers(&list, 0, 4);
}

static void removing_twice_is_removing_once(void **state)
{
    (void)state;
    struct item items[4];
    struct dm_list list;
    fill(&list, items, 0, 3);
    dm_list_remove(&items[3].link);
    dm_list_remove(&items[3].link);
    dm_list_remove(&items[0].link);
    assert_numbers(&list, 1, 2);
    dm_list_remove(&items[1].link);
    dm_list_remove(&items[2].link);
    assert_true(dm_list_empty(&list));
}

static void a_splice_moves_all_to_the_end(void **state)
{
    (void)state;
    struct item items[6];
    struct dm_list to, from;
    fill(&to, items, 0, 2);
    fill(&from, items, 3, 5);
    dm_list_splice(&to, &from);
    assert_numbers(&to, 0, 5);
    assert_true(dm_list_empty(&from));
    dm_list_splice(&to, &from);
    assert_numbers(&to, 0, 5);
    dm_list_splice(&from, &to);
    assert_numbers(&from, 0, 5);
    assert_true(dm_list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_stay_in_the_order_of_pushing),
        cmocka_unit_test(removing_twice_is_removing_once),
        cmocka_unit_test(a_splice_moves_all_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
