/* The file journal over a disk that crashes: whatever was durable survives, in order,
 * byte for byte, and no crash is ever taken for damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "journal/journal.h"
#include "lib/journal_model.h"
#include "lib/sim_disk.h"

#define SEGMENT_SIZE 65536UL

struct world {
    struct dm_sim_disk *sim;
    struct dm_journal_options options;
    struct dm_journal *journal;
    struct journal_model model;
    uint64_t random;
    int64_t now_ms;
    uint64_t acked, applied;
    struct dm_cursor *cursor;
    uint64_t cursor_seq;
};

static int64_t wall_ms(void *context)
{
    return ((struct world *)context)->now_ms;
}

static uint64_t monotonic_ns(void *context)
{
    return (uint64_t)((struct world *)context)->now_ms * 1000000U;
}

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->sim = dm_sim_disk_create();
    w->random = seed;
    w->now_ms = 1700000000000;
    w->options = (struct dm_journal_options){
        .disk = dm_sim_disk_port(w->sim),
        .clock = {.wall_ms = wall_ms, .monotonic_ns = monotonic_ns, .context = w},
        .segment_size = SEGMENT_SIZE,
        .retention_bytes = 4 * (int64_t)SEGMENT_SIZE,
        .retention_ms = 3600000,
        .manual = true,
    };
    dm_sim_disk_begins(w->sim, seed % 2 == 0 ? seed : 0);
    journal_model_init(&w->model, seed, 40000);
}

static void world_finish(struct world *w)
{
    journal_model_finish(&w->model);
    dm_sim_disk_destroy(w->sim);
}

static void expect(const char *wrong, uint64_t seed)
{
    if (wrong != NULL) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    }
}

static uint64_t below(struct world *w, uint64_t bound)
{
    return dm_test_random(&w->random) % bound;
}

static void follow(struct world *w, uint64_t seed)
{
    if (w->cursor_seq + 1 < dm_journal_oldest_seq(w->journal)) {
        struct dm_entry entry;
        size_t budget = 1000000;
        assert_int_equal(dm_cursor_next(w->cursor, &entry, &budget), DM_CURSOR_GONE);
        w->cursor_seq = dm_journal_oldest_seq(w->journal) - 1;
        dm_cursor_seek(w->cursor, w->cursor_seq);
    }
    uint64_t durable_seq = dm_journal_committed_seq(w->journal); /* each look may find more */
    size_t budget = 1 + below(w, 5000);
    const char *wrong = journal_model_follow(&w->model, w->cursor, &w->cursor_seq, budget);
    if (!dm_sim_disk_stopped(w->sim)) { /* it may be in the middle of this */
        expect(wrong, seed);
        assert_true(w->cursor_seq >= durable_seq);
        assert_true(w->cursor_seq <= dm_journal_committed_seq(w->journal));
    }
}

static void trim(struct world *w)
{
    uint64_t durable = dm_order_durable(w->journal->order);
    if (durable > w->applied) {
        w->applied += below(w, durable - w->applied + 1);
    }
    dm_journal_trim(w->journal, w->applied);
}

static void one_step(struct world *w, uint64_t seed)
{
    uint64_t kind = below(w, 20);
    if (kind < 8) {
        for (uint64_t i = 0; i <= below(w, 30); i++) {
            journal_model_append(&w->model, w->journal);
        }
    } else if (kind < 12) {
        dm_order_flush(w->journal->order);
    } else if (kind < 17) {
        (void)dm_journal_work(w->journal);
    } else if (kind == 17) {
        trim(w);
    } else if (kind == 18 && !dm_sim_disk_stopped(w->sim)) {
        follow(w, seed);
    } else {
        w->now_ms += (int64_t)below(w, 1000000);
    }
    uint64_t durable = dm_order_durable(w->journal->order);
    assert_true(durable >= w->acked && durable <= w->model.last_lsn);
    w->acked = durable;
}

/* Mostly the power is cut; sometimes only the process dies. */
static void crash(struct world *w)
{
    if (below(w, 4) == 0) {
        dm_sim_disk_kill(w->sim);
    } else {
        dm_sim_disk_crash(w->sim, dm_test_random(&w->random));
    }
}

static void run_until_crash(struct world *w, uint64_t seed)
{
    w->cursor_seq = dm_journal_committed_seq(w->journal);
    w->cursor = dm_journal_cursor(w->journal, w->cursor_seq);
    dm_sim_disk_stop_at(w->sim, 1 + below(w, 60));
    for (int i = 0; i < 300 && dm_order_state(w->journal->order, NULL) == DM_ORDER_OK; i++) {
        one_step(w, seed);
    }
    w->acked = dm_order_durable(w->journal->order);
    dm_cursor_close(w->cursor);
    dm_journal_close(w->journal);
    crash(w);
}

static enum dm_code reopen(struct world *w, uint64_t seed)
{
    struct dm_error error;
    enum dm_code code = dm_journal_open_file(&w->journal, &w->options, &error);
    if (code == DM_DATA_LOSS) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
    }
    return code;
}

/* Power may be cut again while the journal settles. */
static void reopen_through_crashes(struct world *w, uint64_t seed)
{
    while (below(w, 3) == 0) {
        dm_sim_disk_stop_at(w->sim, 1 + below(w, 6));
        if (reopen(w, seed) == DM_OK) {
            dm_journal_close(w->journal);
        }
        crash(w);
    }
    assert_int_equal(reopen(w, seed), DM_OK);
}

static void check_survivors(struct world *w, uint64_t seed)
{
    uint64_t last = dm_order_last(w->journal->order);
    if (last < w->acked || last > w->model.last_lsn) {
        fail_msg("seed %llu: acked %llu, found %llu, appended %llu", (unsigned long long)seed,
                 (unsigned long long)w->acked, (unsigned long long)last,
                 (unsigned long long)w->model.last_lsn);
    }
    assert_int_equal(dm_order_durable(w->journal->order), last);
    journal_model_cut(&w->model, last);
    assert_int_equal(dm_journal_committed_seq(w->journal), w->model.last_seq);
    w->acked = last;
    expect(journal_model_check_replay(&w->model, w->journal, w->applied), seed);
    uint64_t after = dm_journal_oldest_seq(w->journal) - 1;
    expect(journal_model_check_events(&w->model, w->journal, after, 1 + below(w, 3000)), seed);
    after += below(w, w->model.last_seq - after + 1);
    expect(journal_model_check_events(&w->model, w->journal, after, 1 + below(w, 3000)), seed);
}

static void crash_again_and_again(uint64_t seed)
{
    struct world w;
    world_init(&w, seed);
    reopen_through_crashes(&w, seed);
    for (int round = 0; round < 12; round++) {
        run_until_crash(&w, seed);
        reopen_through_crashes(&w, seed);
        check_survivors(&w, seed);
    }
    dm_journal_close(w.journal);
    world_finish(&w);
}

static void what_was_durable_survives_every_crash(void **state)
{
    (void)state;
    const char *rounds = getenv("DM_CRASH_SEEDS"); /* NOLINT(concurrency-mt-unsafe) */
    uint64_t seeds = rounds != NULL ? strtoull(rounds, NULL, 10) : 300;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        crash_again_and_again(seed);
    }
}

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_durable_survives_every_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
