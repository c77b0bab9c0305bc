#include "cli/target.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* When all goes well the new file has no name until it is complete, so that whatever ends the
 * program leaves nothing behind; then it gets one beside the old file, and that is renamed
 * over it. Not every file system has files without a name: there it is named from the start. */

static char *path_and(const char *path, const char *more)
{
    size_t size = strlen(path) + strlen(more) + 1;
    char *both = dm_xmalloc(size);
    (void)snprintf(both, size, "%s%s", path, more);
    return both;
}

/* Of the folder that holds it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = path_and(slash == NULL ? "." : path, "");
    if (slash != NULL) {
        folder[slash == path ? 1 : slash - path] = '\0';
    }
    return folder;
}

/* What is to be replaced as a whole; NULL: written through, or not there at all (errno). */
static char *replaceable(const char *path)
{
    struct stat entry;
    if (lstat(path, &entry) != 0) {
        return errno == ENOENT ? path_and(path, "") : NULL;
    }
    if (S_ISREG(entry.st_mode)) {
        return path_and(path, "");
    }
    char *real = S_ISLNK(entry.st_mode) ? realpath(path, NULL) : NULL;
    if (real != NULL && (stat(real, &entry) != 0 || !S_ISREG(entry.st_mode))) {
        free(real);
        real = NULL;
    }
    return real;
}

static int open_beside(const char *path)
{
    char *folder = folder_of(path);
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(folder);
    return fd;
}

/* A new name beside `path` for what `fd` is: mkostemp's way, for a name without a file. */
static char *name_beside(int fd, const char *path)
{
    enum { TRIES = 100 };
    char from[64], more[32];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    for (unsigned i = 0; i < TRIES; i++) {
        (void)snprintf(more, sizeof more, ".new-%ld-%u", (long)getpid(), i);
        char *name = path_and(path, more);
        if (linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            return name;
        }
        free(name);
        if (errno != EEXIST) {
            break;
        }
    }
    return NULL;
}

bool dm_target_open(struct dm_target *target, const char *path)
{
    *target = (struct dm_target){.path = replaceable(path)};
    int fd = target->path != NULL
                 ? open_beside(target->path)
                 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0 && target->path != NULL && (errno == EOPNOTSUPP || errno == EISDIR)) {
        target->beside = path_and(target->path, ".new-XXXXXX");
        fd = mkostemp(target->beside, O_CLOEXEC);
    }
    target->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (target->file == NULL) {
        int why = errno;
        dm_target_abandon(target);
        errno = why;
    }
    return target->file != NULL;
}

static bool sync_file(int fd)
{
    /* A pipe or device knows no such thing. */
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP;
}

/* The rename is there after a power cut, too. What this user may not open is not his to sync. */
static bool sync_folder_of(const char *path)
{
    char *folder = folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    bool ok = fd < 0 || sync_file(fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static bool replace(struct dm_target *target)
{
    if (target->beside == NULL) {
        target->beside = name_beside(fileno(target->file), target->path);
    }
    return target->beside != NULL && rename(target->beside, target->path) == 0;
}

bool dm_target_commit(struct dm_target *target)
{
    bool ok = fflush(target->file) == 0 && sync_file(fileno(target->file));
    if (ok && target->path != NULL) {
        ok = replace(target);
        if (ok) {
            free(target->beside);
            target->beside = NULL;
            ok = sync_folder_of(target->path);
        }
    }
    int why = errno;
    dm_target_abandon(target);
    errno = why;
    return ok;
}

void dm_target_abandon(struct dm_target *target)
{
    if (target->file != NULL) {
        (void)fclose(target->file);
    }
    if (target->beside != NULL) {
        (void)unlink(target->beside);
    }
    free(target->beside);
    free(target->path);
    *target = (struct dm_target){.file = NULL};
}
