#include "cli/cursor.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_SIZE_MAX = 32 };

static bool parse(const char *text, uint64_t *seq)
{
    char *end;
    errno = 0;
    *seq = strtoull(text, &end, 10);
    bool digits = text[0] >= '0' && text[0] <= '9';
    if (!digits || errno != 0 || (*end != '\0' && strcmp(end, "\n") != 0)) {
        errno = EINVAL;
        return false;
    }
    return true;
}

bool dm_cursor_read(const char *path, uint64_t *seq)
{
    *seq = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT;
    }
    char text[TEXT_SIZE_MAX + 1] = {0};
    ssize_t size = read(fd, text, TEXT_SIZE_MAX);
    int error = errno;
    (void)close(fd);
    errno = error;
    return size >= 0 && parse(text, seq);
}

static bool write_file(const char *path, uint64_t seq)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    bool ok = dprintf(fd, "%" PRIu64 "\n", seq) > 0 && fdatasync(fd) == 0;
    int error = errno;
    ok = close(fd) == 0 && ok;
    errno = ok ? 0 : error;
    return ok;
}

bool dm_cursor_write(const char *path, uint64_t seq)
{
    size_t size = strlen(path) + sizeof ".new";
    char *beside = dm_xmalloc(size);
    (void)snprintf(beside, size, "%s.new", path);
    bool ok = write_file(beside, seq) && rename(beside, path) == 0;
    free(beside);
    return ok;
}
