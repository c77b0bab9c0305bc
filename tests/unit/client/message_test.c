#include "client/message.h"

#include "dormouse/v1/dormouse.pb.h"

#include <dormouse/message.h>
#include <pb_decode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dormouse_contact some_contact(const char *id)
{
    return (struct dormouse_contact){
        .account_id = dormouse_text("acme"),
        .contact_id = dormouse_text(id),
        .status = DORMOUSE_SNOOZED,
        .reason = DORMOUSE_REASON_MANUAL_MESSAGE,
        .actor = dormouse_text("ann"),
        .since_ms = 1700000000123,
        .snoozed_until_ms = 1700000007000,
        .fence = 9,
        .revision = UINT64_MAX,
        .locked = true,
        .bot_messages = 3,
        .missed_inbound = 4,
        .bot_id = dormouse_text("b"),
        .mode = DORMOUSE_MODE_SUGGESTIVE,
        .last_seq = 1ULL << 40,
    };
}

static void assert_text(struct dormouse_text text, const char *wanted)
{
    assert_int_equal(text.size, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.size);
}

static void assert_contact(const struct dormouse_contact *contact, const char *id)
{
    struct dormouse_contact wanted = some_contact(id);
    assert_text(contact->account_id, "acme");
    assert_text(contact->contact_id, id);
    assert_text(contact->actor, "ann");
    assert_text(contact->bot_id, "b");
    assert_int_equal(contact->status, wanted.status);
    assert_int_equal(contact->reason, wanted.reason);
    assert_int_equal(contact->since_ms, wanted.since_ms);
    assert_int_equal(contact->snoozed_until_ms, wanted.snoozed_until_ms);
    assert_int_equal(contact->fence, wanted.fence);
    assert_true(contact->revision == wanted.revision);
    assert_true(contact->locked);
    assert_int_equal(contact->bot_messages, 3);
    assert_int_equal(contact->missed_inbound, 4);
    assert_int_equal(contact->mode, wanted.mode);
    assert_int_equal(contact->last_seq, wanted.last_seq);
}

static struct dm_buf list_bytes(void)
{
    const struct dormouse_contact contacts[3] = {some_contact("c1"), some_contact("c2"),
                                                 some_contact("c3")};
    const struct dormouse_contact *const pointers[3] = {&contacts[0], &contacts[1], &contacts[2]};
    struct dormouse_list_answer list = {
        .contacts = pointers,
        .contacts_count = 3,
        .next_page_token = dormouse_text("more"),
    };
    struct dm_buf buf = {0};
    assert_true(dm_message_encode(&buf, &dm_list_answer_message, &list));
    return buf;
}

static void what_is_encoded_is_decoded_alike(void **state)
{
    (void)state;
    struct dm_buf buf = list_bytes();
    struct dormouse_list_answer list;
    struct dm_arena arena = {0};
    assert_true(dm_message_decode(dm_buf_slice(&buf), &dm_list_answer_message, &list, &arena));
    assert_int_equal(list.contacts_count, 3);
    assert_contact(list.contacts[0], "c1");
    assert_contact(list.contacts[2], "c3");
    assert_text(list.next_page_token, "more");
    /* No copy: a text lies in the bytes. */
    assert_true((const uint8_t *)list.next_page_token.data > buf.data);
    assert_true((const uint8_t *)list.next_page_token.data < buf.data + buf.end);
    dm_arena_finish(&arena);
    dm_buf_finish(&buf);
}

static void the_generated_code_reads_our_request(void **state)
{
    (void)state;
    struct dormouse_change change =
        DORMOUSE(change, .status = DORMOUSE_SNOOZED, .snooze_until_ms = 1700000000250,
                 .reason = DORMOUSE_REASON_STOP_KEYWORD, .unlock = true, .has_bot_id = true);
    struct dormouse_set_status request = {
        .struct_size = sizeof request,
        .account_id = dormouse_text("acme"),
        .contact_id = dormouse_text("c1"),
        .change = &change,
        .has_if_revision = true,
        .request_id = dormouse_text("r1"),
    };
    struct dm_buf buf = {0};
    assert_true(dm_message_encode(&buf, &dm_set_status_message, &request));
    dormouse_v1_SetStatusRequest read = {0};
    pb_istream_t stream = dm_istream(dm_buf_slice(&buf));
    assert_true(pb_decode(&stream, dormouse_v1_SetStatusRequest_fields, &read));
    assert_true(dm_slice_equal(read.account_id, dm_slice_str("acme")));
    assert_true(dm_slice_equal(read.request_id, dm_slice_str("r1")));
    assert_non_null(read.change.bot_id.data); /* present, and empty */
    assert_int_equal(read.change.bot_id.size, 0);
    assert_true(read.has_if_revision);
    assert_int_equal(read.if_revision, 0);
    assert_true(read.has_change);
    assert_int_equal(read.change.status, dormouse_v1_Status_STATUS_SNOOZED);
    assert_int_equal(read.change.which_wake, dormouse_v1_StatusChange_snooze_until_tag);
    assert_int_equal(read.change.wake.snooze_until.seconds, 1700000000);
    assert_int_equal(read.change.wake.snooze_until.nanos, 250000000);
    assert_true(read.change.unlock);
    assert_false(read.change.lock);
    dm_buf_finish(&buf);
}

static void presence_is_kept(void **state)
{
    (void)state;
    struct dm_arena arena = {0};
    struct dormouse_watch_message message;
    const uint8_t progress_0[] = {0x10, 0x00};
    assert_true(
        dm_message_decode(dm_slice(progress_0, 2), &dm_watch_message_message, &message, &arena));
    assert_null(message.event);
    const uint8_t event[] = {0x0a, 0x02, 0x08, 0x05};
    assert_true(dm_message_decode(dm_slice(event, 4), &dm_watch_message_message, &message, &arena));
    assert_non_null(message.event);
    assert_int_equal(message.event->seq, 5);
    dm_arena_finish(&arena);
    struct dormouse_check_answer check;
    assert_true(dm_message_decode(dm_slice(NULL, 0), &dm_check_answer_message, &check, &arena));
    assert_false(check.has_messages_left);
}

static void lags_are_in_microseconds(void **state)
{
    (void)state;
    struct dormouse_stats stats = {.wake_lag_p50_us = 1500, .wake_lag_max_us = 2000001};
    struct dormouse_stats read;
    struct dm_buf buf = {0};
    struct dm_arena arena = {0};
    assert_true(dm_message_encode(&buf, &dm_stats_message, &stats));
    assert_true(dm_message_decode(dm_buf_slice(&buf), &dm_stats_message, &read, &arena));
    assert_int_equal(read.wake_lag_p50_us, 1500);
    assert_int_equal(read.wake_lag_max_us, 2000001);
    dm_buf_finish(&buf);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct dm_arena arena = {0};
    struct dormouse_delete_contact_answer answer;
    const uint8_t bytes[] = {0x9a, 0x06, 0x03, 'x', 'y', 'z', 0x98, 0x06, 0x07,
                             0x95, 0x06, 1,    2,   3,   4,   0x08, 0x01};
    assert_true(dm_message_decode(dm_slice(bytes, sizeof bytes), &dm_delete_contact_answer_message,
                                  &answer, &arena));
    assert_true(answer.existed);
}

static void wrong_wire_types_are_refused(void **state)
{
    (void)state;
    struct dm_arena arena = {0};
    struct dormouse_contact contact;
    const uint8_t number_for_text[] = {0x08, 0x01}, text_for_number[] = {0x1a, 0x01, 'x'};
    assert_false(
        dm_message_decode(dm_slice(number_for_text, 2), &dm_contact_message, &contact, &arena));
    assert_false(
        dm_message_decode(dm_slice(text_for_number, 3), &dm_contact_message, &contact, &arena));
}

static struct dm_buf pieces_of_a_policy(size_t pieces, size_t rules)
{
    struct dormouse_rule rule[3] = {{.on = 1, .action = 2}, {.on = 3, .lock = true}, {.on = 4}};
    const struct dormouse_rule *const pointers[3] = {&rule[0], &rule[1], &rule[2]};
    struct dormouse_policy policy = {.rules = pointers, .rules_count = rules};
    struct dormouse_set_policy request = {.policy = &policy};
    struct dm_buf buf = {0};
    for (size_t i = 0; i < pieces; i++) {
        policy.revision = i;
        rule[0].snooze_for_ms = (int64_t)i * 1000;
        assert_true(dm_message_encode(&buf, &dm_set_policy_message, &request));
    }
    return buf;
}

/* A message inside another one may come in pieces: its arrays grow, its fields count as they
 * came last. */
static void pieces_of_a_message_become_one(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{2, 1}, {2, 3}, {5, 2}, {1000, 1}, {21845, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct dm_buf buf = pieces_of_a_policy(sizes[s][0], sizes[s][1]);
        struct dormouse_set_policy decoded;
        struct dm_arena arena = {0};
        assert_true(
            dm_message_decode(dm_buf_slice(&buf), &dm_set_policy_message, &decoded, &arena));
        assert_int_equal(decoded.policy->revision, sizes[s][0] - 1);
        assert_int_equal(decoded.policy->rules_count, sizes[s][0] * sizes[s][1]);
        for (size_t i = 0; i < sizes[s][0]; i++) {
            const struct dormouse_rule *first = decoded.policy->rules[i * sizes[s][1]];
            assert_int_equal(first->on, 1);
            assert_int_equal(first->snooze_for_ms, i * 1000);
        }
        dm_arena_finish(&arena);
        dm_buf_finish(&buf);
    }
}

static void more_pieces_than_any_answer_has_are_refused(void **state)
{
    (void)state;
    struct dm_buf buf = pieces_of_a_policy(65537, 1);
    struct dormouse_set_policy decoded;
    struct dm_arena arena = {0};
    assert_false(dm_message_decode(dm_buf_slice(&buf), &dm_set_policy_message, &decoded, &arena));
    dm_arena_finish(&arena);
    dm_buf_finish(&buf);
}

/* Seconds in one piece, nanoseconds in the next. */
static void pieces_of_a_time_become_one(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x32, 0x02, 0x08, 0x07, /* since: 7 s */
                             0x32, 0x06, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01,
                             /* 500,000,000 ns */};
    struct dormouse_contact contact;
    struct dm_arena arena = {0};
    assert_true(
        dm_message_decode(dm_slice(bytes, sizeof bytes), &dm_contact_message, &contact, &arena));
    assert_int_equal(contact.since_ms, 7500);
}

/* Cut anywhere and with any one byte changed: an error or an answer, never more than that
 * (the sanitizers watch). */
static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    struct dm_buf whole = list_bytes();
    size_t size = dm_buf_size(&whole);
    for (size_t i = 0; i < size; i++) {
        struct dormouse_list_answer list;
        struct dm_arena arena = {0};
        uint8_t *cut = malloc(i + 1);
        assert_non_null(cut);
        memcpy(cut, whole.data, i);
        (void)dm_message_decode(dm_slice(cut, i), &dm_list_answer_message, &list, &arena);
        dm_arena_finish(&arena);
        free(cut);
        for (int bit = 0; bit < 8; bit++) {
            whole.data[i] ^= (uint8_t)(1 << bit);
            (void)dm_message_decode(dm_buf_slice(&whole), &dm_list_answer_message, &list, &arena);
            dm_arena_finish(&arena);
            whole.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    dm_buf_finish(&whole);
}

/* Kinds that no message has yet, at numbers with gaps. */
struct numbers {
    size_t struct_size;
    int64_t large;
    const int32_t *colors;
    size_t colors_count;
    const bool *flags;
    size_t flags_count;
    const uint64_t *totals;
    size_t totals_count;
};
#define NUMBERS_(tag_, name_, element_)                                                     \
    {                                                                                       \
        .kind = DM_FIELD_NUMBERS, .tag = (tag_), .offset = offsetof(struct numbers, name_), \
        .end = DM_END_OF(struct numbers, name_##_count), .has = -1,                         \
        .count = offsetof(struct numbers, name_##_count), .element = (element_)             \
    }
static const struct dm_field numbers_fields[] = {
    {.kind = DM_FIELD_I64,
     .tag = 2,
     .offset = offsetof(struct numbers, large),
     .end = DM_END_OF(struct numbers, large),
     .has = -1},
    NUMBERS_(4, colors, DM_FIELD_ENUM),
    NUMBERS_(5, flags, DM_FIELD_BOOL),
    NUMBERS_(9, totals, DM_FIELD_U64),
};
static const struct dm_message numbers_message = {.name = "struct numbers",
                                                  .fields = numbers_fields,
                                                  .fields_count = 4,
                                                  .size = sizeof(struct numbers),
                                                  .size_first = DM_END_OF(struct numbers, large)};

static void repeated_numbers_are_packed(void **state)
{
    (void)state;
    static const int32_t colors[] = {1, -1, 300};
    static const uint64_t totals[] = {UINT64_MAX};
    const struct numbers from = {
        .large = -2, .colors = colors, .colors_count = 3, .totals = totals, .totals_count = 1};
    static const char expected[] = "\x10\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
                                   "\x22\x0D\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\xAC\x02"
                                   "\x4A\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
    struct dm_buf buf = {0};
    assert_true(dm_message_encode(&buf, &numbers_message, &from));
    assert_true(dm_slice_equal(dm_buf_slice(&buf), dm_slice(expected, sizeof expected - 1)));
    struct numbers to;
    struct dm_arena arena = {0};
    assert_true(dm_message_decode(dm_buf_slice(&buf), &numbers_message, &to, &arena));
    assert_int_equal(to.large, -2);
    assert_int_equal(to.colors_count, 3);
    assert_memory_equal(to.colors, colors, sizeof colors);
    assert_int_equal(to.flags_count, 0);
    assert_int_equal(to.totals_count, 1);
    assert_true(to.totals[0] == UINT64_MAX);
    dm_arena_finish(&arena);
    dm_buf_finish(&buf);
}

static void repeated_numbers_come_packed_and_one_by_one(void **state)
{
    (void)state;
    struct numbers to;
    struct dm_arena arena = {0};
    /* 4: 7; 5: [1, 0]; 1 and 3: unknown; 4: [8, 9], []; 4: 10 */
    static const char bytes[] = "\x20\x07\x2A\x02\x01\x00\x08\x05\x1A\x01x"
                                "\x22\x02\x08\x09\x22\x00\x20\x0A";
    assert_true(
        dm_message_decode(dm_slice(bytes, sizeof bytes - 1), &numbers_message, &to, &arena));
    assert_int_equal(to.colors_count, 4);
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(to.colors[i], 7 + i);
    }
    assert_int_equal(to.flags_count, 2);
    assert_true(to.flags[0]);
    assert_false(to.flags[1]);
    dm_arena_finish(&arena);
    assert_false(dm_message_decode(dm_slice("\x22\x02\x08\x89", 4), &numbers_message, &to, &arena));
    dm_arena_finish(&arena);
    assert_false(dm_message_decode(dm_slice("\x22\x01\x89", 3), &numbers_message, &to, &arena));
    dm_arena_finish(&arena);
    assert_false(dm_message_decode(dm_slice("\x25"
                                            "abcd",
                                            5),
                                   &numbers_message, &to, &arena)); /* fixed32 */
    dm_arena_finish(&arena);
}

/* ---- structs of programs that know less ---------------------------------------- */

/* What an older program passes: as many bytes as its struct has, and garbage behind them. */
static void what_lies_behind_a_struct_is_not_looked_at(void **state)
{
    (void)state;
    struct numbers whole;
    memset(&whole, 0xA5, sizeof whole);
    whole.struct_size = offsetof(struct numbers, colors);
    whole.large = 7;
    struct dm_buf buf = {0};
    assert_int_equal(dm_message_check(&numbers_message, &whole, NULL), DM_OK);
    assert_true(dm_message_encode(&buf, &numbers_message, &whole));
    assert_true(dm_slice_equal(dm_buf_slice(&buf), dm_slice("\x10\x07", 2)));
    dm_buf_finish(&buf);
    /* Half a member is none, and less than what there was at first is no struct. */
    whole.struct_size = offsetof(struct numbers, colors_count) + 1;
    assert_true(dm_message_encode(&buf, &numbers_message, &whole));
    assert_true(dm_slice_equal(dm_buf_slice(&buf), dm_slice("\x10\x07", 2)));
    dm_buf_finish(&buf);
    whole.struct_size = offsetof(struct numbers, colors) - 1;
    assert_int_equal(dm_message_check(&numbers_message, &whole, NULL), DM_INVALID_ARGUMENT);
}

static void a_struct_inside_another_one_has_a_size_of_its_own(void **state)
{
    (void)state;
    struct dormouse_rule rule = DORMOUSE(rule, .on = DORMOUSE_STOP_KEYWORD);
    const struct dormouse_rule *rules[2] = {&rule, &rule};
    struct dormouse_policy policy = DORMOUSE(policy, .rules = rules, .rules_count = 2);
    struct dormouse_set_policy request = DORMOUSE(set_policy, .policy = &policy);
    assert_int_equal(dm_message_check(&dm_set_policy_message, &request, NULL), DM_OK);
    rule.struct_size = 0; /* as in an answer */
    assert_int_equal(dm_message_check(&dm_set_policy_message, &request, NULL), DM_INVALID_ARGUMENT);
    rule.struct_size = sizeof rule;
    rules[1] = NULL;
    assert_int_equal(dm_message_check(&dm_set_policy_message, &request, NULL), DM_INVALID_ARGUMENT);
    policy.rules_count = 1;
    assert_int_equal(dm_message_check(&dm_set_policy_message, &request, NULL), DM_OK);
    policy.on_limit = &rule;
    rule.struct_size = sizeof rule + 1;
    assert_int_equal(dm_message_check(&dm_set_policy_message, &request, NULL), DM_INVALID_ARGUMENT);
}

/* Answers: a message that is always there is there even where it did not come. */
static void what_is_always_there_is_never_null(void **state)
{
    (void)state;
    struct dormouse_set_status_answer answer;
    struct dormouse_batch_set_result result;
    struct dm_arena arena = {0};
    assert_true(
        dm_message_decode(dm_slice(NULL, 0), &dm_set_status_answer_message, &answer, &arena));
    assert_non_null(answer.contact);
    assert_int_equal(answer.contact->fence, 0);
    assert_int_equal(answer.struct_size, 0);
    assert_true(
        dm_message_decode(dm_slice(NULL, 0), &dm_batch_set_result_message, &result, &arena));
    assert_null(result.contact);
    dm_arena_finish(&arena);
}

static void an_arena_begins_with_the_callers_memory(void **state)
{
    (void)state;
    max_align_t room[64 / sizeof(max_align_t)];
    struct dm_arena arena;
    memset(room, 0xFF, sizeof room);
    dm_arena_init(&arena, room, sizeof room);
    const char *first = dm_arena_alloc(&arena, 1);
    const char *second = dm_arena_alloc(&arena, 33);
    assert_ptr_equal(first, room);
    assert_true((uintptr_t)second % _Alignof(max_align_t) == 0);
    assert_null(arena.chunks);
    assert_int_equal(second[32], 0);
    const char *large = dm_arena_alloc(&arena, 100000), *small = dm_arena_alloc(&arena, 64);
    assert_int_equal(large[99999], 0);
    assert_int_equal(small[63], 0);
    assert_non_null(arena.chunks);
    dm_arena_finish(&arena);
    assert_null(arena.chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded_alike),
        cmocka_unit_test(the_generated_code_reads_our_request),
        cmocka_unit_test(presence_is_kept),
        cmocka_unit_test(lags_are_in_microseconds),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(wrong_wire_types_are_refused),
        cmocka_unit_test(pieces_of_a_message_become_one),
        cmocka_unit_test(more_pieces_than_any_answer_has_are_refused),
        cmocka_unit_test(pieces_of_a_time_become_one),
        cmocka_unit_test(repeated_numbers_are_packed),
        cmocka_unit_test(repeated_numbers_come_packed_and_one_by_one),
        cmocka_unit_test(damaged_bytes_do_no_harm),
        cmocka_unit_test(what_lies_behind_a_struct_is_not_looked_at),
        cmocka_unit_test(a_struct_inside_another_one_has_a_size_of_its_own),
        cmocka_unit_test(what_is_always_there_is_never_null),
        cmocka_unit_test(an_arena_begins_with_the_callers_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
