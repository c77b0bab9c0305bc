#include "fixture.h"

#include "rpc/token.h"

/* BatchGetContacts, BatchSetStatus, BulkSetStatus, ListContacts, GetHistory. */

/* ---- reading repeated fields --------------------------------------------------------- */

enum { ITEMS_MAX = 1100 };
struct item {
    char contact_id[72], message[256];
    int32_t code;
    bool has_contact;
    dormouse_v1_Status status;
    uint64_t seq;
    int64_t until_s;
};
struct items {
    size_t count;
    struct item items[ITEMS_MAX];
    struct dm_slice token;
};

static void copy_text(char *to, size_t room, struct dm_slice from)
{
    assert_true(from.size < room);
    if (from.size != 0) {
        memcpy(to, from.data, from.size);
    }
    to[from.size] = 0;
}

static bool read_contact(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct items *items = *arg;
    struct item *item = &items->items[items->count++];
    dormouse_v1_Contact in = {0};
    if (!pb_decode_ex(stream, dormouse_v1_Contact_fields, &in, PB_DECODE_NOINIT)) {
        return false;
    }
    *item = (struct item){.status = in.status, .until_s = in.snoozed_until.seconds};
    copy_text(item->contact_id, sizeof item->contact_id, in.contact_id);
    return true;
}

static bool read_result(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct items *items = *arg;
    struct item *item = &items->items[items->count++];
    dormouse_v1_BatchSetStatusResponse_Result m = {0};
    if (!pb_decode_ex(stream, dormouse_v1_BatchSetStatusResponse_Result_fields, &m,
                      PB_DECODE_NOINIT)) {
        return false;
    }
    *item = (struct item){.code = m.code, .has_contact = m.has_contact, .status = m.contact.status};
    copy_text(item->contact_id, sizeof item->contact_id, m.contact_id);
    copy_text(item->message, sizeof item->message, m.message);
    return true;
}

static bool read_event(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct items *items = *arg;
    struct item *item = &items->items[items->count++];
    dormouse_v1_StatusEvent m = {0};
    if (!pb_decode_ex(stream, dormouse_v1_StatusEvent_fields, &m, PB_DECODE_NOINIT)) {
        return false;
    }
    *item = (struct item){.seq = m.seq, .status = m.to};
    return true;
}

static struct items *items_of(void)
{
    static struct items items;
    memset(&items, 0, sizeof items);
    return &items;
}

/* Contact ids c0000, c0001, …, written as a repeated field. */
struct ids_out {
    int count;
    int bad; /* this one is empty; -1: none */
};

static bool write_ids(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct ids_out *ids = *arg;
    for (int i = 0; i < ids->count; i++) {
        char id[8];
        int size = snprintf(id, sizeof id, "c%04d", i);
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_string(stream, (pb_byte_t *)id, i == ids->bad ? 0 : (size_t)size)) {
            return false;
        }
    }
    return true;
}

static pb_callback_t ids_callback(struct ids_out *ids)
{
    return (pb_callback_t){.funcs.encode = write_ids, .arg = ids};
}

/* ---- batches ----------------------------------------------------------------------------- */

static uint64_t batch_set(struct fixture *f, struct ids_out *ids, dormouse_v1_Status status,
                          const char *request_id)
{
    dormouse_v1_BatchSetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_ids = ids_callback(ids),
        .has_change = true,
        .change = {.status = status},
        .request_id = dm_slice_str(request_id),
    };
    return call(f, "BatchSetStatus", dormouse_v1_BatchSetStatusRequest_fields, &request);
}

static struct items *results(const struct said *said)
{
    struct items *items = items_of();
    dormouse_v1_BatchSetStatusResponse m = {.results = {.funcs.decode = read_result, .arg = items}};
    decode(said, dormouse_v1_BatchSetStatusResponse_fields, &m);
    return items;
}

static void a_batch_sets_each_contact_over_several_turns(void **state)
{
    struct fixture *f = *state;
    struct ids_out ids = {.count = 1000, .bad = -1};
    dm_journal_memory_hold(f->journal, true);
    uint64_t id = batch_set(f, &ids, INACTIVE, "b1");
    assert_int_equal(dm_rpc_turn(f->rpc), 0); /* not all at once */
    (void)settle(f);
    expect_nothing(&f->one); /* done, and not yet durable */
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    struct items *items = results(expect(&f->one, SAID_REPLY, id));
    assert_int_equal(items->count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        char contact[8];
        (void)snprintf(contact, sizeof contact, "c%04zu", i);
        assert_string_equal(items->items[i].contact_id, contact);
        assert_int_equal(items->items[i].code, 0);
        assert_true(items->items[i].has_contact);
        assert_int_equal(items->items[i].status, INACTIVE);
    }
    uint64_t events = dm_engine_last_seq(f->engine);
    id = batch_set(f, &ids, INACTIVE, "b1");
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
    assert_int_equal(dm_engine_last_seq(f->engine), events);
}

static void one_bad_id_fails_alone(void **state)
{
    struct fixture *f = *state;
    struct ids_out ids = {.count = 3, .bad = 1};
    uint64_t id = batch_set(f, &ids, INACTIVE, "");
    (void)settle(f);
    struct items *items = results(expect(&f->one, SAID_REPLY, id));
    assert_int_equal(items->count, 3);
    assert_int_equal(items->items[0].code, DM_OK);
    assert_int_equal(items->items[1].code, DM_INVALID_ARGUMENT);
    assert_string_equal(items->items[1].contact_id, "");
    assert_non_null(strstr(items->items[1].message, "contact_ids[1]: "));
    assert_false(items->items[1].has_contact);
    assert_int_equal(items->items[2].code, DM_OK);
    assert_string_equal(items->items[2].contact_id, "c0002");
}

static void a_bad_change_or_too_many_ids_fail_the_batch(void **state)
{
    struct fixture *f = *state;
    struct ids_out ids = {.count = 3, .bad = -1};
    uint64_t id = batch_set(f, &ids, SNOOZED, "");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "change.snooze_for");
    ids.count = 1001;
    id = batch_set(f, &ids, INACTIVE, "");
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "contact_ids: has 1001");
    assert_int_equal(f->rpc->task_bytes, 0);
}

static uint64_t batch_get(struct fixture *f, struct ids_out *ids)
{
    dormouse_v1_BatchGetContactsRequest request = {.account_id = dm_slice_str("acme"),
                                                   .contact_ids = ids_callback(ids)};
    return call(f, "BatchGetContacts", dormouse_v1_BatchGetContactsRequest_fields, &request);
}

static void a_batch_is_read_in_the_order_asked_for(void **state)
{
    struct fixture *f = *state;
    set_and_settle(f, "c0002", INACTIVE, 0);
    struct ids_out ids = {.count = 500, .bad = -1};
    uint64_t id = batch_get(f, &ids);
    (void)settle(f);
    struct items *items = items_of();
    dormouse_v1_BatchGetContactsResponse m = {
        .contacts = {.funcs.decode = read_contact, .arg = items}};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_BatchGetContactsResponse_fields, &m);
    assert_int_equal(items->count, 500);
    assert_string_equal(items->items[499].contact_id, "c0499");
    assert_int_equal(items->items[2].status, INACTIVE);
    assert_int_equal(items->items[3].status, ACTIVE);
    ids.bad = 17;
    expect_fail(&f->one, batch_get(f, &ids), DM_INVALID_ARGUMENT, "contact_ids[17]: ");
    ids = (struct ids_out){.count = 1001, .bad = -1};
    expect_fail(&f->one, batch_get(f, &ids), DM_INVALID_ARGUMENT, "contact_ids: ");
}

/* ---- bulk ----------------------------------------------------------------------------------- */

static void fill(struct fixture *f, int count, dormouse_v1_Status status)
{
    struct ids_out ids = {.count = count, .bad = -1};
    uint64_t id = batch_set(f, &ids, status, "");
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
}

static uint64_t bulk(struct fixture *f, dormouse_v1_Status if_status, dormouse_v1_Status status,
                     bool dry_run)
{
    dormouse_v1_BulkSetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .if_status = if_status,
        .has_change = true,
        .change = {.status = status},
        .dry_run = dry_run,
    };
    return call(f, "BulkSetStatus", dormouse_v1_BulkSetStatusRequest_fields, &request);
}

/* The last message of a bulk that has ended. */
static dormouse_v1_BulkSetStatusProgress bulk_end(struct fixture *f, uint64_t id)
{
    dormouse_v1_BulkSetStatusProgress progress = {0};
    while (!progress.done) {
        progress = (dormouse_v1_BulkSetStatusProgress){0};
        decode(expect(&f->one, SAID_MESSAGE, id), dormouse_v1_BulkSetStatusProgress_fields,
               &progress);
    }
    (void)expect(&f->one, SAID_END, id);
    return progress;
}

static void a_bulk_changes_all_that_match(void **state)
{
    struct fixture *f = *state;
    fill(f, 700, INACTIVE);
    set_and_settle(f, "other", SNOOZED, 60);
    uint64_t id = bulk(f, INACTIVE, ACTIVE, true);
    (void)settle(f);
    dormouse_v1_BulkSetStatusProgress end = bulk_end(f, id);
    assert_int_equal(end.scanned, 701);
    assert_int_equal(end.matched, 700);
    id = bulk(f, INACTIVE, ACTIVE, false);
    (void)settle(f);
    end = bulk_end(f, id);
    assert_int_equal(end.changed, 700);
    dormouse_v1_Contact in;
    get_contact(f, "c0650", &in);
    assert_int_equal(in.status, ACTIVE);
    assert_int_equal(in.reason, dormouse_v1_Reason_REASON_BULK_SET);
}

static void the_end_of_a_bulk_waits_for_the_disk(void **state)
{
    struct fixture *f = *state;
    fill(f, 10, INACTIVE);
    dm_journal_memory_hold(f->journal, true);
    uint64_t id = bulk(f, dormouse_v1_Status_STATUS_UNSPECIFIED, ACTIVE, false);
    (void)settle(f);
    expect_nothing(&f->one);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    assert_int_equal(bulk_end(f, id).changed, 10);
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void a_long_bulk_tells_how_far_it_is(void **state)
{
    struct fixture *f = *state;
    fill(f, 1000, INACTIVE);
    uint64_t id = bulk(f, INACTIVE, ACTIVE, true);
    for (int i = 0; i < 20; i++) {
        virtual_clock_advance(&f->clock, 100);
        dm_engine_flush(f->engine);
        (void)dm_rpc_turn(f->rpc);
    }
    assert_true(f->one.count > 3); /* the batch's answer, progress, done, end */
    assert_int_equal(bulk_end(f, id).matched, 1000);
}

static void a_bulk_refuses_what_it_cannot_mean(void **state)
{
    struct fixture *f = *state;
    uint64_t id = bulk(f, (dormouse_v1_Status)9, ACTIVE, false);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "if_status: ");
    id = bulk(f, ACTIVE, SNOOZED, false);
    expect_fail(&f->one, id, DM_INVALID_ARGUMENT, "change.snooze_for");
}

static void a_drain_stops_a_bulk(void **state)
{
    struct fixture *f = *state;
    fill(f, 1000, INACTIVE);
    uint64_t id = bulk(f, INACTIVE, ACTIVE, false);
    (void)dm_rpc_turn(f->rpc);
    dm_rpc_drain(f->rpc);
    (void)settle(f);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "stopping");
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

/* ---- pages ------------------------------------------------------------------------------------
 */

static uint64_t list(struct fixture *f, dormouse_v1_Status status, dormouse_v1_ListOrder order,
                     uint32_t page_size, const char *token)
{
    dormouse_v1_ListContactsRequest request = {
        .account_id = dm_slice_str("acme"),
        .status = status,
        .page_size = page_size,
        .page_token = dm_slice_str(token),
        .order = order,
    };
    uint64_t id = call(f, "ListContacts", dormouse_v1_ListContactsRequest_fields, &request);
    (void)settle(f);
    return id;
}

static struct items *listed(struct fixture *f, uint64_t id, char token[DM_TOKEN_MAX + 1])
{
    struct items *items = items_of();
    dormouse_v1_ListContactsResponse m = {.contacts = {.funcs.decode = read_contact, .arg = items}};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_ListContactsResponse_fields, &m);
    copy_text(token, DM_TOKEN_MAX + 1, m.next_page_token);
    return items;
}

#define BY_ID dormouse_v1_ListOrder_LIST_ORDER_UNSPECIFIED
#define BY_WAKE dormouse_v1_ListOrder_LIST_ORDER_WAKE_TIME
#define ANY dormouse_v1_Status_STATUS_UNSPECIFIED

static void pages_follow_one_another(void **state)
{
    struct fixture *f = *state;
    char token[DM_TOKEN_MAX + 1] = "";
    fill(f, 250, INACTIVE);
    struct items *items = listed(f, list(f, ANY, BY_ID, 0, ""), token);
    assert_int_equal(items->count, 100);
    assert_string_equal(items->items[0].contact_id, "c0000");
    items = listed(f, list(f, ANY, BY_ID, 120, token), token);
    assert_int_equal(items->count, 120);
    assert_string_equal(items->items[0].contact_id, "c0100");
    items = listed(f, list(f, ANY, BY_ID, 30, token), token);
    assert_int_equal(items->count, 30);
    assert_string_equal(items->items[29].contact_id, "c0249");
    assert_string_equal(token, "");
}

static void sleepers_are_listed_by_when_they_wake(void **state)
{
    struct fixture *f = *state;
    char token[DM_TOKEN_MAX + 1] = "";
    set_and_settle(f, "late", SNOOZED, 300);
    set_and_settle(f, "soon", SNOOZED, 100);
    set_and_settle(f, "never", INACTIVE, 0);
    set_and_settle(f, "middle", SNOOZED, 200);
    struct items *items = listed(f, list(f, ANY, BY_WAKE, 2, ""), token);
    assert_int_equal(items->count, 2);
    assert_string_equal(items->items[0].contact_id, "soon");
    assert_string_equal(items->items[1].contact_id, "middle");
    items = listed(f, list(f, SNOOZED, BY_WAKE, 2, token), token); /* the same query */
    assert_int_equal(items->count, 1);
    assert_string_equal(items->items[0].contact_id, "late");
    assert_string_equal(token, "");
}

static void a_list_refuses_what_it_cannot_mean(void **state)
{
    struct fixture *f = *state;
    char token[DM_TOKEN_MAX + 1] = "";
    fill(f, 5, INACTIVE);
    expect_fail(&f->one, list(f, ANY, BY_ID, 1001, ""), DM_INVALID_ARGUMENT, "page_size: ");
    expect_fail(&f->one, list(f, INACTIVE, BY_WAKE, 0, ""), DM_INVALID_ARGUMENT, "order: ");
    expect_fail(&f->one, list(f, (dormouse_v1_Status)4, BY_ID, 0, ""), DM_INVALID_ARGUMENT,
                "status: ");
    expect_fail(&f->one, list(f, ANY, (dormouse_v1_ListOrder)2, 0, ""), DM_INVALID_ARGUMENT,
                "order: ");
    expect_fail(&f->one, list(f, ANY, BY_ID, 0, "rubbish!"), DM_INVALID_ARGUMENT, "page_token: ");
    (void)listed(f, list(f, ANY, BY_ID, 2, ""), token);
    assert_string_not_equal(token, "");
    expect_fail(&f->one, list(f, INACTIVE, BY_ID, 2, token), DM_INVALID_ARGUMENT, "page_token: ");
    token[8]++;
    expect_fail(&f->one, list(f, ANY, BY_ID, 2, token), DM_INVALID_ARGUMENT, "page_token: ");
    assert_int_equal(f->rpc->task_bytes, 0);
}

static struct items *history(struct fixture *f, uint32_t page_size, char token[DM_TOKEN_MAX + 1])
{
    dormouse_v1_GetHistoryRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str("bob"),
        .page_size = page_size,
        .page_token = dm_slice_str(token),
    };
    uint64_t id = call(f, "GetHistory", dormouse_v1_GetHistoryRequest_fields, &request);
    (void)settle(f);
    struct items *items = items_of();
    dormouse_v1_GetHistoryResponse m = {.events = {.funcs.decode = read_event, .arg = items}};
    decode(expect(&f->one, SAID_REPLY, id), dormouse_v1_GetHistoryResponse_fields, &m);
    copy_text(token, DM_TOKEN_MAX + 1, m.next_page_token);
    return items;
}

static void history_goes_back_page_by_page(void **state)
{
    struct fixture *f = *state;
    char token[DM_TOKEN_MAX + 1] = "";
    assert_int_equal(history(f, 0, token)->count, 0);
    for (int i = 0; i < 5; i++) {
        set_and_settle(f, "bob", i % 2 == 0 ? INACTIVE : ACTIVE, 0);
        set_and_settle(f, "eve", i % 2 == 0 ? INACTIVE : ACTIVE, 0);
    }
    struct items *items = history(f, 3, token);
    assert_int_equal(items->count, 3);
    assert_int_equal(items->items[0].seq, 9);
    assert_int_equal(items->items[2].seq, 5);
    assert_string_not_equal(token, "");
    items = history(f, 2, token);
    assert_int_equal(items->count, 2);
    assert_int_equal(items->items[0].seq, 3);
    assert_int_equal(items->items[1].seq, 1);
    assert_string_equal(token, ""); /* a full page, and yet the last */
    dormouse_v1_GetHistoryRequest request = {.account_id = dm_slice_str("acme"),
                                             .contact_id = dm_slice_str("bob"),
                                             .page_token = dm_slice_str("AAAA")};
    expect_fail(&f->one, call(f, "GetHistory", dormouse_v1_GetHistoryRequest_fields, &request),
                DM_INVALID_ARGUMENT, "page_token: ");
}

static void tokens_come_back_as_they_went(void **state)
{
    (void)state;
    uint8_t bytes[DM_POSITION_MAX];
    for (size_t size = 0; size <= DM_POSITION_MAX; size++) {
        struct dm_token token;
        struct dm_position position;
        memset(bytes, (int)size + 100, sizeof bytes);
        dm_token_make(&token, 42, dm_slice(bytes, size));
        struct dm_slice text = dm_slice(token.text, token.size);
        assert_int_equal(dm_token_read(text, 42, &position, NULL), DM_OK);
        assert_int_equal(position.size, size);
        assert_memory_equal(position.bytes, bytes, size);
        assert_int_equal(dm_token_read(text, 43, &position, NULL), DM_INVALID_ARGUMENT);
        text.size--;
        assert_int_equal(dm_token_read(text, 42, &position, NULL), DM_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_batch_sets_each_contact_over_several_turns),
        T(one_bad_id_fails_alone),
        T(a_bad_change_or_too_many_ids_fail_the_batch),
        T(a_batch_is_read_in_the_order_asked_for),
        T(a_bulk_changes_all_that_match),
        T(the_end_of_a_bulk_waits_for_the_disk),
        T(a_long_bulk_tells_how_far_it_is),
        T(a_bulk_refuses_what_it_cannot_mean),
        T(a_drain_stops_a_bulk),
        T(pages_follow_one_another),
        T(sleepers_are_listed_by_when_they_wake),
        T(a_list_refuses_what_it_cannot_mean),
        T(history_goes_back_page_by_page),
        T(tokens_come_back_as_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
