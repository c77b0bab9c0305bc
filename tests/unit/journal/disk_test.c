/* The journal's port to the real disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "journal/disk.h"

struct place {
    char path[64];
    struct dm_disk *disk;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->path, sizeof p->path, "disk-test-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->disk = dm_disk_folder(p->path);
    assert_non_null(p->disk);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    assert_int_equal(p->disk->ops->remove(p->disk, "f"), 0);
    p->disk->ops->destroy(p->disk);
    assert_int_equal(rmdir(p->path), 0);
    free(p);
    return 0;
}

static uint8_t *pages_of(size_t count, uint8_t value)
{
    uint8_t *pages = aligned_alloc(DM_DISK_PAGE, count * DM_DISK_PAGE);
    assert_non_null(pages);
    memset(pages, value, count * DM_DISK_PAGE);
    return pages;
}

/* Through another handle, as those read who follow the log. */
static void assert_holds(struct place *p, uint64_t offset, const void *wanted, size_t size)
{
    int file = p->disk->ops->open(p->disk, "f", false);
    assert_true(file >= 0);
    uint8_t *found = malloc(size);
    assert_non_null(found);
    assert_int_equal(p->disk->ops->pread(p->disk, file, found, size, offset), size);
    assert_memory_equal(found, wanted, size);
    free(found);
    p->disk->ops->close(p->disk, file);
}

static void zeros_replace_what_was_there(void **state)
{
    struct place *p = *state;
    enum { PAGES = 700 }; /* more than one call writes */
    uint8_t *ones = pages_of(PAGES + 2, 1), *zeros = pages_of(PAGES, 0);
    int file = p->disk->ops->open(p->disk, "f", true);
    assert_true(file >= 0);
    struct dm_slice all = dm_slice(ones, (PAGES + 2) * DM_DISK_PAGE);
    assert_int_equal(p->disk->ops->pwrite(p->disk, file, all, 0), 0);
    assert_int_equal(p->disk->ops->zero(p->disk, file, PAGES * DM_DISK_PAGE, DM_DISK_PAGE), 0);
    assert_holds(p, 0, ones, DM_DISK_PAGE);
    assert_holds(p, DM_DISK_PAGE, zeros, PAGES * DM_DISK_PAGE);
    assert_holds(p, (PAGES + 1) * DM_DISK_PAGE, ones, DM_DISK_PAGE);
    assert_int_equal(p->disk->ops->size(p->disk, file), (PAGES + 2) * DM_DISK_PAGE);
    p->disk->ops->close(p->disk, file);
    free(ones);
    free(zeros);
}

static void pages_are_seen_by_readers_at_once(void **state)
{
    struct place *p = *state;
    int file = p->disk->ops->open(p->disk, "f", true);
    assert_true(file >= 0);
    assert_int_equal(p->disk->ops->zero(p->disk, file, 16 * DM_DISK_PAGE, 0), 0);
    p->disk->ops->expect_pages(p->disk, file);
    for (uint8_t i = 1; i < 16; i++) {
        uint8_t *pages = pages_of(2, i);
        struct dm_slice both = dm_slice(pages, 2 * DM_DISK_PAGE);
        /* Each write begins with the page that the one before ended with, read meanwhile. */
        assert_int_equal(p->disk->ops->pwrite(p->disk, file, both, (i - 1U) * DM_DISK_PAGE), 0);
        assert_int_equal(p->disk->ops->fdatasync(p->disk, file), 0);
        assert_holds(p, (i - 1U) * DM_DISK_PAGE, pages, 2 * DM_DISK_PAGE);
        free(pages);
    }
    p->disk->ops->close(p->disk, file);
}

/* One page, by `begin`. False: it was given back, and is written the other way. */
static bool begin_page(struct dm_disk *disk, int file, struct dm_slice page, uint64_t offset,
                       bool wait)
{
    struct pollfd wanted = {.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    int failed = disk->ops->begin(disk, file, page, offset, wanted.fd);
    if (failed == 0) {
        assert_true(wait || poll(&wanted, 1, -1) == 1);
        failed = disk->ops->finish(disk, wait);
    }
    (void)close(wanted.fd);
    if (failed != 0) {
        assert_int_equal(failed, -EAGAIN);
        assert_int_equal(disk->ops->pwrite(disk, file, page, offset), 0);
    }
    return failed == 0;
}

static void what_is_begun_ends_by_itself(void **state)
{
    struct place *p = *state;
    struct dm_disk *disk = p->disk;
    enum { PAGES = 60 };
    uint8_t *pages = pages_of(PAGES, 0);
    int file = disk->ops->open(disk, "f", true);
    assert_true(file >= 0);
    assert_int_equal(disk->ops->zero(disk, file, PAGES * DM_DISK_PAGE, 0), 0);
    assert_int_equal(disk->ops->fdatasync(disk, file), 0);
    /* Through the cache it would be written here and now. */
    struct dm_slice first = dm_slice(pages, DM_DISK_PAGE);
    assert_int_equal(disk->ops->begin(disk, file, first, 0, -1), -EAGAIN);
    disk->ops->expect_pages(disk, file);
    unsigned ended = 0;
    for (uint8_t i = 0; i < PAGES; i++) {
        uint8_t *page = pages + i * DM_DISK_PAGE;
        memset(page, i + 1, DM_DISK_PAGE);
        ended += begin_page(disk, file, dm_slice(page, DM_DISK_PAGE), i * DM_DISK_PAGE, i % 2 == 0);
    }
    assert_holds(p, 0, pages, PAGES * DM_DISK_PAGE);
    bool direct = (fcntl(file, F_GETFL) & O_DIRECT) != 0;
    disk->ops->close(disk, file);
    free(pages);
    if (!direct) {
        skip(); /* not on this file system: all of it went the other way */
    }
    assert_true(ended > 0);
}

/* A file system may want something else than what we call a page: then it gets what it can
 * do. Here it is we who break the promise. */
static void what_cannot_be_written_directly_goes_through_the_cache(void **state)
{
    struct place *p = *state;
    int file = p->disk->ops->open(p->disk, "f", true);
    assert_true(file >= 0);
    p->disk->ops->expect_pages(p->disk, file);
    assert_int_equal(p->disk->ops->pwrite(p->disk, file, dm_slice("uneven", 6), 3), 0);
    assert_holds(p, 3, "uneven", 6);
    /* What cannot be written at all is not tried for ever. */
    p->disk->ops->expect_pages(p->disk, file);
    assert_int_equal(p->disk->ops->pwrite(p->disk, file, dm_slice("x", 1), 1ULL << 63), -EINVAL);
    p->disk->ops->close(p->disk, file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(zeros_replace_what_was_there),
        CASE(pages_are_seen_by_readers_at_once),
        CASE(what_is_begun_ends_by_itself),
        CASE(what_cannot_be_written_directly_goes_through_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
