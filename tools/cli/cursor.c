#include "cli/cursor.h"

#include "cli/target.h"

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

bool dm_cursor_write(const char *path, uint64_t seq)
{
    struct dm_target target;
    if (!dm_target_open(&target, path)) {
        return false;
    }
    if (fprintf(target.file, "%" PRIu64 "\n", seq) < 0) {
        dm_target_abandon(&target);
        return false;
    }
    return dm_target_commit(&target);
}
