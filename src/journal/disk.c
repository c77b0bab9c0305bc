#include "journal/disk.h"

#include "base/assert.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static_assert((DM_DISK_PAGE & (DM_DISK_PAGE - 1)) == 0 && DM_DISK_PAGE >= 512,
              "what memory can be aligned to, and every disk can write");

/* A folder of the real file system; handles are descriptors.
 *
 * A write that is begun is one call of the kernel's asynchronous I/O, which goes on to the
 * sync by itself. A thread that does the same sleeps and wakes three times for it: on one
 * processor that costs three times as much. */
struct folder {
    struct dm_disk base;
    int fd;
    io_context_t aio;  /* NULL: the machine has none to give */
    struct iocb begun; /* what is under way */
};

static struct folder *folder_of(struct dm_disk *disk)
{
    return (struct folder *)disk;
}

static int folder_open(struct dm_disk *disk, const char *name, bool create)
{
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0);
    int fd = openat(folder_of(disk)->fd, name, flags, 0600);
    return fd < 0 ? -errno : fd;
}

static void folder_close(struct dm_disk *disk, int file)
{
    (void)disk;
    (void)close(file);
}

/* Changes whether writes go past the page cache. False: they cannot (the file system), or
 * went so before. */
static bool set_direct(int fd, bool direct)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && ((flags & O_DIRECT) != 0) != direct &&
           fcntl(fd, F_SETFL, flags ^ O_DIRECT) == 0;
}

static int folder_pwrite(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset)
{
    (void)disk;
    const uint8_t *from = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        ssize_t wrote = pwrite(file, from, left, (off_t)offset);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0 && errno == EINVAL && set_direct(file, false)) {
            continue; /* this file system wants other sizes: through the cache, then */
        }
        if (wrote <= 0) {
            return wrote < 0 ? -errno : -EIO;
        }
        from += wrote;
        left -= (size_t)wrote;
        offset += (uint64_t)wrote;
    }
    return 0;
}

static int64_t folder_pread(struct dm_disk *disk, int file, void *to, size_t size, uint64_t offset)
{
    (void)disk;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file, (uint8_t *)to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (int64_t)done;
}

static int folder_fdatasync(struct dm_disk *disk, int file)
{
    (void)disk;
    /* Never repeated: after a failed sync the kernel may have dropped the pages. */
    return fdatasync(file) == 0 ? 0 : -errno;
}

/* Only what goes past the page cache: else it would all happen in this call. Nor may it
 * wait for the file system, whose own journal is being committed, say. */
static int folder_begin(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset,
                        int event)
{
    struct folder *folder = folder_of(disk);
    int flags = folder->aio == NULL ? 0 : fcntl(file, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT) == 0) {
        return -EAGAIN;
    }
    struct iocb *begun = &folder->begun;
    /* The library's type has no const; nothing is written there. */
    io_prep_pwrite(begun, file, (void *)bytes.data, bytes.size, (long long)offset);
    begun->aio_rw_flags = RWF_DSYNC | RWF_NOWAIT;
    io_set_eventfd(begun, event);
    return io_submit(folder->aio, 1, &begun) == 1 ? 0 : -EAGAIN;
}

static int folder_finish(struct dm_disk *disk, bool wait)
{
    struct folder *folder = folder_of(disk);
    struct timespec none = {0};
    struct io_event end;
    int got = 0;
    do { /* looks into memory that the kernel shares, as long as there is nothing */
        got = io_getevents(folder->aio, wait ? 1 : 0, 1, &end, wait ? NULL : &none);
    } while (got == -EINTR);
    if (got <= 0) {
        return got == 0 ? -EINPROGRESS : got;
    }
    long wrote = (long)end.res;
    if (wrote == -EINVAL || wrote == -EOPNOTSUPP) {
        return -EAGAIN; /* other sizes, or without these flags: pwrite finds a way */
    }
    if (wrote < 0) {
        return (int)wrote;
    }
    return (size_t)wrote == folder->begun.u.c.nbytes ? 0 : -EAGAIN;
}

/* Zeros are written once and read never: in the cache they would cost a copy, and its
 * memory to what is read. */
static int folder_zero(struct dm_disk *disk, int file, uint64_t size, uint64_t offset)
{
    static _Alignas(DM_DISK_PAGE) uint8_t zeros[1 << 20]; /* never written: no memory */
    int failed = 0;
    (void)set_direct(file, true);
    while (failed == 0 && size > 0) {
        size_t part = size < sizeof zeros ? (size_t)size : sizeof zeros;
        failed = folder_pwrite(disk, file, dm_slice(zeros, part), offset);
        size -= part;
        offset += part;
    }
    bool direct = set_direct(file, false);
    /* What is in the cache is synced at once: a batch's sync must not find it all waiting. */
    return failed != 0 || direct ? failed : folder_fdatasync(disk, file);
}

/* Where the file system cannot do it, all goes through the cache, as ever. */
static void folder_expect_pages(struct dm_disk *disk, int file)
{
    (void)disk;
    (void)set_direct(file, true);
}

static int64_t folder_size(struct dm_disk *disk, int file)
{
    (void)disk;
    struct stat status;
    return fstat(file, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int folder_allocate(struct dm_disk *disk, int file, uint64_t size)
{
    (void)disk;
    int failed = 0;
    do {
        failed = posix_fallocate(file, 0, (off_t)size);
    } while (failed == EINTR);
    return -failed;
}

static int folder_rename(struct dm_disk *disk, const char *from, const char *to)
{
    int fd = folder_of(disk)->fd;
    return renameat(fd, from, fd, to) == 0 ? 0 : -errno;
}

static int folder_remove(struct dm_disk *disk, const char *name)
{
    return unlinkat(folder_of(disk)->fd, name, 0) == 0 ? 0 : -errno;
}

static int folder_sync(struct dm_disk *disk)
{
    return fsync(folder_of(disk)->fd) == 0 ? 0 : -errno;
}

static int folder_list(struct dm_disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    int fd = openat(folder_of(disk)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        int failed = -errno;
        (void)close(fd);
        return failed;
    }
    const struct dirent *entry = NULL;
    errno = 0;
    while ((entry = readdir(entries)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        each(context, entry->d_name);
        errno = 0;
    }
    int failed = -errno;
    (void)closedir(entries);
    return failed;
}

static void folder_destroy(struct dm_disk *disk)
{
    if (folder_of(disk)->aio != NULL) {
        (void)io_destroy(folder_of(disk)->aio);
    }
    (void)close(folder_of(disk)->fd);
    free(folder_of(disk));
}

static const struct dm_disk_ops folder_ops = {
    .open = folder_open,
    .close = folder_close,
    .pwrite = folder_pwrite,
    .pread = folder_pread,
    .zero = folder_zero,
    .expect_pages = folder_expect_pages,
    .fdatasync = folder_fdatasync,
    .begin = folder_begin,
    .finish = folder_finish,
    .size = folder_size,
    .allocate = folder_allocate,
    .rename = folder_rename,
    .remove = folder_remove,
    .sync_folder = folder_sync,
    .list = folder_list,
    .destroy = folder_destroy,
};

struct dm_disk *dm_disk_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return NULL;
    }
    struct folder *folder = dm_xcalloc(1, sizeof *folder);
    *folder = (struct folder){.base = {.ops = &folder_ops}, .fd = fd};
    if (io_setup(1, &folder->aio) != 0) {
        folder->aio = NULL;
    }
    return &folder->base;
}
