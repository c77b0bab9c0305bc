#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/entry.h"

static uint8_t bytes[DM_ENTRY_SIZE_MAX];

/* Encodes, decodes from a copy of exactly that size, and decodes every cut of it. */
static struct dm_entry_body round_trip(const struct dm_entry_body *body)
{
    size_t size = dm_entry_encode(body, bytes);
    struct dm_entry_body read;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, bytes, cut);
        assert_false(dm_entry_decode(&read, dm_slice(part, cut)));
        free(part);
    }
    assert_true(dm_entry_decode(&read, dm_slice(bytes, size)));
    assert_int_equal(read.kind, body->kind);
    return read;
}

static void a_contact_comes_back_whole(void **state)
{
    (void)state;
    struct dm_entry_body body = {.kind = DM_ENTRY_CONTACT};
    body.contact = (struct dm_entry_contact){
        .account = 7,
        .from = DM_STATUS_SNOOZED,
        .missed_inbound = 3,
        .at_ms = 1234567890123,
        .due_ms = 1234567890000,
        .previous_seq = UINT64_MAX - 1,
        .contact = dm_slice_str("contact"),
        .record = dm_slice_str("record bytes"),
    };
    struct dm_entry_contact read = round_trip(&body).contact;
    assert_int_equal(read.account, 7);
    assert_int_equal(read.from, DM_STATUS_SNOOZED);
    assert_int_equal(read.missed_inbound, 3);
    assert_int_equal(read.at_ms, 1234567890123);
    assert_int_equal(read.due_ms, 1234567890000);
    assert_true(read.previous_seq == UINT64_MAX - 1);
    assert_true(dm_slice_equal(read.contact, body.contact.contact));
    assert_true(dm_slice_equal(read.record, body.contact.record));
}

static void a_delete_comes_back_whole(void **state)
{
    (void)state;
    struct dm_entry_body body = {.kind = DM_ENTRY_DELETE};
    body.deleted = (struct dm_entry_delete){
        .account = 1,
        .from = DM_STATUS_INACTIVE,
        .at_ms = -5,
        .fence_floor = 12,
        .contact = dm_slice_str("c"),
    };
    struct dm_entry_delete read = round_trip(&body).deleted;
    assert_int_equal(read.from, DM_STATUS_INACTIVE);
    assert_int_equal(read.at_ms, -5);
    assert_int_equal(read.fence_floor, 12);
    assert_true(dm_slice_equal(read.contact, body.deleted.contact));
}

static void an_account_and_a_bot_come_back_whole(void **state)
{
    (void)state;
    struct dm_entry_body account = {.kind = DM_ENTRY_ACCOUNT};
    account.account = (struct dm_entry_account){.account = 9, .id = dm_slice_str("acme")};
    assert_true(dm_slice_equal(round_trip(&account).account.id, dm_slice_str("acme")));
    struct dm_entry_body bot = {.kind = DM_ENTRY_BOT};
    bot.bot = (struct dm_entry_bot){
        .account = 9, .bot = 2, .id = dm_slice_str("sales"), .policy = dm_slice_str("policy")};
    struct dm_entry_bot read = round_trip(&bot).bot;
    assert_int_equal(read.bot, 2);
    assert_true(dm_slice_equal(read.id, dm_slice_str("sales")));
    assert_true(dm_slice_equal(read.policy, dm_slice_str("policy")));
}

static void an_unknown_kind_is_refused(void **state)
{
    (void)state;
    struct dm_entry_body body;
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 9;
    assert_false(dm_entry_decode(&body, dm_slice(bytes, 64)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_contact_comes_back_whole),
        cmocka_unit_test(a_delete_comes_back_whole),
        cmocka_unit_test(an_account_and_a_bot_come_back_whole),
        cmocka_unit_test(an_unknown_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
