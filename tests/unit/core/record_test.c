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
        struct dm_answer answer = sample_answer((uint64_t)i + 1, (uint8_t)(actor_size / (i + 1)));
        dm_answers_add(&record.answers, &answer);
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
    assert_int_equal(a->answers.count, b->answers.count);
    assert_int_equal(a->answers.size, b->answers.size);
    assert_memory_equal(a->answers.bytes, b->answers.bytes, b->answers.size);
}

static void remembers(const struct dm_answers *answers, const struct dm_answer *expected)
{
    struct dm_answer found;
    assert_true(dm_answers_find(answers, expected->request, &found));
    same_answer(&found, expected);
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

static void an_answer_is_found_by_its_request_until_eight_newer_ones_came(void **state)
{
    (void)state;
    static struct dm_answers answers;
    for (uint64_t request = 1; request <= 100; request++) {
        struct dm_answer answer = sample_answer(request, (uint8_t)(request % 65)), found;
        dm_answers_add(&answers, &answer);
        assert_true(dm_answers_valid(&answers));
        for (uint64_t old = 1; old <= request; old++) {
            answer = sample_answer(old, (uint8_t)(old % 65));
            if (old + DM_ANSWERS_MAX > request) {
                remembers(&answers, &answer);
            } else {
                assert_false(dm_answers_find(&answers, old, &found));
            }
        }
    }
}

static struct dm_answer largest_answer(void)
{
    struct dm_answer answer = {.request = UINT64_MAX,
                               .fence = UINT64_MAX,
                               .revision = UINT64_MAX,
                               .last_seq = UINT64_MAX,
                               .since_ms = INT64_MIN,
                               .until_ms = INT64_MIN,
                               .bot = UINT32_MAX,
                               .bot_messages = UINT32_MAX,
                               .missed_inbound = UINT32_MAX,
                               .status = DM_STATUS_SNOOZED,
                               .reason = DM_REASON_APPOINTMENT_BOOKED,
                               .mode = DM_MODE_AUTO_PILOT,
                               .decision = DM_DECISION_SILENT,
                               .granted = true,
                               .changed = true,
                               .actor = {.size = 64}};
    memset(answer.actor.bytes, 'z', 64);
    return answer;
}

static void the_largest_and_the_smallest_of_numbers_come_back(void **state)
{
    (void)state;
    static struct dm_answers answers;
    struct dm_answer large = largest_answer(), small = {.request = 1,
                                                        .status = DM_STATUS_ACTIVE,
                                                        .reason = DM_REASON_NEVER_SET,
                                                        .mode = DM_MODE_OFF,
                                                        .decision = DM_DECISION_REPLY};
    dm_answers_add(&answers, &large);
    assert_int_equal(answers.size, DM_ANSWER_SIZE_MAX);
    dm_answers_add(&answers, &small);
    remembers(&answers, &large);
    remembers(&answers, &small);
    for (unsigned bit = 0; bit < 64; bit++) { /* every length of a varint */
        large.fence = (uint64_t)1 << bit;
        large.since_ms = (int64_t)((uint64_t)1 << bit);
        large.until_ms = large.since_ms / 2;
        large.bot = (uint32_t)large.fence;
        large.request = bit + 2;
        dm_answers_add(&answers, &large);
        remembers(&answers, &large);
    }
}

static void the_largest_record_has_the_size_that_is_promised(void **state)
{
    (void)state;
    struct dm_record record = sample(0, 64);
    for (int i = 0; i < DM_ANSWERS_MAX; i++) {
        struct dm_answer answer = largest_answer();
        dm_answers_add(&record.answers, &answer);
    }
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    assert_int_equal(dm_record_encode(&record, bytes), DM_RECORD_SIZE_MAX);
}

/* Files of all versions must stay readable: these bytes never change. */
static void version_1_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        1,    2,    5,    0,    4,    3,    2,    1,    8,    7,    6,    5,    4,    3,    2,
        1,    5,    0,    0,    0,    0,    0,    0,    0,    0xfa, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 1,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 2,    0,    0,    0,    3,    0,    0,    0,    2,    1,    0,    0,
        'b',  'b',  1,    0,    0,    0,    0,    0,    0,    0,    11,   0,    0,    0,    0,
        0,    0,    0,    12,   0,    0,    0,    0,    0,    0,    0,    13,   0,    0,    0,
        0,    0,    0,    0,    0xf2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,
        0,    0,    0,    0,    0,    15,   0,    0,    0,    16,   0,    0,    0,    17,   0,
        0,    0,    3,    10,   2,    3,    1,    2,    'a',  'a'};
    struct dm_record record = sample(1, 2), back;
    assert_true(dm_record_intact(dm_slice(bytes, sizeof bytes)));
    assert_true(dm_record_decode(&back, dm_slice(bytes, sizeof bytes)));
    same_record(&back, &record);
    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        assert_false(dm_record_decode(&back, dm_slice(bytes, cut)));
        assert_false(dm_record_intact(dm_slice(bytes, cut)));
    }
}

static const uint8_t version_2[] = {
    2,    2,    5,    0,    4,    3,    2,    1,    8,    7,  6,    5,    4,    3,
    2,    1,    5,    0,    0,    0,    0,    0,    0,    0,  0xfa, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 1,  0,    0,    0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,    0,    0,    0,  3,    0,    0,    0,
    2,    1,    0,    0,    'b',  'b',  20,   1,    0,    0,  0,    0,    0,    0,
    0,    0x7b, 10,   11,   12,   13,   27,   0,    15,   16, 17,   'a',  'a'};

static void version_2_is_read(void **state)
{
    (void)state;
    struct dm_record record = sample(1, 2), back;
    assert_true(dm_record_intact(dm_slice(version_2, sizeof version_2)));
    assert_true(dm_record_decode(&back, dm_slice(version_2, sizeof version_2)));
    same_record(&back, &record);
    for (size_t cut = 0; cut < sizeof version_2; cut++) {
        assert_false(dm_record_decode(&back, dm_slice(version_2, cut)));
        assert_false(dm_record_intact(dm_slice(version_2, cut)));
    }
}

static void version_3_has_these_bytes(void **state)
{
    (void)state;
    static const uint8_t checksum[] = {0x33, 0x9d, 0x5d, 0x04};
    uint8_t expected[sizeof version_2 + sizeof checksum];
    memcpy(expected, version_2, sizeof version_2);
    memcpy(expected + sizeof version_2, checksum, sizeof checksum);
    expected[0] = 3;
    struct dm_record record = sample(1, 2), back;
    uint8_t bytes[DM_RECORD_SIZE_MAX];
    assert_int_equal(dm_record_encode(&record, bytes), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_true(dm_record_intact(dm_slice(expected, sizeof expected)));
    assert_true(dm_record_decode(&back, dm_slice(expected, sizeof expected)));
    same_record(&back, &record);
}

static void no_flipped_bit_passes_for_intact(void **state)
{
    (void)state;
    for (int answers = 0; answers <= DM_ANSWERS_MAX; answers += 4) {
        struct dm_record record = sample(answers, (uint8_t)(answers * 8));
        uint8_t bytes[DM_RECORD_SIZE_MAX];
        size_t size = dm_record_encode(&record, bytes);
        assert_true(dm_record_intact(dm_slice(bytes, size)));
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_false(dm_record_intact(dm_slice(bytes, size)));
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        for (size_t cut = 0; cut < size; cut++) {
            assert_false(dm_record_intact(dm_slice(bytes, cut)));
        }
    }
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
    bool whole =
        dm_record_decode(&record, dm_slice(copy, size)) && dm_answers_valid(&record.answers);
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
        {0, 0},              /* version */
        {0, 4},              /* version */
        {1, 4},              /* status */
        {1, 1},              /* status: ACTIVE has no end */
        {2, 0},              /* reason: unspecified */
        {2, 13},             /* reason: MODE_OFF */
        {3, 1},              /* flags: a locked snooze */
        {3, 2},              /* flags: unknown */
        {56, 65},            /* actor size */
        {56, 3},             /* actor size: shifts all behind it */
        {57, 0},             /* answers: fewer than follow */
        {57, 2},             /* answers: more than follow */
        {57, 9},             /* answers: too many */
        {58, 1},             /* reserved */
        {59, 1},             /* reserved */
        {ANSWER, 0},         /* answer size */
        {ANSWER, 17},        /* answer size: the least is 18 */
        {ANSWER, 21},        /* answer size: more than follow */
        {ANSWER, 140},       /* answer size: too many */
        {ANSWER + 1, 0},     /* request: none */
        {ANSWER + 9, 0x78},  /* status */
        {ANSWER + 9, 0x79},  /* status: ACTIVE is not locked */
        {ANSWER + 9, 0x73},  /* mode */
        {ANSWER + 9, 0x4b},  /* decision */
        {ANSWER + 10, 0},    /* reason */
        {ANSWER + 10, 13},   /* reason: MODE_OFF */
        {ANSWER + 15, 1},    /* until: INACTIVE has no end */
        {ANSWER + 14, 0x80}, /* a varint that is longer than it need be */
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

/* Whatever passes is a record that encodes to the same bytes again, its checksum aside, but
 * for one that came out as a record of an older version. */
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
        if (decodes(bytes, size) && bytes[0] == 3) {
            assert_true(dm_record_decode(&record, dm_slice(bytes, size)));
            assert_int_equal(dm_record_encode(&record, again), size);
            assert_memory_equal(again, bytes, size - DM_RECORD_CHECKSUM_SIZE);
            assert_true(dm_record_intact(dm_slice(again, size)));
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
        cmocka_unit_test(an_answer_is_found_by_its_request_until_eight_newer_ones_came),
        cmocka_unit_test(the_largest_and_the_smallest_of_numbers_come_back),
        cmocka_unit_test(version_1_is_read),
        cmocka_unit_test(version_2_is_read),
        cmocka_unit_test(version_3_has_these_bytes),
        cmocka_unit_test(no_flipped_bit_passes_for_intact),
        cmocka_unit_test(what_a_delete_leaves_can_be_encoded),
        cmocka_unit_test(cut_or_overlong_it_is_no_record),
        cmocka_unit_test(impossible_numbers_are_no_record),
        cmocka_unit_test(garbage_is_refused_or_means_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
