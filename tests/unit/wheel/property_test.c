/* The wheel against a sorted list: random arms, cancels and advances, under several
 * distributions of ticks, from several points in time. A seed names a run; it stands
 * in the message of a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wheel/wheel.h"

enum { ENTRIES = 200, STEPS = 1500, SEEDS = 12 };

struct item {
    uint64_t due; /* the tick, or the wheel's now when that was later */
    uint32_t entry;
};

struct model {
    struct dm_wheel *wheel;
    struct item sorted[ENTRIES];
    uint32_t count;
    uint64_t random;
    unsigned shape;
};

static uint64_t next_random(struct model *model)
{
    model->random += 0x9e3779b97f4a7c15U;
    uint64_t z = model->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- distributions of ticks ---------------------------------------------- */

static uint64_t near_tick(struct model *model, uint64_t now)
{
    return add_capped(now, next_random(model) % 600);
}

static uint64_t month_tick(struct model *model, uint64_t now)
{
    return add_capped(now, next_random(model) % 259200000);
}

static uint64_t any_width_tick(struct model *model, uint64_t now)
{
    return add_capped(now, next_random(model) >> next_random(model) % 64);
}

/* Beside a level's edge, above now. */
static uint64_t edge_tick(struct model *model, uint64_t now)
{
    unsigned bits = 8 * (1 + (unsigned)(next_random(model) % 7));
    uint64_t edge = add_capped(now >> bits << bits, (uint64_t)1 << bits);
    return add_capped(edge - 2, next_random(model) % 5);
}

static uint64_t few_ticks(struct model *model, uint64_t now)
{
    return add_capped(now | 0xfff, 1 + next_random(model) % 3 * 70000);
}

static uint64_t around_now_tick(struct model *model, uint64_t now)
{
    uint64_t tick = add_capped(now, next_random(model) % 1000);
    return tick < 500 ? 0 : tick - 500;
}

typedef uint64_t (*distribution)(struct model *model, uint64_t now);
static const distribution shapes[] = {near_tick, month_tick, any_width_tick,
                                      edge_tick, few_ticks,  around_now_tick};
enum { SHAPES = sizeof shapes / sizeof shapes[0], MIXED = SHAPES };

static uint64_t random_tick(struct model *model)
{
    unsigned shape = model->shape == MIXED ? (unsigned)(next_random(model) % SHAPES) : model->shape;
    return shapes[shape](model, dm_wheel_now(model->wheel));
}

/* ---- the sorted list ----------------------------------------------------- */

static void model_remove(struct model *model, uint32_t entry)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->sorted[i].entry == entry) {
            model->count--;
            memmove(&model->sorted[i], &model->sorted[i + 1],
                    (model->count - i) * sizeof model->sorted[0]);
            return;
        }
    }
}

static void model_insert(struct model *model, uint32_t entry, uint64_t due)
{
    uint32_t i = model->count++;
    for (; i > 0 && model->sorted[i - 1].due > due; i--) {
        model->sorted[i] = model->sorted[i - 1];
    }
    model->sorted[i] = (struct item){.due = due, .entry = entry};
}

/* `entry` has come out: it must be one of the earliest. */
static void model_pop(struct model *model, uint32_t entry, uint64_t now)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->sorted[i].entry == entry) {
            assert_true(model->sorted[i].due == model->sorted[0].due);
            assert_true(model->sorted[i].due <= now);
            model_remove(model, entry);
            return;
        }
    }
    fail_msg("entry %u came out and was not armed", entry);
}

/* ---- the steps ----------------------------------------------------------- */

static void arm(struct model *model)
{
    uint32_t entry = (uint32_t)(next_random(model) % ENTRIES);
    uint64_t tick = random_tick(model);
    uint64_t now = dm_wheel_now(model->wheel);
    dm_wheel_arm(model->wheel, entry, tick);
    assert_true(dm_wheel_tick(model->wheel, entry) == tick);
    model_remove(model, entry);
    model_insert(model, entry, tick > now ? tick : now);
}

static void cancel(struct model *model)
{
    uint32_t entry = (uint32_t)(next_random(model) % ENTRIES);
    dm_wheel_cancel(model->wheel, entry);
    assert_false(dm_wheel_armed(model->wheel, entry));
    model_remove(model, entry);
}

static uint64_t target(struct model *model)
{
    uint64_t now = dm_wheel_now(model->wheel);
    switch (next_random(model) % 8) {
    case 0:
        return now;
    case 1:
        return add_capped(now, 1);
    case 2:
        return dm_wheel_next(model->wheel) != UINT64_MAX ? dm_wheel_next(model->wheel) : now;
    case 3:
        return model->count != 0 ? model->sorted[0].due : now;
    case 4:
        return model->count != 0 && model->sorted[0].due > now ? model->sorted[0].due - 1 : now;
    case 5:
        return model->count != 0 ? model->sorted[model->count / 2].due : now;
    default:
        return random_tick(model);
    }
}

static void advance(struct model *model)
{
    uint32_t out[ENTRIES];
    uint64_t before = dm_wheel_now(model->wheel);
    uint64_t now = target(model);
    size_t budget = next_random(model) % 3 == 0 ? SIZE_MAX : next_random(model) % 20;
    size_t out_max = next_random(model) % 3 == 0 ? ENTRIES : next_random(model) % 10;
    bool more = false;
    size_t count = dm_wheel_advance(model->wheel, now, budget, out, out_max, &more);
    assert_true(count <= out_max && count <= budget);
    for (size_t i = 0; i < count; i++) {
        assert_false(dm_wheel_armed(model->wheel, out[i]));
        model_pop(model, out[i], now);
    }
    uint64_t after = dm_wheel_now(model->wheel);
    assert_true(after >= before && (now < before || after <= now));
    if (now < before) {
        assert_true(count == 0 && after == before && !more);
    } else if (!more) {
        assert_true(after == now);
        assert_true(model->count == 0 || model->sorted[0].due > now);
    }
    assert_true(model->count == 0 || model->sorted[0].due >= after);
}

static void check(const struct model *model)
{
    dm_wheel_validate(model->wheel);
    assert_int_equal(dm_wheel_count(model->wheel), model->count);
    uint64_t next = dm_wheel_next(model->wheel);
    uint64_t earliest = dm_wheel_earliest(model->wheel, ENTRIES);
    assert_true(earliest >= dm_wheel_earliest(model->wheel, 1));
    if (model->count == 0) {
        assert_true(next == UINT64_MAX && earliest == UINT64_MAX);
        return;
    }
    uint64_t now = dm_wheel_now(model->wheel);
    assert_true(earliest == (model->sorted[0].due > now ? model->sorted[0].due : now));
    assert_true(next >= dm_wheel_now(model->wheel));
    assert_true(next <= model->sorted[0].due);
    if (next > dm_wheel_now(model->wheel) &&
        model->sorted[0].due >> 8 == dm_wheel_now(model->wheel) >> 8) {
        assert_true(next == model->sorted[0].due);
    }
}

/* Everything that is armed comes out in the end, within the calls that its levels cost. */
static void drain(struct model *model)
{
    uint32_t out[ENTRIES];
    bool more = true;
    unsigned calls = 0;
    for (; more; calls++) {
        size_t count = dm_wheel_advance(model->wheel, UINT64_MAX, 3, out, 2, &more);
        for (size_t i = 0; i < count; i++) {
            model_pop(model, out[i], UINT64_MAX);
        }
        dm_wheel_validate(model->wheel);
        assert_in_range(calls, 0, ENTRIES * 10);
    }
    assert_int_equal(model->count, 0);
    check(model);
}

static void run(uint64_t seed, unsigned shape, uint64_t start)
{
    struct model model = {.random = seed * 1000 + shape, .shape = shape};
    model.wheel = dm_wheel_create(ENTRIES, start);
    unsigned arms = 1 + (unsigned)(seed % 7); /* of ten steps: from empty to full wheels */
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = (unsigned)(next_random(&model) % 10);
        if (what < arms) {
            arm(&model);
        } else if (what < arms + 1) {
            cancel(&model);
        } else {
            advance(&model);
        }
        if (step % 4 == 0) {
            check(&model);
        }
        if (dm_wheel_now(model.wheel) == UINT64_MAX && step % 50 == 0) {
            drain(&model);
            dm_wheel_destroy(model.wheel);
            model.wheel = dm_wheel_create(ENTRIES, start);
        }
    }
    drain(&model);
    dm_wheel_destroy(model.wheel);
}

static void run_from_everywhere(unsigned shape)
{
    static const uint64_t starts[] = {0, ((uint64_t)1 << 32) - 300, ((uint64_t)1 << 40) - 70000,
                                      1764000000000U, UINT64_MAX - 100000};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t start = starts[seed % (sizeof starts / sizeof starts[0])];
        print_message("seed %u, shape %u\n", (unsigned)seed, shape);
        run(seed, shape, start);
    }
}

#define AGREES(name, shape)                                              \
    static void the_wheel_agrees_with_a_sorted_list_##name(void **state) \
    {                                                                    \
        (void)state;                                                     \
        run_from_everywhere(shape);                                      \
    }

AGREES(near, 0)
AGREES(over_a_month, 1)
AGREES(over_all_of_time, 2)
AGREES(at_the_edges_of_levels, 3)
AGREES(at_few_ticks, 4)
AGREES(around_now, 5)
AGREES(mixed, MIXED)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_near),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_over_a_month),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_over_all_of_time),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_at_the_edges_of_levels),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_at_few_ticks),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_around_now),
        cmocka_unit_test(the_wheel_agrees_with_a_sorted_list_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
