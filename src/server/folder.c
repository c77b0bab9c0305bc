#include "server/folder.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = dm_xmalloc(size);
    (void)snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* A name is there after a power cut only when the folder that holds it was synced since. Of
 * a folder that was there before, too: the start that made it may have ended too early. */
static enum dm_code sync_parent(const char *path, bool made, struct dm_error *error)
{
    char *parent = join(path, "..");
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    free(parent);
    /* Some file systems know no such thing; and what others made may be kept from us. */
    if (failed == 0 || failed == EINVAL || failed == EROFS || (!made && fd < 0)) {
        return DM_OK;
    }
    return dm_fail(error, DM_UNAVAILABLE, "cannot sync the folder that holds %s: %s", path,
                   strerror(failed));
}

static enum dm_code make_folder(const char *path, struct dm_error *error)
{
    struct stat entry;
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST) {
        return dm_fail(error, DM_UNAVAILABLE, "cannot create the data folder %s: %s", path,
                       strerror(errno));
    }
    if (stat(path, &entry) != 0 || !S_ISDIR(entry.st_mode)) {
        return dm_fail(error, DM_UNAVAILABLE, "the data folder %s is no folder", path);
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return dm_fail(error, DM_UNAVAILABLE, "the data folder %s cannot be written: %s", path,
                       strerror(errno));
    }
    return sync_parent(path, made, error);
}

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
static enum dm_code take_lock(struct dm_folder *folder, const char *path, struct dm_error *error)
{
    char *name = join(path, "lock");
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum dm_code code = DM_OK;
    if (fd < 0) {
        code = dm_fail(error, DM_UNAVAILABLE, "cannot open %s: %s", name, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        code = errno == EWOULDBLOCK
                   ? held_by_other(fd, path, error)
                   : dm_fail(error, DM_UNAVAILABLE, "cannot lock %s: %s", name, strerror(errno));
    } else if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        code = dm_fail(error, DM_UNAVAILABLE, "cannot write %s: %s", name, strerror(errno));
    }
    free(name);
    if (code != DM_OK && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    folder->lock = fd;
    return code;
}

enum dm_code dm_folder_open(struct dm_folder *folder, const char *path, struct dm_error *error)
{
    folder->lock = -1;
    folder->journal = join(path, "journal");
    folder->view = join(path, "view");
    enum dm_code code = make_folder(path, error);
    if (code == DM_OK) {
        code = take_lock(folder, path, error);
    }
    if (code == DM_OK) {
        code = make_folder(folder->journal, error);
    }
    if (code == DM_OK) {
        code = make_folder(folder->view, error);
    }
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
