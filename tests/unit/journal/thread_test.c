/* The file journal with its thread, on the real disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "journal/journal.h"
#include "lib/journal_model.h"
#include "lib/sim_disk.h"

/* The real disk, with no room for new files while `full`. */
struct narrow_disk {
    struct dm_disk base;
    struct dm_disk_ops ops;
    struct dm_disk *real;
    _Atomic bool full;
};

struct stage {
    char path[64];
    struct narrow_disk disk;
    struct dm_journal_options options;
    struct dm_journal *journal;
    struct journal_model model;
};

static struct dm_disk *real_of(struct dm_disk *disk)
{
    return ((struct narrow_disk *)disk)->real;
}

static int narrow_open(struct dm_disk *disk, const char *name, bool create)
{
    return real_of(disk)->ops->open(real_of(disk), name, create);
}

static void narrow_close(struct dm_disk *disk, int file)
{
    real_of(disk)->ops->close(real_of(disk), file);
}

static int narrow_pwrite(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset)
{
    return real_of(disk)->ops->pwrite(real_of(disk), file, bytes, offset);
}

static int64_t narrow_pread(struct dm_disk *disk, int file, void *to, size_t size, uint64_t offset)
{
    return real_of(disk)->ops->pread(real_of(disk), file, to, size, offset);
}

static int narrow_zero(struct dm_disk *disk, int file, uint64_t size, uint64_t offset)
{
    return real_of(disk)->ops->zero(real_of(disk), file, size, offset);
}

static void narrow_expect_pages(struct dm_disk *disk, int file)
{
    real_of(disk)->ops->expect_pages(real_of(disk), file);
}

static int narrow_fdatasync(struct dm_disk *disk, int file)
{
    return real_of(disk)->ops->fdatasync(real_of(disk), file);
}

static int narrow_begin(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset,
                        int event)
{
    return real_of(disk)->ops->begin(real_of(disk), file, bytes, offset, event);
}

static int narrow_finish(struct dm_disk *disk, bool wait)
{
    return real_of(disk)->ops->finish(real_of(disk), wait);
}

static int64_t narrow_size(struct dm_disk *disk, int file)
{
    return real_of(disk)->ops->size(real_of(disk), file);
}

static int narrow_allocate(struct dm_disk *disk, int file, uint64_t size)
{
    if (atomic_load(&((struct narrow_disk *)disk)->full)) {
        return -ENOSPC;
    }
    return real_of(disk)->ops->allocate(real_of(disk), file, size);
}

static int narrow_rename(struct dm_disk *disk, const char *from, const char *to)
{
    return real_of(disk)->ops->rename(real_of(disk), from, to);
}

static int narrow_remove(struct dm_disk *disk, const char *name)
{
    return real_of(disk)->ops->remove(real_of(disk), name);
}

static int narrow_sync_folder(struct dm_disk *disk)
{
    return real_of(disk)->ops->sync_folder(real_of(disk));
}

static int narrow_list(struct dm_disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    return real_of(disk)->ops->list(real_of(disk), each, context);
}

/* Until more is durable or the state has changed. */
static void wait_for_journal(struct stage *s)
{
    struct pollfd wanted = {.fd = dm_order_event(s->journal->order), .events = POLLIN};
    eventfd_t count;
    assert_int_equal(poll(&wanted, 1, -1), 1);
    (void)eventfd_read(wanted.fd, &count);
}

static void open_journal(struct stage *s)
{
    struct dm_error error;
    if (dm_journal_open_file(&s->journal, &s->options, &error) != DM_OK) {
        fail_msg("%s", error.message);
    }
}

static int set_up(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->path, sizeof s->path, "journal-test-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    s->disk.real = dm_disk_folder(s->path);
    assert_non_null(s->disk.real);
    s->disk.ops = (struct dm_disk_ops){
        .open = narrow_open,
        .close = narrow_close,
        .pwrite = narrow_pwrite,
        .pread = narrow_pread,
        .zero = narrow_zero,
        .expect_pages = narrow_expect_pages,
        .fdatasync = narrow_fdatasync,
        .begin = narrow_begin,
        .finish = narrow_finish,
        .size = narrow_size,
        .allocate = narrow_allocate,
        .rename = narrow_rename,
        .remove = narrow_remove,
        .sync_folder = narrow_sync_folder,
        .list = narrow_list,
    };
    s->disk.base.ops = &s->disk.ops;
    s->options = (struct dm_journal_options){
        .disk = &s->disk.base,
        .clock = dm_clock_system(),
        .segment_size = 256ULL * 1024,
        .retention_bytes = 1024LL * 1024,
    };
    journal_model_init(&s->model, 11, 30000);
    open_journal(s);
    *state = s;
    return 0;
}

static void remove_file(void *context, const char *name)
{
    struct dm_disk *disk = context;
    (void)disk->ops->remove(disk, name);
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    dm_journal_close(s->journal);
    struct dm_disk *real = s->disk.real;
    assert_int_equal(real->ops->list(real, remove_file, real), 0);
    real->ops->destroy(real);
    assert_int_equal(rmdir(s->path), 0);
    journal_model_finish(&s->model);
    free(s);
    return 0;
}

/* As the loop does: append, flush, look what is durable, read, trim. */
static void one_turn(struct stage *s, struct dm_cursor *cursor, uint64_t *seq, uint64_t *random)
{
    for (uint64_t i = dm_test_random(random) % 40; i > 0; i--) {
        journal_model_append(&s->model, s->journal);
    }
    dm_order_flush(s->journal->order);
    assert_null(journal_model_follow(&s->model, cursor, seq, 3000));
    assert_true(*seq <= dm_journal_committed_seq(s->journal));
    if (dm_test_random(random) % 16 == 0) {
        dm_journal_trim(s->journal, dm_order_durable(s->journal->order));
    }
}

static void loop_and_writer_work_side_by_side(void **state)
{
    struct stage *s = *state;
    uint64_t random = 3;
    uint64_t seq = 0;
    struct dm_cursor *cursor = dm_journal_cursor(s->journal, 0);
    for (int turn = 0; turn < 1500; turn++) {
        one_turn(s, cursor, &seq, &random);
    }
    while (dm_order_durable(s->journal->order) < s->model.last_lsn) {
        dm_order_flush(s->journal->order);
        wait_for_journal(s);
    }
    assert_null(journal_model_follow(&s->model, cursor, &seq, 3000));
    assert_int_equal(seq, s->model.last_seq);
    dm_cursor_close(cursor);
    dm_journal_trim(s->journal, dm_order_durable(s->journal->order));
    dm_journal_close(s->journal);
    open_journal(s);
    uint64_t oldest = dm_journal_oldest_seq(s->journal);
    assert_true(oldest > 1);
    assert_null(journal_model_check_events(&s->model, s->journal, oldest - 1, 100000));
}

static void closing_with_much_gathered_makes_it_durable(void **state)
{
    struct stage *s = *state;
    for (int i = 0; i < 3000; i++) {
        journal_model_append(&s->model, s->journal);
    }
    dm_order_flush(s->journal->order);
    dm_journal_close(s->journal);
    open_journal(s);
    assert_int_equal(dm_order_durable(s->journal->order), s->model.last_lsn);
    assert_null(journal_model_check_replay(&s->model, s->journal, 0));
}

/* The owner may look in the middle of its turn, when it is too late for what it does before. */
static void what_was_seen_already_is_told_of_as_well(void **state)
{
    struct stage *s = *state;
    for (int i = 0; i < 200; i++) {
        journal_model_append(&s->model, s->journal);
        dm_order_flush(s->journal->order);
        while (dm_order_durable(s->journal->order) < s->model.last_lsn) {
        }
        wait_for_journal(s);
    }
}

static void a_full_disk_is_waited_for(void **state)
{
    struct stage *s = *state;
    atomic_store(&s->disk.full, true);
    while (dm_order_state(s->journal->order, NULL) == DM_ORDER_OK) {
        for (int i = 0; i < 50; i++) {
            journal_model_append(&s->model, s->journal);
        }
        dm_order_flush(s->journal->order);
        wait_for_journal(s);
    }
    assert_int_equal(dm_order_state(s->journal->order, NULL), DM_ORDER_FULL);
    assert_true(dm_order_durable(s->journal->order) < s->model.last_lsn);
    atomic_store(&s->disk.full, false);
    while (dm_order_durable(s->journal->order) < s->model.last_lsn) {
        dm_order_flush(s->journal->order);
        wait_for_journal(s);
    }
    assert_int_equal(dm_order_state(s->journal->order, NULL), DM_ORDER_OK);
    assert_null(journal_model_check_events(&s->model, s->journal, 0, 100000));
}

static void a_folder_has_one_owner(void **state)
{
    struct stage *s = *state;
    assert_null(dm_disk_folder(s->path));
    assert_int_equal(errno, EWOULDBLOCK);
    assert_null(dm_disk_folder("no such folder"));
    assert_int_equal(errno, ENOENT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    dm_log_configure(DM_LOG_ERROR + 1, DM_LOG_FORMAT_LOGFMT);
    const struct CMUnitTest tests[] = {
        CASE(loop_and_writer_work_side_by_side),
        CASE(closing_with_much_gathered_makes_it_durable),
        CASE(what_was_seen_already_is_told_of_as_well),
        CASE(a_full_disk_is_waited_for),
        CASE(a_folder_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
