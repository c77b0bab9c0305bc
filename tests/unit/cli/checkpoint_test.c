#include "cli/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct dm_checkpoint_target target = {.server = "s:1"};
static char path[] = "/tmp/dormouse-checkpoint-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int teardown(void **state)
{
    (void)state;
    int result = unlink(path);
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    return result;
}

static void open_ok(struct dm_checkpoint *checkpoint, bool is_new)
{
    assert_true(dm_checkpoint_open(checkpoint, path, false, &target));
    assert_int_equal(checkpoint->is_new, is_new);
}

static uint64_t contact_of(const struct dm_checkpoint *checkpoint, int number)
{
    char id[24];
    (void)snprintf(id, sizeof id, "c%d", number);
    return dm_checkpoint_contact(checkpoint, dormouse_text("acme"), dormouse_text(id));
}

static size_t file_read(char *text, size_t room)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, room, file);
    (void)fclose(file);
    return size;
}

static void file_write(const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_some(void)
{
    struct dm_checkpoint checkpoint;
    open_ok(&checkpoint, true);
    dm_checkpoint_begin(&checkpoint, 42, 1800000000123, &target);
    for (int i = 0; i < 3; i++) {
        dm_checkpoint_own(&checkpoint, contact_of(&checkpoint, i), 50 + (uint64_t)i);
    }
    dm_checkpoint_refused(&checkpoint, 7, true);
    dm_checkpoint_refused(&checkpoint, 9, true);
    dm_checkpoint_refused(&checkpoint, 7, false);
    dm_checkpoint_done(&checkpoint, 4711, 0xfeedf00d);
    dm_checkpoint_finish(&checkpoint);
}

static void what_is_noted_is_there_again(void **state)
{
    (void)state;
    struct dm_checkpoint checkpoint;
    uint64_t seq;
    write_some();
    open_ok(&checkpoint, false);
    assert_int_equal(checkpoint.after_seq, 42);
    assert_int_equal(checkpoint.begun_ms, 1800000000123);
    assert_int_equal(checkpoint.done, 4711);
    assert_int_equal(checkpoint.crc, 0xfeedf00d);
    for (int i = 0; i < 3; i++) {
        assert_true(dm_checkpoint_find_own(&checkpoint, contact_of(&checkpoint, i), &seq));
        assert_int_equal(seq, 50 + i);
    }
    assert_false(dm_checkpoint_find_own(&checkpoint, contact_of(&checkpoint, 3), &seq));
    assert_false(dm_checkpoint_was_refused(&checkpoint, 7));
    assert_true(dm_checkpoint_was_refused(&checkpoint, 9));
    dm_checkpoint_edited(&checkpoint);
    dm_checkpoint_finish(&checkpoint);
    open_ok(&checkpoint, false);
    assert_int_equal(checkpoint.done, 0);
    assert_false(dm_checkpoint_was_refused(&checkpoint, 9));
    assert_true(dm_checkpoint_find_own(&checkpoint, contact_of(&checkpoint, 2), &seq));
    dm_checkpoint_finish(&checkpoint);
}

/* Cut at any byte it opens with less, and what is noted then is read behind what was left. */
static void a_torn_end_is_cut_off(void **state)
{
    (void)state;
    char text[1024], again[2048];
    write_some();
    size_t size = file_read(text, sizeof text);
    for (size_t cut = 0; cut < size; cut++) {
        struct dm_checkpoint checkpoint;
        uint64_t seq;
        file_write(text, cut);
        assert_true(dm_checkpoint_open(&checkpoint, path, false, &target));
        bool was_new = checkpoint.is_new;
        if (was_new) {
            dm_checkpoint_begin(&checkpoint, 42, 1, &target);
        }
        uint64_t contact = contact_of(&checkpoint, 77);
        dm_checkpoint_own(&checkpoint, contact, 60);
        dm_checkpoint_finish(&checkpoint);
        open_ok(&checkpoint, false);
        assert_true(dm_checkpoint_find_own(&checkpoint, contact, &seq));
        assert_int_equal(checkpoint.done, 0); /* it was the last line */
        dm_checkpoint_finish(&checkpoint);
        size_t left = file_read(again, sizeof again);
        assert_true(left > 0 && again[left - 1] == '\n');
    }
}

static void garbled_lines_end_it(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "own 0 5\n", "own zz 5\n", "own 5\n",    "refused\n", "refused 5 6\n",
        "done 5\n",  "done 5 5 5", "edited x\n", "\n",        "own 5 5"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[2048] = {0};
        struct dm_checkpoint checkpoint;
        file_write("", 0);
        write_some();
        size_t size = file_read(text, sizeof text);
        (void)snprintf(text + size, sizeof text - size, "%sdone 9999 1\n", lines[i]);
        file_write(text, strlen(text));
        open_ok(&checkpoint, false);
        assert_int_equal(checkpoint.done, 4711);
        dm_checkpoint_finish(&checkpoint);
        assert_int_equal(file_read(text, sizeof text), size);
    }
}

static void another_run_begins_anew_and_another_target_is_refused(void **state)
{
    (void)state;
    struct dm_checkpoint checkpoint;
    struct dm_checkpoint_target other = {.server = "s:1", .run = dormouse_text("2")};
    write_some();
    assert_true(dm_checkpoint_open(&checkpoint, path, true, &other));
    assert_true(checkpoint.is_new);
    dm_checkpoint_finish(&checkpoint);
    open_ok(&checkpoint, false); /* that was a look only */
    assert_false(dm_checkpoint_open(&(struct dm_checkpoint){0}, path, false, &target)); /* in use */
    dm_checkpoint_finish(&checkpoint);
    assert_true(dm_checkpoint_open(&checkpoint, path, false, &other));
    assert_true(checkpoint.is_new);
    dm_checkpoint_begin(&checkpoint, 1, 1, &other);
    dm_checkpoint_finish(&checkpoint);
    other.account = dormouse_text("acme");
    assert_false(dm_checkpoint_open(&checkpoint, path, false, &other));
    assert_non_null(strstr(checkpoint.why, "belongs to another import"));
}

static void many_contacts_are_kept_apart(void **state)
{
    (void)state;
    struct dm_checkpoint checkpoint;
    uint64_t seq;
    open_ok(&checkpoint, true);
    dm_checkpoint_begin(&checkpoint, 0, 1, &target);
    for (int i = 0; i < 20000; i++) {
        dm_checkpoint_own(&checkpoint, contact_of(&checkpoint, i), (uint64_t)i + 1);
    }
    dm_checkpoint_finish(&checkpoint);
    open_ok(&checkpoint, false);
    for (int i = 0; i < 20000; i++) {
        assert_true(dm_checkpoint_find_own(&checkpoint, contact_of(&checkpoint, i), &seq));
        assert_int_equal(seq, i + 1);
    }
    dm_checkpoint_finish(&checkpoint);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(what_is_noted_is_there_again),
        WITH(a_torn_end_is_cut_off),
        WITH(garbled_lines_end_it),
        WITH(another_run_begins_anew_and_another_target_is_refused),
        WITH(many_contacts_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
