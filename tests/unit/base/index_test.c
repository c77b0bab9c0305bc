#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/index.h"

/* A table of numbered items whose key is their number. */
enum { ITEMS = 20000 };

struct table {
    struct dm_index index;
    uint32_t links[ITEMS + 1];
    uint8_t in[ITEMS + 1];
};

static uint64_t hash_of(uint32_t item)
{
    return dm_hash(&item, sizeof item, 0);
}

static uint32_t *link_of(void *context, uint32_t item)
{
    return &((struct table *)context)->links[item];
}

static uint64_t item_hash(void *context, uint32_t item)
{
    (void)context;
    return hash_of(item);
}

static bool find(struct table *table, uint32_t wanted)
{
    uint32_t item = dm_index_first(&table->index, hash_of(wanted));
    while (item != 0 && item != wanted) {
        item = table->links[item];
    }
    return item == wanted;
}

static void what_is_in_is_found_and_nothing_else(void **state)
{
    (void)state;
    struct table *table = calloc(1, sizeof *table);
    assert_true(dm_index_init(&table->index, ITEMS, link_of, item_hash, table));
    uint64_t seed = 7;
    uint32_t in = 0;
    for (int step = 0; step < 100000; step++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        uint32_t item = (uint32_t)(seed >> 33) % ITEMS + 1;
        if (table->in[item]) {
            dm_index_remove(&table->index, item, hash_of(item));
        } else {
            dm_index_insert(&table->index, item, hash_of(item));
        }
        table->in[item] ^= 1;
        in += table->in[item] ? 1U : UINT32_MAX;
        assert_int_equal(table->index.count, in);
    }
    for (uint32_t item = 1; item <= ITEMS; item++) {
        assert_int_equal(find(table, item), table->in[item]);
    }
    dm_index_finish(&table->index);
    free(table);
}

static void chains_stay_short_as_it_grows(void **state)
{
    (void)state;
    struct table *table = calloc(1, sizeof *table);
    assert_true(dm_index_init(&table->index, ITEMS, link_of, item_hash, table));
    for (uint32_t item = 1; item <= ITEMS; item++) {
        dm_index_insert(&table->index, item, hash_of(item));
    }
    uint32_t longest = 0;
    for (size_t b = 0; b < (size_t)table->index.low + table->index.split; b++) {
        uint32_t length = 0;
        for (uint32_t item = table->index.heads[b]; item != 0; item = table->links[item]) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    assert_in_range(longest, 1, 16);
    assert_int_equal(dm_index_memory(&table->index), ITEMS * sizeof(uint32_t));
    dm_index_finish(&table->index);
    free(table);
}

static void cleared_it_is_empty_and_has_buckets_for_what_is_expected(void **state)
{
    (void)state;
    struct table *table = calloc(1, sizeof *table);
    assert_true(dm_index_init(&table->index, ITEMS, link_of, item_hash, table));
    for (uint32_t item = 1; item <= ITEMS; item++) {
        dm_index_insert(&table->index, item, hash_of(item));
    }
    dm_index_clear(&table->index);
    assert_int_equal(table->index.count, 0);
    assert_false(find(table, 7));
    dm_index_expect(&table->index, 5000);
    assert_int_equal(table->index.low, 8192);
    for (uint32_t item = 1; item <= ITEMS; item++) {
        dm_index_insert(&table->index, item, hash_of(item));
        assert_true(find(table, item));
    }
    dm_index_finish(&table->index);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_is_found_and_nothing_else),
        cmocka_unit_test(cleared_it_is_empty_and_has_buckets_for_what_is_expected),
        cmocka_unit_test(chains_stay_short_as_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
