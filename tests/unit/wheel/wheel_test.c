/* Each bug that recurs in timer wheels, by example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wheel/wheel.h"

enum { ENTRIES = 100000, MANY = 1000000 };

static uint32_t popped[ENTRIES];

/* All that is due at `now`, with no bound. */
static size_t pop_all(struct dm_wheel *wheel, uint64_t now)
{
    bool more = true;
    size_t count = dm_wheel_advance(wheel, now, SIZE_MAX, popped, ENTRIES, &more);
    assert_false(more);
    return count;
}

static void assert_pops_only(struct dm_wheel *wheel, uint64_t now, uint32_t entry)
{
    assert_int_equal(pop_all(wheel, now), 1);
    assert_int_equal(popped[0], entry);
}

static void assert_empty(const struct dm_wheel *wheel)
{
    dm_wheel_validate(wheel);
    assert_int_equal(dm_wheel_count(wheel), 0);
    assert_true(dm_wheel_next(wheel) == UINT64_MAX);
}

static const uint64_t starts[] = {
    0,
    1,
    254,
    255,
    256,
    65535,
    65536,
    ((uint64_t)1 << 24) - 1,
    ((uint64_t)1 << 32) - 300,
    ((uint64_t)1 << 32) - 1,
    (uint64_t)1 << 32,
    ((uint64_t)1 << 40) - 7,
    1764000000000U,
    ((uint64_t)1 << 63) - 2,
    UINT64_MAX - 70000,
    UINT64_MAX - 1,
};
enum { STARTS = sizeof starts / sizeof starts[0] };

static void check_single(uint64_t start, uint64_t tick)
{
    struct dm_wheel *wheel = dm_wheel_create(8, start);
    dm_wheel_arm(wheel, 5, tick);
    dm_wheel_validate(wheel);
    assert_true(dm_wheel_next(wheel) > start && dm_wheel_next(wheel) <= tick);
    if (start < tick - 1) {
        assert_int_equal(pop_all(wheel, tick - 1), 0);
        dm_wheel_validate(wheel);
        assert_true(dm_wheel_next(wheel) == tick);
    }
    assert_true(dm_wheel_armed(wheel, 5));
    assert_true(dm_wheel_tick(wheel, 5) == tick);
    assert_pops_only(wheel, tick, 5);
    assert_false(dm_wheel_armed(wheel, 5));
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void an_entry_expires_at_its_tick_whatever_level_edge_lies_between(void **state)
{
    (void)state;
    for (size_t i = 0; i < STARTS; i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            for (int around = -2; around <= 2; around++) {
                uint64_t ahead = ((uint64_t)1 << bit) + (uint64_t)(int64_t)around;
                if (ahead != 0 && ahead < ((uint64_t)1 << bit) + 3 &&
                    ahead <= UINT64_MAX - starts[i]) {
                    check_single(starts[i], starts[i] + ahead);
                }
            }
        }
    }
}

static void ticks_at_the_edges_of_levels_expire_to_the_tick(void **state)
{
    (void)state;
    static const unsigned bits[] = {8, 16, 24, 32, 40, 48, 56, 63};
    for (size_t i = 0; i < STARTS; i++) {
        for (size_t b = 0; b < sizeof bits / sizeof bits[0]; b++) {
            uint64_t edge = (uint64_t)1 << bits[b];
            for (uint64_t tick = edge - 2; tick <= edge + 2; tick++) {
                if (tick > starts[i]) {
                    check_single(starts[i], tick);
                }
            }
        }
    }
}

static void an_entry_a_tick_comes_out_tick_by_tick(void **state)
{
    (void)state;
    for (size_t i = 0; i < STARTS; i++) {
        uint32_t count = 66000;
        if (UINT64_MAX - starts[i] < count) {
            count = (uint32_t)(UINT64_MAX - starts[i]);
        }
        struct dm_wheel *wheel = dm_wheel_create(ENTRIES, starts[i]);
        for (uint32_t entry = 0; entry < count; entry++) {
            dm_wheel_arm(wheel, entry, starts[i] + 1 + entry);
        }
        for (uint32_t entry = 0; entry < count; entry++) {
            assert_pops_only(wheel, starts[i] + 1 + entry, entry);
        }
        assert_empty(wheel);
        dm_wheel_destroy(wheel);
    }
}

static void the_last_tick_of_all_expires(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(4, 0);
    dm_wheel_arm(wheel, 1, UINT64_MAX);
    dm_wheel_arm(wheel, 2, UINT64_MAX - 1);
    assert_int_equal(pop_all(wheel, UINT64_MAX - 2), 0);
    assert_pops_only(wheel, UINT64_MAX - 1, 2);
    assert_pops_only(wheel, UINT64_MAX, 1);
    assert_empty(wheel);
    dm_wheel_arm(wheel, 3, 5);
    assert_pops_only(wheel, UINT64_MAX, 3);
    dm_wheel_destroy(wheel);
}

static void a_tick_at_or_before_now_expires_at_the_next_advance(void **state)
{
    (void)state;
    for (size_t i = 0; i < STARTS; i++) {
        struct dm_wheel *wheel = dm_wheel_create(4, starts[i]);
        dm_wheel_arm(wheel, 0, starts[i]);
        dm_wheel_arm(wheel, 1, starts[i] / 2);
        dm_wheel_arm(wheel, 2, 0);
        dm_wheel_validate(wheel);
        assert_true(dm_wheel_next(wheel) == starts[i]);
        assert_true(dm_wheel_tick(wheel, 1) == starts[i] / 2);
        assert_int_equal(pop_all(wheel, starts[i]), 3);
        assert_empty(wheel);
        dm_wheel_destroy(wheel);
    }
}

static void what_is_overdue_comes_before_what_is_due_later(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(4, 1000);
    dm_wheel_arm(wheel, 0, 1001);
    dm_wheel_arm(wheel, 1, 3);
    dm_wheel_arm(wheel, 2, 1030);
    assert_int_equal(pop_all(wheel, 2000), 3);
    assert_int_equal(popped[0], 1);
    assert_int_equal(popped[1], 0);
    assert_int_equal(popped[2], 2);
    dm_wheel_destroy(wheel);
}

static void a_cancelled_entry_never_comes_out_and_leaves_nothing(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(64, 77);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t entry = 0; entry < 64; entry++) {
            dm_wheel_arm(wheel, entry, (uint64_t)1 << entry);
        }
        assert_int_equal(dm_wheel_count(wheel), 64);
        for (uint32_t entry = 0; entry < 64; entry++) {
            dm_wheel_cancel(wheel, entry);
            dm_wheel_validate(wheel);
            assert_false(dm_wheel_armed(wheel, entry));
        }
        assert_empty(wheel);
    }
    dm_wheel_cancel(wheel, 3);
    assert_int_equal(pop_all(wheel, UINT64_MAX), 0);
    dm_wheel_destroy(wheel);
}

static void arming_and_cancelling_for_ever_takes_no_more_memory(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(MANY, 0);
    dm_wheel_arm(wheel, 9, 1);
    size_t memory = dm_wheel_memory(wheel);
    for (uint64_t i = 0; i < 10000; i++) {
        dm_wheel_arm(wheel, 9, i * i);
        dm_wheel_arm(wheel, 3, i << 20);
        dm_wheel_cancel(wheel, 9);
    }
    assert_int_equal(dm_wheel_memory(wheel), memory);
    dm_wheel_arm(wheel, 1009, 1);
    assert_int_equal(dm_wheel_memory(wheel), memory + (size_t)16 * 1000);
    dm_wheel_destroy(wheel);
}

static void a_rearmed_entry_comes_out_once_at_its_new_tick(void **state)
{
    (void)state;
    static const uint64_t ticks[] = {10, 300, 299, 301, 70000, 40, 5000000, 5000001, 70001, 12};
    struct dm_wheel *wheel = dm_wheel_create(1, 5);
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        for (size_t j = 0; j < sizeof ticks / sizeof ticks[0]; j++) {
            uint64_t now = dm_wheel_now(wheel);
            dm_wheel_arm(wheel, 0, now + ticks[i]);
            dm_wheel_arm(wheel, 0, now + ticks[j]);
            dm_wheel_validate(wheel);
            assert_int_equal(dm_wheel_count(wheel), 1);
            assert_true(dm_wheel_next(wheel) <= now + ticks[j]);
            assert_int_equal(pop_all(wheel, now + ticks[j] - 1), 0);
            assert_pops_only(wheel, now + ticks[j], 0);
            assert_empty(wheel);
        }
    }
    dm_wheel_destroy(wheel);
}

static void an_entry_postponed_again_and_again_expires_at_the_last_tick(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(1, 0);
    uint64_t now = 0;
    for (unsigned i = 0; i < 1000; i++) {
        dm_wheel_arm(wheel, 0, now + 7200);
        now += 391;
        assert_int_equal(pop_all(wheel, now), 0);
        dm_wheel_validate(wheel);
    }
    uint64_t tick = dm_wheel_tick(wheel, 0);
    assert_int_equal(pop_all(wheel, tick - 1), 0);
    assert_pops_only(wheel, tick, 0);
    dm_wheel_destroy(wheel);
}

/* 40 entries at levels 2 and below, the cascade of which was stopped in its middle:
 * entry e at tick 65536 + 300 * e. */
static struct dm_wheel *half_cascaded(void)
{
    bool more = false;
    struct dm_wheel *wheel = dm_wheel_create(64, 0);
    for (uint32_t entry = 0; entry < 40; entry++) {
        dm_wheel_arm(wheel, entry, 65536 + 300 * (uint64_t)entry);
    }
    assert_int_equal(dm_wheel_advance(wheel, 1000000, 20, popped, ENTRIES, &more), 0);
    assert_true(more);
    assert_true(dm_wheel_now(wheel) == 65536);
    dm_wheel_validate(wheel);
    return wheel;
}

static void cancelling_in_a_half_cascaded_list_is_right_for_every_entry(void **state)
{
    (void)state;
    for (uint32_t cancelled = 0; cancelled < 40; cancelled++) {
        struct dm_wheel *wheel = half_cascaded();
        dm_wheel_cancel(wheel, cancelled);
        dm_wheel_validate(wheel);
        assert_int_equal(pop_all(wheel, 1000000), 39);
        for (uint32_t i = 0; i < 39; i++) {
            assert_int_equal(popped[i], i < cancelled ? i : i + 1);
        }
        assert_empty(wheel);
        dm_wheel_destroy(wheel);
    }
}

static void cancelling_all_of_a_half_cascaded_list_ends_the_cascade(void **state)
{
    (void)state;
    struct dm_wheel *wheel = half_cascaded();
    for (uint32_t entry = 0; entry < 40; entry++) {
        dm_wheel_cancel(wheel, entry);
        dm_wheel_validate(wheel);
    }
    assert_empty(wheel);
    assert_int_equal(pop_all(wheel, 1000000), 0);
    dm_wheel_destroy(wheel);
}

static void rearming_in_a_half_cascaded_list_is_right_for_every_entry(void **state)
{
    (void)state;
    static const uint64_t to[] = {7, 65536, 65537, 65536 + 20 * 300, 700000};
    for (uint32_t moved = 0; moved < 40; moved++) {
        for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
            struct dm_wheel *wheel = half_cascaded();
            dm_wheel_arm(wheel, moved, to[i]);
            dm_wheel_arm(wheel, 50, to[i]);
            dm_wheel_validate(wheel);
            uint64_t due = to[i] < 65536 ? 65536 : to[i];
            size_t before = pop_all(wheel, due - 1);
            for (size_t k = 0; k < before; k++) {
                assert_true(popped[k] != moved && popped[k] != 50);
            }
            size_t count = pop_all(wheel, due);
            unsigned found = 0;
            for (size_t k = 0; k < count; k++) {
                found += popped[k] == moved || popped[k] == 50;
            }
            assert_int_equal(found, 2);
            assert_int_equal(before + count + pop_all(wheel, 1000000), 41);
            assert_empty(wheel);
            dm_wheel_destroy(wheel);
        }
    }
}

static void what_has_expired_and_was_not_popped_can_be_cancelled_or_moved(void **state)
{
    (void)state;
    bool more = false;
    struct dm_wheel *wheel = dm_wheel_create(16, 0);
    for (uint32_t entry = 0; entry < 10; entry++) {
        dm_wheel_arm(wheel, entry, 100);
    }
    assert_int_equal(dm_wheel_advance(wheel, 100, SIZE_MAX, popped, 3, &more), 3);
    assert_true(more);
    uint32_t left[10];
    unsigned count = 0;
    for (uint32_t entry = 0; entry < 10; entry++) {
        if (dm_wheel_armed(wheel, entry)) {
            left[count++] = entry;
        }
    }
    assert_int_equal(count, 7);
    dm_wheel_cancel(wheel, left[0]);
    dm_wheel_arm(wheel, left[1], 101);
    dm_wheel_arm(wheel, left[2], 90000);
    dm_wheel_validate(wheel);
    assert_int_equal(pop_all(wheel, 100), 4);
    assert_pops_only(wheel, 101, left[1]);
    assert_pops_only(wheel, 90000, left[2]);
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void rearming_at_now_while_firing_waits_for_the_next_advance(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(1, 0);
    dm_wheel_arm(wheel, 0, 10);
    assert_pops_only(wheel, 10, 0);
    for (unsigned i = 0; i < 5; i++) {
        dm_wheel_arm(wheel, 0, 10);
        assert_pops_only(wheel, 10, 0);
    }
    dm_wheel_arm(wheel, 0, 11);
    assert_int_equal(pop_all(wheel, 10), 0);
    assert_pops_only(wheel, 11, 0);
    dm_wheel_destroy(wheel);
}

static void a_cascade_and_a_burst_keep_to_the_budget(void **state)
{
    (void)state;
    enum { BUDGET = 64, COUNT = 1024, LEVELS_CROSSED = 3 };
    struct dm_wheel *wheel = dm_wheel_create(COUNT, 0);
    uint64_t tick = 1U << 24 | 1U << 16 | 1U << 8 | 5;
    for (uint32_t entry = 0; entry < COUNT; entry++) {
        dm_wheel_arm(wheel, entry, tick);
    }
    size_t total = 0;
    for (unsigned call = 1; call <= (LEVELS_CROSSED + 1) * COUNT / BUDGET; call++) {
        bool more = false;
        size_t count = dm_wheel_advance(wheel, UINT64_MAX, BUDGET, popped, ENTRIES, &more);
        bool expiring = call > LEVELS_CROSSED * COUNT / BUDGET;
        assert_int_equal(count, expiring ? BUDGET : 0);
        total += count;
        assert_true(more == (total < COUNT));
        dm_wheel_validate(wheel);
    }
    assert_int_equal(total, COUNT);
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void no_budget_or_no_room_does_nothing_and_says_more(void **state)
{
    (void)state;
    bool more = false;
    struct dm_wheel *wheel = dm_wheel_create(2, 0);
    dm_wheel_arm(wheel, 0, 50);
    assert_int_equal(dm_wheel_advance(wheel, 60, 0, popped, 1, &more), 0);
    assert_true(more);
    assert_int_equal(dm_wheel_advance(wheel, 60, 10, NULL, 0, &more), 0);
    assert_true(more);
    assert_int_equal(dm_wheel_advance(wheel, 60, 1, popped, 1, &more), 1);
    assert_false(more);
    assert_int_equal(dm_wheel_advance(wheel, 70, 0, NULL, 0, &more), 0);
    assert_false(more);
    assert_true(dm_wheel_now(wheel) == 70);
    dm_wheel_destroy(wheel);
}

static void the_order_of_ticks_holds_one_entry_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct dm_wheel *wheel = dm_wheel_create(COUNT, 12345);
    uint64_t random = 9;
    static uint64_t ticks[COUNT];
    for (uint32_t entry = 0; entry < COUNT; entry++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        ticks[entry] = 12345 + (random >> 33) % 3000000;
        dm_wheel_arm(wheel, entry, ticks[entry]);
    }
    uint64_t last = 0;
    uint32_t total = 0;
    bool more = true;
    while (more) {
        uint32_t entry;
        if (dm_wheel_advance(wheel, 9000000, 1, &entry, 1, &more) == 1) {
            assert_true(ticks[entry] >= last);
            assert_true(dm_wheel_now(wheel) == ticks[entry] || !more);
            last = ticks[entry];
            total++;
        }
    }
    assert_int_equal(total, COUNT);
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void an_entry_armed_between_chunks_takes_its_place_in_the_order(void **state)
{
    (void)state;
    struct dm_wheel *wheel = half_cascaded();
    dm_wheel_arm(wheel, 60, 65536 + 10 * 300 + 1);
    assert_int_equal(pop_all(wheel, 1000000), 41);
    for (uint32_t i = 0; i < 41; i++) {
        assert_int_equal(popped[i], i == 11 ? 60 : i < 11 ? i : i - 1);
    }
    dm_wheel_destroy(wheel);
}

static void a_jump_over_all_of_time_takes_few_steps(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(64, 0);
    for (uint32_t entry = 0; entry < 64; entry++) {
        dm_wheel_arm(wheel, 63 - entry, (uint64_t)1 << entry);
    }
    bool more = true;
    assert_int_equal(dm_wheel_advance(wheel, UINT64_MAX, (size_t)64 * 2, popped, 64, &more), 64);
    assert_false(more);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(popped[i], 63 - i);
    }
    assert_true(dm_wheel_now(wheel) == UINT64_MAX);
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void time_that_goes_back_changes_nothing(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(4, 1000);
    dm_wheel_arm(wheel, 0, 1500);
    dm_wheel_arm(wheel, 1, 400);
    bool more = true;
    assert_int_equal(dm_wheel_advance(wheel, 999, SIZE_MAX, popped, ENTRIES, &more), 0);
    assert_false(more);
    assert_true(dm_wheel_now(wheel) == 1000);
    assert_pops_only(wheel, 1000, 1);
    assert_int_equal(pop_all(wheel, 1499), 0);
    assert_int_equal(pop_all(wheel, 10), 0);
    assert_pops_only(wheel, 1500, 0);
    dm_wheel_destroy(wheel);
}

static void next_is_exact_near_and_never_late_far(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(4, 256);
    assert_true(dm_wheel_next(wheel) == UINT64_MAX);
    dm_wheel_arm(wheel, 0, 70000);
    assert_true(dm_wheel_next(wheel) == 65536);
    dm_wheel_arm(wheel, 1, 511);
    assert_true(dm_wheel_next(wheel) == 511);
    dm_wheel_arm(wheel, 2, 300);
    assert_true(dm_wheel_next(wheel) == 300);
    dm_wheel_arm(wheel, 2, 302);
    assert_true(dm_wheel_next(wheel) == 302);
    dm_wheel_cancel(wheel, 2);
    assert_true(dm_wheel_next(wheel) == 511);
    dm_wheel_destroy(wheel);
}

static void sleeping_until_next_meets_every_tick_in_few_wakes(void **state)
{
    (void)state;
    struct dm_wheel *wheel = dm_wheel_create(3, 1764000000123U);
    uint64_t tick = 1764000000123U + (uint64_t)30 * 24 * 3600 * 1000;
    dm_wheel_arm(wheel, 1, tick);
    unsigned wakes = 0;
    size_t count = 0;
    while (count == 0) {
        count = pop_all(wheel, dm_wheel_next(wheel));
        wakes++;
    }
    assert_true(dm_wheel_now(wheel) == tick);
    assert_in_range(wakes, 1, 8);
    dm_wheel_destroy(wheel);
}

static void a_million_at_one_tick_come_out_once_each(void **state)
{
    (void)state;
    static uint8_t seen[MANY];
    struct dm_wheel *wheel = dm_wheel_create(MANY, 0);
    for (uint32_t entry = 0; entry < MANY; entry++) {
        dm_wheel_arm(wheel, entry, 3600000);
    }
    bool more = true;
    uint32_t total = 0;
    while (more) {
        size_t count = dm_wheel_advance(wheel, 3600000, 4096, popped, 256, &more);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(seen[popped[i]]++, 0);
        }
        total += (uint32_t)count;
    }
    assert_int_equal(total, MANY);
    assert_empty(wheel);
    dm_wheel_destroy(wheel);
}

static void more_entries_than_links_can_name_are_refused(void **state)
{
    (void)state;
    assert_null(dm_wheel_create(DM_WHEEL_ENTRIES_MAX + 1, 0));
    dm_wheel_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_expires_at_its_tick_whatever_level_edge_lies_between),
        cmocka_unit_test(ticks_at_the_edges_of_levels_expire_to_the_tick),
        cmocka_unit_test(an_entry_a_tick_comes_out_tick_by_tick),
        cmocka_unit_test(the_last_tick_of_all_expires),
        cmocka_unit_test(a_tick_at_or_before_now_expires_at_the_next_advance),
        cmocka_unit_test(what_is_overdue_comes_before_what_is_due_later),
        cmocka_unit_test(a_cancelled_entry_never_comes_out_and_leaves_nothing),
        cmocka_unit_test(arming_and_cancelling_for_ever_takes_no_more_memory),
        cmocka_unit_test(a_rearmed_entry_comes_out_once_at_its_new_tick),
        cmocka_unit_test(an_entry_postponed_again_and_again_expires_at_the_last_tick),
        cmocka_unit_test(cancelling_in_a_half_cascaded_list_is_right_for_every_entry),
        cmocka_unit_test(cancelling_all_of_a_half_cascaded_list_ends_the_cascade),
        cmocka_unit_test(rearming_in_a_half_cascaded_list_is_right_for_every_entry),
        cmocka_unit_test(what_has_expired_and_was_not_popped_can_be_cancelled_or_moved),
        cmocka_unit_test(rearming_at_now_while_firing_waits_for_the_next_advance),
        cmocka_unit_test(a_cascade_and_a_burst_keep_to_the_budget),
        cmocka_unit_test(no_budget_or_no_room_does_nothing_and_says_more),
        cmocka_unit_test(the_order_of_ticks_holds_one_entry_at_a_time),
        cmocka_unit_test(an_entry_armed_between_chunks_takes_its_place_in_the_order),
        cmocka_unit_test(a_jump_over_all_of_time_takes_few_steps),
        cmocka_unit_test(time_that_goes_back_changes_nothing),
        cmocka_unit_test(next_is_exact_near_and_never_late_far),
        cmocka_unit_test(sleeping_until_next_meets_every_tick_in_few_wakes),
        cmocka_unit_test(a_million_at_one_tick_come_out_once_each),
        cmocka_unit_test(more_entries_than_links_can_name_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
