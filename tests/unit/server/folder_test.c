/* The data folders and what is made durable of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/folder.h"

/* Which folders were synced: this program's own fsync notes it, or fails. */
static struct {
    ino_t inodes[32];
    size_t count;
    int fails; /* errno of every call; 0: none */
} syncs;

int fsync(int fd)
{
    struct stat entry;
    if (syncs.fails != 0) {
        errno = syncs.fails;
        return -1;
    }
    if (fstat(fd, &entry) == 0 && syncs.count < sizeof syncs.inodes / sizeof syncs.inodes[0]) {
        syncs.inodes[syncs.count++] = entry.st_ino;
    }
    return 0;
}

static bool was_synced(const char *path)
{
    struct stat entry;
    assert_int_equal(stat(path, &entry), 0);
    for (size_t i = 0; i < syncs.count; i++) {
        if (syncs.inodes[i] == entry.st_ino) {
            return true;
        }
    }
    return false;
}

struct place {
    char root[32], data[64], path[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->root, sizeof p->root, "folder-test-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    (void)snprintf(p->data, sizeof p->data, "%s/data", p->root);
    memset(&syncs, 0, sizeof syncs);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"journal",    "view", "lock",  "lost+found",
                                        ".snapshots", "log",  "photos"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(p->path, sizeof p->path, "%s/%s", p->data, names[i]);
        (void)remove(p->path);
    }
    (void)remove(p->data);
    assert_int_equal(rmdir(p->root), 0);
    free(p);
    return 0;
}

static void open_and_close(struct place *p)
{
    struct dm_folder folder = {0};
    struct dm_error error;
    if (dm_folder_open(&folder, p->data, &error) != DM_OK) {
        fail_msg("%s", error.message);
    }
    dm_folder_close(&folder);
}

static void what_holds_a_new_folder_is_synced(void **state)
{
    struct place *p = *state;
    open_and_close(p);
    assert_true(was_synced(p->root));
    assert_true(was_synced(p->data));
}

/* Whoever made them may not have come to the sync. */
static void folders_that_were_there_are_synced_again(void **state)
{
    struct place *p = *state;
    open_and_close(p);
    memset(&syncs, 0, sizeof syncs);
    open_and_close(p);
    assert_true(was_synced(p->root));
    assert_true(was_synced(p->data));
}

static void a_failed_sync_is_told(void **state)
{
    struct place *p = *state;
    struct dm_folder folder = {0};
    struct dm_error error = {0};
    syncs.fails = EIO;
    assert_int_equal(dm_folder_open(&folder, p->data, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, p->data));
    dm_folder_close(&folder);
}

static void a_file_system_that_syncs_no_folders_will_do(void **state)
{
    struct place *p = *state;
    syncs.fails = EINVAL;
    open_and_close(p);
}

static void make_inside(struct place *p, const char *name)
{
    (void)snprintf(p->path, sizeof p->path, "%s/%s", p->data, name);
    assert_int_equal(mkdir(p->path, 0700), 0);
}

static void a_folder_of_others_is_refused(void **state)
{
    struct place *p = *state;
    struct dm_folder folder = {0};
    struct dm_error error = {0};
    assert_int_equal(mkdir(p->data, 0700), 0);
    make_inside(p, "photos");
    assert_int_equal(dm_folder_open(&folder, p->data, &error), DM_UNAVAILABLE);
    assert_non_null(strstr(error.message, "(photos)"));
    dm_folder_close(&folder);
    (void)snprintf(p->path, sizeof p->path, "%s/lock", p->data);
    assert_int_equal(access(p->path, F_OK), -1); /* nothing was written */
}

static void a_fresh_mount_and_a_log_will_do(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdir(p->data, 0700), 0);
    make_inside(p, "lost+found");
    make_inside(p, ".snapshots");
    (void)snprintf(p->path, sizeof p->path, "%s/log", p->data);
    FILE *file = fopen(p->path, "we");
    assert_non_null(file);
    (void)fclose(file);
    open_and_close(p);
}

static void a_folder_that_a_server_has_used_may_have_more(void **state)
{
    struct place *p = *state;
    open_and_close(p);
    make_inside(p, "photos");
    open_and_close(p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_holds_a_new_folder_is_synced),
        CASE(folders_that_were_there_are_synced_again),
        CASE(a_failed_sync_is_told),
        CASE(a_file_system_that_syncs_no_folders_will_do),
        CASE(a_folder_of_others_is_refused),
        CASE(a_fresh_mount_and_a_log_will_do),
        CASE(a_folder_that_a_server_has_used_may_have_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
