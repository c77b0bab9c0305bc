#ifndef DM_JOURNAL_DISK_H
#define DM_JOURNAL_DISK_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The file operations that the journal needs, as a port: the machine's own, or a
 * simulated disk that tears, loses and fills. Calls return 0 (or a count) or
 * -errno; files are small handles. Names are relative to the disk's folder. */
struct dm_disk {
    const struct dm_disk_ops *ops;
};

/* What every disk and file system can write by itself. */
#define DM_DISK_PAGE 4096UL

struct dm_disk_ops {
    /* Opens for reading and writing; creates it with `create`. Returns a handle >= 0. */
    int (*open)(struct dm_disk *disk, const char *name, bool create);
    void (*close)(struct dm_disk *disk, int file);
    /* All of it or -errno; never short. */
    int (*pwrite)(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset);
    /* Bytes read (short at the end of the file) or -errno. */
    int64_t (*pread)(struct dm_disk *disk, int file, void *to, size_t size, uint64_t offset);
    /* Zeros, without filling the page cache where the machine can do that. In whole pages.
     * On their way to the disk when it returns: a sync later is short, but needed. */
    int (*zero)(struct dm_disk *disk, int file, uint64_t size, uint64_t offset);
    /* A promise: what is written to this file from now on is whole pages, from memory that is
     * aligned to one. So they need not go through the page cache. */
    void (*expect_pages)(struct dm_disk *disk, int file);
    int (*fdatasync)(struct dm_disk *disk, int file);
    /* Begins to write pages and to make them durable, and waits for nothing: 0, or -EAGAIN:
     * not now, or never here. One at a time; the bytes stay as they are until `finish` has
     * told the end of it, which is also written to `event`, an eventfd, just afterwards. */
    int (*begin)(struct dm_disk *disk, int file, struct dm_slice bytes, uint64_t offset, int event);
    /* 0: all is durable. -EINPROGRESS: not yet (never with `wait`). -EAGAIN: it may be there or
     * not; pwrite and fdatasync the same bytes. Else -errno. */
    int (*finish)(struct dm_disk *disk, bool wait);
    int64_t (*size)(struct dm_disk *disk, int file);
    /* Reserves blocks, so that later writes below `size` do not fail for lack of space. */
    int (*allocate)(struct dm_disk *disk, int file, uint64_t size);
    int (*rename)(struct dm_disk *disk, const char *from, const char *to);
    int (*remove)(struct dm_disk *disk, const char *name);
    /* Makes creations, renames and removals durable. */
    int (*sync_folder)(struct dm_disk *disk);
    /* Calls `each` for every name in the folder, in any order. */
    int (*list)(struct dm_disk *disk, void (*each)(void *context, const char *name), void *context);
    void (*destroy)(struct dm_disk *disk);
};

/* A folder of the real file system; it must exist. NULL with errno set. It is locked
 * (flock) while the disk lives: EWOULDBLOCK when another one, of this process or of
 * another, has it. */
struct dm_disk *dm_disk_folder(const char *path);

#endif
