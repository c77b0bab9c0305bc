#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ident.h"
#include "engine/check_cache.h"

static const uint64_t bytes_max = 8 << 20;

static struct dm_wide_hash hash_of(uint32_t account, struct dm_slice contact)
{
    struct dm_key key;
    dm_key_make(&key, account, contact);
    return dm_keyed_hash_wide(key.bytes, key.size);
}

static struct dm_record_head head_of(uint64_t fence)
{
    return (struct dm_record_head){.status = DM_STATUS_SNOOZED,
                                   .reason = DM_REASON_SET,
                                   .fence = fence,
                                   .until_ms = (int64_t)fence * 3,
                                   .bot_messages = 5,
                                   .bot = 2};
}

static void what_was_put_is_found_until_it_is_forgotten(void **state)
{
    (void)state;
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    struct dm_wide_hash hash = hash_of(1, dm_slice_str("c"));
    assert_true(hash.low != hash_of(2, dm_slice_str("c")).low);
    assert_null(dm_check_cache_find(&cache, hash));
    struct dm_record_head head = head_of(7);
    dm_check_cache_put(&cache, hash, &head);
    const struct dm_check_entry *entry = dm_check_cache_find(&cache, hash);
    assert_non_null(entry);
    assert_int_equal(entry->fence, 7);
    assert_int_equal(entry->until_ms, 21);
    assert_int_equal(entry->status, DM_STATUS_SNOOZED);
    assert_int_equal(entry->bot, 2);
    dm_check_cache_forget(&cache, hash);
    assert_null(dm_check_cache_find(&cache, hash));
    dm_check_cache_finish(&cache);
}

static void a_found_entry_is_always_the_newest_put(void **state)
{
    (void)state;
    enum { CONTACTS = 300000 };
    static uint64_t newest[CONTACTS]; /* 0: forgotten */
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    uint64_t seed = 3;
    int found = 0;
    for (uint64_t step = 1; step <= 1000000; step++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        uint32_t contact = (uint32_t)(seed >> 33) % CONTACTS;
        struct dm_wide_hash hash = hash_of(1, dm_slice(&contact, sizeof contact));
        const struct dm_check_entry *entry = dm_check_cache_find(&cache, hash);
        if (entry != NULL) {
            assert_int_equal(entry->fence, newest[contact]);
            found++;
        }
        if (seed >> 62 == 0) {
            dm_check_cache_forget(&cache, hash);
            newest[contact] = 0;
        } else {
            struct dm_record_head head = head_of(step);
            dm_check_cache_put(&cache, hash, &head);
            newest[contact] = step;
        }
    }
    assert_true(found > 100000);
    assert_true(dm_check_cache_memory(&cache) <= bytes_max);
    dm_check_cache_finish(&cache);
}

static void put_all(struct dm_check_cache *cache, uint32_t contacts)
{
    for (uint32_t contact = 0; contact < contacts; contact++) {
        struct dm_record_head head = head_of(contact);
        dm_check_cache_put(cache, hash_of(1, dm_slice(&contact, sizeof contact)), &head);
    }
}

static uint32_t count_found(struct dm_check_cache *cache, uint32_t contacts)
{
    uint32_t found = 0;
    for (uint32_t contact = 0; contact < contacts; contact++) {
        struct dm_wide_hash hash = hash_of(1, dm_slice(&contact, sizeof contact));
        const struct dm_check_entry *entry = dm_check_cache_find(cache, hash);
        assert_true(entry == NULL || entry->fence == contact);
        found += entry != NULL;
    }
    return found;
}

/* As Check does it: contacts at random, and what is not found is put. Returns the misses. */
static uint64_t ask(struct dm_check_cache *cache, uint32_t contacts, uint64_t seed)
{
    uint64_t before = cache->misses;
    for (uint32_t i = 0; i < contacts; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        uint32_t contact = (uint32_t)((seed >> 32) * contacts >> 32);
        struct dm_wide_hash hash = hash_of(1, dm_slice(&contact, sizeof contact));
        if (dm_check_cache_find(cache, hash) == NULL) {
            struct dm_record_head head = head_of(contact);
            dm_check_cache_put(cache, hash, &head);
        }
    }
    return cache->misses - before;
}

static void it_grows_with_what_is_asked_for_until_all_of_it_is_found(void **state)
{
    (void)state;
    enum { CONTACTS = 150000, ROUNDS = 9 };
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    uint64_t misses = 0, all = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        misses = ask(&cache, CONTACTS, round);
        all += misses;
    }
    assert_true(misses < CONTACTS / 100);
    /* Growing forgets nothing: hardly a contact was ever missed twice. */
    assert_true(all < CONTACTS + CONTACTS / 10);
    assert_true(dm_check_cache_memory(&cache) < (size_t)CONTACTS * 54);
    assert_true(count_found(&cache, CONTACTS) > CONTACTS - CONTACTS / 100);
    dm_check_cache_finish(&cache);
}

static void when_it_may_not_grow_any_more_the_new_take_the_place_of_the_old(void **state)
{
    (void)state;
    enum { CONTACTS = 400000, PLACES = 8 * 1024 * 1024 / 32 };
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    put_all(&cache, CONTACTS);
    assert_int_equal(dm_check_cache_memory(&cache), bytes_max);
    uint32_t found = count_found(&cache, CONTACTS);
    assert_in_range(found, PLACES - PLACES / 20, PLACES);
    dm_check_cache_finish(&cache);
}

/* Contacts that agree in either half stand beside each other, and are not mixed up. */
static void half_a_hash_is_no_contact(void **state)
{
    (void)state;
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    const struct dm_wide_hash hash = hash_of(1, dm_slice_str("c"));
    const struct dm_wide_hash others[] = {{hash.low, ~hash.high},
                                          {~hash.low, hash.high},
                                          {hash.low, 0},
                                          {0, hash.high},
                                          {hash.high, hash.low}};
    struct dm_record_head head = head_of(7);
    dm_check_cache_put(&cache, hash, &head);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_null(dm_check_cache_find(&cache, others[i]));
        dm_check_cache_forget(&cache, others[i]);
    }
    assert_non_null(dm_check_cache_find(&cache, hash));
    dm_check_cache_finish(&cache);
}

static void what_has_no_room_in_an_entry_is_not_kept(void **state)
{
    (void)state;
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, bytes_max));
    const struct dm_wide_hash hash = {.low = 5, .high = 6};
    struct dm_record_head heads[] = {head_of(1), head_of(1), head_of(1), head_of(1)};
    heads[0].fence = 1ULL << 48;
    heads[1].bot_messages = 1U << 16;
    heads[2].until_ms = INT64_MAX;
    heads[3].bot = 1U << 10;
    for (size_t i = 0; i < 4; i++) {
        dm_check_cache_put(&cache, hash, &heads[i]);
        assert_null(dm_check_cache_find(&cache, hash));
    }
    struct dm_record_head head = head_of((1ULL << 46) - 1);
    head.bot_messages = (1U << 16) - 1;
    head.bot = DM_BOTS_MAX - 1;
    head.status = DM_STATUS_INACTIVE;
    head.reason = DM_REASON_COUNT - 1;
    dm_check_cache_put(&cache, hash, &head);
    const struct dm_check_entry *entry = dm_check_cache_find(&cache, hash);
    assert_non_null(entry);
    assert_int_equal(entry->fence, head.fence);
    assert_int_equal(entry->until_ms, head.until_ms);
    assert_int_equal(entry->bot_messages, head.bot_messages);
    assert_int_equal(entry->bot, head.bot);
    assert_int_equal(entry->status, head.status);
    assert_int_equal(entry->reason, head.reason);
    dm_check_cache_finish(&cache);
}

static void without_room_it_holds_nothing(void **state)
{
    (void)state;
    struct dm_check_cache cache;
    assert_true(dm_check_cache_init(&cache, 0));
    struct dm_record_head head = head_of(7);
    dm_check_cache_put(&cache, (struct dm_wide_hash){99, 0}, &head);
    assert_null(dm_check_cache_find(&cache, (struct dm_wide_hash){99, 0}));
    dm_check_cache_forget(&cache, (struct dm_wide_hash){99, 0});
    assert_int_equal(dm_check_cache_memory(&cache), 0);
    dm_check_cache_finish(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_until_it_is_forgotten),
        cmocka_unit_test(a_found_entry_is_always_the_newest_put),
        cmocka_unit_test(it_grows_with_what_is_asked_for_until_all_of_it_is_found),
        cmocka_unit_test(when_it_may_not_grow_any_more_the_new_take_the_place_of_the_old),
        cmocka_unit_test(half_a_hash_is_no_contact),
        cmocka_unit_test(what_has_no_room_in_an_entry_is_not_kept),
        cmocka_unit_test(without_room_it_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
