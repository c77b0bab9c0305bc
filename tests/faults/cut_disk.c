#include "faults/cut_disk.h"

#include "base/assert.h"
#include "lib/sim_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, SECTOR = 512, FILES_MAX = 256, PATH_SIZE = 512 };

/* A page with what it held when it was last synced. */
struct page {
    struct page *next;
    uint64_t number;
    uint8_t synced[PAGE];
};

struct file {
    dev_t device;
    ino_t inode;
    int64_t synced_size;
    struct page *dirty;
};

static struct {
    bool on;
    struct file files[FILES_MAX];
    unsigned count;
    uint64_t until_cut;
    void (*cut)(void *context);
    void *context;
    struct cut_disk_counts counts;
} disk;

static void forget(struct file *file)
{
    while (file->dirty != NULL) {
        struct page *page = file->dirty;
        file->dirty = page->next;
        free(page);
    }
}

void cut_disk_begin(void)
{
    disk.on = true;
}

void cut_disk_end(void)
{
    disk.on = false;
    for (unsigned i = 0; i < disk.count; i++) {
        forget(&disk.files[i]);
    }
    disk.count = 0;
}

void cut_disk_at(uint64_t n, void (*cut)(void *context), void *context)
{
    disk.until_cut = n;
    disk.cut = cut;
    disk.context = context;
}

struct cut_disk_counts cut_disk_counts(void)
{
    return disk.counts;
}

/* ---- remembering ------------------------------------------------------------------------ */

static struct file *find(const struct stat *status)
{
    for (unsigned i = 0; i < disk.count; i++) {
        if (disk.files[i].inode == status->st_ino && disk.files[i].device == status->st_dev) {
            return &disk.files[i];
        }
    }
    return NULL;
}

/* NULL: not one of ours. */
static struct file *tracked(int fd)
{
    struct stat status;
    if (!disk.on || fd <= STDERR_FILENO || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return NULL;
    }
    struct file *file = find(&status);
    if (file == NULL) {
        DM_ASSERT(disk.count < FILES_MAX);
        file = &disk.files[disk.count++];
        *file = (struct file){.device = status.st_dev,
                              .inode = status.st_ino,
                              .synced_size = (int64_t)status.st_size};
    }
    return file;
}

/* A changing call is about to be made. */
static void tick(void)
{
    if (!disk.on || disk.until_cut == 0 || --disk.until_cut != 0) {
        return;
    }
    disk.on = false;
    disk.cut(disk.context);
    disk.on = true;
}

static bool is_dirty(const struct file *file, uint64_t number)
{
    const struct page *page = file->dirty;
    while (page != NULL && page->number != number) {
        page = page->next;
    }
    return page != NULL;
}

static void before_write(struct file *file, int fd, uint64_t offset, uint64_t size)
{
    /* Written through: on disk when the call returns. */
    if ((fcntl(fd, F_GETFL) & O_DSYNC) != 0) {
        return;
    }
    for (uint64_t number = offset / PAGE; number * PAGE < offset + size; number++) {
        if (!is_dirty(file, number)) {
            struct page *page = calloc(1, sizeof *page);
            DM_ASSERT(page != NULL);
            page->number = number;
            /* The file may be open for whole pages only. */
            _Alignas(PAGE) uint8_t bytes[PAGE] = {0};
            ssize_t got = pread(fd, bytes, PAGE, (off_t)(number * PAGE));
            DM_ASSERT(got >= 0);
            memcpy(page->synced, bytes, PAGE);
            page->next = file->dirty;
            file->dirty = page;
        }
    }
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset)
{
    struct file *file = tracked(fd);
    if (file != NULL) {
        tick();
        disk.counts.writes++;
        before_write(file, fd, (uint64_t)offset, size);
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static int sync_file(int fd)
{
    struct file *file = tracked(fd);
    struct stat status;
    tick();
    disk.counts.syncs += disk.on ? 1 : 0;
    if (file != NULL && fstat(fd, &status) == 0) {
        forget(file);
        file->synced_size = (int64_t)status.st_size;
    }
    return 0;
}

/* ---- what the libraries call ---------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at(fd, bytes, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t done = 0;
    for (int i = 0; i < count; i++) {
        ssize_t now = write_at(fd, parts[i].iov_base, parts[i].iov_len, offset + (off_t)done);
        if (now < 0) {
            return done == 0 ? now : done;
        }
        done += now;
    }
    return done;
}

/* At the descriptor's own place. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (tracked(fd) == NULL) {
        return syscall(SYS_writev, fd, parts, count);
    }
    ssize_t done = pwritev(fd, parts, count, lseek(fd, 0, SEEK_CUR));
    if (done > 0) {
        (void)lseek(fd, (off_t)done, SEEK_CUR);
    }
    return done;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (tracked(fd) == NULL) {
        return syscall(SYS_write, fd, bytes, size);
    }
    const struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    return writev(fd, &part, 1);
}

/* What the kernel writes by itself would pass by here: the journal is to write for itself. */
int io_setup(int events, void *context);
int io_setup(int events, void *context)
{
    (void)events, (void)context;
    return -ENOSYS;
}

int fsync(int fd)
{
    return sync_file(fd);
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

/* The file of that name is about to go; its inode may come again, as another file. */
static void leave_name(int folder, const char *name)
{
    struct stat status;
    struct file *file = NULL;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)) {
        file = find(&status);
    }
    if (file != NULL) {
        forget(file);
        *file = disk.files[--disk.count];
    }
}

int unlinkat(int folder, const char *name, int flags)
{
    leave_name(folder, name);
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    leave_name(to_folder, to);
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0U);
}

/* LMDB writes through its map only in a mode that we do not use. */
int msync(void *address, size_t size, int flags)
{
    (void)address, (void)size, (void)flags;
    DM_ASSERT(!disk.on);
    return 0;
}

/* ---- the cut ------------------------------------------------------------------------------- */

static void lose(uint8_t *bytes, int64_t size, const struct page *page, uint64_t *random)
{
    uint64_t fate = dm_test_random(random) % 3;
    uint64_t at = page->number * PAGE;
    for (uint64_t sector = at; sector < at + PAGE; sector += SECTOR) {
        bool keep = fate == 0 || (fate == 1 && dm_test_random(random) % 2 == 0);
        for (uint64_t i = sector; !keep && i < sector + SECTOR && i < (uint64_t)size; i++) {
            bytes[i] = page->synced[i - at];
        }
    }
    disk.counts.pages_kept += fate == 0;
    disk.counts.pages_torn += fate == 1;
    disk.counts.pages_lost += fate == 2;
}

static int64_t lose_end(const struct file *file, int64_t size, uint64_t *random)
{
    if (size <= file->synced_size || dm_test_random(random) % 2 == 0) {
        return size;
    }
    int64_t pages = (size - file->synced_size + PAGE - 1) / PAGE;
    int64_t kept =
        file->synced_size + (int64_t)(dm_test_random(random) % (uint64_t)pages) * (int64_t)PAGE;
    return kept < size ? kept : size;
}

static void copy_file(const char *from, const char *to, uint64_t *random)
{
    struct stat status;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    DM_ASSERT(in >= 0 && fstat(in, &status) == 0);
    int64_t size = (int64_t)status.st_size;
    uint8_t *bytes = malloc((size_t)size + 1);
    ssize_t got = pread(in, bytes, (size_t)size, 0);
    DM_ASSERT(got == (ssize_t)size);
    (void)close(in);
    struct file *file = find(&status);
    for (struct page *page = file == NULL ? NULL : file->dirty; page != NULL; page = page->next) {
        lose(bytes, size, page, random);
    }
    int64_t left = file == NULL ? size : lose_end(file, size, random);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    DM_ASSERT(out >= 0);
    ssize_t put = syscall(SYS_pwrite64, out, bytes, (size_t)left, 0);
    DM_ASSERT(put == (ssize_t)left);
    (void)close(out);
    free(bytes);
}

void cut_disk_image(const char *from, const char *to, uint64_t *random)
{
    DIR *entries = opendir(from);
    DM_ASSERT(entries != NULL && !disk.on);
    const struct dirent *entry = NULL;
    while ((entry = readdir(entries)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        char source[PATH_SIZE], target[PATH_SIZE];
        struct stat status;
        (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        if (stat(source, &status) == 0 && S_ISREG(status.st_mode)) {
            copy_file(source, target, random);
        }
    }
    (void)closedir(entries);
}
