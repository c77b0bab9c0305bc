/* Whose log it is, and how old it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "journal/format.h"
#include "journal/journal.h"
#include "lib/journal_model.h"
#include "lib/sim_disk.h"
#include "lib/virtual_clock.h"

enum { SEGMENT_SIZE = 65536 };
static const int64_t retention_ms = 30LL * 24 * 3600000;

struct bench {
    struct dm_sim_disk *sim;
    struct dm_disk *disk;
    struct virtual_clock clock;
    struct dm_journal_options options;
    struct dm_journal *journal;
    struct journal_model model;
    struct dm_error error;
};

static enum dm_code try_open(struct bench *b)
{
    const struct dm_journal_options options = b->options;
    struct dm_error error = {0};
    enum dm_code code = dm_journal_open_file(&b->journal, &options, &error);
    b->error = error;
    return code;
}

static void open_journal(struct bench *b)
{
    if (try_open(b) != DM_OK) {
        fail_msg("%s", b->error.message);
    }
}

static void close_journal(struct bench *b)
{
    dm_journal_close(b->journal);
    b->journal = NULL;
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->sim = dm_sim_disk_create();
    b->disk = dm_sim_disk_port(b->sim);
    b->clock = (struct virtual_clock){.wall_ms = 1700000000000, .monotonic_ns = 5};
    b->options = (struct dm_journal_options){
        .disk = b->disk,
        .clock = virtual_clock_port(&b->clock),
        .segment_size = SEGMENT_SIZE,
        .retention_bytes = INT64_MAX,
        .retention_ms = retention_ms,
        .manual = true,
    };
    journal_model_init(&b->model, 1, 2000);
    open_journal(b);
    *state = b;
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

static void drain(struct bench *b)
{
    dm_order_flush(b->journal->order);
    while (dm_journal_work(b->journal)) {
        dm_order_flush(b->journal->order);
    }
}

static void append(struct bench *b, int count)
{
    for (int i = 0; i < count; i++) {
        journal_model_append(&b->model, b->journal);
    }
    drain(b);
}

static bool exists(struct bench *b, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%016u.seg", number);
    return dm_sim_disk_exists(b->sim, name);
}

/* What the engine's turns do: a trim now and then, everything applied. */
static void pass(struct bench *b, int64_t ms, int64_t step_ms)
{
    for (; ms > 0; ms -= step_ms) {
        virtual_clock_advance(&b->clock, step_ms);
        dm_journal_trim(b->journal, dm_order_durable(b->journal->order));
        drain(b);
    }
}

static void assert_all_there(struct bench *b)
{
    assert_int_equal(dm_order_durable(b->journal->order), b->model.last_lsn);
    uint64_t oldest = dm_journal_oldest_seq(b->journal);
    assert_null(journal_model_check_events(&b->model, b->journal, oldest - 1, 777));
}

/* ---- the id --------------------------------------------------------------------------- */

static void a_new_log_gets_an_id_and_keeps_it(void **state)
{
    struct bench *b = *state;
    struct dm_log_id id = dm_journal_log_id(b->journal);
    assert_true(dm_log_id_known(&id));
    for (int i = 0; i < 4; i++) {
        append(b, 200);
        close_journal(b);
        b->options.belongs_to = id;
        open_journal(b);
        struct dm_log_id again = dm_journal_log_id(b->journal);
        assert_true(dm_log_id_equal(&id, &again));
    }
    assert_true(exists(b, 3));
    struct dm_journal *other = dm_journal_open_memory();
    struct dm_log_id its = dm_journal_log_id(other);
    assert_true(dm_log_id_known(&its) && !dm_log_id_equal(&id, &its));
    dm_journal_close(other);
}

static void another_log_is_refused_and_left_alone(void **state)
{
    struct bench *b = *state;
    append(b, 10);
    close_journal(b);
    uint64_t used = dm_sim_disk_used(b->sim);
    b->options.belongs_to = dm_log_id_make();
    dm_sim_disk_stop_at(b->sim, 1); /* the first change of any file would fail */
    assert_int_equal(try_open(b), DM_ABORTED);
    assert_string_equal(b->error.message, "the journal is another one");
    assert_false(dm_sim_disk_stopped(b->sim));
    dm_sim_disk_stop_at(b->sim, 0);
    assert_int_equal(dm_sim_disk_used(b->sim), used);
    b->options.belongs_to = (struct dm_log_id){0};
    open_journal(b);
    assert_all_there(b);
}

static void an_emptied_folder_is_refused_and_stays_empty(void **state)
{
    struct bench *b = *state;
    close_journal(b);
    dm_sim_disk_destroy(b->sim);
    b->sim = dm_sim_disk_create();
    b->options.disk = b->disk = dm_sim_disk_port(b->sim);
    b->options.belongs_to = dm_log_id_make();
    assert_int_equal(try_open(b), DM_ABORTED);
    assert_string_equal(b->error.message, "the journal is empty");
    assert_int_equal(dm_sim_disk_used(b->sim), 0);
}

/* With another version: 1 has nothing behind the time, and no id. */
static void make_version(struct bench *b, unsigned number, uint32_t version)
{
    uint8_t block[DM_SEGMENT_HEADER_SIZE];
    char name[32];
    (void)snprintf(name, sizeof name, "%016u.seg", number);
    int file = b->disk->ops->open(b->disk, name, false);
    assert_true(file >= 0);
    assert_int_equal(b->disk->ops->pread(b->disk, file, block, sizeof block, 0), sizeof block);
    memset(block + 72, 0, version == 1 ? 24 : 0);
    dm_store_le32(block + 12, version);
    dm_store_le32(block + 8, dm_crc32c(0, block + 12, sizeof block - 12));
    assert_int_equal(b->disk->ops->pwrite(b->disk, file, dm_slice(block, sizeof block), 0), 0);
    assert_int_equal(b->disk->ops->fdatasync(b->disk, file), 0);
    b->disk->ops->close(b->disk, file);
}

static void make_old(struct bench *b, unsigned number)
{
    make_version(b, number, 1);
}

static void what_a_newer_version_wrote_is_told_from_damage(void **state)
{
    struct bench *b = *state;
    append(b, 3);
    close_journal(b);
    make_version(b, 1, 3);
    assert_int_equal(try_open(b), DM_FAILED_PRECONDITION);
    assert_non_null(strstr(b->error.message, "newer version"));
    make_version(b, 1, 2);
    open_journal(b);
    assert_all_there(b);
}

static void an_old_log_is_taken_over_and_gets_an_id(void **state)
{
    struct bench *b = *state;
    for (unsigned segments = 1; segments <= 3; segments++) {
        while (!exists(b, segments)) {
            append(b, 20);
        }
    }
    close_journal(b);
    for (unsigned number = 1; number <= 3; number++) {
        make_old(b, number);
    }
    open_journal(b);
    struct dm_log_id id = dm_journal_log_id(b->journal);
    assert_true(dm_log_id_known(&id));
    assert_all_there(b);
    append(b, 10);
    dm_sim_disk_stop_at(b->sim, 1);
    close_journal(b);
    dm_sim_disk_crash(b->sim, 3);
    b->options.belongs_to = id;
    open_journal(b);
    assert_all_there(b);
    assert_null(journal_model_check_replay(&b->model, b->journal, 0));
}

static void an_old_log_with_nothing_in_its_last_file_is_taken_over(void **state)
{
    struct bench *b = *state;
    close_journal(b);
    make_old(b, 1);
    open_journal(b);
    struct dm_log_id id = dm_journal_log_id(b->journal);
    assert_true(dm_log_id_known(&id));
    assert_false(exists(b, 2));
    append(b, 10);
    close_journal(b);
    b->options.belongs_to = id;
    open_journal(b);
    assert_all_there(b);
}

static void without_space_an_old_log_is_served_all_the_same(void **state)
{
    struct bench *b = *state;
    append(b, 3);
    close_journal(b);
    make_old(b, 1);
    for (unsigned i = 1; i < 9; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "spare-%u", i);
        (void)b->disk->ops->remove(b->disk, name);
    }
    dm_sim_disk_set_capacity(b->sim, dm_sim_disk_used(b->sim));
    open_journal(b);
    struct dm_log_id id = dm_journal_log_id(b->journal);
    assert_false(dm_log_id_known(&id));
    assert_int_equal(dm_order_state(b->journal->order, NULL), DM_ORDER_OK);
    append(b, 3);
    assert_all_there(b);
    close_journal(b);
    dm_sim_disk_set_capacity(b->sim, 0);
    open_journal(b);
    id = dm_journal_log_id(b->journal);
    assert_true(dm_log_id_known(&id));
    assert_all_there(b);
}

/* ---- the age --------------------------------------------------------------------------- */

static void on_an_idle_server_what_is_old_goes(void **state)
{
    struct bench *b = *state;
    append(b, 20);
    pass(b, retention_ms, 3600000);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1); /* it is not older than that */
    pass(b, retention_ms / DM_SEGMENT_AGE_PARTS + 7200000, 3600000);
    assert_int_equal(dm_journal_oldest_seq(b->journal), b->model.last_seq + 1);
    assert_false(exists(b, 1));
    append(b, 20);
    close_journal(b);
    open_journal(b);
    assert_all_there(b);
}

static void nothing_goes_before_its_time_where_little_is_written(void **state)
{
    struct bench *b = *state;
    int64_t step_ms = 6 * 3600000LL, day = 4;
    uint64_t seq_at[400];
    for (int64_t i = 0; i < 80 * day; i++) {
        append(b, 1);
        seq_at[i] = b->model.last_seq;
        pass(b, step_ms, step_ms);
        int64_t kept = retention_ms / step_ms, longest = kept + kept / DM_SEGMENT_AGE_PARTS + 2;
        if (i >= kept) { /* that entry, if it is an event, or the event after it */
            assert_true(dm_journal_oldest_seq(b->journal) <= seq_at[i - kept + 1] + 1);
        }
        if (i >= longest) {
            assert_true(dm_journal_oldest_seq(b->journal) > seq_at[i - longest]);
        }
    }
    assert_all_there(b);
}

static void a_step_of_the_wall_clock_ages_nothing(void **state)
{
    struct bench *b = *state;
    while (!exists(b, 3)) {
        append(b, 20);
    }
    b->clock.wall_ms += 100 * retention_ms;
    pass(b, 60000, 10000);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    b->clock.wall_ms -= 200 * retention_ms;
    pass(b, retention_ms + 7200000, 3600000);
    assert_false(exists(b, 2));
}

/* Restarted every day, it grows old all the same; when nobody runs, it does not. */
static void the_age_goes_on_over_restarts(void **state)
{
    struct bench *b = *state;
    append(b, 20);
    for (int day = 0; day < 40; day++) {
        if (day == 29) {
            assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
        }
        pass(b, 24 * 3600000LL, 3600000);
        close_journal(b);
        b->clock.wall_ms += 1000 * retention_ms;
        b->clock.monotonic_ns = 5; /* another boot */
        open_journal(b);
    }
    assert_int_equal(dm_journal_oldest_seq(b->journal), b->model.last_seq + 1);
}

/* A crash takes no more of it than is said. */
static void a_crash_takes_little_of_the_age(void **state)
{
    struct bench *b = *state;
    append(b, 20);
    for (uint64_t day = 0; day < 40; day++) {
        pass(b, 24 * 3600000LL, 600000);
        dm_sim_disk_stop_at(b->sim, 1);
        close_journal(b);
        dm_sim_disk_crash(b->sim, day);
        open_journal(b);
    }
    assert_int_equal(dm_journal_oldest_seq(b->journal), b->model.last_seq + 1);
}

static void a_damaged_note_of_the_age_costs_no_more_than_that(void **state)
{
    struct bench *b = *state;
    append(b, 20);
    pass(b, 24 * 3600000LL, 3600000);
    close_journal(b);
    assert_true(dm_sim_disk_flip(b->sim, "age", 18, 2));
    open_journal(b);
    assert_all_there(b);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    pass(b, 2 * retention_ms, 3600000);
    assert_int_equal(dm_journal_oldest_seq(b->journal), b->model.last_seq + 1);
}

/* For a segment that nobody waits for, a full disk is no reason to take nothing more. */
static void without_space_the_segment_in_use_goes_on(void **state)
{
    struct bench *b = *state;
    append(b, 3);
    close_journal(b);
    for (unsigned i = 1; i < 9; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "spare-%u", i);
        (void)b->disk->ops->remove(b->disk, name);
    }
    dm_sim_disk_set_capacity(b->sim, dm_sim_disk_used(b->sim) + 100);
    open_journal(b);
    pass(b, 2 * retention_ms, 3600000);
    assert_int_equal(dm_order_state(b->journal->order, NULL), DM_ORDER_OK);
    append(b, 3);
    assert_all_there(b);
    assert_int_equal(dm_journal_oldest_seq(b->journal), 1);
    dm_sim_disk_set_capacity(b->sim, 0);
    pass(b, 2 * retention_ms, 3600000);
    assert_int_equal(dm_journal_oldest_seq(b->journal), b->model.last_seq + 1);
}

static void what_goes_for_its_age_leaves_no_file_behind(void **state)
{
    struct bench *b = *state;
    while (!exists(b, 3)) {
        append(b, 20);
    }
    uint64_t used = dm_sim_disk_used(b->sim);
    pass(b, 2 * retention_ms, 3600000);
    assert_true(dm_sim_disk_used(b->sim) <= used - SEGMENT_SIZE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        CASE(a_new_log_gets_an_id_and_keeps_it),
        CASE(another_log_is_refused_and_left_alone),
        CASE(an_emptied_folder_is_refused_and_stays_empty),
        CASE(what_a_newer_version_wrote_is_told_from_damage),
        CASE(an_old_log_is_taken_over_and_gets_an_id),
        CASE(an_old_log_with_nothing_in_its_last_file_is_taken_over),
        CASE(without_space_an_old_log_is_served_all_the_same),
        CASE(on_an_idle_server_what_is_old_goes),
        CASE(nothing_goes_before_its_time_where_little_is_written),
        CASE(a_step_of_the_wall_clock_ages_nothing),
        CASE(the_age_goes_on_over_restarts),
        CASE(a_crash_takes_little_of_the_age),
        CASE(a_damaged_note_of_the_age_costs_no_more_than_that),
        CASE(without_space_the_segment_in_use_goes_on),
        CASE(what_goes_for_its_age_leaves_no_file_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
