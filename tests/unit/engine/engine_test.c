#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "lib/virtual_clock.h"

/* The engine over the journal and the store in memory, under a virtual clock. */

static const int64_t start_ms = 1800000000000;
static const int64_t hour_ms = 3600 * 1000;

struct fixture {
    struct virtual_clock clock;
    struct dm_journal *journal;
    struct dm_store *store;
    struct dm_engine *engine;
    int64_t horizon_ms;
};

static void open_engine(struct fixture *f)
{
    struct dm_error error;
    const struct dm_engine_options options = {
        .order = f->journal->order,
        .journal = f->journal,
        .store = f->store,
        .clock = virtual_clock_port(&f->clock),
        .horizon_ms = f->horizon_ms,
        .overlay_max = 16384,
        .contacts_per_txn = 3,
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
    f->horizon_ms = hour_ms;
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

/* Turns, with the applier's work, until nothing wants to be done at once. */
static void settle(struct fixture *f)
{
    while (dm_engine_turn(f->engine) == 0) {
    }
    while (dm_engine_apply_work(f->engine)) {
        (void)dm_engine_turn(f->engine);
    }
    while (dm_engine_turn(f->engine) == 0) {
    }
}

static void pass(struct fixture *f, int64_t ms)
{
    while (ms > 0) {
        int64_t step = ms < 1000 ? ms : 1000;
        virtual_clock_advance(&f->clock, step);
        settle(f);
        ms -= step;
    }
}

/* Ends the process and starts it again on what is durable. */
static void restart(struct fixture *f)
{
    dm_engine_close(f->engine);
    open_engine(f);
}

static enum dm_code mutate(struct fixture *f, const char *contact, struct dm_op op,
                           struct dm_outcome *out)
{
    struct dm_error error;
    return dm_engine_mutate(f->engine, dm_slice_str("acme"), dm_slice_str(contact),
                            dm_slice(NULL, 0), &op, out, &error);
}

static struct dm_outcome set_status(struct fixture *f, const char *contact, enum dm_status status,
                                    int64_t for_ms)
{
    struct dm_outcome out;
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){.status = (uint8_t)status,
                                       .has_for = for_ms != 0,
                                       .for_ms = for_ms,
                                       .actor = dm_slice_str("anna")};
    assert_int_equal(mutate(f, contact, op, &out), DM_OK);
    return out;
}

static struct dm_effective check(struct fixture *f, const char *contact)
{
    struct dm_effective out;
    dm_engine_call_begin(f->engine, 0);
    dm_engine_check(f->engine, dm_slice_str("acme"), dm_slice_str(contact), &out, NULL);
    return out;
}

static struct dm_outcome commit_reply(struct fixture *f, const char *contact, uint64_t fence)
{
    struct dm_outcome out;
    struct dm_op op = {.kind = DM_OP_COMMIT_REPLY};
    op.commit.fence = fence;
    assert_int_equal(mutate(f, contact, op, &out), DM_OK);
    return out;
}

/* All durable events after a seq, as one line each: "seq contact from>to reason". */
static char *trace(struct fixture *f, uint64_t after)
{
    static char text[8192];
    size_t used = 0;
    struct dm_feed *feed = dm_feed_open(f->engine, after);
    struct dm_event event;
    size_t budget = SIZE_MAX;
    text[0] = '\0';
    while (dm_feed_next(feed, &event, &budget) == DM_NEXT_ITEM) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%llu %.*s %d>%d %d\n",
                                 (unsigned long long)event.seq, (int)event.contact_id.size,
                                 (const char *)event.contact_id.data, event.from, event.to,
                                 event.reason);
    }
    dm_feed_close(feed);
    return text;
}

static void a_contact_never_seen_is_active(void **state)
{
    struct fixture *f = *state;
    struct dm_effective now = check(f, "c");
    assert_int_equal(now.status, DM_STATUS_ACTIVE);
    assert_int_equal(now.reason, DM_REASON_NEVER_SET);
    assert_int_equal(now.decision, DM_DECISION_REPLY);
    assert_int_equal(now.revision, 0);
    assert_int_equal(now.fence, 0);
}

static void an_answer_waits_until_it_is_durable(void **state)
{
    struct fixture *f = *state;
    dm_journal_memory_hold(f->journal, true);
    dm_engine_call_begin(f->engine, 0);
    (void)set_status(f, "c", DM_STATUS_INACTIVE, 0);
    uint64_t barrier = dm_engine_barrier(f->engine);
    (void)dm_engine_turn(f->engine);
    assert_true(barrier > dm_engine_durable(f->engine));
    assert_int_equal(check(f, "c").status, DM_STATUS_INACTIVE);
    /* a read of what may still be lost waits, too */
    assert_int_equal(dm_engine_barrier(f->engine), barrier);
    dm_journal_memory_hold(f->journal, false);
    (void)dm_engine_turn(f->engine);
    assert_true(dm_engine_durable(f->engine) >= barrier);
    (void)check(f, "c");
    assert_int_equal(dm_engine_barrier(f->engine), 0);
}

static void a_takeover_between_check_and_commit_wins(void **state)
{
    struct fixture *f = *state;
    uint64_t fence = check(f, "c").fence;
    assert_true(commit_reply(f, "c", fence).granted);
    (void)set_status(f, "c", DM_STATUS_INACTIVE, 0);
    assert_false(commit_reply(f, "c", fence).granted);
    (void)set_status(f, "c", DM_STATUS_ACTIVE, 0);
    assert_false(commit_reply(f, "c", fence).granted); /* active again, but not as it was */
    assert_true(commit_reply(f, "c", check(f, "c").fence).granted);
}

static void a_snooze_wakes_once_and_on_time(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "c", DM_STATUS_SNOOZED, 5000);
    pass(f, 4999);
    assert_int_equal(check(f, "c").status, DM_STATUS_SNOOZED);
    assert_string_equal(trace(f, 0), "1 c 1>2 2\n");
    pass(f, 1);
    assert_int_equal(check(f, "c").status, DM_STATUS_ACTIVE);
    pass(f, 10000);
    assert_string_equal(trace(f, 0), "1 c 1>2 2\n2 c 2>1 4\n");
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.wakes, 1);
    assert_int_equal(stats.wake_lag_ms->max, 0);
    assert_int_equal(stats.sleepers, 0);
}

static void a_check_is_exact_while_the_wake_still_waits(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "c", DM_STATUS_SNOOZED, 5000);
    settle(f);
    virtual_clock_advance(&f->clock, 5000); /* no turn: the wake is not committed */
    struct dm_effective before = check(f, "c");
    assert_int_equal(before.status, DM_STATUS_ACTIVE);
    assert_true(before.expired);
    assert_true(commit_reply(f, "c", before.fence).granted); /* applies the wake first */
    settle(f);
    assert_string_equal(trace(f, 0), "1 c 1>2 2\n2 c 2>1 4\n");
    assert_int_equal(check(f, "c").fence, before.fence);
}

static void a_snooze_set_anew_wakes_at_the_new_end_only(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "c", DM_STATUS_SNOOZED, 5000);
    pass(f, 3000);
    (void)set_status(f, "c", DM_STATUS_SNOOZED, 5000);
    pass(f, 4999);
    assert_int_equal(check(f, "c").status, DM_STATUS_SNOOZED);
    pass(f, 1);
    assert_string_equal(trace(f, 0), "1 c 1>2 2\n2 c 2>2 2\n3 c 2>1 4\n");
}

static void a_step_back_of_the_clock_wakes_nobody_early(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "c", DM_STATUS_SNOOZED, 5000);
    pass(f, 4000);
    f->clock.wall_ms -= 60000;
    pass(f, 60999);
    assert_int_equal(check(f, "c").status, DM_STATUS_SNOOZED);
    pass(f, 1);
    assert_int_equal(check(f, "c").status, DM_STATUS_ACTIVE);
    assert_string_equal(trace(f, 0), "1 c 1>2 2\n2 c 2>1 4\n");
}

static void sleepers_beyond_the_horizon_come_in_from_wherever_they_are(void **state)
{
    struct fixture *f = *state;
    char name[16];
    f->horizon_ms = 8000;
    restart(f);
    for (int i = 0; i < 20; i++) { /* ends 5, 10, … 100 s from now; the sweeps go on meanwhile */
        (void)snprintf(name, sizeof name, "c%02d", i);
        (void)set_status(f, name, DM_STATUS_SNOOZED, 5000 * (i + 1));
        pass(f, 100);
    }
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_true(stats.sleepers <= 2);
    pass(f, 102000);
    dm_engine_stats(f->engine, dm_slice(NULL, 0), &stats);
    assert_int_equal(stats.wakes, 20);
    assert_int_equal(stats.wake_lag_ms->count, 20);
    assert_true(stats.wake_lag_ms->max < 1000); /* turns are a second apart here */
}

static void a_restart_finds_what_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    (void)set_status(f, "in view", DM_STATUS_INACTIVE, 0);
    (void)set_status(f, "sleeps", DM_STATUS_SNOOZED, 60000);
    pass(f, 5000);
    (void)set_status(f, "in journal", DM_STATUS_SNOOZED, 30000);
    dm_engine_flush(f->engine);
    restart(f);
    assert_int_equal(check(f, "in view").status, DM_STATUS_INACTIVE);
    assert_int_equal(check(f, "sleeps").status, DM_STATUS_SNOOZED);
    assert_int_equal(check(f, "in journal").status, DM_STATUS_SNOOZED);
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice_str("acme"), &stats);
    assert_int_equal(stats.counts.contacts, 3);
    assert_int_equal(stats.counts.snoozed, 2);
    assert_int_equal(stats.counts.inactive, 1);
    virtual_clock_advance(&f->clock, 40000); /* one comes due while nobody runs */
    restart(f);
    settle(f);
    assert_int_equal(check(f, "in journal").status, DM_STATUS_ACTIVE);
    pass(f, 60000);
    assert_string_equal(trace(f, 3), "4 in journal 2>1 4\n5 sleeps 2>1 4\n");
}

static void the_same_request_id_gets_the_same_answer_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome first, again;
    struct dm_op op = {.kind = DM_OP_COMMIT_REPLY,
                       .request = dm_request_hash(DM_REQUEST_COMMIT_REPLY, dm_slice_str("r1"))};
    assert_int_equal(mutate(f, "c", op, &first), DM_OK);
    assert_true(first.granted);
    pass(f, 3000);
    restart(f);
    assert_int_equal(mutate(f, "c", op, &again), DM_OK);
    assert_true(again.granted);
    assert_int_equal(again.contact.bot_messages, 1);
    assert_int_equal(again.contact.revision, first.contact.revision);
}

static void a_deleted_contact_is_never_seen_and_its_fences_never_come_back(void **state)
{
    struct fixture *f = *state;
    uint64_t fence = set_status(f, "c", DM_STATUS_INACTIVE, 0).contact.fence;
    struct dm_outcome out;
    pass(f, 3000);
    assert_int_equal(mutate(f, "c", (struct dm_op){.kind = DM_OP_DELETE}, &out), DM_OK);
    assert_true(out.existed);
    pass(f, 3000);
    restart(f);
    struct dm_effective now = check(f, "c");
    assert_int_equal(now.reason, DM_REASON_NEVER_SET);
    assert_int_equal(now.revision, 0);
    assert_true(now.fence > fence);
    assert_int_equal(mutate(f, "c", (struct dm_op){.kind = DM_OP_DELETE}, &out), DM_OK);
    assert_false(out.existed);
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice_str("acme"), &stats);
    assert_int_equal(stats.counts.contacts, 0);
}

/* The ids of one page, comma separated. */
static char *page(struct fixture *f, enum dm_scan_order order, enum dm_status status,
                  uint32_t limit, const char *after, int64_t after_until_ms, bool *more)
{
    static char text[4096];
    const struct dm_scan_options options = {
        .account_id = dm_slice_str("acme"),
        .order = order,
        .status = (uint8_t)status,
        .limit = limit,
        .after_contact = dm_slice_str(after),
        .after_until_ms = after_until_ms,
    };
    struct dm_scan *scan = dm_scan_open(f->engine, &options);
    struct dm_contact contact;
    size_t used = 0;
    text[0] = '\0';
    for (;;) {
        size_t budget = 2;
        enum dm_next next = dm_scan_next(scan, &contact, &budget);
        if (next == DM_NEXT_END) {
            break;
        }
        if (next == DM_NEXT_ITEM) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s,",
                                     (int)contact.contact_id.size,
                                     (const char *)contact.contact_id.data);
        }
    }
    *more = dm_scan_more(scan);
    dm_scan_close(scan);
    return text;
}

static void pages_merge_view_and_overlay(void **state)
{
    struct fixture *f = *state;
    bool more;
    (void)set_status(f, "b", DM_STATUS_SNOOZED, 50000);
    (void)set_status(f, "d", DM_STATUS_SNOOZED, 10000);
    (void)set_status(f, "f", DM_STATUS_INACTIVE, 0);
    pass(f, 3000); /* these are in the view */
    (void)set_status(f, "a", DM_STATUS_SNOOZED, 30000);
    (void)set_status(f, "e", DM_STATUS_INACTIVE, 0);
    (void)set_status(f, "d", DM_STATUS_SNOOZED, 40000);
    (void)set_status(f, "b", DM_STATUS_INACTIVE, 0);
    assert_string_equal(page(f, DM_SCAN_BY_CONTACT, 0, 10, "", 0, &more), "a,b,d,e,f,");
    assert_false(more);
    assert_string_equal(page(f, DM_SCAN_BY_CONTACT, 0, 2, "", 0, &more), "a,b,");
    assert_true(more);
    assert_string_equal(page(f, DM_SCAN_BY_CONTACT, 0, 2, "b", 0, &more), "d,e,");
    assert_true(more);
    assert_string_equal(page(f, DM_SCAN_BY_CONTACT, 0, 2, "e", 0, &more), "f,");
    assert_false(more);
    assert_string_equal(page(f, DM_SCAN_BY_CONTACT, DM_STATUS_INACTIVE, 5, "", 0, &more), "b,e,f,");
    assert_string_equal(page(f, DM_SCAN_BY_WAKE, 0, 5, "", 0, &more), "a,d,");
    pass(f, 3000);
    assert_string_equal(page(f, DM_SCAN_BY_WAKE, 0, 5, "", 0, &more), "a,d,");
    assert_string_equal(page(f, DM_SCAN_BY_WAKE, 0, 5, "a", start_ms + 3000 + 30000, &more), "d,");
}

static void a_bulk_change_meets_everyone_once(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "c%03d", i);
        (void)set_status(f, name, i % 3 == 0 ? DM_STATUS_INACTIVE : DM_STATUS_SNOOZED,
                         i % 3 == 0 ? 0 : 600000);
        if (i == 200) {
            pass(f, 3000);
        }
    }
    for (int i = 0; i < 50; i++) { /* some are in both */
        (void)snprintf(name, sizeof name, "c%03d", i * 3 + 1);
        (void)set_status(f, name, DM_STATUS_SNOOZED, 700000);
    }
    const struct dm_bulk_options options = {
        .account_id = dm_slice_str("acme"),
        .if_status = DM_STATUS_SNOOZED,
        .change = {.status = DM_STATUS_ACTIVE},
    };
    struct dm_bulk *bulk;
    struct dm_error error;
    struct dm_bulk_progress progress;
    assert_int_equal(dm_bulk_open(&bulk, f->engine, &options, &error), DM_OK);
    while (dm_bulk_step(bulk, &progress, 7, &error) == DM_NEXT_PENDING) {
        pass(f, 500); /* sweeps go on under it */
    }
    dm_bulk_close(bulk);
    assert_int_equal(progress.scanned, 300);
    assert_int_equal(progress.matched, 200);
    assert_int_equal(progress.changed, 200);
    struct dm_engine_stats stats;
    dm_engine_stats(f->engine, dm_slice_str("acme"), &stats);
    assert_int_equal(stats.counts.active, 200);
    assert_int_equal(stats.counts.inactive, 100);
    assert_int_equal(stats.sleepers, 0);
}

static void history_goes_back_from_the_newest(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        (void)set_status(f, "c", DM_STATUS_INACTIVE, 0);
        (void)set_status(f, "other", i % 2 == 0 ? DM_STATUS_INACTIVE : DM_STATUS_ACTIVE, 0);
        (void)set_status(f, "c", DM_STATUS_ACTIVE, 0);
    }
    settle(f);
    struct dm_history *history =
        dm_history_open(f->engine, dm_slice_str("acme"), dm_slice_str("c"), 0);
    struct dm_event event;
    size_t budget = SIZE_MAX;
    uint64_t seqs[9];
    size_t count = 0;
    while (dm_history_next(history, &event, &budget) == DM_NEXT_ITEM) {
        seqs[count++] = event.seq;
    }
    dm_history_close(history);
    assert_int_equal(count, 8);
    assert_int_equal(seqs[0], 12);
    assert_int_equal(seqs[7], 1);
    history = dm_history_open(f->engine, dm_slice_str("acme"), dm_slice_str("c"), seqs[2]);
    assert_int_equal(dm_history_next(history, &event, &budget), DM_NEXT_ITEM);
    assert_int_equal(event.seq, seqs[3]);
    dm_history_close(history);
}

static void a_journal_that_cannot_be_written_refuses_writes_and_not_reads(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    (void)set_status(f, "c", DM_STATUS_INACTIVE, 0);
    settle(f);
    dm_journal_memory_fail(f->journal, DM_ORDER_FULL);
    struct dm_op op = {.kind = DM_OP_DELETE};
    assert_int_equal(mutate(f, "c", op, &out), DM_UNAVAILABLE);
    assert_int_equal(check(f, "c").status, DM_STATUS_INACTIVE);
    assert_false(dm_engine_failed(f->engine, NULL));
    dm_journal_memory_fail(f->journal, DM_ORDER_OK);
    assert_int_equal(mutate(f, "c", op, &out), DM_OK);
    dm_journal_memory_fail(f->journal, DM_ORDER_FAILED);
    assert_true(dm_engine_failed(f->engine, NULL));
}

static void a_full_overlay_refuses_writes_until_it_is_applied(void **state)
{
    struct fixture *f = *state;
    struct dm_outcome out;
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){.status = DM_STATUS_INACTIVE};
    char name[16];
    enum dm_code code = DM_OK;
    int taken = 0;
    while (code == DM_OK && taken < 20000) {
        (void)snprintf(name, sizeof name, "c%d", taken++);
        code = mutate(f, name, op, &out);
    }
    assert_int_equal(code, DM_RESOURCE_EXHAUSTED);
    pass(f, 3000);
    assert_int_equal(mutate(f, name, op, &out), DM_OK);
}

static void policies_are_kept_and_replaced_whole(void **state)
{
    struct fixture *f = *state;
    struct dm_policy policy = *dm_policy_default();
    struct dm_error error;
    policy.mode = DM_MODE_OFF;
    assert_int_equal(dm_engine_set_policy(f->engine, dm_slice_str("acme"), dm_slice(NULL, 0),
                                          &policy, false, 0, &error),
                     DM_OK);
    assert_int_equal(check(f, "c").decision, DM_DECISION_SILENT);
    assert_int_equal(check(f, "c").decision_reason, DM_REASON_MODE_OFF);
    policy.mode = DM_MODE_SUGGESTIVE;
    assert_int_equal(dm_engine_set_policy(f->engine, dm_slice_str("acme"), dm_slice_str("sales"),
                                          &policy, true, 3, &error),
                     DM_ABORTED);
    assert_int_equal(dm_engine_set_policy(f->engine, dm_slice_str("acme"), dm_slice_str("sales"),
                                          &policy, true, 0, &error),
                     DM_OK);
    settle(f);
    restart(f); /* from the journal alone */
    struct dm_policy found;
    dm_engine_policy(f->engine, dm_slice_str("acme"), dm_slice_str("sales"), &found);
    assert_int_equal(found.mode, DM_MODE_SUGGESTIVE);
    assert_int_equal(found.revision, 1);
    pass(f, 3000);
    restart(f); /* from the view */
    dm_engine_policy(f->engine, dm_slice_str("acme"), dm_slice_str("sales"), &found);
    assert_int_equal(found.mode, DM_MODE_SUGGESTIVE);
    assert_int_equal(check(f, "c").mode, DM_MODE_OFF);
}

static void set_inactive(struct fixture *f, uint32_t account)
{
    char name[16];
    struct dm_error error;
    struct dm_outcome out;
    struct dm_op op = {.kind = DM_OP_SET_STATUS};
    op.set.change = (struct dm_change){.status = DM_STATUS_INACTIVE};
    (void)snprintf(name, sizeof name, "account-%u", account);
    assert_int_equal(dm_engine_mutate(f->engine, dm_slice_str(name), dm_slice_str("c"),
                                      dm_slice(NULL, 0), &op, &out, &error),
                     DM_OK);
}

static struct dm_engine_stats stats(struct fixture *f, const char *account)
{
    struct dm_engine_stats out;
    dm_engine_stats(f->engine, dm_slice_str(account), &out);
    return out;
}

static void the_rows_of_many_accounts_take_several_turns(void **state)
{
    struct fixture *f = *state;
    enum { ACCOUNTS = 12000 };
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        set_inactive(f, i);
    }
    /* So many contacts are a sweep at once. Each account has a row, and its default bot is looked
     * at: too much for one turn. */
    assert_int_equal(dm_engine_turn(f->engine), 0);
    assert_false(dm_engine_apply_work(f->engine));
    set_inactive(f, ACCOUNTS);
    set_inactive(f, 1); /* no change */
    pass(f, 3000);
    uint64_t applied = stats(f, "").applied_lsn;
    assert_int_equal(applied, 2 * (ACCOUNTS + 1));
    restart(f); /* from the view */
    assert_int_equal(stats(f, "").counts.inactive, ACCOUNTS + 1);
    assert_int_equal(stats(f, "account-0").counts.inactive, 1);
    assert_int_equal(stats(f, "account-12000").counts.inactive, 1);
    assert_int_equal(stats(f, "").applied_lsn, applied);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_contact_never_seen_is_active),
        T(an_answer_waits_until_it_is_durable),
        T(a_takeover_between_check_and_commit_wins),
        T(a_snooze_wakes_once_and_on_time),
        T(a_check_is_exact_while_the_wake_still_waits),
        T(a_snooze_set_anew_wakes_at_the_new_end_only),
        T(a_step_back_of_the_clock_wakes_nobody_early),
        T(sleepers_beyond_the_horizon_come_in_from_wherever_they_are),
        T(a_restart_finds_what_was_acknowledged),
        T(the_same_request_id_gets_the_same_answer_after_a_restart),
        T(a_deleted_contact_is_never_seen_and_its_fences_never_come_back),
        T(pages_merge_view_and_overlay),
        T(a_bulk_change_meets_everyone_once),
        T(history_goes_back_from_the_newest),
        T(a_journal_that_cannot_be_written_refuses_writes_and_not_reads),
        T(a_full_overlay_refuses_writes_until_it_is_applied),
        T(policies_are_kept_and_replaced_whole),
        T(the_rows_of_many_accounts_take_several_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
