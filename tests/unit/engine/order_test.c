#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lib/virtual_clock.h"

/* The engine where the next entry is decided elsewhere: an order of its own kind, which puts
 * what it has decided into the log of this machine, and a log that syncs when it likes. */

static const int64_t start_ms = 1800000000000;

/* Accepts entries, and decides on those that were flushed when it is told to. */
struct elsewhere {
    struct dm_order base;
    struct dm_journal *journal;
    struct accepted {
        uint64_t seq;
        size_t size;
        uint8_t payload[1024];
    } accepted[64];
    uint64_t last_lsn, last_seq, flushed_lsn, decided_lsn;
    enum dm_order_state state;
};

struct fixture {
    struct virtual_clock clock;
    struct elsewhere order;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
};

static struct elsewhere *elsewhere_of(struct dm_order *order)
{
    return (struct elsewhere *)order;
}

static uint64_t accept(struct dm_order *order, struct dm_slice payload, uint64_t seq)
{
    struct elsewhere *e = elsewhere_of(order);
    assert_true(e->last_lsn < sizeof e->accepted / sizeof e->accepted[0]);
    assert_true(seq == 0 || seq == e->last_seq + 1);
    struct accepted *accepted = &e->accepted[e->last_lsn];
    accepted->seq = seq;
    accepted->size = payload.size;
    assert_true(payload.size <= sizeof accepted->payload);
    memcpy(accepted->payload, payload.data, payload.size);
    e->last_seq = seq != 0 ? seq : e->last_seq;
    return ++e->last_lsn;
}

static void flush(struct dm_order *order)
{
    elsewhere_of(order)->flushed_lsn = elsewhere_of(order)->last_lsn;
}

static uint64_t durable(struct dm_order *order)
{
    return elsewhere_of(order)->decided_lsn;
}

static uint64_t last(struct dm_order *order)
{
    return elsewhere_of(order)->last_lsn;
}

static size_t pending(struct dm_order *order)
{
    return (size_t)(elsewhere_of(order)->last_lsn - elsewhere_of(order)->decided_lsn);
}

static enum dm_order_state state_of(struct dm_order *order, struct dm_error *error)
{
    if (elsewhere_of(order)->state != DM_ORDER_OK) {
        dm_fail(error, DM_UNAVAILABLE, "the order is somebody else's now");
    }
    return elsewhere_of(order)->state;
}

static void stats_of(struct dm_order *order, struct dm_order_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    stats->last_lsn = elsewhere_of(order)->last_lsn;
    stats->durable_lsn = elsewhere_of(order)->decided_lsn;
}

static int no_event(struct dm_order *order)
{
    (void)order;
    return -1;
}

static const struct dm_order_ops elsewhere_ops = {
    .append = accept,
    .flush = flush,
    .durable = durable,
    .last = last,
    .pending = pending,
    .state = state_of,
    .stats = stats_of,
    .event = no_event,
};

/* What was flushed is the next batch: first it is in the log, then it is told. */
static void decide(struct elsewhere *e)
{
    for (uint64_t lsn = e->decided_lsn + 1; lsn <= e->flushed_lsn; lsn++) {
        const struct accepted *accepted = &e->accepted[lsn - 1];
        dm_journal_memory_put(e->journal, dm_slice(accepted->payload, accepted->size),
                              accepted->seq);
    }
    e->decided_lsn = e->flushed_lsn;
}

static void open_engine(struct fixture *f)
{
    struct dm_error error;
    const struct dm_engine_options options = {
        .order = &f->order.base,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .overlay_max = 16384,
        .manual_applier = true,
    };
    assert_int_equal(dm_engine_open(&f->engine, &options, &error), DM_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->clock = (struct virtual_clock){.wall_ms = start_ms, .monotonic_ns = 1};
    f->journal = dm_journal_open_memory();
    f->store = dm_store_open_memory();
    f->order = (struct elsewhere){.base.ops = &elsewhere_ops, .journal = f->journal};
    open_engine(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    dm_engine_close(f->engine);
    dm_journal_close(f->journal);
    dm_store_close(f->store);
    free(f);
    return 0;
}

static void deactivate(struct fixture *f, const char *contact)
{
    struct dm_outcome out;
    struct dm_error error;
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){.status = DM_STATUS_INACTIVE};
    assert_int_equal(dm_engine_mutate(f->engine, dm_slice_str("acme"), dm_slice_str(contact),
                                      dm_slice(NULL, 0), &op, &out, &error),
                     DM_OK);
}

static enum dm_status status_of(struct fixture *f, const char *contact)
{
    struct dm_effective out;
    dm_engine_call_begin(f->engine, 0);
    dm_engine_check(f->engine, dm_slice_str("acme"), dm_slice_str(contact), &out, NULL);
    return (enum dm_status)out.status;
}

static enum dm_next next_event(struct fixture *f, uint64_t after_seq)
{
    struct dm_feed *feed = dm_feed_open(f->engine, after_seq);
    struct dm_event event;
    size_t budget = SIZE_MAX;
    enum dm_next next = dm_feed_next(feed, &event, &budget);
    dm_feed_close(feed);
    return next;
}

/* Time for a sweep, with the applier's work. */
static uint64_t applied_after_a_while(struct fixture *f)
{
    struct dm_engine_stats stats;
    for (int i = 0; i < 20; i++) {
        virtual_clock_advance(&f->clock, 500);
        (void)dm_engine_turn(f->engine);
        (void)dm_engine_apply_work(f->engine);
    }
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    return stats.applied_lsn;
}

static void an_answer_waits_for_whoever_decides(void **state)
{
    struct fixture *f = *state;
    dm_engine_call_begin(f->engine, 0);
    deactivate(f, "c");
    uint64_t barrier = dm_engine_barrier(f->engine);
    (void)dm_engine_turn(f->engine);
    assert_true(barrier > dm_engine_durable(f->engine));
    assert_int_equal(next_event(f, 0), DM_NEXT_END);
    decide(&f->order);
    assert_true(barrier <= dm_engine_durable(f->engine));
    assert_int_equal(next_event(f, 0), DM_NEXT_ITEM);
    assert_int_equal(status_of(f, "c"), DM_STATUS_INACTIVE);
    assert_int_equal(dm_engine_barrier(f->engine), 0);
}

static void the_view_is_never_ahead_of_what_is_synced_here(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold_sync(f->journal, true);
    deactivate(f, "c");
    (void)dm_engine_turn(f->engine);
    decide(&f->order);
    assert_int_equal(next_event(f, 0), DM_NEXT_ITEM); /* feeds wait for no sync */
    assert_int_equal(applied_after_a_while(f), 0);
    dm_journal_memory_hold_sync(f->journal, false);
    assert_int_equal(applied_after_a_while(f), f->order.last_lsn);
}

static void what_was_decided_is_there_after_a_restart_and_no_more(void **state)
{
    struct fixture *f = *state;
    deactivate(f, "decided");
    (void)dm_engine_turn(f->engine);
    decide(&f->order);
    deactivate(f, "accepted");
    (void)dm_engine_turn(f->engine);
    dm_engine_close(f->engine);
    f->order.last_lsn = f->order.flushed_lsn = f->order.decided_lsn;
    f->order.last_seq = dm_journal_committed_seq(f->journal);
    open_engine(f);
    assert_int_equal(status_of(f, "decided"), DM_STATUS_INACTIVE);
    assert_int_equal(status_of(f, "accepted"), DM_STATUS_ACTIVE);
    deactivate(f, "accepted");
    (void)dm_engine_turn(f->engine);
    decide(&f->order);
    assert_int_equal(next_event(f, 1), DM_NEXT_ITEM);
}

static void who_has_lost_the_order_takes_no_more_changes(void **state)
{
    struct fixture *f = *state;
    struct dm_error error = {0};
    f->order.state = DM_ORDER_FAILED;
    assert_int_equal(dm_engine_writable(f->engine, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "somebody else's"));
    assert_true(dm_engine_failed(f->engine, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_waits_for_whoever_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(the_view_is_never_ahead_of_what_is_synced_here, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_decided_is_there_after_a_restart_and_no_more,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_lost_the_order_takes_no_more_changes, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
