#include "fixture.h"

/* Watch, as its reader sees it. */

struct seen {
    uint64_t progress; /* of a progress message */
    bool is_event;
    dormouse_v1_StatusEvent event;
};

static struct seen message(struct notebook *book, uint64_t id)
{
    const struct said *said = expect(book, SAID_MESSAGE, id);
    struct seen seen = {0};
    pb_istream_t stream = dm_istream(dm_slice(said->payload, said->size));
    pb_wire_type_t type;
    uint32_t tag;
    bool end;
    assert_true(pb_decode_tag(&stream, &type, &tag, &end));
    if (tag == dormouse_v1_WatchResponse_progress_seq_tag) {
        assert_true(pb_decode_varint(&stream, &seen.progress));
        return seen;
    }
    assert_int_equal(tag, dormouse_v1_WatchResponse_event_tag);
    seen.is_event = true;
    pb_istream_t inner;
    assert_true(pb_make_string_substream(&stream, &inner));
    assert_true(
        pb_decode_ex(&inner, dormouse_v1_StatusEvent_fields, &seen.event, PB_DECODE_NOINIT));
    return seen;
}

static void expect_progress(struct notebook *book, uint64_t id, uint64_t seq)
{
    struct seen seen = message(book, id);
    assert_false(seen.is_event);
    assert_int_equal(seen.progress, seq);
}

static void expect_event(struct notebook *book, uint64_t id, uint64_t seq, const char *contact)
{
    struct seen seen = message(book, id);
    assert_true(seen.is_event);
    assert_int_equal(seen.event.seq, seq);
    assert_text(seen.event.contact_id, contact);
}

static uint64_t watch(struct fixture *f, struct notebook *book,
                      const dormouse_v1_WatchRequest *request)
{
    uint64_t id = call_with(f, book, "Watch", dormouse_v1_WatchRequest_fields, request, 0);
    (void)settle(f);
    return id;
}

/* A change by a connection of its own. */
static void change(struct fixture *f, const char *contact, dormouse_v1_Status status)
{
    static uint64_t id = 1000000;
    dormouse_v1_SetStatusRequest request = {
        .account_id = dm_slice_str("acme"),
        .contact_id = dm_slice_str(contact),
        .has_change = true,
        .change = {.status = status},
    };
    uint8_t bytes[512];
    struct notebook book;
    notebook_open(&book);
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, dormouse_v1_SetStatusRequest_fields, &request));
    const struct dm_rpc_request set = {
        .id = ++id,
        .service = dm_slice_str(BOT_STATUS),
        .method = dm_slice_str("SetStatus"),
        .payload = dm_slice(bytes, stream.bytes_written),
    };
    dm_rpc_call(f->rpc, &book.sink, &set);
    (void)settle(f);
    (void)expect(&book, SAID_REPLY, id);
    notebook_close(&book);
}

static void a_watch_begins_now_and_sees_what_follows(void **state)
{
    struct fixture *f = *state;
    change(f, "before", INACTIVE);
    dormouse_v1_WatchRequest all = {0};
    uint64_t id = watch(f, &f->one, &all);
    expect_progress(&f->one, id, 1);
    change(f, "bob", INACTIVE);
    struct seen seen = message(&f->one, id);
    assert_true(seen.is_event);
    assert_int_equal(seen.event.seq, 2);
    assert_text(seen.event.account_id, "acme");
    assert_text(seen.event.contact_id, "bob");
    assert_int_equal(seen.event.from, ACTIVE);
    assert_int_equal(seen.event.to, INACTIVE);
    expect_nothing(&f->one);
}

static void a_watch_sees_only_what_is_durable(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest all = {0};
    uint64_t id = watch(f, &f->one, &all);
    expect_progress(&f->one, id, 0);
    dm_journal_memory_hold(f->journal, true);
    uint64_t set = set_status(f, &f->two, "bob", INACTIVE, 0, 0);
    (void)settle(f);
    expect_nothing(&f->one);
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    (void)expect(&f->two, SAID_REPLY, set);
    expect_event(&f->one, id, 1, "bob");
}

static void a_cursor_resumes_where_it_stood(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 6; i++) {
        change(f, "bob", i % 2 == 0 ? INACTIVE : ACTIVE);
    }
    dormouse_v1_WatchRequest after = {.after_seq = 4};
    uint64_t id = watch(f, &f->one, &after);
    expect_progress(&f->one, id, 4);
    expect_event(&f->one, id, 5, "bob");
    expect_event(&f->one, id, 6, "bob");
    expect_nothing(&f->one);
    dormouse_v1_WatchRequest start = {.from_start = true};
    id = watch(f, &f->two, &start);
    expect_progress(&f->two, id, 0);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        expect_event(&f->two, id, seq, "bob");
    }
}

struct two_ids {
    const char *first, *second;
};

static bool write_two(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct two_ids *ids = *arg;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)ids->first, strlen(ids->first)) &&
           pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)ids->second, strlen(ids->second));
}

static void filters_let_through_what_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct two_ids ids = {"bob", "eve"};
    dormouse_v1_WatchRequest some = {
        .account_id = dm_slice_str("acme"),
        .contact_ids = {.funcs.encode = write_two, .arg = &ids},
    };
    dormouse_v1_WatchRequest other = {.account_id = dm_slice_str("other")};
    uint64_t one = watch(f, &f->one, &some), two = watch(f, &f->two, &other);
    expect_progress(&f->one, one, 0);
    expect_progress(&f->two, two, 0);
    change(f, "ann", INACTIVE);
    change(f, "eve", INACTIVE);
    change(f, "ev", INACTIVE);
    change(f, "bob", INACTIVE);
    expect_event(&f->one, one, 2, "eve");
    expect_event(&f->one, one, 4, "bob");
    expect_nothing(&f->one);
    expect_nothing(&f->two);
}

static void progress_comes_every_five_seconds(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest other = {.account_id = dm_slice_str("other")};
    uint64_t id = watch(f, &f->one, &other);
    expect_progress(&f->one, id, 0);
    change(f, "bob", INACTIVE);
    assert_int_equal(settle(f), 5000); /* caught up: nothing to do until then */
    virtual_clock_advance(&f->clock, 4999);
    assert_int_equal(settle(f), 1);
    expect_nothing(&f->one);
    virtual_clock_advance(&f->clock, 1);
    assert_int_equal(settle(f), 5000);
    expect_progress(&f->one, id, 1);
    expect_nothing(&f->one);
}

static void a_slow_reader_waits_and_holds_back_nobody(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest all = {0};
    uint64_t slow = watch(f, &f->one, &all), fast = watch(f, &f->two, &all);
    expect_progress(&f->one, slow, 0);
    expect_progress(&f->two, fast, 0);
    f->one.room = 0;
    change(f, "bob", INACTIVE);
    change(f, "bob", ACTIVE);
    expect_nothing(&f->one);
    expect_event(&f->two, fast, 1, "bob");
    expect_event(&f->two, fast, 2, "bob");
    struct dm_rpc_watchers watchers;
    dm_rpc_watchers(f->rpc, &watchers);
    assert_int_equal(watchers.count, 2);
    assert_int_equal(watchers.slowest_behind, 2);
    assert_int_equal(settle(f), 5000); /* nobody asks it in a loop */
    f->one.room = 1000;
    (void)settle(f);
    expect_event(&f->one, slow, 1, "bob");
    expect_event(&f->one, slow, 2, "bob");
}

static void long_stretches_without_a_match_move_the_cursor(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 12000; i++) {
        (void)set_status(f, &f->two, "bob", i % 2 == 0 ? INACTIVE : ACTIVE, 0, 0);
        if (i % 1000 == 999) {
            (void)settle(f);
        }
    }
    dormouse_v1_WatchRequest other = {.account_id = dm_slice_str("other"), .from_start = true};
    uint64_t id = watch(f, &f->one, &other);
    expect_progress(&f->one, id, 0);
    expect_progress(&f->one, id, 10000);
    expect_nothing(&f->one);
}

static void watch_failed(struct fixture *f, const dormouse_v1_WatchRequest *request,
                         enum dm_code code, const char *part)
{
    uint64_t id = watch(f, &f->one, request);
    expect_fail(&f->one, id, code, part);
    assert_int_equal(f->rpc->watch_count, 0);
    assert_int_equal(f->rpc->task_bytes, 0);
}

static void a_watch_refuses_what_it_cannot_give(void **state)
{
    struct fixture *f = *state;
    change(f, "bob", INACTIVE);
    dormouse_v1_WatchRequest future = {.after_seq = 2};
    watch_failed(f, &future, DM_OUT_OF_RANGE, "the newest is 1");
    dormouse_v1_WatchRequest both = {.after_seq = 1, .from_start = true};
    watch_failed(f, &both, DM_INVALID_ARGUMENT, "from_start: ");
    dormouse_v1_WatchRequest account = {.account_id = dm_slice_str("a\n")};
    watch_failed(f, &account, DM_INVALID_ARGUMENT, "account_id: ");
    struct two_ids ids = {"bob", ""};
    dormouse_v1_WatchRequest contact = {
        .contact_ids = {.funcs.encode = write_two, .arg = &ids},
    };
    watch_failed(f, &contact, DM_INVALID_ARGUMENT, "contact_ids[1]: ");
}

static uint64_t oldest_is_five(struct dm_journal *journal)
{
    (void)journal;
    return 5;
}

static enum dm_cursor_result cursor_is_gone(struct dm_cursor *cursor, struct dm_entry *entry,
                                            size_t *budget)
{
    (void)cursor;
    (void)entry;
    (void)budget;
    return DM_CURSOR_GONE;
}

static void what_is_not_kept_any_more_is_out_of_range(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 6; i++) {
        change(f, "bob", i % 2 == 0 ? INACTIVE : ACTIVE);
    }
    const struct dm_journal_ops *whole = f->journal->ops;
    struct dm_journal_ops trimmed = *whole;
    trimmed.oldest_seq = oldest_is_five;
    f->journal->ops = &trimmed;
    dormouse_v1_WatchRequest old = {.after_seq = 3};
    watch_failed(f, &old, DM_OUT_OF_RANGE, "the oldest kept is 5");
    dormouse_v1_WatchRequest kept = {.after_seq = 4};
    uint64_t id = watch(f, &f->one, &kept);
    expect_progress(&f->one, id, 4);
    expect_event(&f->one, id, 5, "bob");
    expect_event(&f->one, id, 6, "bob");
    dormouse_v1_WatchRequest start = {.from_start = true};
    uint64_t second = watch(f, &f->two, &start);
    expect_progress(&f->two, second, 4);
    expect_event(&f->two, second, 5, "bob");
    trimmed.cursor_next = cursor_is_gone; /* retention overtakes a slow one */
    virtual_clock_advance(&f->clock, 5000);
    (void)settle(f);
    expect_progress(&f->one, id, 6);
    expect_fail(&f->one, id, DM_OUT_OF_RANGE, "after 6 are not kept");
    f->journal->ops = whole;
}

static void there_is_a_limit_of_watches(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest all = {0};
    f->rpc->watch_count = DM_WATCHES_MAX;
    uint64_t id = watch(f, &f->one, &all);
    f->rpc->watch_count = 0;
    expect_fail(&f->one, id, DM_RESOURCE_EXHAUSTED, "watches");
}

static void a_drain_ends_watches_with_their_cursor(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest other = {.account_id = dm_slice_str("other")};
    uint64_t id = watch(f, &f->one, &other);
    expect_progress(&f->one, id, 0);
    change(f, "bob", INACTIVE);
    dm_rpc_drain(f->rpc);
    (void)settle(f);
    expect_progress(&f->one, id, 1);
    expect_fail(&f->one, id, DM_UNAVAILABLE, "stopping");
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
}

static void a_cancelled_watch_is_gone(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest all = {0};
    uint64_t id = watch(f, &f->one, &all);
    expect_progress(&f->one, id, 0);
    dm_rpc_cancel(f->rpc, &f->one.sink, id);
    assert_int_equal(f->rpc->watch_count, 0);
    change(f, "bob", INACTIVE);
    expect_nothing(&f->one);
    assert_int_equal(settle(f), -1);
}

static void a_watch_ends_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    dormouse_v1_WatchRequest all = {0};
    uint64_t id = call_with(f, &f->one, "Watch", dormouse_v1_WatchRequest_fields, &all, 1000000000);
    (void)settle(f);
    expect_progress(&f->one, id, 0);
    virtual_clock_advance(&f->clock, 1000);
    (void)settle(f);
    expect_fail(&f->one, id, DM_DEADLINE_EXCEEDED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_watch_begins_now_and_sees_what_follows),
        T(a_watch_sees_only_what_is_durable),
        T(a_cursor_resumes_where_it_stood),
        T(filters_let_through_what_was_asked_for),
        T(progress_comes_every_five_seconds),
        T(a_slow_reader_waits_and_holds_back_nobody),
        T(long_stretches_without_a_match_move_the_cursor),
        T(a_watch_refuses_what_it_cannot_give),
        T(what_is_not_kept_any_more_is_out_of_range),
        T(there_is_a_limit_of_watches),
        T(a_drain_ends_watches_with_their_cursor),
        T(a_cancelled_watch_is_gone),
        T(a_watch_ends_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
