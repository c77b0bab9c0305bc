#include "fixture.h"

#include "rpc/pool.h"

/* Streams cost little each and last for ever: how many there may be, and what they take from
 * nobody. */

#define HEALTH "grpc.health.v1.Health"

static uint64_t watch_health(struct fixture *f)
{
    return call_bytes(f, HEALTH, "Watch", "", 0);
}

static void one_connection_has_its_share_of_streams(void **state)
{
    struct fixture *f = *state;
    uint64_t first = watch_health(f);
    for (int i = 1; i < DM_STREAMS_PER_CONNECTION_MAX; i++) {
        (void)watch_health(f);
    }
    (void)settle(f);
    notebook_clear(&f->one);
    uint64_t id = watch_health(f);
    expect_fail(&f->one, id, DM_RESOURCE_EXHAUSTED, "streams open already");
    /* It may still change things; and whatever ends makes room. */
    id = set_status(f, &f->one, "c", INACTIVE, 0, 0);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, id);
    dm_rpc_cancel(f->rpc, &f->one.sink, first);
    id = watch_health(f);
    (void)settle(f);
    (void)expect(&f->one, SAID_MESSAGE, id);
}

static void streams_of_all_take_no_room_from_changes_and_from_watches(void **state)
{
    struct fixture *f = *state;
    uint64_t kept = watch_health(f);
    (void)settle(f);
    (void)expect(&f->one, SAID_MESSAGE, kept);
    uint32_t open = f->rpc->open_streams;
    f->rpc->open_streams = DM_STREAMS_MAX - DM_WATCHES_MAX; /* as if others had them */
    uint64_t id = watch_health(f);
    expect_fail(&f->one, id, DM_RESOURCE_EXHAUSTED, "the server has");
    id = call_bytes(f, BOT_STATUS, "Watch", "", 0);
    (void)settle(f);
    (void)expect(&f->one, SAID_MESSAGE, id);
    uint64_t set = set_status(f, &f->one, "c", INACTIVE, 0, 0);
    (void)settle(f);
    (void)expect(&f->one, SAID_REPLY, set);
    dm_rpc_cancel(f->rpc, &f->one.sink, id);
    f->rpc->open_streams = open;
}

/* Counted, not timed: a call is found among thousands, whatever ids its client gave them. */
static void a_call_is_found_at_once(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    for (uint64_t i = 0; i < DM_CALLS_PER_CONNECTION_MAX; i++) {
        f->last_id = i << 20;
        (void)set_status(f, i % 2 == 0 ? &f->one : &f->two, "c", i % 3 == 0 ? ACTIVE : INACTIVE, 0,
                         0);
    }
    assert_int_equal(dm_rpc_open_calls(f->rpc), DM_CALLS_PER_CONNECTION_MAX);
    assert_in_range(dm_index_longest(&f->rpc->by_id), 1, 24);
    for (uint64_t i = 0; i < DM_CALLS_PER_CONNECTION_MAX; i++) {
        uint64_t id = (i << 20) + 1;
        const struct dm_sink *sink = i % 2 == 0 ? &f->one.sink : &f->two.sink;
        const struct dm_sink *other = i % 2 == 0 ? &f->two.sink : &f->one.sink;
        const struct dm_call *found = dm_call_find(f->rpc, sink, id);
        assert_non_null(found);
        assert_int_equal(found->id, id);
        assert_null(dm_call_find(f->rpc, other, id));
        assert_null(dm_call_find(f->rpc, sink, id + 1));
    }
    dm_journal_memory_hold(f->journal, false);
    (void)settle(f);
    assert_int_equal(f->one.count + f->two.count, DM_CALLS_PER_CONNECTION_MAX);
    assert_null(dm_call_find(f->rpc, &f->one.sink, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_connection_has_its_share_of_streams),
        T(streams_of_all_take_no_room_from_changes_and_from_watches),
        T(a_call_is_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
