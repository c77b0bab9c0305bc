/* The file journal, one behaviour a test, on the simulated disk and without a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "journal/format.h"
#include "journal/journal.h"
#include "lib/journal_model.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

#define SEGMENT_SIZE 65536UL

struct bench {
    struct dm_sim_disk *sim;
    struct virtual_clock clock;
    struct dm_journal_options options;
    struct dm_journal *journal;
    struct journal_model model;
};

/* How often it has told of something since this was asked last. */
static unsigned times_rung(struct bench *b)
{
    eventfd_t count = 0;
    (void)eventfd_read(dm_order_event(b->journal->order), &count);
    return (unsigned)count;
}

static enum dm_code try_open(struct bench *b, struct dm_error *error)
{
    const struct dm_journal_options options = b->options;
    return dm_journal_open_file(&b->journal, &options, error);
}

static void open_journal(struct bench *b)
{
    struct dm_error error;
    enum dm_code code = try_open(b, &error);
    if (code != DM_OK) {
        fail_msg("%s", error.message);
    }
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->sim = dm_sim_disk_create();
    b->clock = (struct virtual_clock){.wall_ms = 1700000000000, .monotonic_ns = 5};
    b->options = (struct dm_journal_options){
        .disk = dm_sim_disk_port(b->sim),
        .clock = virtual_clock_port(&b->clock),
        .segment_size = SEGMENT_SIZE,
        .retention_bytes = 4 * (int64_t)SEGMENT_SIZE,
        .retention_ms = 3600000,
        .manual = true,
    };
    journal_model_init(&b->model, 1, 20000);
    open_journal(b);
    *state = b;
    return 0;
}

/* With a disk that writes by itself, too. */
static int set_up_begun(void **state)
{
    (void)set_up(state);
    dm_sim_disk_begins(((struct bench *)*state)->sim, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    if (b->journal != NULL) {
        dm_journal_close(b->journal);
    }
    journal_model_finish(&b->model);
    dm_sim_disk_destroy(b->sim);
    free(b);
    return 0;
}

static void append(struct bench *b, int count)
{
    for (int i = 0; i < count; i++) {
        journal_model_append(&b->model, b->journal);
    }
}

/* Until nothing more can be done. */
static void drain(struct bench *b)
{
    dm_order_flush(b->journal->order);
    while (dm_journal_work(b->journal)) {
        dm_order_flush(b->journal->order);
    }
}

/* Batches of some entries each, until the segment `number` is there. */
static void fill_until_segment(struct bench *b, uint64_t number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%016llu.seg", (unsigned long long)number);
    while (!dm_sim_disk_exists(b->sim, name)) {
        append(b, 20);
        drain(b);
    }
}

static void reopen(struct bench *b)
{
    dm_journal_close(b->journal);
    b->journal = NULL;
    open_journal(b);
}

static bool is_durable(struct bench *b)
{
    return dm_order_durable(b->journal->order) == b->model.last_lsn;
}

static void assert_all_there(struct bench *b)
{
    assert_true(is_durable(b));
    uint64_t oldest = dm_journal_oldest_seq(b->journal);
    assert_null(journal_model_check_events(&b->model, b->journal, oldest - 1, 777));
}

static enum dm_code reopen_code(struct bench *b, struct dm_error *error)
{
    if (b->journal != NULL) {
        dm_journal_close(b->journal);
        b->journal = NULL;
    }
    return try_open(b, error);
}

static bool take_any(void *context, const struct dm_entry *entry)
{
    (void)entry;
    int *left = context;
    return left == NULL || (*left)-- > 0;
}

/* ---- order and durability ---------------------------------------------------- */

static void a_new_journal_is_empty(void **state)
{
    struct bench *b = *state;
    assert_int_equal(dm_order_last(b->journal->order), 0);
    assert_int_equal(dm_order_durable(b->journal->order), 0);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
    assert_null(journal_model_check_events(&b->model, b->journal, 0, 1));
    dm_order_flush(b->journal->order);
    assert_int_equal(dm_order_pending(b->journal->order), 0);
}

static void an_entry_is_durable_only_after_write_and_sync(void **state)
{
    struct bench *b = *state;
    append(b, 3);
    assert_int_equal(dm_order_durable(b->journal->order), 0);
    assert_true(dm_order_pending(b->journal->order) > 0);
    dm_order_flush(b->journal->order);
    assert_int_equal(dm_order_durable(b->journal->order), 0);
    assert_true(dm_journal_work(b->journal));
    assert_int_equal(dm_order_durable(b->journal->order), 3);
    assert_int_equal(dm_journal_committed_seq(b->journal), b->model.last_seq);
    assert_int_equal(dm_order_pending(b->journal->order), 0);
    assert_int_equal(times_rung(b), 1);
}

static void what_was_not_flushed_is_not_written(void **state)
{
    struct bench *b = *state;
    append(b, 1);
    while (dm_journal_work(b->journal)) {
    }
    assert_int_equal(dm_order_durable(b->journal->order), 0);
}

static void what_gathers_meanwhile_becomes_the_next_batch(void **state)
{
    struct bench *b = *state;
    append(b, 1);
    dm_order_flush(b->journal->order);
    append(b, 5);
    dm_order_flush(b->journal->order);
    assert_true(dm_journal_work(b->journal));
    assert_int_equal(dm_order_durable(b->journal->order), 1);
    assert_true(dm_journal_work(b->journal));
    assert_int_equal(dm_order_durable(b->journal->order), 6);
    struct dm_order_stats *stats = calloc(1, sizeof *stats);
    assert_non_null(stats);
    dm_order_stats(b->journal->order, stats);
    assert_int_equal(stats->batches, 2);
    assert_int_equal(stats->batch_entries.max, 5);
    assert_int_equal(stats->batch_us.count, 2);
    assert_int_equal(stats->last_lsn, 6);
    free(stats);
    struct dm_journal_stats kept;
    dm_journal_stats(b->journal, &kept);
    assert_int_equal(kept.committed_lsn, 6);
    assert_int_equal(kept.synced_lsn, 6);
    assert_int_equal(kept.kept_bytes, SEGMENT_SIZE);
}

static void closing_makes_all_durable(void **state)
{
    struct bench *b = *state;
    append(b, 3000);
    reopen(b);
    assert_int_equal(dm_order_last(b->journal->order), 3000);
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
    assert_all_there(b);
}

static void numbers_go_on_over_reopening(void **state)
{
    struct bench *b = *state;
    for (int round = 0; round < 20; round++) {
        append(b, 37);
        reopen(b);
    }
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
    assert_null(journal_model_check_replay(&b->model, b->journal, 555));
    assert_all_there(b);
}

static void a_segment_of_another_size_is_read_on(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 3);
    b->options.segment_size = 2ULL * SEGMENT_SIZE;
    reopen(b);
    fill_until_segment(b, 6);
    b->options.segment_size = SEGMENT_SIZE;
    reopen(b);
    fill_until_segment(b, 8);
    reopen(b);
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
    assert_all_there(b);
}

static void a_wrong_segment_size_is_refused(void **state)
{
    struct bench *b = *state;
    struct dm_error error;
    b->options.segment_size = 1000;
    assert_int_equal(reopen_code(b, &error), DM_INVALID_ARGUMENT);
}

static void replay_refuses_what_the_log_has_not(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 8);
    struct dm_error error;
    uint64_t last = dm_order_durable(b->journal->order);
    assert_int_equal(dm_journal_each(b->journal, last, take_any, NULL, &error), DM_OK);
    assert_int_equal(dm_journal_each(b->journal, last + 1, take_any, NULL, &error), DM_DATA_LOSS);
    dm_journal_trim(b->journal, last);
    drain(b);
    assert_int_equal(dm_journal_each(b->journal, 0, take_any, NULL, &error), DM_DATA_LOSS);
    int left = 5;
    assert_int_equal(dm_journal_each(b->journal, last - 10, take_any, &left, &error), DM_DATA_LOSS);
    assert_int_equal(left, -1);
}

/* ---- damage -------------------------------------------------------------------- */

static void assert_names_the_place(const struct dm_error *error, const char *file)
{
    assert_int_equal(error->code, DM_DATA_LOSS);
    if (strstr(error->message, file) == NULL || strstr(error->message, "offset") == NULL) {
        fail_msg("%s", error->message);
    }
}

static void damage_before_the_tail_is_refused_naming_file_and_offset(void **state)
{
    struct bench *b = *state;
    struct dm_error error;
    append(b, 3);
    drain(b);
    append(b, 3);
    drain(b);
    dm_journal_close(b->journal);
    b->journal = NULL;
    /* the header's magic, number, size; the first entry's checksum, size, lsn, payload */
    const unsigned places[] = {0, 8, 40, 48, 52, 56, 73};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint64_t offset = DM_SEGMENT_HEADER_SIZE + places[i];
        assert_true(dm_sim_disk_flip(b->sim, "0000000000000001.seg", offset, 3));
        assert_int_equal(reopen_code(b, &error), DM_DATA_LOSS);
        assert_names_the_place(&error, "0000000000000001.seg");
        b->journal = NULL;
        assert_true(dm_sim_disk_flip(b->sim, "0000000000000001.seg", offset, 3));
    }
    open_journal(b);
    assert_all_there(b);
}

static void a_damaged_or_missing_segment_is_refused(void **state)
{
    struct bench *b = *state;
    struct dm_error error;
    fill_until_segment(b, 4);
    dm_journal_close(b->journal);
    b->journal = NULL;
    assert_true(dm_sim_disk_flip(b->sim, "0000000000000002.seg", 24, 0));
    assert_int_equal(reopen_code(b, &error), DM_DATA_LOSS);
    assert_names_the_place(&error, "0000000000000002.seg");
    b->journal = NULL;
    struct dm_disk *disk = b->options.disk;
    assert_int_equal(disk->ops->remove(disk, "0000000000000002.seg"), 0);
    assert_int_equal(reopen_code(b, &error), DM_DATA_LOSS);
    assert_names_the_place(&error, "0000000000000002.seg");
    b->journal = NULL;
}

static void damage_in_an_old_segment_is_found_when_it_is_read(void **state)
{
    struct bench *b = *state;
    struct dm_error error;
    fill_until_segment(b, 4);
    reopen(b);
    assert_true(dm_sim_disk_flip(b->sim, "0000000000000002.seg", 20000, 5));
    assert_int_equal(dm_journal_each(b->journal, 0, take_any, NULL, &error), DM_DATA_LOSS);
    assert_names_the_place(&error, "0000000000000002.seg");
    uint64_t seq = 0;
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    assert_string_equal(journal_model_follow(&b->model, cursor, &seq, 999), "a cursor failed");
    assert_true(seq > 0 && seq < b->model.last_seq);
    dm_cursor_close(cursor);
}

/* Whatever bit it is: refused, found, or of no consequence; never another entry. */
static void no_flipped_bit_is_ever_read_as_good(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 2);
    append(b, 30);
    drain(b);
    uint64_t random = 99;
    unsigned refused = 0;
    unsigned found = 0;
    for (int i = 0; i < 400; i++) {
        const char *name = i % 2 == 0 ? "0000000000000001.seg" : "0000000000000002.seg";
        uint64_t offset = dm_test_random(&random) % (i % 4 < 2 ? 8192 : SEGMENT_SIZE);
        unsigned bit = (unsigned)(dm_test_random(&random) % 8);
        struct dm_error error;
        dm_journal_close(b->journal);
        b->journal = NULL;
        assert_true(dm_sim_disk_flip(b->sim, name, offset, bit));
        if (try_open(b, &error) != DM_OK) {
            assert_names_the_place(&error, name);
            refused++;
        } else {
            struct journal_model *model = &b->model;
            assert_int_equal(dm_order_last(b->journal->order), model->last_lsn);
            const char *replay = journal_model_check_replay(model, b->journal, 0);
            const char *read = journal_model_check_events(model, b->journal, 0, 5000);
            assert_true(replay == NULL || strcmp(replay, "replay failed") == 0);
            assert_true(read == NULL || strcmp(read, "a cursor failed") == 0);
            found += replay != NULL;
            dm_journal_close(b->journal);
        }
        assert_true(dm_sim_disk_flip(b->sim, name, offset, bit));
        open_journal(b);
        /* One more batch, so that no flip meets the last one, which may be cut. */
        append(b, 1);
        drain(b);
    }
    assert_true(refused > 20 && found > 20);
}

static void a_payload_that_looks_like_a_batch_is_none(void **state)
{
    struct bench *b = *state;
    uint8_t forged[DM_BATCH_HEADER_SIZE * 200];
    struct dm_batch_header header = {
        .number = 1000, .first_lsn = 3, .first_seq = 1, .entries = 1, .bytes = 24};
    for (size_t i = 0; i < 200; i++) {
        dm_batch_header_write(forged + i * DM_BATCH_HEADER_SIZE, &header, 0, 0);
    }
    for (uint64_t seed = 0; seed < 100; seed++) {
        dm_order_append(b->journal->order, dm_slice_str("good"), 0);
        drain(b);
        uint64_t durable = dm_order_durable(b->journal->order);
        dm_order_append(b->journal->order, dm_slice(forged, sizeof forged), 0);
        dm_sim_disk_stop_at(b->sim, 2);
        drain(b);
        dm_journal_close(b->journal);
        dm_sim_disk_crash(b->sim, seed);
        open_journal(b);
        assert_true(dm_order_last(b->journal->order) >= durable);
    }
}

/* ---- space and failures ------------------------------------------------------------ */

static void no_space_waits_and_recovers_by_itself(void **state)
{
    struct bench *b = *state;
    dm_sim_disk_set_capacity(b->sim, 3ULL * SEGMENT_SIZE);
    while (dm_order_state(b->journal->order, NULL) == DM_ORDER_OK) {
        append(b, 20);
        drain(b);
    }
    struct dm_error error = {0};
    assert_int_equal(dm_order_state(b->journal->order, &error), DM_ORDER_FULL);
    assert_int_equal(error.code, DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "No space"));
    append(b, 100);
    dm_order_flush(b->journal->order);
    assert_false(dm_journal_work(b->journal));
    assert_true(dm_order_durable(b->journal->order) < b->model.last_lsn);
    (void)times_rung(b);
    dm_sim_disk_set_capacity(b->sim, 0);
    assert_true(dm_journal_work(b->journal));
    assert_true(times_rung(b) > 0);
    drain(b);
    assert_int_equal(dm_order_state(b->journal->order, NULL), DM_ORDER_OK);
    assert_all_there(b);
    reopen(b);
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
}

static void a_trim_makes_space(void **state)
{
    struct bench *b = *state;
    b->options.retention_bytes = SEGMENT_SIZE;
    reopen(b);
    dm_sim_disk_set_capacity(b->sim, 3ULL * SEGMENT_SIZE);
    while (dm_order_state(b->journal->order, NULL) == DM_ORDER_OK) {
        append(b, 20);
        drain(b);
    }
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    assert_int_equal(dm_order_state(b->journal->order, NULL), DM_ORDER_OK);
    assert_all_there(b);
}

static void assert_final(struct bench *b)
{
    struct dm_error error = {0};
    uint64_t durable = dm_order_durable(b->journal->order);
    append(b, 5);
    drain(b);
    assert_int_equal(dm_order_state(b->journal->order, &error), DM_ORDER_FAILED);
    assert_non_null(strstr(error.message, "Input/output error"));
    append(b, 5);
    drain(b);
    assert_false(dm_journal_work(b->journal));
    assert_int_equal(dm_order_durable(b->journal->order), durable);
    assert_int_equal(dm_order_last(b->journal->order), b->model.last_lsn);
    reopen(b);
    assert_true(dm_order_last(b->journal->order) >= durable);
    journal_model_cut(&b->model, dm_order_last(b->journal->order));
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
}

static void a_failed_sync_is_final(void **state)
{
    struct bench *b = *state;
    append(b, 5);
    drain(b);
    dm_sim_disk_fail_sync(b->sim, ".seg", 1);
    assert_final(b);
}

static void a_failed_write_is_final(void **state)
{
    struct bench *b = *state;
    append(b, 5);
    drain(b);
    dm_sim_disk_fail_write(b->sim, ".seg", 1);
    assert_final(b);
}

static void a_failure_to_prepare_is_not_final(void **state)
{
    struct bench *b = *state;
    dm_sim_disk_fail_sync(b->sim, "prepare-2", 1);
    fill_until_segment(b, 3);
    assert_int_equal(dm_order_state(b->journal->order, NULL), DM_ORDER_OK);
    assert_all_there(b);
}

/* ---- retention ---------------------------------------------------------------------- */

static unsigned files_with(struct bench *b, const char *prefix)
{
    unsigned count = 0;
    for (unsigned number = 1; number < 100; number++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s%u", prefix, number);
        count += dm_sim_disk_exists(b->sim, name);
    }
    return count;
}

static void trimming_by_bytes_keeps_what_is_not_applied(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 10);
    dm_journal_trim(b->journal, 1);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    assert_true(dm_journal_oldest_seq(b->journal) > 1);
    assert_false(dm_sim_disk_exists(b->sim, "0000000000000006.seg"));
    assert_true(dm_sim_disk_exists(b->sim, "0000000000000007.seg"));
    uint64_t oldest = dm_journal_oldest_seq(b->journal);
    reopen(b);
    assert_int_equal(dm_journal_oldest_seq(b->journal), oldest);
    assert_all_there(b);
}

static void trimming_by_age_drops_what_is_old(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 3);
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    virtual_clock_advance(&b->clock, b->options.retention_ms + 1);
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    assert_false(dm_sim_disk_exists(b->sim, "0000000000000002.seg"));
    assert_true(dm_sim_disk_exists(b->sim, "0000000000000003.seg"));
    assert_all_there(b);
}

static void closing_drops_what_was_trimmed(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 10);
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    uint64_t oldest = dm_journal_oldest_seq(b->journal);
    assert_true(oldest > 1);
    reopen(b);
    assert_int_equal(dm_journal_oldest_seq(b->journal), oldest);
    assert_all_there(b);
}

static void dropped_files_are_recycled_within_bounds(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 12);
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    assert_int_equal(files_with(b, "spare-"), 3);
    uint64_t used = dm_sim_disk_used(b->sim);
    dm_sim_disk_set_capacity(b->sim, used);
    fill_until_segment(b, 15);
    assert_int_equal(dm_sim_disk_used(b->sim), used);
    assert_int_equal(files_with(b, "spare-"), 0);
    assert_all_there(b);
    reopen(b);
    assert_all_there(b);
}

static void files_on_their_way_are_cleared_at_open(void **state)
{
    struct bench *b = *state;
    struct dm_disk *disk = b->options.disk;
    fill_until_segment(b, 2);
    disk->ops->close(disk, disk->ops->open(disk, "prepare-77", true));
    disk->ops->close(disk, disk->ops->open(disk, "spare-88", true));
    reopen(b);
    assert_false(dm_sim_disk_exists(b->sim, "prepare-77"));
    assert_false(dm_sim_disk_exists(b->sim, "spare-88"));
    fill_until_segment(b, 6);
    assert_all_there(b);
}

/* ---- cursors -------------------------------------------------------------------------- */

static void a_cursor_waits_at_the_end_and_goes_on(void **state)
{
    struct bench *b = *state;
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    uint64_t seq = 0;
    for (int i = 0; i < 300; i++) {
        assert_null(journal_model_follow(&b->model, cursor, &seq, 50));
        assert_int_equal(seq, dm_journal_committed_seq(b->journal));
        append(b, 7);
        assert_null(journal_model_follow(&b->model, cursor, &seq, 50));
        assert_int_equal(seq, dm_journal_committed_seq(b->journal));
        drain(b);
    }
    dm_cursor_close(cursor);
}

static void a_cursor_ahead_of_the_log_waits_for_it(void **state)
{
    struct bench *b = *state;
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 100);
    uint64_t seq = 100;
    while (b->model.last_seq < 300) {
        append(b, 10);
        drain(b);
        assert_null(journal_model_follow(&b->model, cursor, &seq, 300));
    }
    assert_int_equal(seq, b->model.last_seq);
    dm_cursor_close(cursor);
}

static void a_cursor_passed_by_retention_is_gone(void **state)
{
    struct bench *b = *state;
    struct dm_cursor *old = dm_journal_cursor(b->journal, 0);
    struct dm_cursor *tail = NULL;
    struct dm_entry entry;
    size_t budget = 1000000;
    fill_until_segment(b, 10);
    assert_int_equal(dm_cursor_next(old, &entry, &budget), DM_CURSOR_ENTRY);
    uint64_t seq = dm_journal_committed_seq(b->journal);
    tail = dm_journal_cursor(b->journal, seq);
    assert_null(journal_model_follow(&b->model, tail, &seq, 100));
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    assert_int_equal(dm_cursor_next(old, &entry, &budget), DM_CURSOR_GONE);
    uint64_t oldest = dm_journal_oldest_seq(b->journal);
    dm_cursor_seek(old, oldest - 2);
    assert_int_equal(dm_cursor_next(old, &entry, &budget), DM_CURSOR_GONE);
    dm_cursor_seek(old, oldest - 1);
    assert_int_equal(dm_cursor_next(old, &entry, &budget), DM_CURSOR_ENTRY);
    assert_int_equal(entry.seq, oldest);
    assert_null(journal_model_follow(&b->model, tail, &seq, 100));
    dm_cursor_close(old);
    dm_cursor_close(tail);
}

static void a_cursor_at_the_end_outlives_the_drop_of_its_segment(void **state)
{
    struct bench *b = *state;
    fill_until_segment(b, 3);
    uint64_t seq = dm_journal_committed_seq(b->journal);
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, seq);
    assert_null(journal_model_follow(&b->model, cursor, &seq, 100));
    /* Entries that are no events: the cursor's next event is still to come. */
    uint8_t payload[1000] = {0};
    while (!dm_sim_disk_exists(b->sim, "0000000000000010.seg")) {
        dm_order_append(b->journal->order, dm_slice(payload, sizeof payload), 0);
        drain(b);
    }
    dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
    drain(b);
    struct dm_entry entry;
    size_t budget = 10;
    assert_int_equal(dm_journal_oldest_seq(b->journal), seq + 1);
    while (dm_cursor_next(cursor, &entry, &budget) == DM_CURSOR_PENDING) {
        budget = 10;
    }
    assert_int_equal(dm_cursor_next(cursor, &entry, &budget), DM_CURSOR_END);
    dm_order_append(b->journal->order, dm_slice_str("at last"), seq + 1);
    drain(b);
    budget = 1000;
    assert_int_equal(dm_cursor_next(cursor, &entry, &budget), DM_CURSOR_ENTRY);
    assert_int_equal(entry.seq, seq + 1);
    assert_true(dm_slice_equal(entry.payload, dm_slice_str("at last")));
    dm_cursor_close(cursor);
}

/* After one pass over a segment of 4 MiB every place in it is found by looking at no
 * more than an index step. */
static void a_known_place_is_found_quickly(void **state)
{
    struct bench *b = *state;
    b->options.segment_size = 4194304;
    b->options.retention_bytes = 1LL << 30;
    reopen(b);
    fill_until_segment(b, 4);
    reopen(b);
    assert_null(journal_model_check_events(&b->model, b->journal, 0, 100000));
    uint64_t random = 5;
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    for (int i = 0; i < 300; i++) {
        uint64_t seq = dm_test_random(&random) % b->model.last_seq;
        size_t budget = 110000;
        struct dm_entry entry;
        dm_cursor_seek(cursor, seq);
        assert_int_equal(dm_cursor_next(cursor, &entry, &budget), DM_CURSOR_ENTRY);
        assert_int_equal(entry.seq, seq + 1);
        assert_true(journal_model_has(&b->model, &entry));
    }
    dm_cursor_close(cursor);
}

static void nothing_is_spent_without_budget(void **state)
{
    struct bench *b = *state;
    append(b, 20);
    drain(b);
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    struct dm_entry entry;
    size_t budget = 0;
    assert_int_equal(dm_cursor_next(cursor, &entry, &budget), DM_CURSOR_PENDING);
    dm_cursor_seek(cursor, b->model.last_seq);
    assert_int_equal(dm_cursor_next(cursor, &entry, &budget), DM_CURSOR_END);
    dm_cursor_close(cursor);
    dm_cursor_close(NULL);
}

/* What has just been written need not be read from the disk by those who follow. */
static void who_follows_closely_reads_from_memory(void **state)
{
    struct bench *b = *state;
    uint64_t seq = 0;
    append(b, 1);
    drain(b);
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    assert_null(journal_model_follow(&b->model, cursor, &seq, 1 << 20));
    uint64_t reads = dm_sim_disk_reads(b->sim);
    for (int i = 0; !dm_sim_disk_exists(b->sim, "0000000000000004.seg"); i++) {
        append(b, 1 + i % 3);
        drain(b);
        assert_null(journal_model_follow(&b->model, cursor, &seq, 1 << 20));
    }
    assert_int_equal(seq, b->model.last_seq);
    /* The start of each segment is read once. */
    assert_in_range(dm_sim_disk_reads(b->sim) - reads, 0, 3);
    dm_cursor_close(cursor);
}

/* A follower that stops for a while, for longer than is kept for it, is served as well. */
static void who_follows_with_pauses_misses_nothing(void **state)
{
    struct bench *b = *state;
    uint64_t seq = 0;
    struct dm_cursor *cursor = dm_journal_cursor(b->journal, 0);
    for (int i = 1; i < 400; i++) {
        append(b, 1 + i % 3);
        drain(b);
        if (i % 7 < 3 && i / 100 % 2 == 0) {
            assert_null(journal_model_follow(&b->model, cursor, &seq, 300));
        }
    }
    assert_null(journal_model_follow(&b->model, cursor, &seq, 300));
    assert_int_equal(seq, b->model.last_seq);
    dm_cursor_close(cursor);
}

/* Writes the header of the first segment anew, whole, with something in it changed. */
static void forge_header(struct bench *b, const struct dm_segment_header *header)
{
    static uint8_t block[DM_SEGMENT_HEADER_SIZE];
    struct dm_disk *disk = b->options.disk;
    int file = disk->ops->open(disk, "0000000000000001.seg", false);
    assert_true(file >= 0);
    dm_segment_header_write(block, header);
    assert_int_equal(disk->ops->pwrite(disk, file, dm_slice(block, sizeof block), 0), 0);
    disk->ops->close(disk, file);
}

static struct dm_segment_header first_header(struct bench *b)
{
    static uint8_t block[DM_SEGMENT_HEADER_SIZE];
    struct dm_segment_header header = {0};
    struct dm_disk *disk = b->options.disk;
    int file = disk->ops->open(disk, "0000000000000001.seg", false);
    assert_int_equal(disk->ops->pread(disk, file, block, sizeof block, 0), sizeof block);
    disk->ops->close(disk, file);
    assert_true(dm_segment_header_read(block, &header));
    return header;
}

static void a_header_that_makes_no_sense_is_damage(void **state)
{
    struct bench *b = *state;
    append(b, 3);
    dm_journal_close(b->journal);
    b->journal = NULL;
    const struct dm_segment_header good = first_header(b);
    struct dm_segment_header forged[] = {good, good, good, good, good, good, good, good};
    forged[0].size -= 100; /* batches end with pages */
    forged[1].size = DM_SEGMENT_HEADER_SIZE;
    forged[2].first_lsn = 0;
    forged[3].first_seq = 0;
    forged[4].first_batch = UINT64_MAX;
    forged[5].seen_ms = -1;
    forged[6].number = 2;
    forged[7].seen_ms = INT64_MAX;
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        struct dm_error error = {0};
        forge_header(b, &forged[i]);
        assert_int_equal(try_open(b, &error), DM_DATA_LOSS);
        assert_non_null(strstr(error.message, "0000000000000001.seg is damaged at offset 0"));
    }
    forge_header(b, &good);
    open_journal(b);
    assert_all_there(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define BEGUN(name) ((struct CMUnitTest){#name ", begun", name, set_up_begun, tear_down, NULL})
#define BOTH(name) CASE(name), BEGUN(name)

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        BOTH(a_new_journal_is_empty),
        CASE(an_entry_is_durable_only_after_write_and_sync),
        BOTH(what_was_not_flushed_is_not_written),
        BOTH(what_gathers_meanwhile_becomes_the_next_batch),
        BOTH(closing_makes_all_durable),
        BOTH(numbers_go_on_over_reopening),
        BOTH(a_segment_of_another_size_is_read_on),
        BOTH(a_wrong_segment_size_is_refused),
        BOTH(replay_refuses_what_the_log_has_not),
        BOTH(damage_before_the_tail_is_refused_naming_file_and_offset),
        BOTH(a_damaged_or_missing_segment_is_refused),
        CASE(a_header_that_makes_no_sense_is_damage),
        BOTH(damage_in_an_old_segment_is_found_when_it_is_read),
        BOTH(no_flipped_bit_is_ever_read_as_good),
        BOTH(a_payload_that_looks_like_a_batch_is_none),
        BOTH(no_space_waits_and_recovers_by_itself),
        BOTH(a_trim_makes_space),
        BOTH(a_failed_sync_is_final),
        BOTH(a_failed_write_is_final),
        BOTH(a_failure_to_prepare_is_not_final),
        BOTH(trimming_by_bytes_keeps_what_is_not_applied),
        BOTH(trimming_by_age_drops_what_is_old),
        BOTH(closing_drops_what_was_trimmed),
        BOTH(dropped_files_are_recycled_within_bounds),
        BOTH(files_on_their_way_are_cleared_at_open),
        BOTH(a_cursor_waits_at_the_end_and_goes_on),
        BOTH(a_cursor_ahead_of_the_log_waits_for_it),
        BOTH(a_cursor_passed_by_retention_is_gone),
        BOTH(a_cursor_at_the_end_outlives_the_drop_of_its_segment),
        BOTH(a_known_place_is_found_quickly),
        BOTH(nothing_is_spent_without_budget),
        BOTH(who_follows_closely_reads_from_memory),
        BOTH(who_follows_with_pauses_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
