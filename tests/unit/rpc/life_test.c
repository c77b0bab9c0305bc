#include "fixture.h"

/* Whatever comes in whatever order: each call is answered once, and nothing is said of
 * it after that, after its cancel, or after its connection is gone. */

enum { CALLS_MAX = 6000, SINKS = 4, STEPS = 12000 };

struct tracker {
    struct dm_sink sink;
    size_t room;
};

static enum fate { OPEN, ENDED, DROPPED } fates[CALLS_MAX];
static struct tracker *owners[CALLS_MAX];
static uint64_t calls;
static uint64_t ended_by_code[DM_CODE_COUNT];

static uint32_t random_next(void)
{
    static uint64_t state = 0x9E3779B97F4A7C15U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static uint32_t below(uint32_t bound)
{
    return random_next() % bound;
}

static void ends(struct dm_sink *sink, uint64_t id, enum dm_code code)
{
    assert_true(id < calls);
    assert_ptr_equal(owners[id], DM_CONTAINER_OF(sink, struct tracker, sink));
    assert_int_equal(fates[id], OPEN);
    fates[id] = ENDED;
    ended_by_code[code]++;
}

static void on_reply(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)payload;
    ends(sink, id, DM_OK);
}

static void on_fail(struct dm_sink *sink, uint64_t id, enum dm_code code, const char *message)
{
    assert_true(code != DM_OK && message[0] != 0);
    ends(sink, id, code);
}

static void on_message(struct dm_sink *sink, uint64_t id, struct dm_slice payload)
{
    (void)sink;
    (void)payload;
    assert_int_equal(fates[id], OPEN);
}

static void on_end(struct dm_sink *sink, uint64_t id)
{
    ends(sink, id, DM_OK);
}

static size_t on_room(struct dm_sink *sink, uint64_t id)
{
    assert_int_equal(fates[id], OPEN);
    return DM_CONTAINER_OF(sink, struct tracker, sink)->room;
}

static const struct dm_sink_ops tracker_ops = {
    .reply = on_reply,
    .fail = on_fail,
    .stream_message = on_message,
    .stream_end = on_end,
    .stream_room = on_room,
};

/* ---- requests that are mostly right ---------------------------------------------------- */

static size_t put(uint8_t *to, size_t at, uint8_t byte)
{
    to[at] = byte;
    return at + 1;
}

static size_t put_text(uint8_t *to, size_t at, uint8_t field, const char *text)
{
    at = put(to, at, (uint8_t)(field << 3 | PB_WT_STRING));
    struct dm_slice bytes = dm_slice_str(text);
    at = put(to, at, (uint8_t)bytes.size);
    memcpy(to + at, bytes.data, bytes.size);
    return at + bytes.size;
}

static size_t put_change(uint8_t *to, size_t at, uint8_t field)
{
    at = put(to, at, (uint8_t)(field << 3 | PB_WT_STRING));
    at = put(to, at, 2);
    at = put(to, at, 8);
    return put(to, at, (uint8_t)(below(10) == 0 ? 2 : 1 + 2 * below(2)));
}

static bool is(struct dm_slice name, const char *text)
{
    return dm_slice_equal(name, dm_slice_str(text));
}

static size_t request_bytes(uint8_t *to, struct dm_slice method)
{
    char contact[8];
    size_t at = put_text(to, 0, 1, below(4) == 0 ? "acme" : "umbrella");
    (void)snprintf(contact, sizeof contact, "c%u", below(40));
    if (!is(method, "ListContacts") && !is(method, "BulkSetStatus") &&
        (!is(method, "Watch") || below(2) == 0)) {
        at = put_text(to, at, 2, contact);
    }
    if (is(method, "SetStatus") || is(method, "BatchSetStatus")) {
        at = put_change(to, at, 3);
    } else if (is(method, "BulkSetStatus")) {
        at = put_change(to, at, 4);
    } else if (is(method, "RecordActivity")) {
        at = put(to, put(to, at, 3 << 3), (uint8_t)below(10));
    }
    if (below(8) == 0) {
        to[below((uint32_t)at)] ^= (uint8_t)(1U << below(8));
    }
    return at;
}

static void make_call(struct fixture *f, struct tracker *tracker)
{
    uint8_t bytes[256];
    if (calls == CALLS_MAX) {
        return;
    }
    const struct dm_method *method = &dm_methods.items[below(dm_methods.count)];
    uint64_t id = calls++;
    owners[id] = tracker;
    bool open = below(2) == 0; /* any method: its first message may come later */
    const struct dm_rpc_request request = {
        .id = id,
        .service = method->service,
        .method = method->name,
        .payload = dm_slice(bytes, request_bytes(bytes, method->name)),
        .timeout_ns = below(3) == 0 ? (int64_t)below(40) * 1000000 : 0,
        .open = open,
        .awaiting = open && below(2) == 0,
    };
    dm_rpc_call(f->rpc, &tracker->sink, &request);
}

static void drop(struct fixture *f, uint64_t id)
{
    if (fates[id] == OPEN) {
        fates[id] = DROPPED;
        dm_rpc_cancel(f->rpc, &owners[id]->sink, id);
    }
}

static void lose(struct fixture *f, struct tracker *tracker)
{
    for (uint64_t id = 0; id < calls; id++) {
        if (owners[id] == tracker && fates[id] == OPEN) {
            fates[id] = DROPPED;
        }
    }
    dm_rpc_sink_gone(f->rpc, &tracker->sink);
    assert_int_equal(tracker->sink.private_count, 0);
    assert_null(tracker->sink.private_calls);
}

static void act(struct fixture *f, struct tracker *tracker)
{
    uint32_t dice = below(100);
    uint64_t id = calls != 0 ? below((uint32_t)calls) : 0;
    if (dice < 55) {
        make_call(f, tracker);
    } else if (dice < 75) {
        (void)dm_engine_turn(f->engine);
        (void)dm_rpc_turn(f->rpc);
    } else if (dice < 82) {
        virtual_clock_advance(&f->clock, below(2000));
    } else if (dice < 87) {
        dm_journal_memory_hold(f->journal, below(2) == 0);
    } else if (dice < 91) {
        tracker->room = (size_t)below(3) * 500;
    } else if (dice < 95 && calls != 0) {
        drop(f, id);
    } else if (dice < 99 && calls != 0) {
        if (fates[id] == OPEN && below(2) == 0) {
            dm_rpc_input(f->rpc, &owners[id]->sink, id, dm_slice("\x3a", 1 + below(2)));
        } else if (fates[id] == OPEN) {
            dm_rpc_input_end(f->rpc, &owners[id]->sink, id);
        }
    } else if (below(4) == 0) {
        lose(f, tracker);
    }
}

static void every_call_ends_once(void **state)
{
    struct fixture *f = *state;
    struct tracker trackers[SINKS];
    for (int i = 0; i < SINKS; i++) {
        trackers[i].room = 1000;
        dm_sink_init(&trackers[i].sink, &tracker_ops, "test");
    }
    for (int i = 0; i < STEPS; i++) {
        act(f, &trackers[below(SINKS)]);
    }
    dm_journal_memory_hold(f->journal, false);
    virtual_clock_advance(&f->clock, 60000);
    for (int i = 0; i < SINKS; i++) {
        trackers[i].room = 1000;
    }
    (void)settle(f);
    dm_rpc_drain(f->rpc);
    (void)settle(f);
    for (uint64_t id = 0; id < calls; id++) {
        assert_int_not_equal(fates[id], OPEN);
    }
    assert_int_equal(dm_rpc_open_calls(f->rpc), 0);
    assert_int_equal(f->rpc->watch_count, 0);
    assert_int_equal(f->rpc->task_bytes, 0);
    assert_int_equal(dm_buf_size(&f->rpc->queue), 0);
    assert_int_equal(dm_wheel_count(f->rpc->deadlines), 0);
    /* it was no dull life */
    assert_true(ended_by_code[DM_OK] > 500);
    assert_true(ended_by_code[DM_INVALID_ARGUMENT] > 50);
    assert_true(ended_by_code[DM_DEADLINE_EXCEEDED] > 50);
    assert_true(ended_by_code[DM_UNAVAILABLE] > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_call_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
