#include "server/folder.h"

#include "base/assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What lies in the data folder is trusted at every start, and written to. So nobody else may
 * have been able to put it there: by a link they could choose the file that is written to.
 * Folders are opened first and checked then, and what is in them is reached through their
 * descriptors. Once a folder is known to be ours alone, nothing in it changes behind our back.
 *
 * A folder that others may only read is taken as it is: whoever runs the server made it so, and
 * it shows no more than names of files. Files that others may read (0640 was our own mode once)
 * are closed to them. */

enum { OTHERS_WRITE = S_IWGRP | S_IWOTH, OTHERS = S_IRWXG | S_IRWXO, LINK_SIZE_MAX = 160 };

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = dm_xmalloc(size);
    (void)snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* After a power cut a name is there only if the folder that holds it was synced. That is done
 * for a folder that was there before, too: the start that made it may have ended too early. */
static enum dm_code sync_parent(int folder, const char *path, bool made, struct dm_error *error)
{
    int fd = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    /* Some file systems cannot do that, and a folder that others made may be closed to us. */
    if (failed == 0 || failed == EINVAL || failed == EROFS || (!made && fd < 0)) {
        return DM_OK;
    }
    return dm_fail(error, DM_UNAVAILABLE, "cannot sync the folder that holds %s: %s", path,
                   strerror(failed));
}

static enum dm_code check_owner(const struct stat *entry, const char *path, struct dm_error *error)
{
    if (entry->st_uid != geteuid()) {
        return dm_fail(error, DM_UNAVAILABLE,
                       "%s belongs to user %u, and this process is user %u: chown it, run as that "
                       "user, or give --data a folder of its own",
                       path, (unsigned)entry->st_uid, (unsigned)geteuid());
    }
    if ((entry->st_mode & OTHERS_WRITE) != 0) {
        return dm_fail(error, DM_UNAVAILABLE,
                       "%s can be written by others (mode %04o): see that all in it is yours, then "
                       "chmod go-w it, or give --data a new folder",
                       path, (unsigned)(entry->st_mode & 07777));
    }
    return DM_OK;
}

/* ---- folders ------------------------------------------------------------------------------ */

static enum dm_code no_folder(int at, const char *name, const char *path, int why,
                              struct dm_error *error)
{
    char target[LINK_SIZE_MAX];
    ssize_t size = readlinkat(at, name, target, sizeof target - 1);
    if (size >= 0) {
        target[size] = '\0';
        return dm_fail(error, DM_UNAVAILABLE,
                       "%s is a symbolic link, which is not followed: give --data the folder "
                       "itself (the link says %s)",
                       path, target);
    }
    if (why == ENOTDIR) {
        return dm_fail(error, DM_UNAVAILABLE, "%s is not a folder", path);
    }
    return dm_fail(error, DM_UNAVAILABLE, "the data folder %s cannot be opened: %s", path,
                   strerror(why));
}

/* `name` in the folder `at`, `path` to people. Creates it if it is not there. */
static enum dm_code open_folder(int at, const char *name, const char *path, int *fd,
                                struct dm_error *error)
{
    struct stat entry;
    bool made = mkdirat(at, name, 0700) == 0;
    if (!made && errno != EEXIST) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot create the data folder %s: %s", path,
                       strerror(errno));
    }
    *fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) {
        return no_folder(at, name, path, errno, error);
    }
    if (fstat(*fd, &entry) != 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot look at %s: %s", path, strerror(errno));
    }
    enum dm_code code = check_owner(&entry, path, error);
    if (code == DM_OK && faccessat(at, name, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        code = dm_fail(error, DM_UNAVAILABLE, "the data folder %s cannot be written: %s", path,
                       strerror(errno));
    }
    return code != DM_OK ? code : sync_parent(*fd, path, made, error);
}

/* ---- files -------------------------------------------------------------------------------- */

/* What lies in a folder of ours, before anything in it is opened. */
static enum dm_code check_file(int at, const char *name, const char *path, struct dm_error *error)
{
    struct stat entry;
    if (fstatat(at, name, &entry, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? DM_OK
                               : dm_fail(error, DM_UNAVAILABLE, "cannot look at %s/%s: %s", path,
                                         name, strerror(errno));
    }
    if (S_ISDIR(entry.st_mode)) {
        return DM_OK; /* lost+found, say; nothing is written to a folder */
    }
    char *whole = join(path, name);
    enum dm_code code = DM_OK;
    if (!S_ISREG(entry.st_mode)) {
        code =
            dm_fail(error, DM_UNAVAILABLE,
                    "%s is not a plain file but %s, which this server did not make; remove it",
                    whole, S_ISLNK(entry.st_mode) ? "a symbolic link" : "a pipe, socket or device");
    } else if (entry.st_nlink != 1) {
        code = dm_fail(error, DM_UNAVAILABLE,
                       "%s has %lu names (hard links), and what is written to it changes all of "
                       "them: copy it, and put the copy in its place",
                       whole, (unsigned long)entry.st_nlink);
    } else {
        code = check_owner(&entry, whole, error);
    }
    if (code == DM_OK && (entry.st_mode & OTHERS) != 0 && fchmodat(at, name, 0600, 0) != 0) {
        code = dm_fail(error, DM_UNAVAILABLE, "cannot chmod 0600 %s: %s", whole, strerror(errno));
    }
    free(whole);
    return code;
}

/* NULL: UNAVAILABLE. */
static DIR *list(int folder, const char *path, struct dm_error *error)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        (void)dm_fail(error, DM_UNAVAILABLE, "cannot list %s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return entries;
}

/* NULL: there are no more. */
static const char *next_name(DIR *entries)
{
    const struct dirent *entry;
    do {
        entry = readdir(entries); /* NOLINT(concurrency-mt-unsafe) */
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

static enum dm_code check_files(int folder, const char *path, struct dm_error *error)
{
    const char *name;
    enum dm_code code = DM_OK;
    DIR *entries = list(folder, path, error);
    if (entries == NULL) {
        return DM_UNAVAILABLE;
    }
    while (code == DM_OK && (name = next_name(entries)) != NULL) {
        code = check_file(folder, name, path, error);
    }
    (void)closedir(entries);
    return code;
}

/* ---- somebody else's folder ----------------------------------------------------------------- */

static bool is_there(int folder, const char *name)
{
    return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A folder that no server has data in: what a file system and its snapshots put there does not
 * matter (lost+found, names with a dot), nor do files, such as our log. */
static bool is_foreign(int folder, const char *name)
{
    struct stat entry;
    return name[0] != '.' && strcmp(name, "lost+found") != 0 &&
           fstatat(folder, name, &entry, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(entry.st_mode);
}

/* `--data /`, or somebody's home: our files would lie among what belongs to others. */
static enum dm_code check_vacant(int folder, const char *path, struct dm_error *error)
{
    const char *name;
    enum dm_code code = DM_OK;
    if (is_there(folder, "lock") || is_there(folder, "journal") || is_there(folder, "view")) {
        return DM_OK;
    }
    DIR *entries = list(folder, path, error);
    if (entries == NULL) {
        return DM_UNAVAILABLE;
    }
    while (code == DM_OK && (name = next_name(entries)) != NULL) {
        if (is_foreign(folder, name)) {
            code = dm_fail(error, DM_UNAVAILABLE,
                           "%s has no data of this server, but other folders (%s): give --data a "
                           "folder of its own",
                           path, name);
        }
    }
    (void)closedir(entries);
    return code;
}

/* ---- the lock ----------------------------------------------------------------------------- */

static enum dm_code held_by_other(int fd, const char *path, struct dm_error *error)
{
    char pid[24] = "";
    ssize_t size = pread(fd, pid, sizeof pid - 1, 0);
    pid[size < 0 ? 0 : size] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return dm_fail(error, DM_UNAVAILABLE, "the data folder %s is in use by process %s", path,
                   pid[0] == '\0' ? "(unknown)" : pid);
}

/* The kernel drops the lock with the process, however that ends; the pid in the file is
 * only for people. */
static enum dm_code take_lock(struct dm_folder *folder, int data, const char *path,
                              struct dm_error *error)
{
    enum dm_code code = check_file(data, "lock", path, error);
    if (code != DM_OK) {
        return code;
    }
    int fd = openat(data, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot open %s/lock: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        code = errno == EWOULDBLOCK ? held_by_other(fd, path, error)
                                    : dm_fail(error, DM_UNAVAILABLE, "cannot lock %s/lock: %s",
                                              path, strerror(errno));
    } else if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        code = dm_fail(error, DM_UNAVAILABLE, "cannot write %s/lock: %s", path, strerror(errno));
    }
    if (code != DM_OK) {
        (void)close(fd);
        fd = -1;
    }
    folder->lock = fd;
    return code;
}

static enum dm_code open_inner(int data, const char *name, const char *path, struct dm_error *error)
{
    int fd = -1;
    enum dm_code code = open_folder(data, name, path, &fd, error);
    if (code == DM_OK) {
        code = check_files(fd, path, error);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

/* With a slash at the end, the system would follow a link all the same. */
static char *without_slashes(const char *path)
{
    char *copy = join(path, "");
    for (size_t size = strlen(copy); size > 1 && copy[size - 1] == '/'; size--) {
        copy[size - 1] = '\0';
    }
    return copy;
}

enum dm_code dm_folder_open(struct dm_folder *folder, const char *given, struct dm_error *error)
{
    int data = -1;
    DM_ASSERT(given[0] != '\0');
    char *path = without_slashes(given);
    folder->lock = -1;
    folder->journal = join(path, "journal");
    folder->view = join(path, "view");
    enum dm_code code = open_folder(AT_FDCWD, path, path, &data, error);
    if (code == DM_OK) {
        code = check_vacant(data, path, error);
    }
    if (code == DM_OK) {
        code = take_lock(folder, data, path, error);
    }
    if (code == DM_OK) {
        code = open_inner(data, "journal", folder->journal, error);
    }
    if (code == DM_OK) {
        code = open_inner(data, "view", folder->view, error);
    }
    if (data >= 0) {
        (void)close(data);
    }
    free(path);
    return code;
}

void dm_folder_close(struct dm_folder *folder)
{
    free(folder->journal);
    free(folder->view);
    if (folder->lock >= 0) {
        (void)close(folder->lock);
    }
    *folder = (struct dm_folder){.lock = -1};
}
