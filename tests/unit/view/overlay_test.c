/* The overlay by example, then against a model: any history of puts, freezes and drops,
 * with walks left open across them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/colliding.h"
#include "support.h"
#include "view/overlay.h"
#include "view/walk.h"

static void put_text(struct dm_overlay *overlay, uint32_t account, uint32_t contact,
                     const char *value, uint64_t lsn)
{
    struct dm_key key;
    key_of(&key, account, contact);
    assert_true(dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), slice_text(value), lsn));
}

static void assert_has(const struct dm_overlay *overlay, uint32_t account, uint32_t contact,
                       const char *value, uint64_t lsn)
{
    struct dm_key key;
    struct dm_slice found = {0};
    uint64_t found_lsn = 0;
    key_of(&key, account, contact);
    assert_true(dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), &found, &found_lsn));
    assert_int_equal(found.size, strlen(value));
    assert_memory_equal(found.data, value, found.size);
    assert_int_equal(found_lsn, lsn);
}

static void assert_has_not(const struct dm_overlay *overlay, uint32_t account, uint32_t contact)
{
    struct dm_key key;
    key_of(&key, account, contact);
    assert_false(dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), NULL, NULL));
}

/* ---- by example ----------------------------------------------------------- */

static void the_newest_value_is_found_whatever_its_size(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100);
    assert_has_not(overlay, 1, 1);
    put_text(overlay, 1, 1, "middle", 1);
    assert_has(overlay, 1, 1, "middle", 1);
    put_text(overlay, 1, 1, "less", 2);
    assert_has(overlay, 1, 1, "less", 2);
    put_text(overlay, 1, 1, "more than there was", 3);
    assert_has(overlay, 1, 1, "more than there was", 3);
    put_text(overlay, 1, 1, "and still a great deal more than there ever was", 4);
    assert_has(overlay, 1, 1, "and still a great deal more than there ever was", 4);
    put_text(overlay, 1, 1, "", 5);
    assert_has(overlay, 1, 1, "", 5);
    assert_int_equal(dm_overlay_count(overlay), 1);
    assert_has_not(overlay, 2, 1);
    dm_overlay_destroy(overlay);
}

static void a_lookup_asks_current_then_frozen(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100);
    put_text(overlay, 1, 1, "old", 1);
    put_text(overlay, 1, 2, "kept", 2);
    struct dm_generation *frozen = dm_overlay_freeze(overlay, 2);
    assert_non_null(frozen);
    assert_int_equal(dm_generation_lsn(frozen), 2);
    assert_int_equal(dm_overlay_current_count(overlay), 0);
    assert_has(overlay, 1, 1, "old", 1);
    put_text(overlay, 1, 1, "new", 3);
    assert_has(overlay, 1, 1, "new", 3);
    assert_has(overlay, 1, 2, "kept", 2);
    assert_int_equal(dm_overlay_count(overlay), 3);
    assert_ptr_equal(dm_overlay_drop(overlay), frozen);
    dm_generation_destroy(frozen);
    assert_has(overlay, 1, 1, "new", 3);
    assert_has_not(overlay, 1, 2);
    assert_null(dm_overlay_drop(overlay));
    dm_overlay_destroy(overlay);
}

static void nothing_new_is_nothing_to_freeze(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100);
    assert_null(dm_overlay_freeze(overlay, 1));
    assert_true(dm_overlay_side(overlay, DM_TABLE_META, slice_text("k"), slice_text("v")));
    struct dm_generation *frozen = dm_overlay_freeze(overlay, 1);
    assert_non_null(frozen);
    size_t count = 1;
    assert_null(dm_generation_sorted(frozen, &count));
    assert_int_equal(count, 0);
    assert_int_equal(dm_generation_count(frozen), 0);
    dm_overlay_destroy(overlay);
}

static void side_rows_come_back_in_order(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100);
    put_text(overlay, 1, 1, "contact", 1);
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t key[4];
        dm_store_be32(key, i);
        enum dm_table table = i % 2 ? DM_TABLE_ACCOUNTS : DM_TABLE_POLICIES;
        assert_true(dm_overlay_side(overlay, table, dm_slice(key, 4), dm_slice(key, i % 5)));
    }
    put_text(overlay, 1, 2, "contact", 2);
    assert_int_equal(dm_overlay_current_count(overlay), 202);
    assert_int_equal(dm_overlay_count(overlay), 2);
    struct dm_generation *frozen = dm_overlay_freeze(overlay, 1);
    enum dm_table table;
    struct dm_slice key, value;
    uint32_t place = 0;
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(dm_generation_side(frozen, &place, &table, &key, &value));
        assert_int_equal(table, i % 2 ? DM_TABLE_ACCOUNTS : DM_TABLE_POLICIES);
        assert_int_equal(dm_load_be32(key.data), i);
        assert_int_equal(value.size, i % 5);
    }
    assert_false(dm_generation_side(frozen, &place, &table, &key, &value));
    dm_overlay_destroy(overlay);
}

/* One new contact after the other, until one is refused; returns its number. */
static uint32_t fill(struct dm_overlay *overlay, uint32_t from)
{
    struct dm_key key;
    for (uint32_t i = from;; i++) {
        key_of(&key, 1, i);
        if (!dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), slice_text("x"), i)) {
            return i;
        }
    }
}

static void it_takes_twice_what_callers_may_and_no_more(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(3);
    assert_int_equal(dm_overlay_contacts_max(overlay), 3);
    assert_in_range(dm_overlay_contacts_end(overlay), 6, 10000);
    assert_in_range(dm_overlay_used_end(overlay),
                    2 * dm_overlay_used_max(overlay) + DM_OVERLAY_BEYOND, 100 << 20);
    put_text(overlay, 1, 1, "a", 1);
    put_text(overlay, 1, 2, "b", 2);
    assert_non_null(dm_overlay_freeze(overlay, 2));
    put_text(overlay, 1, 1, "c", 3);
    uint32_t refused = fill(overlay, 3);
    /* Both generations count. */
    assert_int_equal(dm_overlay_count(overlay), dm_overlay_contacts_end(overlay));
    assert_has_not(overlay, 1, refused);
    put_text(overlay, 1, 1, "longer than it was", 5);
    dm_generation_destroy(dm_overlay_drop(overlay));
    put_text(overlay, 1, refused, "d", 6);
    assert_has(overlay, 1, refused, "d", 6);
    dm_overlay_destroy(overlay);
}

static void entries_take_what_is_said(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100);
    struct dm_key key;
    key_of(&key, 1, 1);
    for (size_t size = 1; size < 20; size++) {
        uint8_t row[20] = {0};
        size_t before = dm_overlay_used(overlay);
        assert_true(
            dm_overlay_side(overlay, DM_TABLE_ACCOUNTS, dm_key_slice(&key), dm_slice(row, size)));
        assert_int_equal(dm_overlay_used(overlay) - before,
                         dm_overlay_row_size(dm_key_slice(&key).size, size));
    }
    dm_overlay_destroy(overlay);
}

static void a_full_arena_refuses_and_keeps_what_is_there(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(1000);
    static uint8_t large[60000];
    struct dm_key key;
    uint32_t taken = 0;
    for (;; taken++) {
        key_of(&key, 1, taken);
        if (!dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)),
                            dm_slice(large, sizeof large), taken)) {
            break;
        }
    }
    assert_in_range((size_t)taken * sizeof large,
                    dm_overlay_used_end(overlay) - sizeof large - 4096,
                    dm_overlay_used_end(overlay));
    assert_int_equal(dm_overlay_count(overlay), taken);
    assert_has_not(overlay, 1, taken);
    put_text(overlay, 1, taken, "small", 1);
    static uint8_t larger[65000];
    key_of(&key, 1, taken);
    assert_false(dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)),
                                dm_slice(larger, sizeof larger), 2));
    assert_false(
        dm_overlay_side(overlay, DM_TABLE_META, slice_text("k"), dm_slice(large, sizeof large)));
    assert_has(overlay, 1, taken, "small", 1);
    dm_overlay_destroy(overlay);
}

static void it_grows_to_many_contacts(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct dm_overlay *overlay = dm_overlay_create(MANY);
    size_t before = dm_overlay_memory(overlay);
    struct dm_key key;
    for (uint32_t i = 0; i < MANY; i++) {
        key_of(&key, 1 + i % 1000, i);
        assert_true(
            dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), dm_slice(&i, sizeof i), i));
    }
    assert_int_equal(dm_overlay_count(overlay), MANY);
    assert_in_range(dm_overlay_memory(overlay) - before, MANY * 28, MANY * 80);
    for (uint32_t i = 0; i < MANY; i++) {
        struct dm_slice value;
        uint64_t lsn;
        key_of(&key, 1 + i % 1000, i);
        assert_true(dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), &value, &lsn));
        assert_memory_equal(value.data, &i, sizeof i);
        assert_int_equal(lsn, i);
        key_of(&key, 1 + i % 1000, i + 1);
        assert_false(dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), &value, &lsn));
    }
    dm_overlay_destroy(overlay);
}

static int compare_slices(const void *a, const void *b)
{
    return dm_slice_compare(*(const struct dm_slice *)a, *(const struct dm_slice *)b);
}

/* Keys of few letters, zeros among them, so that prefixes and words are often equal. */
static void sorting_gives_byte_order(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    static uint8_t bytes[KEYS][72];
    static struct dm_slice expected[KEYS];
    struct dm_overlay *overlay = dm_overlay_create(KEYS);
    uint64_t random = 3;
    size_t distinct = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t size = 4 + random_below(&random, 30);
        dm_store_be32(bytes[i], random_below(&random, 3) * 1000);
        for (uint32_t at = 4; at < size; at++) {
            bytes[i][at] = (uint8_t)(random_below(&random, 8) == 0 ? 1 : 0);
        }
        struct dm_slice key = dm_slice(bytes[i], size);
        if (!dm_overlay_get(overlay, dm_key_hashed(key), NULL, NULL)) {
            expected[distinct++] = key;
        }
        assert_true(dm_overlay_put(overlay, dm_key_hashed(key), dm_slice(bytes[i], i % 40), i));
    }
    qsort(expected, distinct, sizeof *expected, compare_slices);
    struct dm_generation *frozen = dm_overlay_freeze(overlay, 1);
    size_t count;
    struct dm_row_slices *sorted = dm_generation_sorted(frozen, &count);
    assert_int_equal(count, distinct);
    for (size_t i = 0; i < count; i++) {
        assert_true(dm_slice_equal(sorted[i].key, expected[i]));
    }
    free(sorted);
    dm_overlay_destroy(overlay);
}

/* ---- against a model ------------------------------------------------------ */

enum { ACCOUNTS = 3, CONTACTS = 24, STEPS = 1000, WALKS = 4, SEEDS = 100 };

/* Which value each layer has of a contact: its lsn, 0 for none. The lsn decides what
 * the value looks like. */
struct layers {
    uint64_t current, frozen, store;
};

struct open_walk {
    struct dm_overlay_walk walk;
    bool open, all;
    uint64_t at_start[ACCOUNTS][CONTACTS]; /* the newest lsn in the overlay then */
    int seen[ACCOUNTS][CONTACTS], seen_newest[ACCOUNTS][CONTACTS];
};

struct model {
    struct dm_overlay *overlay;
    uint64_t random, lsn;
    uint32_t turnover; /* of 100 steps: freezes and drops */
    bool is_frozen;
    struct layers contact[ACCOUNTS][CONTACTS];
    struct open_walk walks[WALKS];
};

static size_t value_make(uint8_t *out, uint64_t lsn)
{
    uint64_t random = lsn;
    size_t size = random_below(&random, 5) == 0 ? 0 : random_below(&random, 300);
    memset(out, (int)(lsn & 0xff), size);
    return size;
}

static void assert_value(struct dm_slice value, uint64_t lsn)
{
    uint8_t expected[300];
    assert_int_equal(value.size, value_make(expected, lsn));
    if (value.size > 0) {
        assert_memory_equal(value.data, expected, value.size);
    }
}

static uint64_t newest_lsn(const struct layers *layers)
{
    return layers->current != 0 ? layers->current : layers->frozen;
}

static void model_put(struct model *model)
{
    uint32_t account = random_below(&model->random, ACCOUNTS);
    uint32_t contact = random_below(&model->random, CONTACTS);
    struct dm_key key;
    uint8_t value[300];
    key_of(&key, account + 1, contact);
    uint64_t lsn = ++model->lsn;
    size_t size = value_make(value, lsn);
    assert_true(dm_overlay_put(model->overlay, dm_key_hashed(dm_key_slice(&key)),
                               dm_slice(value, size), lsn));
    model->contact[account][contact].current = lsn;
}

static void model_check_sorted(struct model *model, const struct dm_generation *frozen)
{
    size_t count, expected = 0;
    struct dm_row_slices *sorted = dm_generation_sorted(frozen, &count);
    for (uint32_t account = 0; account < ACCOUNTS; account++) {
        for (uint32_t contact = 0; contact < CONTACTS; contact++) {
            expected += model->contact[account][contact].frozen != 0;
        }
    }
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || dm_slice_compare(sorted[i - 1].key, sorted[i].key) < 0);
        uint32_t account = dm_load_be32(sorted[i].key.data) - 1;
        uint32_t contact = contact_of(sorted[i].key);
        assert_value(sorted[i].value, model->contact[account][contact].frozen);
    }
    free(sorted);
}

static void model_freeze_or_drop(struct model *model)
{
    bool drop = model->is_frozen;
    if (drop) {
        dm_generation_destroy(dm_overlay_drop(model->overlay));
    } else {
        struct dm_generation *frozen = dm_overlay_freeze(model->overlay, model->lsn);
        if (frozen == NULL) {
            return;
        }
    }
    model->is_frozen = !drop;
    for (uint32_t account = 0; account < ACCOUNTS; account++) {
        for (uint32_t contact = 0; contact < CONTACTS; contact++) {
            struct layers *layers = &model->contact[account][contact];
            if (drop) {
                layers->store = layers->frozen != 0 ? layers->frozen : layers->store;
                layers->frozen = 0;
            } else {
                layers->frozen = layers->current;
                layers->current = 0;
            }
        }
    }
}

static void model_check_get(struct model *model)
{
    uint32_t account = random_below(&model->random, ACCOUNTS);
    uint32_t contact = random_below(&model->random, CONTACTS);
    const struct layers *layers = &model->contact[account][contact];
    struct dm_key key;
    struct dm_slice value;
    uint64_t lsn;
    key_of(&key, account + 1, contact);
    bool found = dm_overlay_get(model->overlay, dm_key_hashed(dm_key_slice(&key)), &value, &lsn);
    assert_int_equal(found, newest_lsn(layers) != 0);
    if (found) {
        assert_int_equal(lsn, newest_lsn(layers));
        assert_value(value, lsn);
    }
}

static bool walk_covers(const struct open_walk *open, uint32_t account)
{
    return open->all || open->walk.account == account + 1;
}

static void walk_begin(struct model *model, struct open_walk *open)
{
    memset(open, 0, sizeof *open);
    open->open = true;
    open->all = random_below(&model->random, 3) == 0;
    open->walk.account = open->all ? 0 : 1 + random_below(&model->random, ACCOUNTS);
    for (uint32_t account = 0; account < ACCOUNTS; account++) {
        for (uint32_t contact = 0; walk_covers(open, account) && contact < CONTACTS; contact++) {
            open->at_start[account][contact] = newest_lsn(&model->contact[account][contact]);
        }
    }
}

/* What was there at the start was seen, or is in the store by now. */
static void walk_check_end(const struct model *model, const struct open_walk *open)
{
    for (uint32_t account = 0; account < ACCOUNTS; account++) {
        for (uint32_t contact = 0; contact < CONTACTS; contact++) {
            uint64_t at_start = open->at_start[account][contact];
            bool applied = model->contact[account][contact].store >= at_start;
            assert_true(at_start == 0 || applied || open->seen_newest[account][contact] > 0);
        }
    }
}

static void walk_step(struct model *model, struct open_walk *open)
{
    struct dm_overlay_item item;
    bool more = open->all ? dm_overlay_walk_all(model->overlay, &open->walk, &item)
                          : dm_overlay_walk(model->overlay, &open->walk, &item);
    if (!more) {
        walk_check_end(model, open);
        open->open = false;
        return;
    }
    uint32_t account = dm_load_be32(item.key.data) - 1;
    uint32_t contact = contact_of(item.key);
    assert_true(walk_covers(open, account));
    const struct layers *layers = &model->contact[account][contact];
    assert_int_equal(item.lsn, item.newest ? newest_lsn(layers) : layers->frozen);
    assert_true(item.newest || layers->current != 0);
    assert_value(item.value, item.lsn);
    open->seen[account][contact]++;
    open->seen_newest[account][contact] += item.newest;
    if (!open->all) {
        assert_true(open->seen[account][contact] <= 2);
        assert_true(open->seen_newest[account][contact] <= 1);
    }
}

static void model_step(struct model *model)
{
    uint32_t what = random_below(&model->random, 100);
    struct open_walk *open = &model->walks[random_below(&model->random, WALKS)];
    if (what < 40) {
        model_put(model);
    } else if (what < 40 + model->turnover) {
        model_freeze_or_drop(model);
    } else if (what < 56) {
        model_check_get(model);
    } else if (open->open) {
        walk_step(model, open);
    } else {
        walk_begin(model, open);
        walk_step(model, open);
    }
}

static void any_history_reads_and_walks_like_the_model(void **state)
{
    (void)state;
    static struct model model;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&model, 0, sizeof model);
        model.random = seed;
        model.turnover = (uint32_t)(1 + seed % 4);
        model.overlay = dm_overlay_create(ACCOUNTS * CONTACTS * 2);
        for (int step = 0; step < STEPS; step++) {
            model_step(&model);
        }
        if (model.is_frozen) {
            model_freeze_or_drop(&model);
        }
        struct dm_generation *frozen = dm_overlay_freeze(model.overlay, 1);
        if (frozen != NULL) {
            model.is_frozen = false;
            for (uint32_t i = 0; i < ACCOUNTS * CONTACTS; i++) {
                struct layers *layers = &model.contact[i / CONTACTS][i % CONTACTS];
                layers->frozen = layers->current;
            }
            model_check_sorted(&model, frozen);
        }
        dm_overlay_destroy(model.overlay);
    }
}

static void a_recycled_generation_comes_back_empty(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(1000);
    struct dm_slice value;
    uint64_t lsn;
    char name[16];
    for (uint64_t round = 1; round <= 5; round++) {
        for (int i = 0; i < 300; i++) {
            struct dm_key key;
            (void)snprintf(name, sizeof name, "%d-%d", (int)round, i);
            dm_key_make(&key, 1, dm_slice_str(name));
            assert_true(dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)),
                                       dm_slice_str("v"), round));
        }
        assert_non_null(dm_overlay_freeze(overlay, round));
        dm_generation_recycle(dm_overlay_drop(overlay));
        assert_int_equal(dm_overlay_count(overlay), 0);
    }
    struct dm_key key;
    dm_key_make(&key, 1, dm_slice_str("4-7"));
    assert_false(dm_overlay_get(overlay, dm_key_hashed(dm_key_slice(&key)), &value, &lsn));
    struct dm_overlay_walk walk = {.account = 1};
    struct dm_overlay_item item;
    assert_false(dm_overlay_walk(overlay, &walk, &item));
    struct dm_generation *shed = dm_overlay_shed(overlay);
    assert_non_null(shed); /* the spare */
    dm_generation_destroy(shed);
    shed = dm_overlay_shed(overlay);
    assert_non_null(shed); /* the current one, which was used before */
    dm_generation_destroy(shed);
    assert_null(dm_overlay_shed(overlay));
    dm_overlay_destroy(overlay);
}

/* Does the page of this address have memory of its own? */
static bool resident(const uint8_t *at)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char in_core = 0;
    return mincore((void *)((uintptr_t)at / page * page), page, &in_core) == 0 && (in_core & 1);
}

/* Puts that many contacts, all new to this generation; where the last of them lies. */
static const uint8_t *put_many(struct dm_overlay *overlay, int count)
{
    static const uint8_t record[400] = {1};
    struct dm_slice value = {0};
    uint64_t lsn;
    for (int i = 0; i < count; i++) {
        struct dm_key key;
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        dm_key_make(&key, 1, dm_slice_str(name));
        struct dm_hashed_key hashed = dm_key_hashed(dm_key_slice(&key));
        assert_true(dm_overlay_put(overlay, hashed, dm_slice(record, sizeof record), 1));
        assert_true(dm_overlay_get(overlay, hashed, &value, &lsn));
    }
    return value.data;
}

static void recycle_current(struct dm_overlay *overlay)
{
    assert_non_null(dm_overlay_freeze(overlay, 1));
    dm_generation_recycle(dm_overlay_drop(overlay));
}

static void the_memory_of_a_burst_stays_for_the_next_and_goes_back_by_and_by(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(100000);
    const uint8_t *last = put_many(overlay, 60000);
    const uint8_t *early = last - (20 << 20), *late = last - (8 << 20);
    recycle_current(overlay); /* to be the current one again after another */
    for (int i = 0; i < 3; i++) {
        (void)put_many(overlay, 1);
        recycle_current(overlay);
    }
    assert_true(resident(early));
    assert_true(resident(late));
    assert_false(resident(last));
    for (int i = 0; i < 60; i++) {
        (void)put_many(overlay, 1);
        recycle_current(overlay);
    }
    assert_false(resident(late));
    assert_false(resident(early));
    dm_overlay_destroy(overlay);
}

static void put(struct dm_overlay *overlay, const char *contact, const char *value)
{
    struct dm_key key;
    dm_key_make(&key, 1, dm_slice_str(contact));
    assert_true(dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), dm_slice_str(value), 1));
}

static bool settled(const struct dm_overlay *overlay, const char *contact, const char *expected)
{
    struct dm_key key;
    struct dm_slice value;
    dm_key_make(&key, 1, dm_slice_str(contact));
    if (!dm_overlay_get_settled(overlay, dm_key_hashed(dm_key_slice(&key)), &value)) {
        return false;
    }
    assert_true(dm_slice_equal(value, dm_slice_str(expected)));
    return true;
}

static void the_generation_applied_last_stays_until_another_is(void **state)
{
    (void)state;
    struct dm_overlay *overlay = dm_overlay_create(1000);
    put(overlay, "a", "1");
    put(overlay, "b", "1");
    (void)dm_overlay_freeze(overlay, 1);
    assert_false(settled(overlay, "a", "")); /* not applied yet */
    struct dm_generation *first = dm_overlay_drop(overlay);
    assert_null(dm_overlay_settle(overlay, first));
    assert_true(settled(overlay, "a", "1"));
    assert_int_equal(dm_overlay_count(overlay), 0); /* it waits for nothing */
    put(overlay, "a", "");                          /* deleted */
    put(overlay, "c", "2");
    (void)dm_overlay_freeze(overlay, 2);
    assert_true(settled(overlay, "b", "1"));
    assert_false(settled(overlay, "c", ""));
    assert_ptr_equal(dm_overlay_settle(overlay, dm_overlay_drop(overlay)), first);
    dm_generation_recycle(first);
    assert_true(settled(overlay, "a", ""));
    assert_true(settled(overlay, "c", "2"));
    assert_false(settled(overlay, "b", ""));
    dm_generation_destroy(dm_overlay_shed(overlay)); /* that one first */
    assert_false(settled(overlay, "c", ""));
    dm_overlay_destroy(overlay);
}

/* Counted, not timed: thousands of ids that somebody chose to share a hash are like any others. */
static void chosen_ids_cost_no_more_than_others(void **state)
{
    (void)state;
    enum { CHOSEN = 20000 };
    struct dm_overlay *overlay = dm_overlay_create(CHOSEN);
    struct colliding ids = colliding_make("\0\0\0\1", 4);
    for (uint32_t i = 0; i < CHOSEN; i++) {
        struct dm_key key;
        dm_key_make(&key, 1, colliding_id(&ids, i));
        assert_true(
            dm_overlay_put(overlay, dm_key_hashed(dm_key_slice(&key)), slice_text("value"), i + 1));
    }
    assert_in_range(dm_overlay_longest(overlay), 1, 24);
    dm_overlay_destroy(overlay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_value_is_found_whatever_its_size),
        cmocka_unit_test(a_lookup_asks_current_then_frozen),
        cmocka_unit_test(nothing_new_is_nothing_to_freeze),
        cmocka_unit_test(side_rows_come_back_in_order),
        cmocka_unit_test(it_takes_twice_what_callers_may_and_no_more),
        cmocka_unit_test(entries_take_what_is_said),
        cmocka_unit_test(a_full_arena_refuses_and_keeps_what_is_there),
        cmocka_unit_test(it_grows_to_many_contacts),
        cmocka_unit_test(sorting_gives_byte_order),
        cmocka_unit_test(a_recycled_generation_comes_back_empty),
        cmocka_unit_test(the_memory_of_a_burst_stays_for_the_next_and_goes_back_by_and_by),
        cmocka_unit_test(the_generation_applied_last_stays_until_another_is),
        cmocka_unit_test(any_history_reads_and_walks_like_the_model),
        cmocka_unit_test(chosen_ids_cost_no_more_than_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
