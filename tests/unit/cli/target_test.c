#include "cli/target.h"

#include "cli/cursor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What becomes of the file that somebody names for output. */

struct place {
    char folder[32];
};

static const char *in(const struct place *p, const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", p->folder, name);
    return path;
}

/* The names in the folder, but for . and .. */
static int count(const struct place *p)
{
    int names = 0;
    DIR *entries = opendir(p->folder);
    assert_non_null(entries);
    while (readdir(entries) != NULL) {
        names++;
    }
    (void)closedir(entries);
    return names - 2;
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->folder, sizeof p->folder, "target-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"file", "link", "other"};
    struct place *p = *state;
    for (size_t i = 0; i < 3; i++) {
        (void)unlink(in(p, names[i]));
    }
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_file(const char *path, const char *wanted, mode_t mode)
{
    char text[64] = "";
    struct stat entry;
    assert_int_equal(lstat(path, &entry), 0);
    assert_true(S_ISREG(entry.st_mode));
    assert_int_equal(entry.st_mode & 07777, mode);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    assert_string_equal(text, wanted);
}

static void assert_kind(const char *path, mode_t kind)
{
    struct stat entry;
    assert_int_equal(lstat(path, &entry), 0);
    assert_int_equal(entry.st_mode & S_IFMT, kind);
}

static void begin(struct dm_target *target, const char *path)
{
    assert_true(dm_target_open(target, path));
    assert_true(fputs("new", target->file) >= 0);
}

static void a_regular_file_is_replaced_as_a_whole(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    put(in(p, "file"), "old", 0644);
    begin(&target, in(p, "file"));
    assert_int_equal(fflush(target.file), 0);
    assert_file(in(p, "file"), "old", 0644);
    assert_true(dm_target_commit(&target));
    assert_file(in(p, "file"), "new", 0600);
    assert_int_equal(count(p), 1);
}

static void a_missing_one_appears_at_the_end(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    begin(&target, in(p, "file"));
    assert_int_equal(access(in(p, "file"), F_OK), -1);
    assert_true(dm_target_commit(&target));
    assert_file(in(p, "file"), "new", 0600);
}

static void what_is_given_up_was_never_there(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    begin(&target, in(p, "file"));
    dm_target_abandon(&target);
    assert_int_equal(count(p), 0);
    put(in(p, "file"), "old", 0640);
    begin(&target, in(p, "file"));
    dm_target_abandon(&target);
    assert_file(in(p, "file"), "old", 0640);
    assert_int_equal(count(p), 1);
}

static void a_link_stays_and_its_target_is_replaced(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    put(in(p, "other"), "old", 0644);
    assert_int_equal(symlink("other", in(p, "link")), 0);
    begin(&target, in(p, "link"));
    assert_file(in(p, "other"), "old", 0644);
    assert_true(dm_target_commit(&target));
    assert_kind(in(p, "link"), S_IFLNK);
    assert_file(in(p, "other"), "new", 0600);
    assert_int_equal(unlink(in(p, "other")), 0);
    begin(&target, in(p, "link")); /* it points nowhere */
    assert_true(dm_target_commit(&target));
    assert_kind(in(p, "link"), S_IFLNK);
    assert_file(in(p, "other"), "new", 0600);
}

static void a_pipe_is_written_through(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    char text[8] = "";
    assert_int_equal(mkfifo(in(p, "file"), 0600), 0);
    int reader = open(in(p, "file"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    begin(&target, in(p, "file"));
    assert_true(dm_target_commit(&target));
    assert_int_equal(read(reader, text, sizeof text), 3);
    assert_string_equal(text, "new");
    assert_true(dm_cursor_write(in(p, "file"), 42));
    assert_int_equal(read(reader, text, sizeof text), 3);
    assert_memory_equal(text, "42\n", 3);
    (void)close(reader);
    assert_kind(in(p, "file"), S_IFIFO);
}

static void a_device_stays_one_and_tells_that_it_is_full(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    if (mknod(in(p, "file"), S_IFCHR | 0600, makedev(1, 7)) != 0) {
        skip();
        return;
    }
    begin(&target, in(p, "file"));
    assert_false(dm_target_commit(&target));
    assert_int_equal(errno, ENOSPC);
    assert_false(dm_cursor_write(in(p, "file"), 42));
    assert_kind(in(p, "file"), S_IFCHR);
}

static void what_cannot_be_opened_says_why(void **state)
{
    const struct place *p = *state;
    struct dm_target target;
    assert_false(dm_target_open(&target, in(p, "nowhere/file")));
    assert_int_equal(errno, ENOENT);
    assert_false(dm_target_open(&target, p->folder));
    assert_int_equal(errno, EISDIR);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_regular_file_is_replaced_as_a_whole),
        WITH(a_missing_one_appears_at_the_end),
        WITH(what_is_given_up_was_never_there),
        WITH(a_link_stays_and_its_target_is_replaced),
        WITH(a_pipe_is_written_through),
        WITH(a_device_stays_one_and_tells_that_it_is_full),
        WITH(what_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
