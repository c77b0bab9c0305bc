#include "core/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dm_answer sample_answer(uint64_t request, uint8_t actor_size)
{
    struct dm_answer answer = {.request = request,
                               .fence = 11,
                               .revision = 12,
                               .last_seq = 13,
                               .since_ms = -14,
                               .until_ms = 0,
                               .bot = 15,
                               .bot_messages = 16,
                               .missed_inbound = 17,
                               .status = DM_STATUS_INACTIVE,
                               .reason = DM_REASON_STOP_KEYWORD,
                               .mode = DM_MODE_SUGGESTIVE,
                               .decision = DM_DECISION_SILENT,
                               .locked = true,
                               .granted = request % 2 == 0,
                               .changed = request % 3 == 0,
                               .actor = {.size = actor_size}};
    memset(answer.actor.bytes, 'a', actor_size);
    return answer;
}

static struct dm_record sample(int answers, uint8_t actor_size)
{
    struct dm_record record = {.status = DM_STATUS_SNOOZED,
                               .reason = DM_REASON_MANUAL_MESSAGE,
                               .answer_count = (uint8_t)answers,
                               .bot = 0x01020304,
                               .bot_messages = 2,
                               .missed_inbound = 3,
                               .fence = 0x0102030405060708,
                               .revision = 5,
                               .since_ms = -6,
                               .until_ms = 1700000000000,
                               .last_seq = UINT64_MAX,
                               .actor = {.size = actor_size}};
    memset(record.actor.bytes, 'b', actor_size);
    for (int i = 0; i < answers; i++) {
        record.answers[i] = sample_answer((uint64_t)i + 1, (uint8_t)(actor_size / (i + 1)));
    }
    return record;
}

static void same_answer(const struct dm_answer *a, const struct dm_answer *b)
{
    assert_int_equal(a->request, b->request);
    assert_int_equal(a->fence, b->fence);
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->last_seq, b->last_seq);
    assert_int_equal(a->since_ms, b->since_ms);
    assert_int_equal(a->until_ms, b->until_ms);
    assert_int_equal(a->bot, b->bot);
    assert_int_equal(a->bot_messages, b->bot_messages);
    assert_int_equal(a->missed_inbound, b->missed_inbound);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->decision, b->decision);
    assert_int_equal(a->locked, b->locked);
    assert_int_equal(a->granted, b->granted);
    assert_int_equal(a->changed, b->changed);
    assert_int_equal(a->actor.size, b->actor.size);
    assert_memory_equal(a->actor.bytes, b->actor.bytes, b->actor.size);
}

#define SAME_HEAD(a, b)                                             \
    do {                                                            \
        assert_int_equal((a)->status, (b)->status);                 \
        assert_int_equal((a)->reason, (b)->reason);                 \
        assert_int_equal((a)->locked, (b)->locked);                 \
        assert_int_equal((a)->bot, (b)->bot);                       \
        assert_int_equal((a)->bot_messages, (b)->bot_messages);     \
        assert_int_equal((a)->missed_inbound, (b)->missed_inbound); \
        assert_int_equal((a)->fence, (b)->fence);                   \
        assert_int_equal((a)->revision, (b)->revision);             \
        assert_int_equal((a)->last_seq, (b)->last_seq);             \
        assert_int_equal((a)->since_ms, (b)->since_ms);             \
        assert_int_equal((a)->until_ms, (b)->until_ms);             \
    } while (0)

static void same_record(const struct dm_record *a, const struct dm_record *b)
{
    SAME_HEAD(a, b);
    assert_int_equal(a->actor.size, b->actor.size);
    assert_memory_equal(a->actor.bytes, b->actor.bytes, b->actor.size);
    assert_int_equal(a->answer_count, b->answer_count);
    for (int i = 0; i < b->answer_count; i++) {
        same_answer(&a->answers[i], &b->answers[i]);
    }
}

static void what_was_encoded_comes_back(void **state)
{
    (void)state;
    for (int answers = 0; answers <= DM_ANSWERS_MAX; answers++) {
        struct dm_record record = sample(answers, (uint8_t)(answers * 8)), back, copy;
        struct dm_record_head head;
        uint8_t bytes[DM_RECORD_SIZE_MAX];
        struct dm_slice encoded = dm_slice(bytes, dm_record_encode(&record, bytes));
        assert_true(dm_record_decode(&back, encoded));
        same_record(&back, &record);
        assert_true(dm_record_head(&head, encoded));
        SAME_HEAD(&head, &record);
        dm_record_copy(&copy, &record);
        same_record(&copy, &record);
    }
}

static void the_largest_record_has_the_size_that_is_promised(void **state)
{
    (void)state;
    struct dm_record record = sample(DM_ANSWERS_MAX, 64);
    for (int i = 0; i < DM_ANSWERS_MAX; i++) {
        record.answers[i] = sample_answer(1, 64);
    }
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    assert_int_equal(dm_record_encode(&record, bytes), DM_RECORD_SIZE_MAX);
}

/* Files of version 1 must stay readable: these bytes never change. */
static void version_1_has_these_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        1,    2,    5,    0,    4,    3,    2,    1,    8,    7,    6,    5,    4,    3,    2,
        1,    5,    0,    0,    0,    0,    0,    0,    0,    0xfa, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 1,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 2,    0,    0,    0,    3,    0,    0,    0,    2,    1,    0,    0,
        'b',  'b',  1,    0,    0,    0,    0,    0,    0,    0,    11,   0,    0,    0,    0,
        0,    0,    0,    12,   0,    0,    0,    0,    0,    0,    0,    13,   0,    0,    0,
        0,    0,    0,    0,    0xf2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,
        0,    0,    0,    0,    0,    15,   0,    0,    0,    16,   0,    0,    0,    17,   0,
        0,    0,    3,    10,   2,    3,    1,    2,    'a',  'a'};
    struct dm_record record = sample(1, 2);
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    assert_int_equal(dm_record_encode(&record, bytes), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
}

static void what_a_delete_leaves_can_be_encoded(void **state)
{
    (void)state;
    struct dm_record none = {.fence = 9}, back;
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    assert_true(dm_record_decode(&back, dm_slice(bytes, dm_record_encode(&none, bytes))));
    same_record(&back, &none);
}

/* Decodes from memory of just the size, so that a sanitizer sees every byte too far. */
static bool decodes(const uint8_t *bytes, size_t size)
{
    static struct dm_record record;
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    struct dm_record_head head;
    bool whole = dm_record_decode(&record, dm_slice(copy, size));
    bool top = dm_record_head(&head, dm_slice(copy, size));
    assert_true(top || !whole);
    free(copy);
    return whole;
}

static void cut_or_overlong_it_is_no_record(void **state)
{
    (void)state;
    struct dm_record record = sample(DM_ANSWERS_MAX, 64);
    uint8_t bytes[DM_RECORD_SIZE_MAX + 1] = {0};
    size_t size = dm_record_encode(&record, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        assert_false(decodes(bytes, cut));
    }
    assert_true(decodes(bytes, size));
    assert_false(decodes(bytes, size + 1));
}

static void impossible_numbers_are_no_record(void **state)
{
    (void)state;
    enum { ANSWER = DM_RECORD_HEAD_SIZE + 2 };
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {
        {0, 0},           /* version */
        {0, 2},           /* version */
        {1, 4},           /* status */
        {1, 1},           /* status: ACTIVE has no end */
        {2, 0},           /* reason: unspecified */
        {2, 13},          /* reason: MODE_OFF */
        {3, 1},           /* flags: a locked snooze */
        {3, 2},           /* flags: unknown */
        {56, 65},         /* actor size */
        {56, 3},          /* actor size: shifts all behind it */
        {57, 0},          /* answers: fewer than follow */
        {57, 2},          /* answers: more than follow */
        {57, 9},          /* answers: too many */
        {58, 1},          /* reserved */
        {59, 1},          /* reserved */
        {ANSWER, 0},      /* request: none */
        {ANSWER + 40, 1}, /* until: INACTIVE has no end */
        {ANSWER + 60, 0}, /* status */
        {ANSWER + 60, 1}, /* status: ACTIVE is not locked */
        {ANSWER + 61, 0}, /* reason */
        {ANSWER + 62, 0}, /* mode */
        {ANSWER + 62, 4}, /* mode */
        {ANSWER + 63, 0}, /* decision */
        {ANSWER + 63, 4}, /* decision */
        {ANSWER + 64, 8}, /* flags */
        {ANSWER + 65, 1}, /* actor size */
        {ANSWER + 65, 3}, /* actor size */
    };
    struct dm_record record = sample(1, 2);
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    size_t size = dm_record_encode(&record, bytes);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = bytes[bad[i].at];
        bytes[bad[i].at] = bad[i].value;
        assert_false(decodes(bytes, size));
        bytes[bad[i].at] = was;
    }
    assert_true(decodes(bytes, size));
}

/* Whatever passes is a record that encodes to the same bytes again. */
static void garbage_is_refused_or_means_what_it_says(void **state)
{
    (void)state;
    static struct dm_record record;
    uint8_t bytes[DM_RECORD_SIZE_MAX], again[DM_RECORD_SIZE_MAX];
    uint32_t random = 1, passed = 0;
    for (int round = 0; round < 40000; round++) {
        struct dm_record start = sample(round % 9, (uint8_t)(round % 65));
        size_t size = dm_record_encode(&start, bytes);
        for (int flips = round % 4; flips >= 0; flips--) {
            random = random * 1664525 + 1013904223;
            size_t span = round % 3 == 0 ? DM_RECORD_HEAD_SIZE : size;
            bytes[(random >> 16) % span] = (uint8_t)(random >> 8);
        }
        if (round % 5 == 0) {
            size = (random >> 4) % (size + 1);
        }
        if (decodes(bytes, size)) {
            assert_true(dm_record_decode(&record, dm_slice(bytes, size)));
            assert_int_equal(dm_record_encode(&record, again), size);
            assert_memory_equal(again, bytes, size);
            passed++;
        }
    }
    assert_in_range(passed, 1000, 39000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_comes_back),
        cmocka_unit_test(the_largest_record_has_the_size_that_is_promised),
        cmocka_unit_test(version_1_has_these_bytes),
        cmocka_unit_test(what_a_delete_leaves_can_be_encoded),
        cmocka_unit_test(cut_or_overlong_it_is_no_record),
        cmocka_unit_test(impossible_numbers_are_no_record),
        cmocka_unit_test(garbage_is_refused_or_means_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
